import numpy as np

def sigmoid(x):
    return 1 / (1 + np.exp(-x))

X = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
y = np.array([[0], [1], [1], [0]])

np.random.seed(3)
W1 = np.random.randn(2, 4)
b1 = np.zeros((1, 4))
W2 = np.random.randn(4, 1)
b2 = np.zeros((1, 1))
lr = 0.5

for epoch in range(6000):
    # forward
    a1 = sigmoid(np.dot(X, W1) + b1)
    a2 = sigmoid(np.dot(a1, W2) + b2)
    loss = np.mean((y - a2) ** 2)
    # backward
    d2 = (a2 - y) * a2 * (1 - a2)
    d1 = d2.dot(W2.T) * a1 * (1 - a1)
    W2 += lr * a1.T.dot(d2)
    b2 += lr * np.sum(d2, axis=0, keepdims=True)
    W1 += lr * X.T.dot(d1)
    b1 += lr * np.sum(d1, axis=0, keepdims=True)
    if epoch % 1000 == 0:
        print("epoch", epoch, "loss", loss)

print("final loss", loss)
print(a2)
