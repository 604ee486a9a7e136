import numpy as np

np.random.seed(11)
X = np.array([[1, 0, 0, 0, 0, 0, 0, 0]]).repeat(8, axis=0)
X = np.eye(8)
# 8-3-8 encoder
W1 = np.random.randn(8, 3) * 0.5
b1 = np.zeros(3)
W2 = np.random.randn(3, 8) * 0.5
b2 = np.zeros(8)
sig = lambda z: 1 / (1 + np.exp(-z))
for it in range(6000):
    h = sig(X @ W1 + b1)
    o = sig(h @ W2 + b2)
    d_o = (o - X) * o * (1 - o)
    d_h = d_o @ W2.T * h * (1 - h)
    W2 -= 8.0 * (h.T @ d_o) / 8
    b2 -= 8.0 * d_o.mean(axis=0)
    W1 -= 8.0 * (X.T @ d_h) / 8
    b1 -= 8.0 * d_h.mean(axis=0)
    if it % 1000 == 0:
        print("it", it, "error", np.mean((o - X) ** 2))
print("error", np.mean((o - X) ** 2))
print(np.round(h, 1))
