import numpy as np
from netz_teile import sigmoid, sigmoid_ableitung, schicht

np.random.seed(19)
X = np.random.randn(200, 2)
Y = ((X ** 2).sum(axis=1, keepdims=True) > 1.5) * 1.0

W1, B1 = schicht(2, 8)
W2, B2 = schicht(8, 1)
rate = 1.0

for n in range(2500):
    Z1 = X @ W1 + B1
    A1 = sigmoid(Z1)
    Z2 = A1 @ W2 + B2
    A2 = sigmoid(Z2)
    d2 = (A2 - Y) / len(X)
    d1 = d2 @ W2.T * sigmoid_ableitung(Z1)
    W2 = W2 - rate * A1.T @ d2
    B2 = B2 - rate * d2.sum(axis=0)
    W1 = W1 - rate * X.T @ d1
    B1 = B1 - rate * d1.sum(axis=0)
    if n % 500 == 0:
        print(n, "Kosten", -np.mean(Y * np.log(A2) + (1 - Y) * np.log(1 - A2)))
print("Genauigkeit", np.mean((A2 > 0.5) == (Y > 0.5)))
