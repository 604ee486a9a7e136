import numpy as np

np.random.seed(66)
X = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], dtype=float)
Y = np.array([[0], [1], [1], [0]], dtype=float)

def sigmoid(v):
    return 1 / (1 + np.exp(-v))

def init():
    return np.random.randn(2, 5), np.zeros(5), np.random.randn(5, 1), np.zeros(1)

def train_step(X, Y, rate):
    W1, b1, W2, b2 = init()
    h = sigmoid(X @ W1 + b1)
    o = sigmoid(h @ W2 + b2)
    do = o - Y
    dh = do @ W2.T * h * (1 - h)
    W1 -= rate * X.T @ dh
    b1 -= rate * dh.sum(axis=0)
    W2 -= rate * h.T @ do
    b2 -= rate * do.sum(axis=0)
    return np.mean((o - Y) ** 2), o

for i in range(3000):
    loss, out = train_step(X, Y, 0.5)
    if i % 500 == 0:
        print("iteration", i, "loss", loss)
print("loss", loss)
print(out)
