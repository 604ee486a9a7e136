import numpy as np

np.random.seed(47)
groups = [np.random.randn(200, 2) * 0.5 + c for c in ([0, 1.5], [1.5, 0], [-1.5, 0], [0, -1.5])]
X = np.vstack(groups)
labels = np.repeat(np.arange(4), 200)

W1 = np.random.randn(8, 2)
b1 = np.zeros(8)
W2 = np.random.randn(4, 8) * 0.5
b2 = np.zeros(4)
lr = 0.3

def forward(x):
    h = np.tanh(W1.dot(x) + b1)
    o = W2.dot(h) + b2
    o = np.exp(o - o.max())
    return h, o / o.sum()

for epoch in range(5):
    hits = 0
    for x, c in zip(X, labels):
        h, o = forward(x)
        hits += o.argmax() == c
        t = np.zeros(4)
        t[c] = 1
        do = o - t
        dh = W2.T.dot(do) * (1 - h ** 2)
        W2 -= lr * np.outer(do, h)
        b2 -= lr * do
        W1 -= lr * np.outer(dh, x)
        b1 -= lr * dh
    print("epoch", epoch, "hits while training", hits)
right = np.mean([forward(x)[1].argmax() == c for x, c in zip(X, labels)])
print("right after training:", right)
