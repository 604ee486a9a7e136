import numpy as np

np.random.seed(45)
kinds = np.random.randint(120, 256, (8, 64))
train_labels = np.random.randint(0, 8, 400)
test_labels = np.random.randint(0, 8, 100)
noise = lambda n: np.random.randint(-60, 60, (n, 64))
train_images = np.clip(kinds[train_labels] + noise(400), 0, 255)
test_images = np.clip(kinds[test_labels] + noise(100), 0, 255)


class DigitNet:
    def __init__(self):
        self.w1 = np.random.randn(64, 32) * np.sqrt(2 / 64)
        self.b1 = np.zeros(32)
        self.w2 = np.random.randn(32, 8) * np.sqrt(2 / 32)
        self.b2 = np.zeros(8)

    def forward(self, x):
        self.z = x @ self.w1 + self.b1
        self.h = np.tanh(self.z)
        s = self.h @ self.w2 + self.b2
        e = np.exp(s - s.max(axis=1, keepdims=True))
        return e / e.sum(axis=1, keepdims=True)

    def fit(self, images, labels, epochs=20, lr=0.1):
        x = (images - images.mean()) / images.std()
        t = np.eye(8)[labels]
        for epoch in range(epochs):
            for i in range(0, len(x), 20):
                xb, tb = x[i:i + 20], t[i:i + 20]
                d = (self.forward(xb) - tb) / 20
                dh = d @ self.w2.T * (1 - self.h ** 2)
                self.w2 -= lr * self.h.T @ d
                self.b2 -= lr * d.sum(axis=0)
                self.w1 -= lr * xb.T @ dh
                self.b1 -= lr * dh.sum(axis=0)
            if epoch % 5 == 0:
                print("epoch", epoch, "accuracy", np.mean(self.forward(x).argmax(axis=1) == labels))

    def score(self, images, labels):
        return np.mean(self.forward(images).argmax(axis=1) == labels)


net = DigitNet()
net.fit(train_images, train_labels)
print("test accuracy", net.score(test_images, test_labels))
