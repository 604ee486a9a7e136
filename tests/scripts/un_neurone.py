# réseau minuscule en python pur : 1 entrée, 2 neurones cachés, 1 sortie
import math
import random

random.seed(4)

def sigmoide(x):
    return 1 / (1 + math.exp(-x))

w1, w2 = random.uniform(-1, 1), random.uniform(-1, 1)
v1, v2 = random.uniform(-1, 1), random.uniform(-1, 1)
b1, b2, c = 0.5, -0.5, 0.0
pas = 0.8

exemples = [(-2.0, 0), (-1.5, 0), (-1.0, 0), (-0.3, 1), (0.0, 1), (0.4, 1), (1.1, 0), (1.6, 0), (2.2, 0)]

for tour in range(8000):
    x, cible = random.choice(exemples)
    h1 = sigmoide(w1 * x + b1)
    h2 = sigmoide(w2 * x + b2)
    s = sigmoide(v1 * h1 + v2 * h2 + c)
    erreur = s - cible
    d = erreur * s * (1 - s)
    d1 = d * v1 * h1 * (1 - h1)
    d2 = d * v2 * h2 * (1 - h2)
    v1 -= pas * d * v1
    v2 -= pas * d * v2
    c -= pas * d
    w1 -= pas * d1 * w1
    w2 -= pas * d2 * w2
    b1 -= pas * d1
    b2 -= pas * d2

perte = 0
for x, cible in exemples:
    h1, h2 = sigmoide(w1 * x + b1), sigmoide(w2 * x + b2)
    s = sigmoide(v1 * h1 + v2 * h2 + c)
    perte += (s - cible) ** 2
    print(x, cible, round(s, 3))
print("perte totale", perte)
