import numpy as np

np.random.seed(8)
X = np.random.randn(300, 2)
# heat in the morning, at noon and at night
Y = np.column_stack([X[:, 0] - 3, X[:, 0] * X[:, 1] + 6, np.abs(X[:, 1]) - 4])

W1 = np.random.randn(2, 12)
b1 = np.zeros((1, 12))
W2 = np.random.randn(12, 3) * 0.3
b2 = np.zeros((1, 3))
alpha = 0.05

def leaky_relu(z):
    return np.where(z > 0, z, 0.1 * z)

for i in range(1500):
    Z1 = X.dot(W1) + b1
    A1 = leaky_relu(Z1)
    Z2 = A1.dot(W2) + b2
    dZ2 = (Z2 - Y) / len(X)
    dW2 = A1.T.dot(dZ2)
    db2 = np.sum(dZ2)
    dZ1 = dZ2.dot(W2.T) * np.where(Z1 > 0, 1, 0.1)
    dW1 = X.T.dot(dZ1)
    db1 = np.sum(dZ1)
    W1 -= alpha * dW1
    b1 -= alpha * db1
    W2 -= alpha * dW2
    b2 -= alpha * db2
    if i % 300 == 0:
        print("i", i, "mse", np.mean((Z2 - Y) ** 2))
print("mse", np.mean((Z2 - Y) ** 2))
