import numpy as np

rng = np.random.default_rng(66)
n_classes = 4
X = rng.uniform(-1, 1, (500, 2))
y = (X[:, 0] > 0).astype(int) + 2 * (X[:, 1] > X[:, 0] ** 2).astype(int)

def glorot(a, b):
    lim = np.sqrt(6 / (a + b))
    return rng.uniform(-lim, lim, (a, b))

theta = [glorot(2, 24), np.zeros(24), glorot(24, n_classes), np.zeros(n_classes)]
G = [np.zeros_like(t) for t in theta]
base = 0.2
for epoch in range(60):
    lr = base / (1 + 0.01 * epoch)
    for rows in np.array_split(rng.permutation(500), 10):
        x, t = X[rows], y[rows]
        h = np.maximum(x @ theta[0] + theta[1], 0)
        z = h @ theta[2] + theta[3]
        logp = z - z.max(1, keepdims=True)
        logp -= np.log(np.exp(logp).sum(1, keepdims=True))
        d = np.exp(logp)
        d[np.arange(len(t)), t] -= 1
        d /= len(t)
        dh = (d @ theta[2].T) * (h > 0)
        for k, g in enumerate([x.T @ dh, dh.sum(0), h.T @ d, d.sum(0)]):
            G[k] += g ** 2
            theta[k] -= lr * g / np.sqrt(G[k] + 1e-8)
    if epoch % 10 == 0:
        print(epoch, "nll", -logp[np.arange(len(t)), t].mean())
h = np.maximum(X @ theta[0] + theta[1], 0)
print("accuracy", np.mean((h @ theta[2] + theta[3]).argmax(1) == y))
