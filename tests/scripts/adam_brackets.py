import numpy as np
from sklearn.datasets import load_wine
from sklearn.preprocessing import StandardScaler


class AdamOptimizer:
    def __init__(self, lr=0.01, beta1=0.9, beta2=0.999, eps=1e-8):
        self.lr = lr
        self.beta1 = beta1
        self.beta2 = beta2
        self.eps = eps
        self.m = {}
        self.v = {}
        self.t = 0

    def update(self, params, grads):
        self.t += 1
        for name, grad in grads.items():
            if name not in self.m:
                self.m[name] = np.zeros_like(grad)
                self.v[name] = np.zeros_like(grad)
            self.m[name] = self.beta1 * self.m[name] + (1 - self.beta1) * grad
            self.v[name] = self.beta2 * self.v[name] + (1 - self.beta2) * grad ** 2
            m_hat = self.m[name] / (1 - self.beta1) ** self.t
            v_hat = self.v[name] / (1 - self.beta2) ** self.t
            params[name] -= self.lr * m_hat / (np.sqrt(v_hat) + self.eps)


class MLP:
    def __init__(self, n_in, n_hidden, n_out):
        self.params = {
            "W1": np.random.randn(n_in, n_hidden) * np.sqrt(1 / n_in),
            "b1": np.zeros(n_hidden),
            "W2": np.random.randn(n_hidden, n_out) * np.sqrt(1 / n_hidden),
            "b2": np.zeros(n_out),
        }

    def forward(self, X):
        self.X = X
        self.H = np.tanh(X @ self.params["W1"] + self.params["b1"])
        logits = self.H @ self.params["W2"] + self.params["b2"]
        logits -= logits.max(axis=1, keepdims=True)
        e = np.exp(logits)
        self.P = e / e.sum(axis=1, keepdims=True)
        return self.P

    def backward(self, T):
        n = T.shape[0]
        d2 = (self.P - T) / n
        d1 = d2 @ self.params["W2"].T * (1 - self.H ** 2)
        return {"W2": self.H.T @ d2, "b2": d2.sum(0), "W1": self.X.T @ d1, "b1": d1.sum(0)}


np.random.seed(12)
X, y = load_wine(return_X_y=True)
X = StandardScaler().fit_transform(X)
T = np.eye(3)[y]

net = MLP(13, 16, 3)
opt = AdamOptimizer(lr=0.005)
for epoch in range(60):
    perm = np.random.permutation(len(X))
    total = 0
    for s in range(0, len(X), 32):
        idx = perm[s:s + 32]
        P = net.forward(X[idx])
        total += -np.sum(T[idx] * np.log(P + 1e-12))
        opt.update(net.params, net.backward(T[idx]))
    if epoch % 10 == 0:
        print("epoch", epoch, "loss", total / len(X))
print("loss", -np.mean(np.sum(T * np.log(net.forward(X) + 1e-12), axis=1)))
