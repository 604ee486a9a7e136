import numpy as np

np.random.seed(29)
x = np.random.randn(200, 3)
y = np.stack([np.sin(x[:, 0]), x[:, 1] * x[:, 2]], axis=1)

w1 = np.random.randn(3, 24) * np.sqrt(1 / 3)
b1 = np.zeros(24)
w2 = np.random.randn(24, 2) * np.sqrt(1 / 24)
b2 = np.zeros(2)

def mse(a, b):
    return np.mean((a - b) ** 2)

epochs = 2000
for epoch in range(epochs):
    h = np.tanh(x @ w1 + b1)
    o = h @ w2 + b2
    loss = mse(o, y)
    delta_o = (o - y) * np.mean(o - y)
    delta_h = (delta_o @ w2.T) * (1 - h * h)
    w2 = w2 - 0.05 * (h.T @ delta_o) / len(x)
    b2 = b2 - 0.05 * delta_o.mean(axis=0)
    w1 = w1 - 0.05 * (x.T @ delta_h) / len(x)
    b1 = b1 - 0.05 * delta_h.mean(axis=0)
    if epoch % 400 == 0:
        print("epoch:", epoch, "loss:", loss)
print("loss:", loss)
