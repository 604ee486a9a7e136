import numpy as np

np.random.seed(4)
x = np.linspace(-np.pi, np.pi, 200).reshape(-1, 1)
y = np.sin(x) + 0.3 * np.sin(3 * x)

n_hidden = 30
Wxh = np.random.randn(1, n_hidden)
bh = np.random.randn(1, n_hidden)
Why = np.random.randn(n_hidden, 1) * 0.1
by = np.zeros((1, 1))
cache = [np.zeros_like(p) for p in (Wxh, bh, Why, by)]
lr, decay, eps = 0.005, 0.9, 1e-8

for i in range(2000):
    h = np.tanh(x @ Wxh + bh)
    yhat = h @ Why + by
    loss = 0.5 * np.mean((yhat - y) ** 2)
    dy = (yhat - y) / len(x)
    dh = dy @ Why.T * (1 - h ** 2)
    grads = [x.T @ dh, dh.sum(0, keepdims=True), h.T @ dy, dy.sum(0, keepdims=True)]
    for p, g, c in zip((Wxh, bh, Why, by), grads, cache):
        c[:] = decay * c + (1 - decay) * g * g
        p -= lr * g / (np.sqrt(c) + eps)
    if i % 400 == 0:
        print("iter", i, "loss", loss)
print("loss", loss)
