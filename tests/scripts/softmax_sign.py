import numpy as np


class SoftmaxNet:
    def __init__(self, layers, lr):
        self.lr = lr
        self.weights = [np.random.uniform(-1, 1, (m, n)) * np.sqrt(6 / (m + n)) for m, n in zip(layers, layers[1:])]
        self.biases = [np.zeros(n) for n in layers[1:]]

    def feed(self, x):
        self.outs = [x]
        for w, b in zip(self.weights[:-1], self.biases[:-1]):
            self.outs.append(np.tanh(self.outs[-1] @ w + b))
        z = self.outs[-1] @ self.weights[-1] + self.biases[-1]
        e = np.exp(z - np.max(z, axis=1, keepdims=True))
        self.outs.append(e / np.sum(e, axis=1, keepdims=True))
        return self.outs[-1]

    def learn(self, x, target):
        delta = (target - self.feed(x)) / len(x)
        for i in range(len(self.weights) - 1, -1, -1):
            grad_w, grad_b = self.outs[i].T @ delta, np.sum(delta, axis=0)
            delta = delta @ self.weights[i].T * (1 - self.outs[i] ** 2)
            self.weights[i] -= self.lr * grad_w
            self.biases[i] -= self.lr * grad_b


np.random.seed(64)
flower = np.repeat([0, 1, 2], 50)
mean = np.array([[5.0, 3.4, 1.5, 0.2], [5.9, 2.8, 4.3, 1.3], [6.6, 3.0, 5.5, 2.0]])
X = mean[flower] + np.random.randn(150, 4) * [0.4, 0.3, 0.4, 0.2]
X = (X - X.mean(0)) / X.std(0)
Y = np.eye(3)[flower]
net = SoftmaxNet([4, 8, 8, 3], 0.2)
for epoch in range(400):
    net.learn(X, Y)
    if epoch % 80 == 0:
        p = net.feed(X)
        print(epoch, "loss", -np.mean(np.log(p[np.arange(150), flower] + 1e-12)))
print("accuracy", np.mean(net.feed(X).argmax(1) == flower))
