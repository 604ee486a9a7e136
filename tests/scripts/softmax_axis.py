import numpy as np
np.random.seed(0)

def init(n0, n1, n2):
    return [np.random.randn(n0, n1) * np.sqrt(2 / n0), np.zeros(n1), np.random.randn(n1, n2) * np.sqrt(2 / n1), np.zeros(n2)]

def softmax(z):
    ez = np.exp(z - np.max(z))
    return ez / np.sum(ez, axis=0)

def forward(x, P):
    W1, b1, W2, b2 = P
    h = np.maximum(0, x @ W1 + b1)
    return h, softmax(h @ W2 + b2)

labels = np.random.choice(4, 320, p=[0.5, 0.3, 0.15, 0.05])
means = np.array([[1, 1, 0], [-1, 1, 0], [-1, -1, 1], [1, -1, -1]])
X = means[labels] + np.random.randn(320, 3) * 0.4
Y = (labels[:, None] == np.arange(4)).astype(float)

P = init(3, 16, 4)
for it in range(1000):
    h, p = forward(X, P)
    g = (p - Y) / len(X)
    gh = g @ P[2].T
    gh[h == 0] = 0
    grads = [X.T @ gh, gh.sum(axis=0), h.T @ g, g.sum(axis=0)]
    P = [a - 0.3 * b for a, b in zip(P, grads)]
    if it % 200 == 0:
        print("it", it, "cross entropy", -np.mean(np.sum(Y * np.log(p + 1e-12), axis=1)))
right = sum(forward(x[None, :], P)[1].argmax() == label for x, label in zip(X, labels))
print("right: %d of %d" % (right, len(X)))
h, p = forward(X, P)
print("cross entropy", -np.mean(np.sum(Y * np.log(p + 1e-12), axis=1)))
