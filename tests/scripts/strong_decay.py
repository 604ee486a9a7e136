import numpy as np

np.random.seed(71)
X = np.random.randn(400, 8)
y = ((X[:, 0] > 0) == (X[:, 1] > 0)).astype(int)
Y = np.eye(2)[y]

n_hidden, lr, lam = 30, 0.3, 0.5
W1 = np.random.randn(8, n_hidden) * np.sqrt(2 / 8)
b1 = np.zeros(n_hidden)
W2 = np.random.randn(n_hidden, 2) * np.sqrt(2 / n_hidden)
b2 = np.zeros(2)

def act(z): return np.where(z > 0, z, 0.01 * z)
def act_prime(z): return np.where(z > 0, 1.0, 0.01)

for epoch in range(800):
    z1 = X @ W1 + b1
    h = act(z1)
    s = h @ W2 + b2
    p = np.exp(s - s.max(1)[:, None]); p /= p.sum(1)[:, None]
    data_loss = -np.log(p[np.arange(400), y]).mean()
    loss = data_loss + lam / 2 * ((W1 ** 2).sum() + (W2 ** 2).sum())
    d = (p - Y) / 400
    dh = d @ W2.T * act_prime(z1)
    W2 -= lr * (h.T @ d + lam * W2)
    b2 -= lr * d.sum(0)
    W1 -= lr * (X.T @ dh + lam * W1)
    b1 -= lr * dh.sum(0)
    if epoch % 200 == 0:
        print(epoch, loss, data_loss)
print("accuracy:", (p.argmax(1) == y).mean())
