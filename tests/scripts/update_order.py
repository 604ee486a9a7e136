import numpy as np

np.random.seed(10)

def sigmoid(x): return 1 / (1 + np.exp(-x))

# 4-bit parity
X = np.array([[int(c) for c in format(i, "04b")] for i in range(16)]) * 2.0 - 1
Y = (X.prod(axis=1, keepdims=True) > 0) * 1.0

W1 = np.random.randn(4, 8); b1 = np.random.randn(8)
W2 = np.random.randn(8, 1); b2 = np.zeros(1)
lr = 12

for epoch in range(3000):
    H = np.tanh(X @ W1 + b1)
    O = sigmoid(H @ W2 + b2)
    dO = (O - Y) / 16
    W2 -= lr * H.T @ dO
    b2 -= lr * dO.sum(0)
    dH = (dO @ W2.T) * (1 - H ** 2)
    W1 -= lr * X.T @ dH
    b1 -= lr * dH.sum(0)
    if epoch % 500 == 0:
        print(epoch, "loss", -np.mean(Y * np.log(O + 1e-9) + (1 - Y) * np.log(1 - O + 1e-9)))
print("loss", -np.mean(Y * np.log(O + 1e-9) + (1 - Y) * np.log(1 - O + 1e-9)))
