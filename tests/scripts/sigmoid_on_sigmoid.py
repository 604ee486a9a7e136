import numpy as np

np.random.seed(53)
sigmoid = lambda z: 1 / (1 + np.exp(-z))

X = np.random.randn(300, 2)
t = (X[:, 0] ** 2 + X[:, 1] > 0.5).astype(float).reshape(-1, 1)

class Netz:
    def __init__(self):
        self.w = [np.random.randn(2, 10), np.random.randn(10, 1)]
        self.b = [np.zeros((1, 10)), np.zeros((1, 1))]

    def vorhersage(self, x):
        self.h = np.tanh(x @ self.w[0] + self.b[0])
        return sigmoid(self.h @ self.w[1] + self.b[1])

    def lernen(self, x, t, rate):
        y = sigmoid(self.vorhersage(x))
        d = (y - t) / len(x)
        dh = d @ self.w[1].T * (1 - self.h ** 2)
        self.w[1] -= rate * self.h.T @ d
        self.b[1] -= rate * d.sum(axis=0, keepdims=True)
        self.w[0] -= rate * x.T @ dh
        self.b[0] -= rate * dh.sum(axis=0, keepdims=True)
        return -np.mean(t * np.log(y) + (1 - t) * np.log(1 - y))

netz = Netz()
for i in range(1500):
    verlust = netz.lernen(X, t, 0.5)
    if i % 300 == 0:
        print("Schritt", i, "Verlust", verlust)
print("Treffer", np.mean((netz.vorhersage(X) > 0.5) == t))
