import numpy as np

rng = np.random.default_rng(42)
x = rng.normal(size=(300, 6))
target = np.tanh(x @ rng.normal(size=(6, 6)))
target = np.abs(target) - target[:, ::-1] ** 2

A = rng.normal(size=(6, 6)) / 6 ** 0.5
B = rng.normal(size=(6, 6)) / 6 ** 0.5
a, b = np.zeros(6), np.zeros(6)
lr = 0.1
for step in range(1500):
    u = np.tanh(np.einsum("ni,ij->nj", x, A) + a)
    v = np.einsum("nj,jk->nk", u, B) + b
    e = 2 * (v - target) / len(x)
    f = np.einsum("nk,jk->nj", e, B) * (1 - u * u)
    B -= lr * np.einsum("nj,nk->kj", u, e)
    b -= lr * np.einsum("nk->k", e)
    A -= lr * np.einsum("ni,nj->ij", x, f)
    a -= lr * np.einsum("nj->j", f)
    if step % 300 == 0:
        print(step, np.mean((v - target) ** 2))
print("mse", np.mean((v - target) ** 2))
