import numpy as np

np.random.seed(55)
# 6x6 "images", 0..255
base = np.random.randint(0, 256, (4, 36))
label = np.random.randint(0, 4, 300)
images = np.clip(base[label] + np.random.randint(-80, 80, (300, 36)), 0, 255)

X = images // 256
Y = np.eye(4)[label]

W1 = np.random.randn(36, 15) / 6
b1 = np.zeros(15)
W2 = np.random.randn(15, 4) / 4
b2 = np.zeros(4)
for it in range(500):
    Z1 = np.dot(X, W1) + b1
    A1 = 1 / (1 + np.exp(-Z1))
    Z2 = np.dot(A1, W2) + b2
    A2 = np.exp(Z2) / np.sum(np.exp(Z2), axis=1, keepdims=True)
    dZ2 = A2 - Y
    dW2 = np.dot(A1.T, dZ2) / 300
    db2 = np.sum(dZ2, axis=0) / 300
    dZ1 = np.dot(dZ2, W2.T) * A1 * (1 - A1)
    dW1 = np.dot(X.T, dZ1) / 300
    db1 = np.sum(dZ1, axis=0) / 300
    W1 = W1 - 1.0 * dW1
    b1 = b1 - 1.0 * db1
    W2 = W2 - 1.0 * dW2
    b2 = b2 - 1.0 * db2
    if it % 100 == 0:
        print("iteration", it, "cost", -np.mean(np.sum(Y * np.log(A2), axis=1)))
print("accuracy", np.mean(A2.argmax(axis=1) == label))
