import numpy as np

def g(z):
    return 1 / (1 + np.exp(-z))

np.random.seed(16)
X = np.random.randn(3, 300)
Y = np.vstack([X[0] * X[1] > 0, X[1] * X[2] > 0, X[0] + X[2] > 0, X.sum(0) > 0]).astype(float)

Theta1 = np.random.randn(4, 3)
Theta2 = np.random.randn(4, 4)
Theta3 = np.random.randn(4, 4)
c1, c2, c3 = np.zeros((4, 1)), np.zeros((4, 1)), np.zeros((4, 1))
alpha = 2
m = X.shape[1]

for it in range(3000):
    A1 = np.tanh(np.matmul(Theta1, X) + c1)
    A2 = np.tanh(np.matmul(Theta2, A1) + c2)
    A3 = g(np.matmul(Theta3, A2) + c3)
    J = -np.sum(Y * np.log(A3) + (1 - Y) * np.log(1 - A3)) / m
    delta3 = A3 - Y
    delta2 = np.multiply(np.matmul(Theta3, delta3), 1 - np.square(A2))
    delta1 = np.multiply(np.matmul(Theta2, delta2), 1 - np.square(A1))
    Theta3 = Theta3 - alpha * np.matmul(delta3, A2.T) / m
    Theta2 = Theta2 - alpha * np.matmul(delta2, A1.T) / m
    Theta1 = Theta1 - alpha * np.matmul(delta1, X.T) / m
    c3 = c3 - alpha * np.mean(delta3, axis=1, keepdims=True)
    c2 = c2 - alpha * np.mean(delta2, axis=1, keepdims=True)
    c1 = c1 - alpha * np.mean(delta1, axis=1, keepdims=True)
    if it % 500 == 0:
        print("iter", it, "J", J)
print("J", J)
