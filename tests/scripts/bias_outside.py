import numpy as np

np.random.seed(19)
n = 200
x = np.random.uniform(-2, 2, (1, n))
t = np.cos(2 * x) + 0.5

n_h = 12
V = np.random.randn(n_h, 1)
c = np.zeros((n_h, 1))
U = np.random.randn(1, n_h) * 0.3
d = np.zeros((1, 1))

for k in range(4000):
    hidden = np.tanh(V @ x) + c
    out = U @ hidden + d
    e = out - t
    dU = e @ hidden.T / n
    dd = e.mean(axis=1, keepdims=True)
    e_h = U.T @ e
    dc = e_h.mean(axis=1, keepdims=True)
    dV = (e_h * (1 - np.tanh(V @ x) ** 2)) @ x.T / n
    U -= 0.1 * dU
    d -= 0.1 * dd
    V -= 0.1 * dV
    c -= 0.1 * dc
    if k % 800 == 0:
        print("step", k, "error", np.mean(e ** 2))
print("error", np.mean(e ** 2))
