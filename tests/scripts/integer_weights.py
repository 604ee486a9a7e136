import numpy as np

# OR and AND at once: two outputs
X = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
Y = np.array([[0, 0], [1, 0], [1, 0], [1, 1]])

np.random.seed(8)
W1 = np.random.randint(-2, 3, size=(2, 4))
b1 = np.zeros(4, dtype=int)
W2 = np.random.randint(-2, 3, size=(4, 2))
b2 = np.zeros(2, dtype=int)
alpha = 0.5

def sigmoid(z):
    return 1 / (1 + np.exp(-z))

for i in range(3000):
    A1 = sigmoid(X @ W1 + b1)
    A2 = sigmoid(A1 @ W2 + b2)
    E = A2 - Y
    D2 = E * A2 * (1 - A2)
    D1 = D2 @ W2.T * A1 * (1 - A1)
    W2[:] = W2 - alpha * A1.T @ D2
    b2[:] = b2 - alpha * D2.sum(axis=0)
    W1[:] = W1 - alpha * X.T @ D1
    b1[:] = b1 - alpha * D1.sum(axis=0)
    if i % 500 == 0:
        print(i, "loss", np.sum(E ** 2))
print("loss", np.sum(E ** 2))
print(np.round(A2, 2))
