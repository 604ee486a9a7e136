import numpy as np

np.random.seed(6)

# y = |x| - x^3/4 on [-2, 2]
x = np.linspace(-2, 2, 150)[:, np.newaxis]
y = np.abs(x) - x ** 3 / 4

tanh = np.tanh
def dtanh(a):
    return 1 - a * 2

w = {1: np.random.randn(1, 15), 2: np.random.randn(15, 15) / np.sqrt(15), 3: np.random.randn(15, 1) / np.sqrt(15)}
b = {1: np.random.randn(1, 15) * 0.5, 2: np.zeros((1, 15)), 3: np.zeros((1, 1))}
a = {0: x}
rate = 0.05
n = len(x)

for k in range(4000):
    a[1] = tanh(np.dot(a[0], w[1]) + b[1])
    a[2] = tanh(np.dot(a[1], w[2]) + b[2])
    a[3] = np.dot(a[2], w[3]) + b[3]
    mse = ((a[3] - y) ** 2).mean()
    d = {3: 2 * (a[3] - y) / n}
    for l in (2, 1):
        d[l] = np.dot(d[l + 1], w[l + 1].T) * dtanh(a[l])
    for l in (1, 2, 3):
        w[l] = w[l] - rate * np.dot(a[l - 1].T, d[l])
        b[l] = b[l] - rate * np.sum(d[l], axis=0, keepdims=True)
    if k % 500 == 0:
        print(k, mse)
print("mse", mse)
