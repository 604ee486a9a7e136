# bias as an extra row of the weight matrix, inputs with a column of ones
import numpy as np
np.random.seed(13)

def augment(A):
    return np.c_[A, np.ones(A.shape[0])]

X = np.random.randn(300, 2)
Y = (np.abs(X[:, 0] - X[:, 1]) < 0.8).astype(float)[:, None]

V = np.random.randn(3, 10)
W = np.random.randn(11, 1) * 0.5
for epoch in range(2500):
    Xa = augment(X)
    H = np.tanh(Xa @ V)
    Ha = augment(H)
    P = 1 / (1 + np.exp(-Ha @ W))
    D = (P - Y) / len(X)
    GW = Ha.T @ D
    GV = Xa.T @ ((D @ W[:-1].T) * (1 - H ** 2))
    W = W - 1.0 * GW
    V = V - 1.0 * GV
    if epoch % 500 == 0:
        print("epoch", epoch, "ce", -np.mean(Y * np.log(P) + (1 - Y) * np.log(1 - P)))
print("accuracy", np.mean((P > 0.5) == Y))
