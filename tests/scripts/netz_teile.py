import numpy as np

def sigmoid(z):
    return 1 / (1 + np.exp(-z))

def sigmoid_ableitung(z):
    s = sigmoid(z)
    return s * (s - 1)

def schicht(n, m):
    return np.random.randn(n, m), np.zeros(m)
