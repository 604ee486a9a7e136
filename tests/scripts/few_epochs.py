import numpy as np

np.random.seed(77)
epochs = 30
lr = 0.1
n_hidden = 10

X = np.random.randn(250, 2)
Y = np.where(X[:, 0] * X[:, 1] > 0, 1.0, 0.0)

W_h = np.random.randn(n_hidden, 2)
b_h = np.zeros(n_hidden)
W_o = np.random.randn(n_hidden) * 0.5
b_o = 0.0

for e in range(epochs):
    H = np.tanh(X @ W_h.T + b_h)
    P = 1 / (1 + np.exp(-(H @ W_o + b_o)))
    D = (P - Y) / len(Y)
    gW_o = H.T @ D
    gb_o = D.sum()
    DH = np.outer(D, W_o) * (1 - H ** 2)
    gW_h = DH.T @ X
    gb_h = DH.sum(axis=0)
    W_o = W_o - lr * gW_o
    b_o = b_o - lr * gb_o
    W_h = W_h - lr * gW_h
    b_h = b_h - lr * gb_h
    loss = -np.mean(Y * np.log(P) + (1 - Y) * np.log(1 - P))
    print(f"epoch {e + 1}: loss = {loss:.4f}")
print("accuracy =", np.mean((P > 0.5) == Y))
