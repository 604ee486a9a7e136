import numpy as np
import matplotlib
import matplotlib.pyplot as plt

rng = np.random.RandomState(8)
x = rng.rand(150, 1) * 10
y = 0.5 * x + np.sin(x) + rng.randn(150, 1) * 0.1
xm, xs, ym, ys = x.mean(), x.std(), y.mean(), y.std()
xn, yn = (x - xm) / xs, (y - ym) / ys

w1 = rng.randn(1, 25) * 2
b1 = rng.randn(25) * 2
w2 = rng.randn(25, 1) * 0.2
b2 = 0.0
curve = []
for i in range(4000):
    a = np.tanh(xn * w1 + b1)
    f = a @ w2 + b2
    curve.append(np.mean((f - yn) ** 2))
    g = 2 * (f - yn) / len(xn)
    ga = g * w2.T * (1 - a ** 2)
    w2 -= 0.05 * (a * g).sum(axis=0)[:, None]
    b2 -= 0.05 * g.sum()
    w1 -= 0.05 * (xn * ga).sum(axis=0, keepdims=True)
    b1 -= 0.05 * ga.sum(axis=0)

fig, (left, right) = plt.subplots(1, 2, figsize=(9, 4))
left.semilogy(curve)
left.set_title("loss")
grid = np.linspace(0, 10, 200)[:, None]
right.plot(x, y, ".")
right.plot(grid, (np.tanh((grid - xm) / xs * w1 + b1) @ w2 + b2) * ys + ym)
plt.show()
print("loss:", curve[-1])
