import numpy as np

np.random.seed(12)

def ReLU(Z): return np.maximum(Z, 0)
def ReLU_deriv(Z): return Z > 0

def softmax(Z):
    A = np.exp(Z - Z.max(axis=0))
    return A / sum(A)

def one_hot(Y):
    out = np.zeros((Y.size, Y.max() + 1))
    out[np.arange(Y.size), Y] = 1
    return out.T

m = 300
protos = np.random.rand(49, 6)
Y = np.random.randint(0, 6, m)
X = np.clip(protos[:, Y] + np.random.randn(49, m) * 0.4, 0, 1)
X_train, Y_train, X_dev, Y_dev = X[:, :200], Y[:200], X[:, 200:], Y[200:]

def gradient_descent(X, Y, alpha, iterations):
    m = Y.size
    W1, b1 = np.random.rand(20, 49) - 0.5, np.random.rand(20, 1) - 0.5
    W2, b2 = np.random.rand(6, 20) - 0.5, np.random.rand(6, 1) - 0.5
    for i in range(iterations):
        Z1 = W1.dot(X) + b1
        A1 = ReLU(Z1)
        A2 = softmax(W2.dot(A1) + b2)
        dZ2 = A2 - one_hot(Y)
        dW2 = 1 / m * dZ2.dot(A1.T)
        db2 = dZ2
        dZ1 = W2.T.dot(dZ2) * ReLU_deriv(Z1)
        dW1 = 1 / m * dZ1.dot(X.T)
        db1 = dZ1
        W1 = W1 - alpha * dW1
        b1 = b1 - alpha * db1
        W2 = W2 - alpha * dW2
        b2 = b2 - alpha * db2
        if i % 50 == 0:
            print("Iteration:", i, "accuracy", np.mean(np.argmax(A2, 0) == Y))
    return W1, b1, W2, b2

W1, b1, W2, b2 = gradient_descent(X_train, Y_train, 0.1, 300)
A2 = softmax(W2.dot(ReLU(W1.dot(X_dev) + b1.mean(axis=1, keepdims=True))) + b2.mean(axis=1, keepdims=True))
print("dev accuracy", np.mean(np.argmax(A2, 0) == Y_dev))
