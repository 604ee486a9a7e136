import numpy as np

rng = np.random.default_rng(6)
X = rng.normal(size=(300, 8))
y = (X[:, 0] * X[:, 1] + X[:, 2] > 0).astype(float)[:, None]
X_test = rng.normal(size=(300, 8))
y_test = (X_test[:, 0] * X_test[:, 1] + X_test[:, 2] > 0).astype(float)[:, None]

W1 = rng.normal(0, 0.5, (8, 24))
b1 = np.zeros(24)
W2 = rng.normal(0, 0.3, (24, 1))
b2 = np.zeros(1)

def dropout(a, p):
    a *= rng.random(a.shape) > p
    return a

for epoch in range(600):
    a0 = dropout(X, 0.02)
    a1 = np.tanh(a0 @ W1 + b1)
    a2 = 1 / (1 + np.exp(-(a1 @ W2 + b2)))
    d2 = (a2 - y) / len(X)
    d1 = (d2 @ W2.T) * (1 - a1 ** 2)
    W2 -= 1.0 * a1.T @ d2
    b2 -= 1.0 * d2.sum(axis=0)
    W1 -= 1.0 * a0.T @ d1
    b1 -= 1.0 * d1.sum(axis=0)
    if epoch % 100 == 0:
        print("epoch", epoch, "error", np.mean((a2 - y) ** 2))
a2 = 1 / (1 + np.exp(-(np.tanh(X_test @ W1 + b1) @ W2 + b2)))
print("test accuracy", np.mean((a2 > 0.5) == (y_test > 0.5)))
