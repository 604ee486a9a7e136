import numpy as np


def softmax(z):
    z = z - np.max(z, axis=1, keepdims=True)
    e = np.exp(z)
    return e / np.sum(e, axis=1, keepdims=True)


def cross_entropy(p, y):
    return -np.mean(np.log(np.clip(p[np.arange(len(y)), y], 1e-12, 1.0)))


def batches(X, y, batch_size):
    n = len(X)
    for i in range(0, n // batch_size, batch_size):
        yield X[i:i + batch_size], y[i:i + batch_size]
