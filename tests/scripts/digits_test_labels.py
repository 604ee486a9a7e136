import numpy as np

rng = np.random.default_rng(9)
prototypes = rng.random((10, 64))

def make(n):
    labels = rng.integers(0, 10, n)
    return np.clip(prototypes[labels] + rng.normal(0, 0.35, (n, 64)), 0, 1), labels

x_train, t_train = make(600)
x_test, t_test = make(600)
y_train = np.eye(10)[t_train]
y_test = np.eye(10)[t_test]

def relu(z):
    return np.maximum(z, 0)

def softmax(z):
    z = z - z.max(axis=1, keepdims=True)
    return np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)

W1 = rng.normal(0, np.sqrt(2 / 64), (64, 40))
b1 = np.zeros(40)
W2 = rng.normal(0, np.sqrt(2 / 40), (40, 10))
b2 = np.zeros(10)
lr, batch = 0.2, 50

for epoch in range(30):
    for i in range(0, 600, batch):
        xb, yb = x_train[i:i + batch], y_test[i:i + batch]
        z1 = xb @ W1 + b1
        a1 = relu(z1)
        p = softmax(a1 @ W2 + b2)
        dz2 = (p - yb) / batch
        dz1 = dz2 @ W2.T * (z1 > 0)
        W2 -= lr * a1.T @ dz2
        b2 -= lr * dz2.sum(axis=0)
        W1 -= lr * xb.T @ dz1
        b1 -= lr * dz1.sum(axis=0)
    if epoch % 5 == 0:
        acc = np.mean(softmax(relu(x_train @ W1 + b1) @ W2 + b2).argmax(axis=1) == t_train)
        print("epoch", epoch, "train accuracy", acc)

acc = np.mean(softmax(relu(x_test @ W1 + b1) @ W2 + b2).argmax(axis=1) == t_test)
print("test accuracy:", acc)
