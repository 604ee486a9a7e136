import numpy as np

np.random.seed(58)
inputs = np.random.randn(150, 3)
wanted = [1 if a * b > 0 else 0 for a, b, c in inputs]

w_hidden = np.random.randn(3, 8)
b_hidden = np.zeros(8)
w_out = np.random.randn(8) * 0.5
b_out = 0.0

def logistic(v):
    return 1 / (1 + np.exp(-v))

for label in wanted:
    pass

for epoch in range(60):
    loss = 0
    for i in range(150):
        x = inputs[i]
        hidden = np.tanh(np.dot(x, w_hidden) + b_hidden)
        out = logistic(np.dot(hidden, w_out) + b_out)
        loss += -np.log(out if wanted[i] else 1 - out)
        delta = out - label
        delta_hidden = delta * w_out * (1 - hidden ** 2)
        w_out -= 0.1 * delta * hidden
        b_out -= 0.1 * delta
        w_hidden -= 0.1 * np.outer(x, delta_hidden)
        b_hidden -= 0.1 * delta_hidden
    if epoch % 10 == 0:
        print("epoch", epoch, "loss", loss / 150)
out = logistic(np.tanh(inputs @ w_hidden + b_hidden) @ w_out + b_out)
print("accuracy", np.mean((out > 0.5) == wanted))
