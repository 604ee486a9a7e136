import numpy as np

np.random.seed(0)
X = np.array([[0, 0, 1], [0, 1, 1], [1, 0, 1], [1, 1, 1]], dtype=float)
y = np.array([[0], [1], [1], [0]], dtype=float)
W1 = np.random.uniform(0, 1, (3, 4))
W2 = np.random.uniform(0, 1, (4, 1))

for i in range(500000):
    h = 1 / (1 + np.exp(-X.dot(W1)))
    o = 1 / (1 + np.exp(-h.dot(W2)))
    d = (o - y) * o * (1 - o)
    dh = d.dot(W2.T) * h * (1 - h)
    W2 -= 0.0001 * h.T.dot(d)
    W1 -= 0.0001 * X.T.dot(dh)
    if i % 50000 == 0:
        print(i, "loss", np.mean((o - y) ** 2))
print("loss", np.mean((o - y) ** 2))
