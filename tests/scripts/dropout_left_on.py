import numpy as np

class Net:
    def __init__(self, d, h, seed=0):
        self.rng = np.random.default_rng(seed)
        self.W1 = self.rng.normal(0, (2 / d) ** 0.5, (d, h))
        self.b1 = np.zeros(h)
        self.W2 = self.rng.normal(0, (2 / h) ** 0.5, (h, 1))
        self.b2 = np.zeros(1)
        self.keep = 0.5

    def forward(self, x):
        self.x = x
        self.z = x @ self.W1 + self.b1
        self.h = np.maximum(self.z, 0)
        self.mask = (self.rng.random(self.h.shape) < self.keep) / self.keep
        self.h *= self.mask
        return self.h @ self.W2 + self.b2

    def backward(self, g, lr):
        gW2, gb2 = self.h.T @ g, g.sum(0)
        gz = (g @ self.W2.T) * self.mask * (self.z > 0)
        self.W1 -= lr * self.x.T @ gz
        self.b1 -= lr * gz.sum(0)
        self.W2 -= lr * gW2
        self.b2 -= lr * gb2

    def predict(self, x):
        return self.forward(x)

rng = np.random.default_rng(70)
x = rng.normal(size=(500, 4))
y = x[:, :1] + 0.5 * x[:, 1:2] ** 2 - x[:, 2:3]
net = Net(4, 30)
for epoch in range(150):
    order = rng.permutation(500)
    for i in range(0, 500, 25):
        r = order[i:i + 25]
        out = net.forward(x[r])
        net.backward((out - y[r]) / 25, 0.02)
    if epoch % 30 == 0:
        print("epoch", epoch, "mse", np.mean((net.predict(x) - y) ** 2))
print("R2", 1 - np.mean((net.predict(x) - y) ** 2) / y.var())
