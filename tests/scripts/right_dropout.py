import numpy as np

class DropoutNet:
    def __init__(self, rng):
        self.rng = rng
        self.W1 = rng.normal(0, np.sqrt(2 / 10), (10, 64))
        self.b1 = np.zeros(64)
        self.W2 = rng.normal(0, np.sqrt(2 / 64), (64, 3))
        self.b2 = np.zeros(3)

    def forward(self, x, training):
        self.x = x
        self.h = np.maximum(x @ self.W1 + self.b1, 0)
        if training:
            self.mask = (self.rng.random(self.h.shape) < 0.8) / 0.8
            self.h = self.h * self.mask
        s = self.h @ self.W2 + self.b2
        e = np.exp(s - s.max(axis=1, keepdims=True))
        return e / e.sum(axis=1, keepdims=True)

    def step(self, p, t, lr):
        d = (p - t) / len(t)
        dh = d @ self.W2.T * self.mask * (self.h > 0)
        self.W2 -= lr * self.h.T @ d
        self.b2 -= lr * d.sum(axis=0)
        self.W1 -= lr * self.x.T @ dh
        self.b1 -= lr * dh.sum(axis=0)

rng = np.random.default_rng(30)
x = rng.normal(size=(600, 10))
label = np.digitize(x[:, 0] + np.abs(x[:, 1]), [0.2, 1.3])
t = np.eye(3)[label]
net = DropoutNet(rng)
for epoch in range(80):
    order = rng.permutation(600)
    for i in range(0, 600, 30):
        rows = order[i:i + 30]
        net.step(net.forward(x[rows], True), t[rows], 0.2)
    if epoch % 20 == 0:
        print(epoch, "accuracy", np.mean(net.forward(x, False).argmax(1) == label))
print("accuracy", np.mean(net.forward(x, False).argmax(1) == label))
