import numpy as np

np.random.seed(3)
X = np.vstack([np.random.randn(80, 2) + [2, 2], np.random.randn(80, 2) - [2, 2]])
X[:40, 0] -= 4
X[80:120, 0] += 4
y = np.hstack([np.ones(80), -np.ones(80)]).reshape(-1, 1)

w1 = np.random.randn(2, 6)
w2 = np.random.randn(6, 1)
b1, b2 = np.zeros(6), np.zeros(1)

def sigmoid(x): return 1 / (1 + np.exp(-x))
def d_sigmoid(y): return y * (1 - y)

for epoch in range(2000):
    layer1 = sigmoid(np.dot(X, w1) + b1)
    output = sigmoid(np.dot(layer1, w2) + b2)
    d_out = 2 * (y - output) * d_sigmoid(output)
    d_1 = np.dot(d_out, w2.T) * d_sigmoid(layer1)
    w2 += 0.05 * np.dot(layer1.T, d_out)
    b2 += 0.05 * d_out.sum(axis=0)
    w1 += 0.05 * np.dot(X.T, d_1)
    b1 += 0.05 * d_1.sum(axis=0)
    if epoch % 400 == 0:
        print("loss", np.mean((y - output) ** 2))
print("accuracy", np.mean(np.sign(output - 0.5) == y), "loss", np.mean((y - output) ** 2))
