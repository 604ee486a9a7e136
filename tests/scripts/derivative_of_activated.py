import numpy as np

def sigmoid(x):
    return 1 / (1 + np.exp(-x))

def sigmoid_prime(x):
    return sigmoid(x) * (1 - sigmoid(x))

class Layer:
    def __init__(self, inputs, outputs, rng):
        self.w = rng.standard_normal((outputs, inputs))
        self.b = rng.standard_normal((outputs, 1))

    def forward(self, a):
        self.a_in = a
        self.z = np.dot(self.w, a) + self.b
        self.a_out = sigmoid(self.z)
        return self.a_out

    def backward(self, grad, lr):
        delta = grad * sigmoid_prime(self.a_out)
        back = np.dot(self.w.T, delta)
        self.w -= lr * np.outer(delta, self.a_in)
        self.b -= lr * delta
        return back

class Network:
    def __init__(self, *sizes):
        rng = np.random.default_rng(2)
        self.layers = [Layer(i, o, rng) for i, o in zip(sizes, sizes[1:])]

    def predict(self, x):
        for layer in self.layers:
            x = layer.forward(x)
        return x

    def train(self, data, epochs, lr):
        for epoch in range(epochs):
            total = 0
            for x, t in data:
                out = self.predict(x)
                total += float(((out - t) ** 2).sum())
                grad = out - t
                for layer in reversed(self.layers):
                    grad = layer.backward(grad, lr)
            if epoch % 250 == 0:
                print("epoch", epoch, "total error", total)
        print("total error", total)

if __name__ == "__main__":
    patterns = [[0, 0, 0], [0, 0, 1], [0, 1, 0], [0, 1, 1], [1, 0, 0], [1, 0, 1], [1, 1, 0], [1, 1, 1]]
    parity = [(np.array(p, dtype=float).reshape(3, 1), np.array([[float(sum(p) % 2)]])) for p in patterns]
    net = Network(3, 6, 1)
    net.train(parity, 1500, 1.0)
    for x, t in parity:
        print(x.ravel(), t.item(), net.predict(x).item())
