# ex4 in Python: labels 1..10, where 10 stands for the digit 0
import numpy as np
from sklearn.datasets import load_digits

d = load_digits()
X = d.data / 16.0
y = d.target.copy()
y[y == 0] = 10
m = X.shape[0]
num_labels = 10

Y = np.zeros((m, num_labels))
for i in range(m):
    Y[i, y[i] - 1] = 1


def sigmoid(z):
    return 1.0 / (1.0 + np.exp(-z))


def randInit(L_in, L_out):
    eps = 0.3
    return np.random.rand(L_out, 1 + L_in) * 2 * eps - eps


np.random.seed(1)
Theta1 = randInit(64, 25)
Theta2 = randInit(25, num_labels)
alpha, lam = 1.0, 0.1

for it in range(800):
    a1 = np.hstack([np.ones((m, 1)), X])
    z2 = a1.dot(Theta1.T)
    a2 = np.hstack([np.ones((m, 1)), sigmoid(z2)])
    z3 = a2.dot(Theta2.T)
    h = sigmoid(z3)
    J = np.sum(-Y * np.log(h) - (1 - Y) * np.log(1 - h)) / m
    J += lam / (2 * m) * (np.sum(Theta1[:, 1:] ** 2) + np.sum(Theta2[:, 1:] ** 2))
    d3 = h - Y
    d2 = d3.dot(Theta2[:, 1:]) * sigmoid(z2) * (1 - sigmoid(z2))
    Theta1_grad = d2.T.dot(a1) / m
    Theta2_grad = d3.T.dot(a2) / m
    Theta1_grad[:, 1:] += lam / m * Theta1[:, 1:]
    Theta2_grad[:, 1:] += lam / m * Theta2[:, 1:]
    Theta1 -= alpha * Theta1_grad
    Theta2 -= alpha * Theta2_grad
    if it % 100 == 0:
        print('Iteration', it, 'Cost', J)


def predict(Theta1, Theta2, X):
    h1 = sigmoid(np.hstack([np.ones((len(X), 1)), X]).dot(Theta1.T))
    h2 = sigmoid(np.hstack([np.ones((len(X), 1)), h1]).dot(Theta2.T))
    return np.argmax(h2, axis=1)


print('Training Set Accuracy:', np.mean(predict(Theta1, Theta2, X) == y) * 100)
