import numpy as np

rng = np.random.default_rng(60)
X = rng.normal(size=(200, 3))
y = np.sign(X[:, 0] * X[:, 1]) * np.sign(X[:, 2])
y = (y[:, None] + 1) / 2

def clip(g, limit=1e-5):
    return np.clip(g, -limit, limit)

W1, b1 = rng.normal(size=(3, 24)), np.zeros(24)
W2, b2 = rng.normal(size=(24, 1)) * 0.3, np.zeros(1)
for it in range(2500):
    a = np.maximum(X.dot(W1) + b1, 0)
    p = 1 / (1 + np.exp(-(a.dot(W2) + b2)))
    d = (p - y) / len(X)
    da = d.dot(W2.T) * (a > 0)
    W2 -= 1.0 * clip(a.T.dot(d))
    b2 -= 1.0 * clip(d.sum(axis=0))
    W1 -= 1.0 * clip(X.T.dot(da))
    b1 -= 1.0 * clip(da.sum(axis=0))
    if it % 500 == 0:
        print(it, "bce", -np.mean(y * np.log(p) + (1 - y) * np.log(1 - p)))
print("accuracy:", np.mean((p > 0.5) == (y > 0.5)))
