import numpy as np

np.random.seed(2)
# cible : une fonction de deux variables sur une grille
g = np.linspace(-1, 1, 15)
xx, yy = np.meshgrid(g, g)
entree = np.stack([xx.ravel(), yy.ravel()], 1)
sortie = (xx * yy).ravel()
W = np.random.randn(2, 18) * 1.5
B = np.random.randn(18)
V = np.random.randn(18) * 0.3
C = 0.0
N = len(sortie)
it = 0
while True:
    H = np.tanh(entree @ W + B)
    F = H @ V + C
    R = F - sortie
    cout = R @ R / N
    if cout < 2e-3 or it >= 4000:
        break
    gV = H.T @ R * 2 / N
    gC = R.mean() * 2
    dH = R[:, None] * V[None, :] * (1 - H ** 2)
    gW = entree.T @ dH * 2 / N
    gB = dH.mean(0) * 2
    W, B, V, C = W - 0.1 * gW, B - 0.1 * gB, V - 0.1 * gV, C - 0.1 * gC
    it += 1
print("iterations", it, "cout", cout)
