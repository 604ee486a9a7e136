# klasyfikacja punktów z pliku CSV, bez dodatkowych bibliotek
import numpy as np

rng = np.random.default_rng(44)
with open("punkty.csv", "w") as plik:
    plik.write("dlugosc,szerokosc,waga,gatunek\n")
    for i in range(180):
        g = i % 3
        cechy = rng.normal([[10, 2.0, 300], [14, 2.5, 520], [11, 4.0, 410]][g], [1.2, 0.3, 40])
        plik.write(",".join(f"{c:.2f}" for c in cechy) + f",{['okon', 'karp', 'leszcz'][g]}\n")

tabela = np.genfromtxt("punkty.csv", delimiter=",", skip_header=1, dtype=str)
nazwy, numer = np.unique(tabela[:, 3], return_inverse=True)
x = tabela[:, :3].astype(float)
kolejnosc = rng.permutation(180)
x, numer = x[kolejnosc], numer[kolejnosc]
srednia, odchylenie = x[:120].mean(axis=0), x[:120].std(axis=0)
ucz, test = (x[:120] - srednia) / odchylenie, (x[120:] - srednia) / odchylenie
cel = np.eye(3)[numer[:120]]

w1, b1 = rng.normal(0, 0.6, (3, 10)), np.zeros(10)
w2, b2 = rng.normal(0, 0.4, (10, 3)), np.zeros(3)

def siec(x):
    h = 1 / (1 + np.exp(-(x @ w1 + b1)))
    s = np.exp(h @ w2 + b2)
    return h, s / s.sum(axis=1, keepdims=True)

for epoka in range(1500):
    h, p = siec(ucz)
    d = (p - cel) / len(ucz)
    dh = d @ w2.T * h * (1 - h)
    w2 -= 1.0 * h.T @ d
    b2 -= 1.0 * d.sum(axis=0)
    w1 -= 1.0 * ucz.T @ dh
    b1 -= 1.0 * dh.sum(axis=0)
    if epoka % 300 == 0:
        print("epoka", epoka, "strata", -np.mean(np.log(p[cel == 1])))
print("trafnosc na tescie", np.mean(siec(test)[1].argmax(1) == numer[120:]))
