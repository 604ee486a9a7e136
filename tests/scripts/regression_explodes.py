import numpy as np

np.random.seed(1)
X = np.random.randn(200, 10)
w_true = np.random.randn(10)
y = np.tanh(X @ w_true)[:, None] * 3 + 1

W1 = np.random.randn(10, 20) * np.sqrt(2.0 / 10)
b1 = np.zeros((1, 20))
W2 = np.random.randn(20, 20) * np.sqrt(2.0 / 20)
b2 = np.zeros((1, 20))
W3 = np.random.randn(20, 1) * np.sqrt(2.0 / 20)
b3 = np.zeros((1, 1))

def relu(v): return v * (v > 0)

def step(lr):
    global W1, b1, W2, b2, W3, b3
    h1 = relu(X @ W1 + b1)
    h2 = relu(h1 @ W2 + b2)
    out = h2 @ W3 + b3
    loss = ((out - y) ** 2).mean()
    g3 = 2 * (out - y) / y.size
    g2 = g3 @ W3.T * (h2 > 0)
    g1 = g2 @ W2.T * (h1 > 0)
    W3 = W3 - lr * h2.T @ g3; b3 = b3 - lr * g3.sum(0, keepdims=True)
    W2 = W2 - lr * h1.T @ g2; b2 = b2 - lr * g2.sum(0, keepdims=True)
    W1 = W1 - lr * X.T @ g1; b1 = b1 - lr * g1.sum(0, keepdims=True)
    return loss

for i in range(1000):
    loss = step(0.9)
    if i % 100 == 0: print(i, loss)
print("final", loss)
