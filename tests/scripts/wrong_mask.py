import numpy as np

rng = np.random.default_rng(73)
x = rng.normal(size=(600, 6))
t = np.maximum(x[:, 0], x[:, 1]) - np.abs(x[:, 2]) + 0.5 * x[:, 3] * x[:, 4]
t = t[:, None]

h = 24
w0 = rng.normal(0, np.sqrt(2 / 6), (6, h)); v0 = np.zeros(h)
w1 = rng.normal(0, np.sqrt(2 / h), (h, h)); v1 = np.zeros(h)
w2 = rng.normal(0, np.sqrt(2 / h), (h, 1)); v2 = np.zeros(1)

def net(x):
    z0 = x @ w0 + v0
    z1 = np.maximum(z0, 0) @ w1 + v1
    return z0, z1, np.maximum(z1, 0) @ w2 + v2

step = 0.05
for epoch in range(60):
    for b in np.array_split(rng.permutation(600), 20):
        z0, z1, y = net(x[b])
        e = (y - t[b]) / len(b)
        gw2 = np.maximum(z1, 0).T @ e
        e1 = e @ w2.T
        e1[z0 < 0] = 0
        gw1 = np.maximum(z0, 0).T @ e1
        e0 = e1 @ w1.T
        e0[z1 < 0] = 0
        gw0 = x[b].T @ e0
        w2 -= step * gw2; v2 -= step * e.sum(0)
        w1 -= step * gw1; v1 -= step * e1.sum(0)
        w0 -= step * gw0; v0 -= step * e0.sum(0)
    if epoch % 10 == 0:
        print("epoch", epoch, "mse", np.mean((net(x)[2] - t) ** 2))
print("mse", np.mean((net(x)[2] - t) ** 2))
