# predict tomorrow's temperature from the last 3 days
import numpy as np

np.random.seed(2)
days = np.arange(400)
temperature = 15 + 10 * np.sin(2 * np.pi * days / 60) + np.random.randn(400)

inputs = np.array([temperature[i:i + 3] for i in range(397)])
inputs = (inputs - inputs.mean()) / inputs.std()
targets = temperature[3:].reshape(-1, 1)

def sigmoid(x):
    return 1 / (1 + np.exp(-x))

w_ih = np.random.normal(0.0, 0.6, (3, 6))
b_h = np.zeros(6)
w_ho = np.random.normal(0.0, 0.4, (6, 1))
b_o = np.zeros(1)

for epoch in range(1500):
    hidden = sigmoid(inputs.dot(w_ih) + b_h)
    output = sigmoid(hidden.dot(w_ho) + b_o)
    error = targets - output
    grad_o = error * output * (1 - output)
    grad_h = grad_o.dot(w_ho.T) * hidden * (1 - hidden)
    w_ho += 0.5 * hidden.T.dot(grad_o) / len(inputs)
    b_o += 0.5 * grad_o.mean(axis=0)
    w_ih += 0.5 * inputs.T.dot(grad_h) / len(inputs)
    b_h += 0.5 * grad_h.mean(axis=0)
    if epoch % 300 == 0:
        print("epoch", epoch, "mean error", np.abs(error).mean())

print("explained:", 1 - np.mean(error ** 2) / np.var(targets))
