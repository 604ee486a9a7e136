from math import exp
from random import Random

rnd = Random(3)

def s(x): return 1 / (1 + exp(-x))

# poids d'un réseau 2-2-1, écrits un par un
w11, w12, w21, w22 = (rnd.gauss(0, 2) for _ in range(4))
v1, v2 = rnd.gauss(0, 2), rnd.gauss(0, 2)
b1 = b2 = c = 0.1
donnees = [((0, 0), 0), ((0, 1), 0), ((1, 0), 0), ((1, 1), 1)]
eta = 1.0
for epoque in range(2000):
    cout = 0
    for (x1, x2), y in donnees:
        h1 = s(w11 * x1 + w12 * x2 + b1)
        h2 = s(w21 * x1 + w22 * x2 + b2)
        o = s(v1 * h1 + v2 * h2 + c)
        cout += 0.5 * (y - o) ** 2
        do = (o - y) * o * (1 - o)
        dh1 = do * v1 * h1 * (1 - h1)
        dh2 = do * v2 * h2 * (1 - h2)
        v1 -= eta * do * h1
        v2 -= eta * do * h2
        c -= eta * do
        w11 -= eta * dh1 * x1
        w12 -= eta * dh1 * x2
        w21 -= eta * dh2 * x1
        w22 -= eta * dh2 * x2
        b1 -= eta * dh1
        b2 -= eta * dh2
    if epoque % 500 == 0:
        print("époque", epoque, "coût", cout)
print("coût", cout)
