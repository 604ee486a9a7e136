import numpy as np

rng = np.random.default_rng(31)
x = rng.uniform(-3, 3, (500, 1))
y = np.abs(np.sin(x)) + 0.2 * x

def leaky(z, a=0.05):
    return np.where(z > 0, z, a * z)

def dleaky(z, a=0.05):
    return np.where(z > 0, 1.0, a)

W1, b1 = rng.normal(size=(1, 40)), rng.uniform(-2, 2, 40)
W2, b2 = rng.normal(size=(40, 20)) / np.sqrt(20), np.zeros(20)
W3, b3 = rng.normal(size=(20, 1)) / np.sqrt(20), np.zeros(1)
rate = 0.02
for epoch in range(1, 301):
    for rows in np.array_split(rng.permutation(500), 10):
        xb, yb = x[rows], y[rows]
        z1 = xb @ W1 + b1
        h1 = leaky(z1)
        z2 = h1 @ W2 + b2
        h2 = leaky(z2)
        out = h2 @ W3 + b3
        g3 = (out - yb) / len(rows)
        g2 = g3 @ W3.T * dleaky(z2)
        g1 = g2 @ W2.T * dleaky(z1)
        W3 -= rate * h2.T @ g3
        b3 -= rate * g3.sum(axis=0)
        W2 -= rate * h1.T @ g2
        b2 -= rate * g2.sum(axis=0)
        W1 -= rate * xb.T @ g1
        b1 -= rate * g1.sum(axis=0)
    if epoch % 60 == 0:
        print(f"epoch {epoch}: mse {np.mean((out - yb) ** 2):.5f}")
full = leaky(leaky(x @ W1 + b1) @ W2 + b2) @ W3 + b3
print("mse", np.mean((full - y) ** 2))
