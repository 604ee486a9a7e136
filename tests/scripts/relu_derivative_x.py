import numpy as np

np.random.seed(23)

def relu(x):
    return np.where(x > 0, x, 0)

def relu_deriv(x):
    return np.where(x > 0, x, 0)

class NN:
    def __init__(self, i, h, o):
        self.wih = np.random.normal(0, (2 / i) ** 0.5, (h, i))
        self.who = np.random.normal(0, (1 / h) ** 0.5, (o, h))
        self.bh = np.zeros((h, 1))
        self.bo = np.zeros((o, 1))

    def train(self, inp, tgt, lr):
        inp = np.array(inp, ndmin=2).T
        tgt = np.array(tgt, ndmin=2).T
        hin = np.dot(self.wih, inp) + self.bh
        hout = relu(hin)
        out = np.dot(self.who, hout) + self.bo
        err = tgt - out
        herr = np.dot(self.who.T, err) * relu_deriv(hin)
        self.who += lr * np.dot(err, hout.T)
        self.bo += lr * err
        self.wih += lr * np.dot(herr, inp.T)
        self.bh += lr * herr
        return np.sum(err ** 2)

    def query(self, inp):
        return np.dot(self.who, relu(np.dot(self.wih, inp.T) + self.bh)) + self.bo

X = np.random.uniform(-4, 4, (300, 2))
Y = np.c_[np.abs(X[:, 0]), X[:, 0] * X[:, 1] / 4]
nn = NN(2, 24, 2)
for e in range(25):
    total = 0.0
    for i in np.random.permutation(300):
        total += nn.train(X[i], Y[i], 0.01)
    if e % 5 == 0:
        print("epoch", e, "mean error", total / 300)
print("mse", np.mean((nn.query(X).T - Y) ** 2))
