import numpy as np

np.random.seed(25)
X = np.random.rand(300, 5)
y = (X[:, 0] + X[:, 1] * X[:, 2]).reshape(-1, 1)

w1 = np.random.randn(5, 20) * 0.3
b1 = np.full((1, 20), -2.0)
w2 = np.random.randn(20, 10) * 0.4
b2 = np.full((1, 10), -2.0)
w3 = np.random.randn(10, 1) * 0.4
b3 = np.zeros((1, 1))
relu = lambda z: np.where(z > 0, z, 0.0)
step = 0.1

for it in range(2000):
    z1 = X.dot(w1) + b1
    r1 = relu(z1)
    z2 = r1.dot(w2) + b2
    r2 = relu(z2)
    yhat = r2.dot(w3) + b3
    err = yhat - y
    if it % 400 == 0:
        print(it, "loss", (err ** 2).mean())
    gy = 2 * err / err.size
    gz2 = gy.dot(w3.T) * np.where(z2 > 0, 1.0, 0.0)
    gz1 = gz2.dot(w2.T) * np.where(z1 > 0, 1.0, 0.0)
    w3 = np.subtract(w3, step * r2.T.dot(gy))
    b3 = np.subtract(b3, step * gy.sum(axis=0, keepdims=True))
    w2 = np.subtract(w2, step * r1.T.dot(gz2))
    b2 = np.subtract(b2, step * gz2.sum(axis=0, keepdims=True))
    w1 = np.subtract(w1, step * X.T.dot(gz1))
    b1 = np.subtract(b1, step * gz1.sum(axis=0, keepdims=True))
print("R^2:", 1 - ((yhat - y) ** 2).sum() / ((y - y.mean()) ** 2).sum())
