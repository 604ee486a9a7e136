import numpy as np

rng = np.random.default_rng(20)
X = rng.normal(size=(2, 400))
Y = ((X[:1] * X[1:]) > 0).astype(float)

theta = [rng.normal(size=(8, 2)), np.zeros((8, 1)), rng.normal(size=(1, 8)), np.zeros((1, 1))]
speed = [np.zeros_like(t) for t in theta]

def grad(theta, X, Y):
    W1, b1, W2, b2 = theta
    A1 = np.tanh(W1 @ X + b1)
    A2 = 1 / (1 + np.exp(-(W2 @ A1 + b2)))
    m = X.shape[1]
    d2 = (A2 - Y) / m
    d1 = W2.T @ d2 * (1 - A1 ** 2)
    cost = -np.mean(Y * np.log(A2 + 1e-12) + (1 - Y) * np.log(1 - A2 + 1e-12))
    return cost, [d1 @ X.T, d1.sum(1, keepdims=True), d2 @ A1.T, d2.sum(1, keepdims=True)]

mu, eta = 0.9, 0.2
for k in range(600):
    ahead = [t + mu * s for t, s in zip(theta, speed)]
    cost, g = grad(ahead, X, Y)
    speed = [mu * s - eta * gi for s, gi in zip(speed, g)]
    theta = [t + s for t, s in zip(theta, speed)]
    if k % 100 == 0:
        print("k", k, "cost", cost)
print("cost", grad(theta, X, Y)[0])
