import numpy as np

np.random.seed(90)
# blood values: glucose, blood pressure, bmi
n = 300
glucose = np.random.normal(120, 30, n)
pressure = np.random.normal(70, 12, n)
bmi = np.random.normal(32, 6, n)
features = np.stack([glucose, pressure, bmi])
diabetes = ((glucose - 120) / 30 + (bmi - 32) / 12 + 0.3 * np.random.randn(n) > 0.2).astype(float)[None, :]

train_x, train_y = features[:, :200], diabetes[:, :200]
test_x, test_y = features[:, 200:], diabetes[:, 200:]

def model(X, Y, hidden=4, steps=1500, lr=1.0):
    X = (X - X.mean(axis=1, keepdims=True)) / X.std(axis=1, keepdims=True)
    W1 = np.random.randn(hidden, X.shape[0])
    b1 = np.zeros((hidden, 1))
    W2 = np.random.randn(1, hidden)
    b2 = np.zeros((1, 1))
    m = X.shape[1]
    for i in range(steps):
        A1 = 1 / (1 + np.exp(-(np.dot(W1, X) + b1)))
        A2 = 1 / (1 + np.exp(-(np.dot(W2, A1) + b2)))
        dZ2 = A2 - Y
        dZ1 = np.dot(W2.T, dZ2) * A1 * (1 - A1)
        W2 = W2 - lr * np.dot(dZ2, A1.T) / m
        b2 = b2 - lr * np.sum(dZ2, axis=1, keepdims=True) / m
        W1 = W1 - lr * np.dot(dZ1, X.T) / m
        b1 = b1 - lr * np.sum(dZ1, axis=1, keepdims=True) / m
        if i % 300 == 0:
            print("Iteration", i, "cost", -np.mean(Y * np.log(A2) + (1 - Y) * np.log(1 - A2)))
    return W1, b1, W2, b2

def predict(X, W1, b1, W2, b2):
    A1 = 1 / (1 + np.exp(-(np.dot(W1, X) + b1)))
    A2 = 1 / (1 + np.exp(-(np.dot(W2, A1) + b2)))
    return A2 > 0.5

weights = model(train_x, train_y)
print("Test accuracy:", np.mean(predict(test_x, *weights) == test_y))
