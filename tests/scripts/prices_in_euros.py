# Prezzi delle case a Milano (dati inventati): superficie, piano, distanza dal centro
import numpy as np

np.random.seed(28)
superficie = np.random.uniform(30, 150, 200)
piano = np.random.randint(0, 8, 200)
distanza = np.random.uniform(0.5, 12, 200)
prezzo = 3500 * superficie + 4000 * piano - 9000 * distanza + 60000

X = np.column_stack((superficie, piano, distanza))
X = (X - X.mean(axis=0)) / X.std(axis=0)
y = prezzo.reshape(-1, 1)

W1 = np.random.randn(3, 16) * 0.8
b1 = np.zeros(16)
W2 = np.random.randn(16, 1) * 0.3
b2 = np.zeros(1)
tasso = 0.05

for epoca in range(1000):
    z1 = X @ W1 + b1
    a1 = np.maximum(z1, 0)
    stima = a1 @ W2 + b2
    errore = stima - y
    if epoca % 200 == 0:
        print("epoca", epoca, "errore medio", np.mean(np.abs(errore)))
    g = errore / len(X)
    gz = g @ W2.T * (z1 > 0)
    W2 -= tasso * a1.T @ g
    b2 -= tasso * g.sum(axis=0)
    W1 -= tasso * X.T @ gz
    b1 -= tasso * gz.sum(axis=0)
stima = np.maximum(X @ W1 + b1, 0) @ W2 + b2
print("R2", 1 - np.sum((y - stima) ** 2) / np.sum((y - y.mean()) ** 2))
