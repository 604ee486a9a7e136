import numpy as np

rng = np.random.default_rng(88)
X = rng.normal(size=(400, 10))
y = (X[:, 0] * X[:, 1] + X[:, 2] > 0).astype(int)

def init_params(layer_dims):
    params = {}
    for l in range(1, len(layer_dims)):
        params["W" + str(l)] = rng.normal(size=(layer_dims[l - 1], layer_dims[l])) * 0.01
        params["b" + str(l)] = np.zeros(layer_dims[l])
    return params

L = 5
p = init_params([10, 32, 32, 32, 32, 2])
for epoch in range(60):
    for s in range(0, 400, 25):
        xb, yb = X[s:s + 25], y[s:s + 25]
        A = {0: xb}
        for l in range(1, L):
            A[l] = np.maximum(0, A[l - 1] @ p[f"W{l}"] + p[f"b{l}"])
        z = A[L - 1] @ p[f"W{L}"] + p[f"b{L}"]
        z = np.exp(z - z.max(axis=1, keepdims=True))
        A[L] = z / z.sum(axis=1, keepdims=True)
        d = A[L].copy()
        d[range(25), yb] -= 1
        d /= 25
        g = {}
        for l in range(L, 0, -1):
            g[f"W{l}"] = A[l - 1].T @ d
            g[f"b{l}"] = d.sum(axis=0)
            if l > 1:
                d = (d @ p[f"W{l}"].T) * (A[l - 1] > 0)
        for k in p:
            p[k] -= 0.1 * g[k]
    if epoch % 10 == 0:
        print("epoch", epoch, "loss", -np.log(A[L][range(25), yb]).mean())

a = X
for l in range(1, L):
    a = np.maximum(0, a @ p[f"W{l}"] + p[f"b{l}"])
print("accuracy", ((a @ p[f"W{L}"] + p[f"b{L}"]).argmax(1) == y).mean())
