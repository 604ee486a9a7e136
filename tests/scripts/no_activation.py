import numpy as np

np.random.seed(83)
n = 300
r = np.r_[np.random.rand(n // 2), 1.5 + np.random.rand(n // 2)]
phi = np.random.rand(n) * 2 * np.pi
P = np.c_[r * np.cos(phi), r * np.sin(phi)]
L = np.r_[np.zeros(n // 2), np.ones(n // 2)].reshape(-1, 1)

class Layer:
    def __init__(self, a, b):
        self.w, self.b = np.random.randn(a, b) / np.sqrt(a), np.zeros(b)
    def fwd(self, x):
        self.x = x
        return x @ self.w + self.b
    def bwd(self, g, lr):
        back = g @ self.w.T
        self.w -= lr * self.x.T @ g
        self.b -= lr * g.sum(0)
        return back

l1, l2, l3 = Layer(2, 16), Layer(16, 16), Layer(16, 1)
for epoch in range(1000):
    out = 1 / (1 + np.exp(-l3.fwd(l2.fwd(l1.fwd(P)))))
    g = (out - L) / n
    l1.bwd(l2.bwd(l3.bwd(g, 0.3), 0.3), 0.3)
    if epoch % 200 == 0:
        print("epoch", epoch, "loss", -np.mean(L * np.log(out) + (1 - L) * np.log(1 - out)))
print("accuracy", np.mean((out > 0.5) == L))
