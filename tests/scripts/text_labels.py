"""Brustkrebs-artige Daten aus einer CSV: gutartig oder boesartig"""
import csv, os
import numpy as np

np.random.seed(81)
if not os.path.exists("proben.csv"):
    with open("proben.csv", "w", newline="") as datei:
        schreiber = csv.writer(datei, delimiter=";")
        for _ in range(240):
            werte = np.random.randn(4).round(3)
            schreiber.writerow([*werte, 1 if werte[0] + werte[1] ** 2 > 0.8 else 0])

zeilen = list(csv.reader(open("proben.csv"), delimiter=";"))
x = np.array([z[:4] for z in zeilen]).astype(float)
y = np.array([[1.0 if z[4] == 1 else 0.0] for z in zeilen])

w1 = np.random.randn(4, 12) * 0.7
b1 = np.zeros(12)
w2 = np.random.randn(12, 1) * 0.5
b2 = np.zeros(1)
for epoche in range(1500):
    a1 = np.tanh(x @ w1 + b1)
    a2 = 1 / (1 + np.exp(-(a1 @ w2 + b2)))
    d2 = (a2 - y) / len(x)
    d1 = d2 @ w2.T * (1 - a1 ** 2)
    w2 -= 1.0 * a1.T @ d2
    b2 -= 1.0 * d2.sum(0)
    w1 -= 1.0 * x.T @ d1
    b1 -= 1.0 * d1.sum(0)
    if epoche % 300 == 0:
        print("Epoche", epoche, "Fehler", np.mean((a2 - y) ** 2))
echt = np.array([[int(z[4])] for z in zeilen])
print("richtig erkannt:", np.mean((a2 > 0.5) == (echt == 1)))
