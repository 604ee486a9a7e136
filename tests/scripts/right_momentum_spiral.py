import numpy as np

np.random.seed(0)
N, K = 80, 3
X = np.zeros((N * K, 2))
y = np.zeros(N * K, dtype="uint8")
for j in range(K):
    r = np.linspace(0.05, 1, N)
    t = np.linspace(j * 4, (j + 1) * 4, N) + np.random.randn(N) * 0.15
    X[j * N:(j + 1) * N] = np.c_[r * np.sin(t), r * np.cos(t)]
    y[j * N:(j + 1) * N] = j

h = 50
W = 0.5 * np.random.randn(2, h)
b = np.zeros((1, h))
W2 = 0.1 * np.random.randn(h, K)
b2 = np.zeros((1, K))
vW, vb, vW2, vb2 = np.zeros_like(W), np.zeros_like(b), np.zeros_like(W2), np.zeros_like(b2)
step_size, mu, reg = 0.3, 0.9, 1e-4

for i in range(800):
    hidden = np.maximum(0, np.dot(X, W) + b)
    scores = np.dot(hidden, W2) + b2
    e = np.exp(scores - scores.max(axis=1, keepdims=True))
    probs = e / np.sum(e, axis=1, keepdims=True)
    loss = -np.log(probs[range(N * K), y]).mean() + 0.5 * reg * (np.sum(W * W) + np.sum(W2 * W2))
    if i % 200 == 0:
        print("iteration %d: loss %f" % (i, loss))
    dscores = probs.copy()
    dscores[range(N * K), y] -= 1
    dscores /= N * K
    dW2 = np.dot(hidden.T, dscores) + reg * W2
    db2 = np.sum(dscores, axis=0, keepdims=True)
    dhidden = np.dot(dscores, W2.T)
    dhidden[hidden <= 0] = 0
    dW = np.dot(X.T, dhidden) + reg * W
    db = np.sum(dhidden, axis=0, keepdims=True)

    vW = mu * vW - step_size * dW
    W += vW
    vb = mu * vb - step_size * db
    b += vb
    vW2 = mu * vW2 - step_size * dW2
    W2 += vW2
    vb2 = mu * vb2 - step_size * db2
    b2 += vb2

scores = np.dot(np.maximum(0, np.dot(X, W) + b), W2) + b2
print("training accuracy: %.3f" % np.mean(np.argmax(scores, axis=1) == y))
