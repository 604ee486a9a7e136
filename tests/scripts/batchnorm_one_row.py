import numpy as np
from sklearn.datasets import make_classification


def batchnorm_forward(x, gamma, beta, eps=1e-5):
    mu = x.mean(axis=0)
    var = x.var(axis=0)
    xhat = (x - mu) / np.sqrt(var + eps)
    return gamma * xhat + beta, (xhat, var, gamma, eps)


def batchnorm_backward(dout, cache):
    xhat, var, gamma, eps = cache
    n = dout.shape[0]
    dgamma = np.sum(dout * xhat, axis=0)
    dbeta = np.sum(dout, axis=0)
    dxhat = dout * gamma
    dx = (n * dxhat - dxhat.sum(axis=0) - xhat * np.sum(dxhat * xhat, axis=0)) / (n * np.sqrt(var + eps))
    return dx, dgamma, dbeta


np.random.seed(9)
X, y = make_classification(n_samples=600, n_features=12, n_informative=6, n_classes=3, random_state=9)
X_train, y_train, X_test, y_test = X[:450], y[:450], X[450:], y[450:]

W1 = np.random.randn(12, 24) * np.sqrt(2 / 12)
gamma = np.ones(24)
beta = np.zeros(24)
W2 = np.random.randn(24, 3) * np.sqrt(2 / 24)
b2 = np.zeros(3)


def scores(x):
    z, bn_cache = batchnorm_forward(x @ W1, gamma, beta)
    h = np.maximum(z, 0)
    return h @ W2 + b2, z, h, bn_cache


for epoch in range(40):
    perm = np.random.permutation(450)
    for k in range(0, 450, 50):
        xb, yb = X_train[perm[k:k + 50]], y_train[perm[k:k + 50]]
        s, z, h, bn_cache = scores(xb)
        p = np.exp(s - s.max(1, keepdims=True))
        p /= p.sum(1, keepdims=True)
        loss = -np.mean(np.log(p[np.arange(len(yb)), yb]))
        ds = p.copy()
        ds[np.arange(len(yb)), yb] -= 1
        ds /= len(yb)
        dW2 = h.T @ ds
        db2 = ds.sum(0)
        dz = (ds @ W2.T) * (z > 0)
        dx, dgamma, dbeta = batchnorm_backward(dz, bn_cache)
        dW1 = xb.T @ dx
        W1 -= 0.2 * dW1
        gamma -= 0.2 * dgamma
        beta -= 0.2 * dbeta
        W2 -= 0.2 * dW2
        b2 -= 0.2 * db2
    if epoch % 10 == 0:
        print("epoch", epoch, "loss", loss)

correct = 0
for xi, yi in zip(X_test, y_test):
    s, _, _, _ = scores(xi[None, :])
    correct += int(np.argmax(s) == yi)
print("test accuracy", correct / len(y_test))
