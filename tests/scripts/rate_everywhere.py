import numpy as np

np.random.seed(94)
lr = 0.02

def sigmoid(x): return 1 / (1 + np.exp(-x))

inputs = np.random.choice([0.0, 1.0], (60, 3))
targets = (inputs.sum(axis=1, keepdims=True) % 2)

w1, b1 = np.random.randn(3, 10) * 2, np.random.randn(10)
w2, b2 = np.random.randn(10, 1), np.zeros(1)
for epoch in range(1500):
    for i in range(0, 60, 6):
        x, t = inputs[i:i + 6], targets[i:i + 6]
        h = sigmoid(x @ w1 + b1)
        o = sigmoid(h @ w2 + b2)
        do = lr * (o - t)
        dh = lr * (do @ w2.T) * h * (1 - h)
        w2 -= lr * h.T @ do
        b2 -= lr * do.sum(axis=0)
        w1 -= lr * x.T @ dh
        b1 -= lr * dh.sum(axis=0)
    if epoch % 500 == 0:
        print("epoch", epoch, "error", np.mean((o - t) ** 2))
o = sigmoid(sigmoid(inputs @ w1 + b1) @ w2 + b2)
print("accuracy", np.mean((o > 0.5) == (targets > 0.5)))
