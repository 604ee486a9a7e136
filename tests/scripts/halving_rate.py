import numpy as np

rng = np.random.default_rng(61)
x = rng.uniform(-1, 1, (400, 2))
y = np.hypot(x[:, 0], x[:, 1])[:, None]

n = 20
theta = {"A": rng.normal(size=(2, n)), "a": rng.normal(size=n), "B": rng.normal(size=(n, 1)) / n ** 0.5, "c": np.zeros(1)}
learning_rate = 0.2
for epoch in range(200):
    for j in range(0, 400, 20):
        xb, yb = x[j:j + 20], y[j:j + 20]
        h = np.tanh(xb @ theta["A"] + theta["a"])
        f = h @ theta["B"] + theta["c"]
        r = (f - yb) / 20
        s = r @ theta["B"].T * (1 - h * h)
        grad = {"A": xb.T @ s, "a": s.sum(0), "B": h.T @ r, "c": r.sum(0)}
        for k in theta:
            theta[k] -= learning_rate * grad[k]
        learning_rate *= 0.9
    if epoch % 40 == 0:
        print("epoch", epoch, "rmse", np.sqrt(np.mean((f - yb) ** 2)))
f = np.tanh(x @ theta["A"] + theta["a"]) @ theta["B"] + theta["c"]
print("rmse", np.sqrt(np.mean((f - y) ** 2)))
