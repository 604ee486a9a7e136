import numpy as np

np.random.seed(49)
X = np.random.uniform(-1, 1, (300, 3))
t = np.cos(2 * X.sum(axis=1)).reshape(-1, 1)

p = {"U": np.random.randn(3, 18), "u": np.zeros(18), "V": np.random.randn(18, 1) * 0.3, "v": np.zeros(1)}

for k in range(2000):
    h = np.tanh(X @ p["U"] + p["u"])
    y = h @ p["V"] + p["v"]
    e = (y - t) / len(X)
    eh = (e @ p["V"].T) * (1 - h ** 2)
    p["V"] -= 0.1 * h.T @ e
    p["v"] -= 0.1 * e.sum(axis=0)
    p["U"] += 0.1 * X.T @ eh
    p["u"] += 0.1 * eh.sum(axis=0)
    if k % 400 == 0:
        print("k =", k, "mse =", np.mean((y - t) ** 2))
print("mse =", np.mean((y - t) ** 2))
