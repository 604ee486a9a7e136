import numpy as np

rng = np.random.default_rng(8)


def make_data(n=400):
    x = rng.uniform(-2, 2, size=(n, 3))
    y = np.sin(x[:, :1]) + 0.5 * x[:, 1:2] * x[:, 2:3]
    return x, y + 0.05 * rng.standard_normal((n, 1))


x, y = make_data()
x_val, y_val = make_data(200)

hidden = 24
theta1 = rng.standard_normal((3, hidden)) * 0.5
theta1_bias = np.zeros(hidden)
theta2 = rng.standard_normal((hidden, 1)) * 0.2
theta2_bias = np.zeros(1)
alpha = 0.05
lam = 0.05


def predict(inputs):
    return np.tanh(inputs @ theta1 + theta1_bias) @ theta2 + theta2_bias


for it in range(4000):
    a1 = np.tanh(x @ theta1 + theta1_bias)
    y_hat = a1 @ theta2 + theta2_bias
    cost = 0.5 * np.mean((y_hat - y) ** 2) + 0.5 * lam * (np.sum(theta1 ** 2) + np.sum(theta2 ** 2))
    d2 = (y_hat - y) / len(x)
    d1 = (d2 @ theta2.T) * (1 - a1 ** 2)
    theta2 = theta2 - alpha * (a1.T @ d2 - lam * theta2)
    theta2_bias = theta2_bias - alpha * d2.sum(axis=0)
    theta1 = theta1 - alpha * (x.T @ d1 - lam * theta1)
    theta1_bias = theta1_bias - alpha * d1.sum(axis=0)
    if it % 500 == 0:
        print(f"{it:5d} cost {cost:.4f}")

print("validation mse", np.mean((predict(x_val) - y_val) ** 2))
