import numpy as np
np.random.seed(15)

X = np.linspace(-1.5, 1.5, 100).reshape(100, 1)
Y = X * X

W1 = np.random.randn(1, 10)
W2 = np.random.randn(10, 1) * 0.3

def predict(X):
    return np.tanh(X @ W1) @ W2

for epoch in range(3000):
    A = np.tanh(X @ W1)
    P = A @ W2
    E = P - Y
    G2 = A.T @ E / 100
    G1 = X.T @ (E @ W2.T * (1 - A * A)) / 100
    W1 -= 0.2 * G1
    W2 -= 0.2 * G2
    if not epoch % 500:
        print("epoch", epoch, "mse", np.mean(E ** 2))
print("final mse", np.mean((predict(X) - Y) ** 2))
try:
    import matplotlib.pyplot as plt
    plt.plot(X, Y, "k.")
    plt.plot(X, predict(X), "r")
    plt.savefig("parabola.png")
except ImportError:
    pass
