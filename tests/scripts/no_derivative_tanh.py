import numpy as np
import argparse

parser = argparse.ArgumentParser()
parser.add_argument("--hidden", type=int, default=12)
parser.add_argument("--lr", type=float, default=0.1)
parser.add_argument("--epochs", type=int, default=400)
args = parser.parse_args()

np.random.seed(8)
X = np.random.uniform(-3, 3, (300, 1))
Y = np.sin(X)

params = {
    "W1": np.random.randn(1, args.hidden) * 2,
    "b1": np.random.randn(args.hidden),
    "W2": np.random.randn(args.hidden, 1) * 0.3,
    "b2": np.zeros(1),
}


def forward(x):
    cache = {"x": x}
    cache["z1"] = x @ params["W1"] + params["b1"]
    cache["a1"] = np.tanh(cache["z1"])
    cache["out"] = cache["a1"] @ params["W2"] + params["b2"]
    return cache


def backward(cache, y):
    g = {}
    d = (cache["out"] - y) / len(y)
    g["W2"] = cache["a1"].T @ d
    g["b2"] = d.sum(axis=0)
    d = d @ params["W2"].T
    g["W1"] = cache["x"].T @ d
    g["b1"] = d.sum(axis=0)
    return g


for epoch in range(args.epochs):
    order = np.random.permutation(len(X))
    for start in range(0, len(X), 30):
        rows = order[start:start + 30]
        cache = forward(X[rows])
        grads = backward(cache, Y[rows])
        for name in params:
            params[name] = params[name] - args.lr * grads[name]
    if epoch % 50 == 0:
        print("epoch %4d  mse %.5f" % (epoch, np.mean((forward(X)["out"] - Y) ** 2)))
print("mse at the end: %.5f" % np.mean((forward(X)["out"] - Y) ** 2))
