import numpy as np

np.random.seed(31)
m = 500
X = np.random.randn(3, m) * np.array([[1.0], [2.0], [0.5]]) + 1
Y = np.array([np.sin(X[0]) + 0.1 * X[1] ** 2 - X[2] + 4])

L = [3, 20, 10, 1]
W = {l: np.random.randn(L[l], L[l - 1]) * np.sqrt(1 / L[l - 1]) for l in range(1, 4)}
b = {l: np.zeros((L[l], 1)) for l in range(1, 4)}
vW = {l: 0 * W[l] for l in W}
vb = {l: 0 * b[l] for l in b}
beta, alpha = 0.9, 0.1

for it in range(1500):
    cols = np.random.choice(m, 64, replace=False)
    A = {0: X[:, cols]}
    for l in (1, 2):
        A[l] = np.tanh(W[l] @ A[l - 1] + b[l])
    A[3] = W[3] @ A[2] + b[3]
    dZ = A[3] - Y[:, cols]
    loss = 0.5 * np.mean(dZ ** 2)
    for l in (3, 2, 1):
        dW, db = dZ @ A[l - 1].T / 64, dZ.mean(axis=1, keepdims=True)
        if l > 1:
            dZ = W[l].T @ dZ * (1 - A[l - 1] ** 2)
        vW[l] = beta * vW[l] + (1 - beta) * dW
        vb[l] = beta * vb[l] + (1 - beta) * db
        W[l] = W[l] - alpha * vW[l]
        b[l] = b[l] - alpha * vb[l]
    if it % 300 == 0:
        print("it", it, "batch loss", loss)

out = X
for l in (1, 2):
    out = np.tanh(W[l] @ out + b[l])
out = W[3] @ out + b[3]
print("R2", 1 - np.sum((out - Y) ** 2) / np.sum((Y - Y.mean()) ** 2))
