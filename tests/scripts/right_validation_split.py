import numpy as np

class NeuralNet:
    """3 layers, sigmoid, squared error, trained on a time series."""

    def __init__(self, rate=0.5):
        r = np.random.RandomState(0)
        self.rate = rate
        self.w_in_hid = r.normal(0, 5 ** -0.5, (5, 10))
        self.w_hid_out = r.normal(0, 10 ** -0.5, (10, 1))
        self.b_hid = np.zeros(10)
        self.b_out = np.zeros(1)

    def sigmoid(self, x):
        return 1 / (1 + np.exp(-x))

    def train(self, features, targets):
        n = features.shape[0]
        dw_ih, dw_ho = np.zeros(self.w_in_hid.shape), np.zeros(self.w_hid_out.shape)
        db_h, db_o = np.zeros(10), np.zeros(1)
        for X, y in zip(features, targets):
            hidden = self.sigmoid(X @ self.w_in_hid + self.b_hid)
            final = hidden @ self.w_hid_out + self.b_out
            error = y - final
            hidden_error = self.w_hid_out @ error
            hidden_term = hidden_error * hidden * (1 - hidden)
            dw_ih += X[:, None] * hidden_term
            dw_ho += hidden[:, None] * error
            db_h += hidden_term
            db_o += error
        self.w_hid_out += self.rate * dw_ho / n
        self.w_in_hid += self.rate * dw_ih / n
        self.b_hid += self.rate * db_h / n
        self.b_out += self.rate * db_o / n

    def run(self, features):
        return self.sigmoid(features @ self.w_in_hid + self.b_hid) @ self.w_hid_out + self.b_out

t = np.arange(260)
series = np.sin(t / 6) + 0.3 * np.sin(t / 2.1)
X = np.stack([series[i:i + 5] for i in range(250)])
y = series[5:255].reshape(-1, 1)
train_X, train_y, val_X, val_y = X[:200], y[:200], X[200:], y[200:]
net = NeuralNet()
rng = np.random.RandomState(1)
for it in range(1500):
    rows = rng.choice(200, 16)
    net.train(train_X[rows], train_y[rows])
    if it % 300 == 0:
        print("it", it, "val", np.mean((net.run(val_X) - val_y) ** 2))
print("val R2", 1 - np.mean((net.run(val_X) - val_y) ** 2) / val_y.var())
