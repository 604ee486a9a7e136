import numpy as np

np.random.seed(14)

def batches(n, size):
    order = np.random.permutation(n)
    for i in range(0, n, size):
        yield order[i:i + size]

X = np.random.randn(480, 5)
Y = np.stack([X[:, 0] * X[:, 1], np.abs(X[:, 2]) + X[:, 3]], axis=1)

W1 = np.random.randn(5, 40) * np.sqrt(2 / 5)
B1 = np.zeros(40)
W2 = np.random.randn(40, 2) * np.sqrt(1 / 40)
B2 = np.zeros(2)
yb = Y[:40]
for epoch in range(120):
    for rows in batches(len(X), 40):
        xb = X[rows]
        H = np.maximum(np.einsum("ni,ij->nj", xb, W1) + B1, 0)
        out = np.einsum("nj,jk->nk", H, W2) + B2
        err = out - yb
        yb = Y[rows]
        g2 = np.einsum("nj,nk->jk", H, err) / len(rows)
        back = np.einsum("nk,jk->nj", err, W2) * (H > 0)
        g1 = np.einsum("ni,nj->ij", xb, back) / len(rows)
        W2 -= 0.05 * g2
        B2 -= 0.05 * err.mean(axis=0)
        W1 -= 0.05 * g1
        B1 -= 0.05 * back.mean(axis=0)
    if epoch % 20 == 0:
        print("epoch", epoch, "batch loss", np.mean(err ** 2))

pred = np.maximum(X @ W1 + B1, 0) @ W2 + B2
print("R2 =", 1 - np.sum((Y - pred) ** 2) / np.sum((Y - Y.mean(axis=0)) ** 2))
