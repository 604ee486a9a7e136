# Six points, three above the diagonal and three below. The cost climbs, and stays there.
# Why? xpnet doctor six_points.py
import numpy as np

np.random.seed(3)
X = np.array([[3, 4], [2, 6], [1, 6], [1, 1], [2, 1], [3, 1]])
y = np.array([0, 0, 0, 1, 1, 1])

W1 = np.random.rand(2, 3)
b1 = np.zeros(3)
W2 = np.random.rand(3, 1)
b2 = np.zeros(1)


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


for i in range(2000):
    a1 = sigmoid(X.dot(W1) + b1)
    a2 = sigmoid(a1.dot(W2) + b2)
    cost = 0.5 * np.sum((y - a2) ** 2)
    error = np.sum(y - a2)
    d2 = error * a2 * (1 - a2)
    d1 = d2.dot(W2.T) * a1 * (1 - a1)
    W2 = W2 - 0.1 * a1.T.dot(d2)
    b2 = b2 - 0.1 * d2
    W1 = W1 - 0.1 * X.T.dot(d1)
    b1 = b1 - 0.1 * d1
    if i % 500 == 0:
        print(i, cost)

print(a2.round(3))
