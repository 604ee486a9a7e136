import numpy as np

np.random.seed(27)
n_in, n_h, n_out = 20, 25, 1
X = np.random.randn(300, n_in)
y = np.sin(X[:, :1] + X[:, 1:2])

W1 = np.random.normal(0, 10, (n_in, n_h))
W2 = np.random.normal(0, 10, (n_h, n_h))
W3 = np.random.normal(0, 10, (n_h, n_out))
b1, b2, b3 = np.zeros(n_h), np.zeros(n_h), np.zeros(n_out)

def forward(x):
    a1 = np.tanh(x @ W1 + b1)
    a2 = np.tanh(a1 @ W2 + b2)
    return a1, a2, a2 @ W3 + b3

for epoch in range(1500):
    a1, a2, out = forward(X)
    e = out - y
    d3 = e / len(X)
    d2 = d3 @ W3.T * (1 - a2 ** 2)
    d1 = d2 @ W2.T * (1 - a1 ** 2)
    W3 -= 0.03 * a2.T @ d3
    W2 -= 0.03 * a1.T @ d2
    W1 -= 0.03 * X.T @ d1
    b3 -= 0.03 * d3.sum(0)
    b2 -= 0.03 * d2.sum(0)
    b1 -= 0.03 * d1.sum(0)
    if epoch % 300 == 0:
        print("Epoch", epoch, "MSE", np.mean(e ** 2))
print("MSE", np.mean((forward(X)[2] - y) ** 2))
