import numpy as np
from sklearn.datasets import load_digits

X = load_digits().data / 16.0
rng = np.random.RandomState(0)
n_visible, n_hidden = 64, 20
W = rng.uniform(-0.3, 0.3, (n_visible, n_hidden))
bh = np.zeros(n_hidden)
bv = np.zeros(n_visible)
mW = np.zeros_like(W)
mh = np.zeros_like(bh)
mv = np.zeros_like(bv)
lr, mom = 0.02, 0.9


def sig(x):
    return 1.0 / (1.0 + np.exp(-x))


for epoch in range(40):
    rng.shuffle(X)
    for start in range(0, len(X), 30):
        v = X[start:start + 30]
        h = sig(v @ W + bh)
        r = sig(h @ W.T + bv)
        d_out = (r - v) * r * (1 - r)
        d_hid = (d_out @ W) * h * (1 - h)
        gW = v.T @ d_hid + d_out.T @ h
        mW = mom * mW + lr * gW
        mh = mom * mh + lr * d_hid.sum(0)
        mv = mom * mv + lr * d_out.sum(0)
        W -= mW
        bh -= mh
        bv -= mv
    if epoch % 10 == 0:
        R = sig(sig(X @ W + bh) @ W.T + bv)
        print(epoch, ((R - X) ** 2).mean())
R = sig(sig(X @ W + bh) @ W.T + bv)
print("explained", 1 - ((R - X) ** 2).sum() / ((X - X.mean(0)) ** 2).sum())
