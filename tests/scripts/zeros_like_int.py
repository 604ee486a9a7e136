import numpy as np

# Zug nach Noten: x = Stunden, Schlaf; y = Testergebnis / 100
np.random.seed(41)
X = np.array([[2, 9], [1, 5], [3, 6], [6, 8], [8, 4], [0, 3], [5, 5], [9, 9]])
ergebnis = np.array([92, 60, 79, 94, 71, 30, 74, 99])

x = np.zeros_like(X)
for spalte in range(2):
    x[:, spalte] = X[:, spalte] / X[:, spalte].max()
y = ergebnis.reshape(-1, 1) / 100

W1, W2 = np.random.randn(2, 4), np.random.randn(4, 1)
b1, b2 = np.zeros(4), np.zeros(1)
s = lambda t: 1 / (1 + np.exp(-t))
for i in range(8000):
    h = s(x @ W1 + b1)
    o = s(h @ W2 + b2)
    d2 = (o - y) * o * (1 - o)
    d1 = d2 @ W2.T * h * (1 - h)
    W2 -= 1.0 * h.T @ d2
    b2 -= 1.0 * d2.sum(0)
    W1 -= 1.0 * x.T @ d1
    b1 -= 1.0 * d1.sum(0)
    if i % 2000 == 0:
        print("Fehler", np.mean((o - y) ** 2))
print("Fehler", np.mean((o - y) ** 2))
