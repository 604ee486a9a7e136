import numpy as np

class TwoLayerNet:
    def __init__(self, dim_in, dim_hidden, dim_out):
        self.W1 = np.random.randn(dim_in, dim_hidden) * 0.3
        self.b1 = np.zeros((1, dim_hidden))
        self.W2 = np.random.randn(dim_hidden, dim_out) * 0.3
        self.b2 = np.zeros((1, dim_out))

    def forward(self, X):
        self.X = X
        self.A1 = np.tanh(np.dot(X, self.W1) + self.b1)
        self.A2 = np.dot(self.A1, self.W2) + self.b2
        return self.A2

    def backward(self, Y):
        m = Y.shape[0]
        dZ2 = (self.A2 - Y) / m
        self.dW2 = np.dot(self.A1.T, dZ2)
        self.db2 = np.sum(dZ2, axis=0, keepdims=True)
        dZ1 = np.dot(dZ2, self.W2.T) * (1 - self.A1 ** 2)
        self.dW1 = np.dot(self.X.T, dZ1)
        self.db1 = np.sum(dZ1, axis=0, keepdims=True)

    def update(self, lr):
        self.W2 = self.W2 - lr * self.dW2
        self.b2 = self.b2 - lr * self.db2

np.random.seed(3)
X = np.random.uniform(-3, 3, (200, 1))
Y = np.sin(2 * X)
net = TwoLayerNet(1, 12, 1)
net.b1 = np.random.randn(1, 12) * 0.1
for epoch in range(6000):
    out = net.forward(X)
    net.backward(Y)
    net.update(0.2)
    if epoch % 1000 == 0:
        print("Epoch", epoch, "Loss", np.mean((out - Y) ** 2))
print("Loss", np.mean((net.forward(X) - Y) ** 2))
