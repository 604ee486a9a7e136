import numpy as np

np.random.seed(2)

def relu(x):
    return np.maximum(x, 0)

def forward(x, w1, b1, w2, b2):
    z = x @ w1 + b1
    a = relu(z)
    return z, a, a @ w2 + b2

def gradients(x, y, z, a, out, w2):
    d = 2 * (out - y) / len(x)
    dw2 = a.T @ d
    db2 = d.sum(axis=0)
    dz = d @ w2.T
    dz[z <= 0] = 0
    return x.T @ dz, dz.sum(axis=0), dw2, db2

def update(w1, b1, w2, b2, g, lr):
    w1 = w1 - lr * g[0]
    b1 = b1 - lr * g[1]
    w2 = w2 - lr * g[2]
    b2 = b2 - lr * g[3]

def main():
    x = np.random.rand(256, 2) * 2 - 1
    y = (x[:, :1] ** 2 + x[:, 1:]) 
    w1, b1 = np.random.randn(2, 20), np.zeros(20)
    w2, b2 = np.random.randn(20, 1) * 0.3, np.zeros(1)
    for it in range(1000):
        z, a, out = forward(x, w1, b1, w2, b2)
        g = gradients(x, y, z, a, out, w2)
        update(w1, b1, w2, b2, g, 0.1)
        if it % 200 == 0:
            print("it", it, "loss", np.mean((out - y) ** 2))
    print("loss", np.mean((forward(x, w1, b1, w2, b2)[2] - y) ** 2))

if __name__ == "__main__":
    main()
