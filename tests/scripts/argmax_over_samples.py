# Handwritten digits with one hidden layer. The cost falls, but it gets nothing right?
import numpy as np
from sklearn.datasets import load_digits

pictures, digit = load_digits(return_X_y=True)
pictures = pictures / pictures.max()
wanted = np.zeros((len(digit), 10))
wanted[range(len(digit)), digit] = 1

np.random.seed(123)
W, b = np.random.randn(64, 40) / 8, np.zeros(40)
V, c = np.random.randn(40, 10) / 6, np.zeros(10)


def probabilities(x):
    hidden = 1 / (1 + np.exp(-x.dot(W) - b))
    e = np.exp(hidden.dot(V) + c)
    return e / e.sum(axis=1, keepdims=True), hidden


def share_right(answers):
    hits = 0
    for i in range(len(digit)):
        if digit[i] == answers[i % len(answers)]:
            hits += 1
    return hits / len(digit)


for epoch in range(600):
    p, hidden = probabilities(pictures)
    if epoch % 100 == 0:
        print("cost", -(wanted * np.log(p)).sum())
    back = (p - wanted).dot(V.T) * hidden * (1 - hidden)
    V -= 1e-3 * hidden.T.dot(p - wanted)
    c -= 1e-3 * (p - wanted).sum(axis=0)
    W -= 1e-3 * pictures.T.dot(back)
    b -= 1e-3 * back.sum(axis=0)
print("right", share_right(np.argmax(probabilities(pictures)[0], axis=0)))
