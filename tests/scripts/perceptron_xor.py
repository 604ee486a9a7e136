import numpy as np

class Perceptron:
    def __init__(self, n):
        self.w = np.random.randn(n) * 0.1
        self.b = 0.0

    def activate(self, x):
        return 1 / (1 + np.exp(-(np.dot(x, self.w) + self.b)))

    def train(self, X, y, epochs=2000, lr=0.5):
        for e in range(epochs):
            out = self.activate(X)
            err = out - y
            self.w = self.w - lr * X.T @ err / len(y)
            self.b = self.b - lr * err.mean()
            if e % 400 == 0:
                print("epoch", e, "loss", np.mean(err ** 2))

np.random.seed(0)
X = np.random.choice([-1.0, 1.0], (100, 2)) + np.random.randn(100, 2) * 0.2
y = (X[:, 0] * X[:, 1] < 0).astype(float)
p = Perceptron(2)
p.train(X, y)
print("accuracy", np.mean((p.activate(X) > 0.5) == y))
