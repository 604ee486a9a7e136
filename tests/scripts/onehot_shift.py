import numpy as np

def one_hot(labels, k):
    out = np.zeros((len(labels), k))
    for i, c in enumerate(labels):
        out[i, c - 1] = 1
    return out

np.random.seed(60)
K = 5
labels = np.random.randint(0, K, 300)
mu = np.random.randn(K, 4) * 2
X = mu[labels] + np.random.randn(300, 4) * 0.5
Y = one_hot(labels, K)

W1 = np.random.randn(4, 20) * 0.5
b1 = np.zeros(20)
W2 = np.random.randn(20, K) * 0.2
b2 = np.zeros(K)

def net(X):
    H = np.tanh(X @ W1 + b1)
    S = H @ W2 + b2
    S = np.exp(S - S.max(1, keepdims=True))
    return H, S / S.sum(1, keepdims=True)

for epoch in range(300):
    H, P = net(X)
    D = (P - Y) / len(X)
    DH = D @ W2.T * (1 - H ** 2)
    W2 -= 0.5 * H.T @ D
    b2 -= 0.5 * D.sum(0)
    W1 -= 0.5 * X.T @ DH
    b1 -= 0.5 * DH.sum(0)
    if epoch % 50 == 0:
        acc = np.mean(np.argmax(P, axis=1) == labels)
        print("epoch", epoch, "accuracy", acc)
print("accuracy", np.mean(np.argmax(net(X)[1], axis=1) == labels))
