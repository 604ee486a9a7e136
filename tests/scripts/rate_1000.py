import numpy as np

np.random.seed(5)

def σ(z):
    return 1 / (1 + np.exp(-z))

X = np.random.randn(100, 3)
y = (X[:, :1] + X[:, 1:2] * X[:, 2:] > 0).astype(float)
w = [np.random.randn(3, 8), np.random.randn(8, 1)]
b = [np.zeros((1, 8)), np.zeros((1, 1))]
η = 1000

for t in range(3000):
    a1 = σ(X @ w[0] + b[0])
    a2 = σ(a1 @ w[1] + b[1])
    δ2 = (a2 - y) * a2 * (1 - a2)
    δ1 = δ2 @ w[1].T * a1 * (1 - a1)
    w[1] -= η * a1.T @ δ2 / 100
    b[1] -= η * δ2.mean(axis=0)
    w[0] -= η * X.T @ δ1 / 100
    b[0] -= η * δ1.mean(axis=0)
    if t % 500 == 0:
        print(t, np.mean((a2 - y) ** 2))
print("mse", np.mean((a2 - y) ** 2))
