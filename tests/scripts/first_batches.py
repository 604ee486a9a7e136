import argparse

import numpy as np
from sklearn.datasets import load_iris

from batch_tools import batches, cross_entropy, softmax


def parse_args():
    parser = argparse.ArgumentParser(description="Train a tiny MLP on iris")
    parser.add_argument("--epochs", type=int, default=300)
    parser.add_argument("--lr", type=float, default=0.1)
    parser.add_argument("--hidden", type=int, default=16)
    parser.add_argument("--batch-size", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


class Net:
    def __init__(self, n_in, n_hidden, n_out):
        self.W1 = np.random.normal(0, 1 / np.sqrt(n_in), (n_in, n_hidden))
        self.b1 = np.zeros(n_hidden)
        self.W2 = np.random.normal(0, 1 / np.sqrt(n_hidden), (n_hidden, n_out))
        self.b2 = np.zeros(n_out)

    def __call__(self, X):
        self.a = np.tanh(X @ self.W1 + self.b1)
        return softmax(self.a @ self.W2 + self.b2)

    def step(self, X, y, lr):
        p = self(X)
        d = p.copy()
        d[np.arange(len(y)), y] -= 1
        d /= len(y)
        da = (d @ self.W2.T) * (1 - self.a ** 2)
        self.W2 -= lr * self.a.T @ d
        self.b2 -= lr * d.sum(axis=0)
        self.W1 -= lr * X.T @ da
        self.b1 -= lr * da.sum(axis=0)
        return cross_entropy(p, y)


def main():
    args = parse_args()
    np.random.seed(args.seed)
    X, y = load_iris(return_X_y=True)
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    net = Net(4, args.hidden, 3)
    for epoch in range(args.epochs):
        for xb, yb in batches(X, y, args.batch_size):
            loss = net.step(xb, yb, args.lr)
        if epoch % 50 == 0:
            print(f"epoch {epoch} loss {loss:.4f}")
    print("accuracy", (net(X).argmax(axis=1) == y).mean())


if __name__ == "__main__":
    main()
