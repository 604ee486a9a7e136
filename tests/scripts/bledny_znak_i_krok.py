# sieć do rozpoznawania, czy punkt leży w kole
import numpy as np

np.random.seed(100)
punkty = np.random.uniform(-1, 1, (300, 2))
etykiety = (np.sqrt((punkty ** 2).sum(axis=1)) < 0.6).astype(float)[:, None]

def sigmoida(x):
    return 1 / (1 + np.exp(-x))

wagi = [np.random.randn(2, 8) * 2, np.random.randn(8, 1)]
progi = [np.random.randn(8), np.zeros(1)]
krok = 0.0005

for epoka in range(3000):
    ukryta = sigmoida(np.dot(punkty, wagi[0]) + progi[0])
    wyjscie = sigmoida(np.dot(ukryta, wagi[1]) + progi[1])
    blad = etykiety - wyjscie
    delta_w = blad * wyjscie * (1 - wyjscie)
    delta_u = np.dot(delta_w, wagi[1].T) * ukryta * (1 - ukryta)
    wagi[1] = wagi[1] - krok * np.dot(ukryta.T, delta_w)
    progi[1] = progi[1] - krok * delta_w.sum(axis=0)
    wagi[0] = wagi[0] - krok * np.dot(punkty.T, delta_u)
    progi[0] = progi[0] - krok * delta_u.sum(axis=0)
    if epoka % 500 == 0:
        print("epoka", epoka, "błąd", (blad ** 2).mean())
print("trafność", ((wyjscie > 0.5) == (etykiety > 0.5)).mean())
