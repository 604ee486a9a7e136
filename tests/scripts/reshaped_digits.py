import numpy as np
from sklearn.datasets import load_digits

# columns are samples
data, labels = load_digits(return_X_y=True)
n_samples, n_pixels = data.shape
inputs = data.reshape(n_pixels, n_samples) / 16
targets = np.eye(10)[labels].T

gen = np.random.default_rng(0)
w1 = gen.uniform(-0.3, 0.3, (20, n_pixels))
b1 = np.zeros((20, 1))
w2 = gen.uniform(-0.3, 0.3, (10, 20))
b2 = np.zeros((10, 1))


def run(x):
    z = w1 @ x + b1
    a = np.maximum(z, 0)
    scores = w2 @ a + b2
    e = np.exp(scores - scores.max(axis=0))
    return z, a, e / e.sum(axis=0)


for it in range(400):
    z, a, out = run(inputs)
    d2 = (out - targets) / n_samples
    d1 = (w2.T @ d2) * (z > 0)
    w2 -= 0.5 * d2 @ a.T
    b2 -= 0.5 * d2.sum(axis=1, keepdims=True)
    w1 -= 0.5 * d1 @ inputs.T
    b1 -= 0.5 * d1.sum(axis=1, keepdims=True)
    if it % 50 == 0:
        print(it, np.mean(out.argmax(axis=0) == labels))
print("accuracy", np.mean(run(inputs)[2].argmax(axis=0) == labels))
