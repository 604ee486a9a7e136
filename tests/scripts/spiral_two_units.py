import numpy as np

rng = np.random.default_rng(4)

def make_spirals(n):
    t = np.sqrt(rng.random(n)) * 6
    x = np.column_stack((t * np.cos(t), t * np.sin(t)))
    return np.vstack((x, -x)) / 3 + rng.normal(0, 0.05, (2 * n, 2)), np.repeat([0.0, 1.0], n)

X, y = make_spirals(150)
y = y[:, None]

hidden = 2
w1 = rng.normal(0, 1, (2, hidden))
b1 = np.zeros((1, hidden))
w2 = rng.normal(0, 1, (hidden, 1))
b2 = np.zeros((1, 1))

params = [w1, b1, w2, b2]
velocity = [np.zeros_like(p) for p in params]

for epoch in range(3000):
    h = np.tanh(X @ w1 + b1)
    p = 1 / (1 + np.exp(-(h @ w2 + b2)))
    d2 = (p - y) / len(y)
    d1 = d2 @ w2.T * (1 - h * h)
    grads = [X.T @ d1, d1.sum(0, keepdims=True), h.T @ d2, d2.sum(0, keepdims=True)]
    for param, v, g in zip(params, velocity, grads):
        v *= 0.9
        v -= 0.3 * g
        param += v
    if epoch % 500 == 0:
        print(epoch, -np.mean(y * np.log(p + 1e-9) + (1 - y) * np.log(1 - p + 1e-9)))
print("acc", np.mean((p > 0.5) == (y > 0.5)))
