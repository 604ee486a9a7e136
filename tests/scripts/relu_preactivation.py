import numpy as np

rng = np.random.default_rng(3)
x = rng.uniform(-2, 2, size=(500, 2))
y = np.sin(2 * x[:, :1]) + x[:, 1:] ** 2 / 2

W1 = rng.normal(size=(2, 32)) 
b1 = rng.normal(size=(32,)) 
W2 = rng.normal(size=(32, 1)) * np.sqrt(2 / 32)
b2 = np.zeros((1,))

lr = 0.02
m = x.shape[0]
losses = []
for it in range(2500):
    z1 = np.matmul(x, W1) + b1
    h1 = np.where(z1 > 0, z1, 0)
    out = np.matmul(h1, W2) + b2
    diff = out - y
    losses.append(np.mean(diff ** 2))

    dout = 2 * diff / m
    dW2 = np.matmul(z1.T, dout)
    db2 = dout.sum(0)
    dh1 = np.matmul(dout, W2.T)
    dz1 = dh1 * (z1 > 0)
    dW1 = np.matmul(x.T, dz1)
    db1 = dz1.sum(0)

    W2 -= lr * dW2
    b2 -= lr * db2
    W1 -= lr * dW1
    b1 -= lr * db1
    if it % 250 == 0:
        print(it, losses[-1])
print("last mse:", losses[-1])
