import numpy as np

np.random.seed(37)
data = np.random.randn(500, 3)
label = np.argmax(np.c_[data[:, 0] * data[:, 1], data[:, 2], -data[:, 2]], axis=1)

class MomentumSGD:
    def __init__(self, lr=0.1, momentum=0.9):
        self.lr, self.momentum = lr, momentum
        self.v = {}

    def update(self, params, grads):
        for key in params:
            if key not in self.v:
                self.v[key] = np.zeros_like(params[key])
            self.v[key] = self.momentum * self.v[key] - self.lr * grads[key]
            params[key] -= self.v[key]

params = {"W1": np.random.randn(3, 20) * 0.5, "b1": np.zeros(20), "W2": np.random.randn(20, 3) * 0.2, "b2": np.zeros(3)}
optimizer = MomentumSGD(0.05)

def predict(x):
    h = np.maximum(x.dot(params["W1"]) + params["b1"], 0)
    s = h.dot(params["W2"]) + params["b2"]
    s = np.exp(s - s.max(axis=1, keepdims=True))
    return h, s / s.sum(axis=1, keepdims=True)

for i in range(400):
    mask = np.random.choice(500, 100)
    x, t = data[mask], label[mask]
    h, y = predict(x)
    loss = -np.mean(np.log(y[np.arange(100), t] + 1e-7))
    dy = y.copy()
    dy[np.arange(100), t] -= 1
    dy /= 100
    dh = dy.dot(params["W2"].T) * (h > 0)
    optimizer.update(params, {"W1": x.T.dot(dh), "b1": dh.sum(0), "W2": h.T.dot(dy), "b2": dy.sum(0)})
    if i % 50 == 0:
        print("step", i, "loss", loss)
print("acc", np.mean(predict(data)[1].argmax(1) == label))
