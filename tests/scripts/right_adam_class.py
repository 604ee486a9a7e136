import numpy as np


class Adam:
    def __init__(self, params, lr=0.01, beta1=0.9, beta2=0.999, eps=1e-8):
        self.params, self.lr, self.b1, self.b2, self.eps = params, lr, beta1, beta2, eps
        self.m = [np.zeros_like(p) for p in params]
        self.v = [np.zeros_like(p) for p in params]
        self.t = 0

    def step(self, grads):
        self.t += 1
        for i, (p, g) in enumerate(zip(self.params, grads)):
            self.m[i] = self.b1 * self.m[i] + (1 - self.b1) * g
            self.v[i] = self.b2 * self.v[i] + (1 - self.b2) * g ** 2
            m_hat = self.m[i] / (1 - self.b1 ** self.t)
            v_hat = self.v[i] / (1 - self.b2 ** self.t)
            p -= self.lr * m_hat / (np.sqrt(v_hat) + self.eps)


class MLP:
    def __init__(self, sizes, seed=0):
        rng = np.random.default_rng(seed)
        self.W = [rng.normal(0, np.sqrt(2 / a), (a, b)) for a, b in zip(sizes[:-1], sizes[1:])]
        self.b = [np.zeros(b) for b in sizes[1:]]

    def forward(self, x):
        self.h = [x]
        for i, (W, b) in enumerate(zip(self.W, self.b)):
            z = self.h[-1] @ W + b
            self.h.append(np.maximum(z, 0) if i < len(self.W) - 1 else z)
        return self.h[-1]

    def backward(self, d):
        gW, gb = [None] * len(self.W), [None] * len(self.b)
        for i in reversed(range(len(self.W))):
            gW[i], gb[i] = self.h[i].T @ d, d.sum(axis=0)
            if i:
                d = (d @ self.W[i].T) * (self.h[i] > 0)
        return gW + gb


rng = np.random.default_rng(1)
x = rng.uniform(-1, 1, (600, 4))
y = (x[:, 0] * x[:, 1] + np.sin(3 * x[:, 2]) - x[:, 3] ** 2)[:, None]
net = MLP([4, 32, 32, 1])
opt = Adam(net.W + net.b, lr=0.005)
for epoch in range(60):
    perm = rng.permutation(600)
    for i in range(0, 600, 50):
        rows = perm[i:i + 50]
        out = net.forward(x[rows])
        opt.step(net.backward(2 * (out - y[rows]) / len(rows)))
    if epoch % 10 == 0:
        print(epoch, np.mean((net.forward(x) - y) ** 2))
print("mse", np.mean((net.forward(x) - y) ** 2))
