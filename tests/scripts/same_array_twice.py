import numpy as np

# learn to mirror points in space: (x, y, z) -> (-x, y, z)
np.random.seed(40)
points = np.random.uniform(-1, 1, (200, 3))
mirrored = points * np.array([-1, 1, 1])

start = np.random.randn(3, 3) * 0.5 + np.eye(3)
W = [start] * 2
B = [np.zeros(3), np.zeros(3)]

lr = 0.1
for epoch in range(1500):
    h = np.tanh(points @ W[0] + B[0])
    out = h @ W[1] + B[1]
    err = out - mirrored
    if epoch % 300 == 0:
        print("epoch", epoch, "mse", np.mean(err ** 2))
    d = 2 * err / len(points)
    dh = d @ W[1].T * (1 - h ** 2)
    W[1] -= lr * h.T @ d
    B[1] -= lr * d.sum(axis=0)
    W[0] -= lr * points.T @ dh
    B[0] -= lr * dh.sum(axis=0)
print("mse", np.mean((np.tanh(points @ W[0] + B[0]) @ W[1] + B[1] - mirrored) ** 2))
