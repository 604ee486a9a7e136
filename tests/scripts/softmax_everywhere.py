import numpy as np

class SoftmaxLayer:
    def forward(self, z):
        e = np.exp(z - z.max(axis=-1, keepdims=True))
        self.out = e / e.sum(axis=-1, keepdims=True)
        return self.out

    def backward(self, g):
        return self.out * (g - (g * self.out).sum(axis=-1, keepdims=True))

class Dense:
    def __init__(self, n_in, n_out):
        self.W = np.random.randn(n_in, n_out) / np.sqrt(n_in)
        self.b = np.zeros(n_out)

    def forward(self, x):
        self.x = x
        return x @ self.W + self.b

    def backward(self, g, lr):
        gx = g @ self.W.T
        self.W -= lr * self.x.T @ g
        self.b -= lr * g.sum(axis=0)
        return gx

np.random.seed(5)
centers = np.random.randn(10, 12)
labels = np.random.randint(0, 10, 500)
data = centers[labels] + 0.7 * np.random.randn(500, 12)
onehot = np.eye(10)[labels]

d1, s1, d2, s2, d3, s3 = Dense(12, 30), SoftmaxLayer(), Dense(30, 30), SoftmaxLayer(), Dense(30, 10), SoftmaxLayer()
for epoch in range(40):
    for i in range(0, 500, 25):
        xb, yb = data[i:i + 25], onehot[i:i + 25]
        p = s3.forward(d3.forward(s2.forward(d2.forward(s1.forward(d1.forward(xb))))))
        g = (p - yb) / 25
        g = s2.backward(d3.backward(g, 0.3))
        g = s1.backward(d2.backward(g, 0.3))
        d1.backward(g, 0.3)
    if epoch % 10 == 0:
        print(epoch, "loss", -np.log(p[yb == 1]).mean())
p = s3.forward(d3.forward(s2.forward(d2.forward(s1.forward(d1.forward(data))))))
print("accuracy:", (p.argmax(1) == labels).mean())
