import numpy as np

rng = np.random.default_rng(13)
pixels = rng.integers(0, 256, size=(10, 49))
labels = rng.integers(0, 10, size=400)
images = np.clip(pixels[labels] + rng.normal(0, 40, (400, 49)), 0, 255)
targets = np.eye(10)[labels]

w1 = rng.normal(size=(49, 32))
b1 = np.zeros(32)
w2 = rng.normal(size=(32, 10))
b2 = np.zeros(10)


def softmax(z):
    return np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)


def forward(x):
    hidden = np.maximum(x @ w1 + b1, 0)
    return hidden, softmax(hidden @ w2 + b2)


lr = 0.01
for epoch in range(40):
    for k in range(0, 400, 40):
        x, t = images[k:k + 40], targets[k:k + 40]
        hidden, p = forward(x)
        d2 = (p - t) / 40
        d1 = d2 @ w2.T * (hidden > 0)
        w2 -= lr * hidden.T @ d2
        b2 -= lr * d2.sum(axis=0)
        w1 -= lr * x.T @ d1
        b1 -= lr * d1.sum(axis=0)
    if epoch % 10 == 0:
        print("epoch", epoch, "loss", -np.mean(np.sum(t * np.log(p), axis=1)))

print("accuracy", np.mean(forward(images)[1].argmax(axis=1) == labels))
