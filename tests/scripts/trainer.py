import numpy as np

class Trainer:
    def __init__(self, sizes):
        self.w = [np.random.randn(a, b) / np.sqrt(a) for a, b in zip(sizes, sizes[1:])]
        self.b = [np.zeros(b) for b in sizes[1:]]

    def predict(self, x):
        self.acts = [x]
        for i, (w, b) in enumerate(zip(self.w, self.b)):
            z = self.acts[-1] @ w + b
            self.acts.append(z if i == len(self.w) - 1 else np.tanh(z))
        return self.acts[-1]

    def fit(self, X, Y, epochs, batch, lr):
        for epoch in range(epochs):
            order = np.random.permutation(len(X))
            for s in range(0, len(X), batch):
                rows = order[s:s + batch]
                delta = (self.predict(X[rows]) - Y[rows]) / batch
                for i in reversed(range(len(self.w))):
                    grad_w, grad_b = self.acts[i].T @ delta, delta.sum(axis=0)
                    delta = delta @ self.w[i].T * (1 - self.acts[i]) ** 2
                    self.w[i] -= lr * grad_w
                    self.b[i] -= lr * grad_b
