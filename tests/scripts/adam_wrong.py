import numpy as np

np.random.seed(18)
x = np.random.uniform(-2, 2, (256, 1))
y = x ** 3 - 2 * x

w1, b1 = np.random.randn(1, 24), np.random.randn(24)
w2, b2 = np.random.randn(24, 1) / 5, np.zeros(1)
params = [w1, b1, w2, b2]
m = [np.zeros(p.shape) for p in params]
v = [np.zeros(p.shape) for p in params]
alpha, beta1, beta2, eps = 0.01, 0.9, 0.999, 1e-8

for t in range(1, 1501):
    h = np.tanh(x @ w1 + b1)
    out = h @ w2 + b2
    err = out - y
    g_out = 2 * err / len(x)
    g_h = g_out @ w2.T * (1 - h ** 2)
    grads = [x.T @ g_h, g_h.sum(0), h.T @ g_out, g_out.sum(0)]
    for k in range(4):
        m[k] = beta1 * m[k] + (1 - beta1) * grads[k]
        v[k] = beta2 * v[k] + (1 - beta2) * grads[k] ** 2
        m_hat = m[k] / (1 - beta1 * t)
        v_hat = v[k] / (1 - beta2 ** t)
        params[k] -= alpha * m_hat / (np.sqrt(v_hat) + eps)
    if t % 400 == 0:
        print(t, "loss", np.mean(err ** 2))
print("loss", np.mean((np.tanh(x @ w1 + b1) @ w2 + b2 - y) ** 2))
