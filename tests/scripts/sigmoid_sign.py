import numpy as np

np.random.seed(36)
X = np.random.randn(200, 2)
Y = (X[:, [0]] * X[:, [1]] < 0).astype(float)

def sigmoid(x):
    return 1 / (1 + np.exp(x))

def forward(X):
    global H, O
    H = sigmoid(X.dot(W_in) + b_in)
    O = sigmoid(H.dot(W_out) + b_out)
    return O

W_in = np.random.randn(2, 8) * 2
b_in = np.zeros(8)
W_out = np.random.randn(8, 1)
b_out = np.zeros(1)

lr = 0.02
for epoch in range(4000):
    forward(X)
    dO = (O - Y) * O * (1 - O)
    dH = dO.dot(W_out.T) * H * (1 - H)
    W_out -= lr * H.T.dot(dO)
    b_out -= lr * dO.sum(axis=0)
    W_in -= lr * X.T.dot(dH)
    b_in -= lr * dH.sum(axis=0)
    if epoch % 800 == 0:
        print("mse", np.mean((O - Y) ** 2))
print("accuracy", np.mean((forward(X) > 0.5) == Y))
