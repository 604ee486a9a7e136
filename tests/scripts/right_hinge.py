import numpy as np
from sklearn.datasets import make_moons

X, y = make_moons(300, noise=0.15, random_state=5)
y = 2 * y - 1
np.random.seed(0)
H = 16
params = [np.random.randn(2, H), np.zeros(H), np.random.randn(H) / 4, 0.0]
n_steps = 0


def loss_fn(W1, b1, w2, b2):
    global n_steps
    n_steps += 1
    h = np.maximum(0, X @ W1 + b1)
    f = h @ w2 + b2
    margin = np.maximum(0, 1 - y * f)
    loss = margin.mean()
    df = -y * (margin > 0) / len(y)
    dw2 = h.T @ df
    db2 = df.sum()
    dh = df[:, None] * w2[None, :] * (h > 0)
    return loss, f, [X.T @ dh, dh.sum(axis=0), dw2, db2]


for i in range(2000):
    loss, f, grads = loss_fn(*params)
    params = [p - 0.2 * g for p, g in zip(params, grads)]
    if n_steps % 200 == 0:
        print(n_steps, loss, (np.sign(f) == y).mean())
print('train accuracy', (np.sign(loss_fn(*params)[1]) == y).mean())
