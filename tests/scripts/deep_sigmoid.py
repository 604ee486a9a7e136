import numpy as np

np.random.seed(31)
N = 300
X = np.random.uniform(-1, 1, (N, 3))
Y = ((X[:, 0] + X[:, 1] > 0) ^ (X[:, 2] > 0)).astype(float)[:, None]

dims = [3, 16, 16, 16, 16, 16, 16, 1]
W, B = [], []
for i in range(len(dims) - 1):
    W.append(0.1 * np.random.randn(dims[i], dims[i + 1]))
    B.append(np.zeros((1, dims[i + 1])))

def sigm(t):
    return 1.0 / (1.0 + np.exp(-t))

L = len(W)
lr = 1.0
for epoch in range(1500):
    A = [X]
    for i in range(L):
        A.append(sigm(A[i] @ W[i] + B[i]))
    cost = -np.mean(Y * np.log(A[L]) + (1 - Y) * np.log(1 - A[L]))
    dA = (A[L] - Y) / N
    for i in range(L - 1, -1, -1):
        dW = A[i].T @ dA
        dB = dA.sum(axis=0, keepdims=True)
        dA = dA @ W[i].T * A[i] * (1 - A[i])
        W[i] -= lr * dW
        B[i] -= lr * dB
    if epoch % 300 == 0:
        print("epoch", epoch, "cost", cost)
print("accuracy:", ((A[L] > 0.5) == Y).mean())
