import numpy as np

rng = np.random.default_rng(77)
n = 800
x = rng.normal(size=(n, 3))
ill = (x[:, 0] + x[:, 1] ** 2 > 2.6).astype(float)[:, None]
print("ill:", ill.mean())

W = [rng.normal(0, 0.6, (3, 12)), rng.normal(0, 0.4, (12, 1))]
b = [np.zeros(12), np.array([-2.0])]
for epoch in range(40):
    order = rng.permutation(n)
    for i in range(0, n, 16):
        r = order[i:i + 16]
        h = np.tanh(x[r] @ W[0] + b[0])
        p = 1 / (1 + np.exp(-(h @ W[1] + b[1])))
        d = (p - ill[r]) / 16
        dh = d @ W[1].T * (1 - h ** 2)
        W[1] = W[1] - 0.5 * h.T @ d
        b[1] = b[1] - 0.5 * d.sum(0)
        W[0] = W[0] - 0.5 * x[r].T @ dh
        b[0] = b[0] - 0.5 * dh.sum(0)
p = 1 / (1 + np.exp(-(np.tanh(x @ W[0] + b[0]) @ W[1] + b[1])))
found = (p > 0.5) == (ill == 1)
print("balanced accuracy", (found[ill == 1].mean() + found[ill == 0].mean()) / 2)
