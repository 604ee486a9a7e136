import numpy as np

def softmax(z):
    e = np.exp(z - np.max(z, axis=0))
    return e / e.sum(axis=0)

np.random.seed(21)
# samples in columns
m = 300
pts = np.random.randn(2, m)
lab = (pts[0] * pts[1] > 0) + 2 * (np.hypot(pts[0], pts[1]) < 1.2)
Y = np.zeros((4, m))
Y[lab, np.arange(m)] = 1

H = 6
W1 = np.random.randn(H, 2)
b1 = np.zeros((H, 1))
W2 = np.random.randn(H, H) * np.sqrt(1 / H)
b2 = np.zeros((H, 1))
W3 = np.random.randn(4, H) * np.sqrt(1 / H)
b3 = np.zeros((4, 1))
alpha = 0.5
for step in range(1200):
    A1 = np.tanh(W1.dot(pts) + b1)
    A2 = np.tanh(W2.dot(A1) + b2)
    A3 = softmax(W3.dot(A2) + b3)
    J = -np.sum(Y * np.log(A3 + 1e-9)) / m
    dZ3 = A3 - Y
    dZ2 = W3.T.dot(dZ3) * (1 - A2 ** 2)
    dZ1 = W2.T.dot(dZ2) * (1 - A1 ** 2)
    W3 = W3 - alpha * dZ3.dot(A2.T) / m
    b3 = b3 - alpha * dZ3.sum(axis=1, keepdims=True) / m
    W2 = W2 - alpha * A1.dot(dZ2.T) / m
    b2 = b2 - alpha * dZ2.sum(axis=1, keepdims=True) / m
    W1 = W1 - alpha * dZ1.dot(pts.T) / m
    b1 = b1 - alpha * dZ1.sum(axis=1, keepdims=True) / m
    if step % 200 == 0:
        print("step", step, "J =", J)
print("J =", J, "acc =", np.mean(A3.argmax(axis=0) == lab))
