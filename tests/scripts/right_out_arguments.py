import numpy as np

np.random.seed(9)
X = np.random.uniform(-1, 1, (128, 2)).astype(np.float32)
Y = (X[:, :1] ** 2 + X[:, 1:] ** 2).astype(np.float32)

W1 = np.random.randn(2, 16).astype(np.float32)
b1 = np.zeros(16, np.float32)
W2 = (np.random.randn(16, 1) / 4).astype(np.float32)
b2 = np.zeros(1, np.float32)

z = np.empty((128, 16), np.float32)
a = np.empty_like(z)
out = np.empty((128, 1), np.float32)
lr = np.float32(0.2)
for i in range(3000):
    np.matmul(X, W1, out=z)
    np.add(z, b1, out=z)
    np.tanh(z, out=a)
    np.matmul(a, W2, out=out)
    np.add(out, b2, out=out)
    d = np.subtract(out, Y) / np.float32(128)
    da = np.multiply(np.matmul(d, W2.T), 1 - np.square(a))
    np.subtract(W2, lr * np.matmul(a.T, d), out=W2)
    np.subtract(b2, lr * d.sum(axis=0), out=b2)
    np.add(W1, -lr * np.matmul(X.T, da), out=W1)
    np.add(b1, -lr * da.sum(axis=0), out=b1)
    if i % 500 == 0:
        print(i, "loss", float(np.mean((out - Y) ** 2)))
print("loss", float(np.mean((out - Y) ** 2)))
