import numpy as np

rng = np.random.default_rng(90)
X = rng.uniform(-1, 1, (200, 2))
y = (np.sin(4 * X[:, 0]) * X[:, 1] > 0).astype(float)[:, None]

W1 = rng.normal(0, 1.5, (2, 20))
b1 = rng.normal(0, 0.5, 20)
W2 = rng.normal(0, 0.3, (20, 1))
b2 = np.zeros(1)

previous = np.inf
epoch = 0
while True:
    h = np.tanh(X @ W1 + b1)
    p = 1 / (1 + np.exp(-(h @ W2 + b2)))
    loss = -np.mean(y * np.log(p) + (1 - y) * np.log(1 - p))
    if abs(previous - loss) < 1e-3 or epoch > 8000:
        break
    previous = loss
    d2 = (p - y) / len(X)
    d1 = d2 @ W2.T * (1 - h ** 2)
    W2 -= 0.8 * (h.T @ d2)
    b2 -= 0.8 * d2.sum(axis=0)
    W1 -= 0.8 * (X.T @ d1)
    b1 -= 0.8 * d1.sum(axis=0)
    epoch += 1
print("converged after", epoch, "epochs, loss", loss)
print("accuracy", np.mean((p > 0.5) == (y > 0.5)))
