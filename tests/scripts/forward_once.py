import numpy as np

np.random.seed(75)
X = np.random.randn(200, 4)
Y = np.tanh(X[:, :1]) * X[:, 1:2] + 0.5 * X[:, 2:3]

W1, b1 = np.random.randn(4, 16) * 0.5, np.zeros((1, 16))
W2, b2 = np.random.randn(16, 1) * 0.3, np.zeros((1, 1))

def forward(X):
    Z1 = X @ W1 + b1
    A1 = np.tanh(Z1)
    return A1, A1 @ W2 + b2

A1, output = forward(X)
for epoch in range(400):
    error = output - Y
    dW2 = A1.T @ error / 200
    db2 = error.mean(axis=0, keepdims=True)
    hidden_error = error @ W2.T * (1 - A1 ** 2)
    dW1 = X.T @ hidden_error / 200
    db1 = hidden_error.mean(axis=0, keepdims=True)
    W2 = W2 - 0.1 * dW2
    b2 = b2 - 0.1 * db2
    W1 = W1 - 0.1 * dW1
    b1 = b1 - 0.1 * db1
    if epoch % 100 == 0:
        print("epoch", epoch, "loss", np.mean((forward(X)[1] - Y) ** 2))
print("loss", np.mean((forward(X)[1] - Y) ** 2))
