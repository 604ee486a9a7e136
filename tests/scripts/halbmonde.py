# Zwei Halbmonde mit einem kleinen Netz
import numpy as np

rng = np.random.RandomState(1)
n = 120
winkel = rng.rand(n) * np.pi
oben = np.c_[np.cos(winkel[:60]), np.sin(winkel[:60])]
unten = np.c_[1 - np.cos(winkel[60:]), 0.4 - np.sin(winkel[60:])]
daten = np.vstack([oben, unten]) + 0.1 * rng.randn(n, 2)
klasse = np.r_[np.zeros(60), np.ones(60)].reshape(n, 1)
reihenfolge = rng.permutation(n)
daten, klasse = daten[reihenfolge], klasse[reihenfolge]
trainX, testX = daten[:80], daten[80:]
trainY, testY = klasse[:80], klasse[80:]


def aktivierung(z):
    return np.tanh(z)


def sig(z):
    return 1.0 / (1.0 + np.exp(-z))


def vorwaerts(x, g1, s1, g2, s2):
    h = aktivierung(x @ g1 + s1)
    return h, sig(h @ g2 + s2)


def rueckwaerts(x, y, h, aus, g2):
    fehler = (aus - y) / len(x)
    fehler_h = fehler @ g2.T * (1 - h ** 2)
    return x.T @ fehler_h, fehler_h, h.T @ fehler, fehler


gewichte1 = rng.randn(2, 6) * 0.7
schwelle1 = np.zeros((1, 6))
gewichte2 = rng.randn(6, 1) * 0.4
schwelle2 = np.zeros((1, 1))
rate = 0.3
for runde in range(3000):
    h, aus = vorwaerts(trainX, gewichte1, schwelle1, gewichte2, schwelle2)
    dg1, ds1, dg2, ds2 = rueckwaerts(trainX, trainY, h, aus, gewichte2)
    gewichte1 = gewichte1 - rate * dg1
    schwelle1 = schwelle1 - rate * ds1
    gewichte2 = gewichte2 - rate * dg2
    schwelle2 = schwelle2 - rate * ds2
    if runde % 500 == 0:
        print("Runde", runde, "Fehler", np.mean((aus - trainY) ** 2))

print("Training richtig:", np.mean((aus > 0.5) == trainY))
_, aus = vorwaerts(testX, gewichte1, schwelle1.mean(axis=0), gewichte2, schwelle2.mean(axis=0))
print("Test richtig:", np.mean((aus > 0.5) == testY))
