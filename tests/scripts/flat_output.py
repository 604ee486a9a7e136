import numpy as np

rng = np.random.default_rng(52)
X = rng.normal(size=(200, 4))
y = (np.sin(X[:, 0]) + X[:, 1] ** 2)[:, None]

W1 = rng.normal(size=(4, 24)) / 2
b1 = np.zeros(24)
w2 = rng.normal(size=24) / np.sqrt(24)
b2 = 0.0

def forward(X):
    h = np.tanh(np.matmul(X, W1) + b1)
    return h, np.matmul(h, w2) + b2

for step in range(1500):
    h, out = forward(X)
    residual = (out - y).mean(axis=0)
    loss = ((out - y) ** 2).mean()
    g = residual / len(X)
    w2 = w2 - 0.2 * h.T @ g
    b2 = b2 - 0.2 * g.sum()
    gh = np.outer(g, w2) * (1 - h ** 2)
    W1 = W1 - 0.2 * X.T @ gh
    b1 = b1 - 0.2 * gh.sum(axis=0)
    if step % 300 == 0:
        print("step", step, "loss", loss)
h, out = forward(X)
print("R2", 1 - np.mean((out - y.ravel()) ** 2) / y.var())
