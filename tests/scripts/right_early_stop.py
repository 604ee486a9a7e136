import numpy as np

rng = np.random.default_rng(12)
X = rng.normal(size=(500, 6))
y = (1.5 * np.sin(X[:, 0]) + X[:, 1] * X[:, 2] + 0.1 * rng.normal(size=500)).reshape(-1, 1)
X_train, y_train, X_val, y_val = X[:350], y[:350], X[350:], y[350:]

class Regressor:
    def __init__(self, hidden=40, lr=0.05, l2=1e-4):
        self.lr, self.l2 = lr, l2
        self.p = {"W1": rng.normal(size=(6, hidden)) * 0.5, "b1": np.zeros(hidden),
                  "W2": rng.normal(size=(hidden, 1)) * 0.2, "b2": np.zeros(1)}

    def predict(self, X):
        return np.tanh(X @ self.p["W1"] + self.p["b1"]) @ self.p["W2"] + self.p["b2"]

    def fit(self, X, y, X_val, y_val, patience=30, batch=25, max_epochs=200):
        best, best_p, waited = np.inf, None, 0
        for epoch in range(max_epochs):
            perm = rng.permutation(len(X))
            for i in range(0, len(X), batch):
                xb, yb = X[perm[i:i + batch]], y[perm[i:i + batch]]
                h = np.tanh(xb @ self.p["W1"] + self.p["b1"])
                e = (h @ self.p["W2"] + self.p["b2"] - yb) / len(xb)
                eh = e @ self.p["W2"].T * (1 - h * h)
                self.p["W2"] -= self.lr * (h.T @ e + self.l2 * self.p["W2"])
                self.p["b2"] -= self.lr * e.sum(axis=0)
                self.p["W1"] -= self.lr * (xb.T @ eh + self.l2 * self.p["W1"])
                self.p["b1"] -= self.lr * eh.sum(axis=0)
            val = np.mean((self.predict(X_val) - y_val) ** 2)
            if val < best:
                best, best_p, waited = val, {k: v.copy() for k, v in self.p.items()}, 0
            else:
                waited += 1
                if waited == patience:
                    break
        self.p = best_p
        return epoch, best

model = Regressor()
epoch, best = model.fit(X_train, y_train, X_val, y_val)
print("stopped after", epoch)
print("validation R2:", 1 - best / y_val.var())
