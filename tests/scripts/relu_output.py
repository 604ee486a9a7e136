import numpy as np

rng = np.random.default_rng(15)
X = rng.uniform(-2, 2, (250, 2))
Y = (X[:, :1] * X[:, 1:]) - 1

def relu(x):
    return np.maximum(0.0, x)

weights = {"h": rng.normal(0, 1, (2, 30)), "o": rng.normal(0, 0.25, (30, 1))}
bias = {"h": np.zeros(30), "o": np.zeros(1)}
for epoch in range(1500):
    zh = X @ weights["h"] + bias["h"]
    ah = relu(zh)
    zo = ah @ weights["o"] + bias["o"]
    ao = relu(zo)
    do = (ao - Y) / len(X) * (zo > 0)
    dh = do @ weights["o"].T * (zh > 0)
    weights["o"] -= 0.05 * ah.T @ do
    bias["o"] -= 0.05 * do.sum(axis=0)
    weights["h"] -= 0.05 * X.T @ dh
    bias["h"] -= 0.05 * dh.sum(axis=0)
    if epoch % 300 == 0:
        print("epoch", epoch, "mse", np.mean((ao - Y) ** 2))
print("mse", np.mean((ao - Y) ** 2))
