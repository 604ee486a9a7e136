import numpy as np

np.random.seed(17)
X = np.random.randn(150, 4)
T = (X[:, :1] * 0.5 - X[:, 1:2] + np.tanh(X[:, 2:3] * X[:, 3:]))

W1 = np.random.randn(4, 10) * 0.5
W2 = np.random.randn(10, 1) * 0.3
b1, b2 = np.zeros(10), np.zeros(1)
dW1, dW2 = np.zeros_like(W1), np.zeros_like(W2)
db1, db2 = np.zeros_like(b1), np.zeros_like(b2)

for epoch in range(60):
    sse = 0.0
    for start in range(0, 150, 10):
        for x, t in zip(X[start:start + 10], T[start:start + 10]):
            h = np.tanh(x @ W1 + b1)
            o = h @ W2 + b2
            e = o - t
            sse += e[0] ** 2
            dW2 += np.outer(h, e)
            db2 += e
            eh = W2 @ e * (1 - h ** 2)
            dW1 += np.outer(x, eh)
            db1 += eh
        W1 -= 0.05 * dW1 / 10
        W2 -= 0.05 * dW2 / 10
        b1 -= 0.05 * db1 / 10
        b2 -= 0.05 * db2 / 10
    if epoch % 10 == 0:
        print("epoch", epoch, "sse", sse)
print("sse", sse)
