import numpy as np


class NeuralNetwork:
    def __init__(self, n_in, n_hidden, n_out):
        self.W1 = np.random.rand(n_in, n_hidden)
        self.W2 = np.random.rand(n_hidden, n_hidden)
        self.W3 = np.random.rand(n_hidden, n_out)
        self.b1, self.b2, self.b3 = np.zeros(n_hidden), np.zeros(n_hidden), np.zeros(n_out)

    @staticmethod
    def sigmoid(z):
        return 1 / (1 + np.exp(-z))

    def forward(self, x):
        self.a0 = x
        self.a1 = self.sigmoid(np.dot(self.a0, self.W1) + self.b1)
        self.a2 = self.sigmoid(np.dot(self.a1, self.W2) + self.b2)
        self.a3 = self.sigmoid(np.dot(self.a2, self.W3) + self.b3)
        return self.a3

    def backward(self, y, lr):
        n = len(y)
        d3 = self.a3 - y
        d2 = np.dot(d3, self.W3.T) * self.a2 * (1 - self.a2)
        d1 = np.dot(d2, self.W2.T) * self.a1 * (1 - self.a1)
        self.W3 -= lr * np.dot(self.a2.T, d3) / n
        self.b3 -= lr * d3.mean(axis=0)
        self.W2 -= lr * np.dot(self.a1.T, d2) / n
        self.b2 -= lr * d2.mean(axis=0)
        self.W1 -= lr * np.dot(self.a0.T, d1) / n
        self.b1 -= lr * d1.mean(axis=0)


np.random.seed(0)
X = np.random.rand(400, 30)
y = (X[:, :3].sum(axis=1) > 1.5).astype(float).reshape(-1, 1)

net = NeuralNetwork(30, 24, 1)
for epoch in range(300):
    idx = np.random.permutation(len(X))
    for k in range(0, len(X), 20):
        batch = idx[k:k + 20]
        net.forward(X[batch])
        net.backward(y[batch], 0.3)
    if epoch % 50 == 0:
        out = net.forward(X)
        print(epoch, "loss", -np.mean(y * np.log(out) + (1 - y) * np.log(1 - out)))
print("Accuracy", np.mean((net.forward(X) > 0.5) == y))
