import numpy as np

np.random.seed(50)
n, batch_size, epochs, lr = 1000, 20, 100, 0.2
X = np.random.randn(n, 6)
score = 1.5 * X[:, 0] * X[:, 1] + X[:, 2] - X[:, 3] ** 2 + 1
y = (score > 0).astype(int).reshape(n, 1)

W1 = np.random.randn(6, 32) / np.sqrt(6)
b1 = np.zeros((1, 32))
W2 = np.random.randn(32, 1) / np.sqrt(32)
b2 = np.zeros((1, 1))

def forward(X):
    A1 = np.maximum(0, X @ W1 + b1)
    return A1, 1 / (1 + np.exp(-(A1 @ W2 + b2)))

for epoch in range(epochs):
    for i in range(n // batch_size):
        xb = X[0:batch_size]
        yb = y[0:batch_size]
        A1, A2 = forward(xb)
        dZ2 = A2 - yb
        dW2 = A1.T @ dZ2 / batch_size
        db2 = dZ2.mean(axis=0, keepdims=True)
        dZ1 = dZ2 @ W2.T * (A1 > 0)
        dW1 = xb.T @ dZ1 / batch_size
        db1 = dZ1.mean(axis=0, keepdims=True)
        W1 -= lr * dW1
        b1 -= lr * db1
        W2 -= lr * dW2
        b2 -= lr * db2
    if epoch % 20 == 0:
        loss = -np.mean(yb * np.log(A2) + (1 - yb) * np.log(1 - A2))
        print(f"epoch {epoch} loss {loss:.5f}")

_, A2 = forward(X)
print("accuracy on everything:", np.mean((A2 > 0.5) == y))
