import numpy as np

# logistische Regression, ganz ohne verborgene Schicht
np.random.seed(3)
alter = np.random.uniform(20, 70, 200)
blutdruck = 90 + 0.8 * alter + np.random.randn(200) * 10
krank = (0.06 * alter + 0.04 * blutdruck + 0.3 * np.random.randn(200) > 8.7).astype(float)
X = np.c_[alter, blutdruck]
X = (X - X.mean(0)) / X.std(0)
w = np.zeros(2)
b = 0.0
for schritt in range(1000):
    p = 1 / (1 + np.exp(-(X @ w + b)))
    grad_w = X.T @ (p - krank) / 200
    grad_b = np.mean(p - krank)
    w -= 0.5 * grad_w
    b -= 0.5 * grad_b
    if schritt % 200 == 0:
        print(schritt, -np.mean(krank * np.log(p) + (1 - krank) * np.log(1 - p)))
print("richtig", np.mean((p > 0.5) == (krank == 1)))
