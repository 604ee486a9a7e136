import numpy as np

X = np.array([[0, 0], [0, 1], [1, 0], [1, 1]]).T
Y = np.array([[1, 0, 0, 1]])
np.random.seed(2)

W1 = np.random.randn(6, 2)
W2 = np.random.randn(1, 6)

learning_rate = 0.3
costs = []
for i in range(5000):
    A1 = np.tanh(np.dot(W1, X))
    A2 = 1 / (1 + np.exp(-np.dot(W2, A1)))
    cost = -np.sum(Y * np.log(A2) + (1 - Y) * np.log(1 - A2)) / 4
    costs.append(cost)
    dZ2 = A2 - Y
    dW2 = np.dot(dZ2, A1.T) / 4
    dZ1 = np.dot(W2.T, dZ2) * (1 - A1 ** 2)
    dW1 = np.dot(dZ1, X.T) / 4
    W2 = W2 - learning_rate * dW2
    W1 = W1 - learning_rate * dW1
    if i % 1000 == 0:
        print("Iteration", i, "cost", cost)
print("cost", cost)
print(A2)
