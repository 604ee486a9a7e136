import numpy as np

rng = np.random.default_rng(101)
angle = np.sqrt(rng.random(200)) * 9 + 1
y = rng.integers(0, 2, (200, 1)).astype(float)
X = np.c_[np.cos(angle), np.sin(angle)] * angle[:, None] * (2 * y - 1) / 4

n = 12
W1 = rng.normal(0, 1, (2, n)); b1 = rng.normal(0, 0.5, n)
W2 = rng.normal(0, n ** -0.5, (n, n)); b2 = rng.normal(0, 0.5, n)
W3 = rng.normal(0, n ** -0.5, (n, n)); b3 = np.zeros(n)
W4 = rng.normal(0, n ** -0.5, (n, 1)); b4 = np.zeros(1)

lr = 0.2
for epoch in range(1200):
    a1 = np.tanh(X @ W1 + b1)
    a2 = np.tanh(a1 @ W2 + b2)
    a3 = np.tanh(a2 @ W3 + b3)
    out = 1 / (1 + np.exp(-(a3 @ W4 + b4)))
    error = out - y
    d4 = error / len(X)
    d3 = d4 @ W4.T * (1 - a3 ** 2)
    d2 = d3 @ W3.T * (1 - a2 ** 2)
    d1 = d2 @ W2.T * (1 - a1 ** 2)
    for param, grad in ((W4, a2.T @ d4), (W3, a2.T @ d3), (W2, a2.T @ d2), (W1, X.T @ d1),
                        (b4, d4.sum(0)), (b3, d3.sum(0)), (b2, d2.sum(0)), (b1, d1.sum(0))):
        param -= lr * grad
    if epoch % 500 == 0:
        print("epoch", epoch, "loss", -np.mean(np.log(np.where(y == 1, out, 1 - out))))
print("loss", -np.mean(np.log(np.where(y == 1, out, 1 - out))))
