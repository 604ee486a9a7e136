import numpy as np

def get_batch(X, Y, size):
    np.random.seed(0)
    idx = np.random.choice(len(X), size)
    return X[idx], Y[idx]

np.random.seed(1)
X = np.random.uniform(-3, 3, (1000, 2))
Y = np.sin(X[:, :1]) * np.cos(X[:, 1:])

W1 = np.random.randn(2, 50)
b1 = np.random.randn(50)
W2 = np.random.randn(50, 1) / np.sqrt(50)
b2 = np.zeros(1)

for it in range(4000):
    x, y = get_batch(X, Y, 16)
    h = np.tanh(x @ W1 + b1)
    out = h @ W2 + b2
    grad = (out - y) / len(x)
    gh = grad @ W2.T * (1 - h ** 2)
    W2 -= 0.1 * h.T @ grad
    b2 -= 0.1 * grad.sum(0)
    W1 -= 0.1 * x.T @ gh
    b1 -= 0.1 * gh.sum(0)
    if it % 800 == 0:
        print("it", it, "batch mse", np.mean((out - y) ** 2))
print("mse on all data", np.mean((np.tanh(X @ W1 + b1) @ W2 + b2 - Y) ** 2))
