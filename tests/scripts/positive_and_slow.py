import numpy as np
import random

random.seed(1)
np.random.seed(1)

class ANN:
    def __init__(self, inputs, hidden, outputs, alpha):
        self.alpha = alpha
        self.wh = np.random.rand(inputs, hidden)
        self.bh = np.random.rand(hidden)
        self.wo = np.random.rand(hidden, outputs)
        self.bo = np.random.rand(outputs)

    def forward(self, x):
        self.x = x
        self.ah = 1 / (1 + np.exp(-(np.dot(x, self.wh) + self.bh)))
        z = np.dot(self.ah, self.wo) + self.bo
        e = np.exp(z - z.max())
        self.ao = e / e.sum()
        return self.ao

    def backward(self, y):
        eo = self.ao - y
        eh = np.dot(self.wo, eo) * self.ah * (1 - self.ah)
        self.wo -= self.alpha * np.outer(self.ah, eo)
        self.bo -= self.alpha * eo
        self.wh -= self.alpha * np.outer(self.x, eh)
        self.bh -= self.alpha * eh

pixels = np.random.rand(5, 64)
items = []
for k in range(300):
    items.append((np.clip(pixels[k % 5] + np.random.randn(64) * 0.25, 0, 1), np.eye(5)[k % 5]))

ann = ANN(64, 20, 5, 0.0003)
for epoch in range(10):
    random.shuffle(items)
    cost = 0
    for x, y in items:
        cost -= np.log(ann.forward(x)[y.argmax()])
        ann.backward(y)
    print("epoch", epoch, "cost", cost / len(items))
print("accuracy", np.mean([ann.forward(x).argmax() == y.argmax() for x, y in items]))
