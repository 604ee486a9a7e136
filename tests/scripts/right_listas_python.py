# rede neural sem numpy, somente listas
import math, random

random.seed(10)

def sig(v):
    return 1.0 / (1.0 + math.exp(-v))

entradas = [[0, 0], [0, 1], [1, 0], [1, 1]]
alvos = [0, 1, 1, 0]
n_oculta = 3
pesos_oculta = [[random.uniform(-1, 1) for _ in range(3)] for _ in range(n_oculta)]  # o último é o bias
pesos_saida = [random.uniform(-1, 1) for _ in range(n_oculta + 1)]
taxa = 0.7

for epoca in range(4000):
    erro_total = 0.0
    for x, alvo in zip(entradas, alvos):
        oculta = [sig(w[0] * x[0] + w[1] * x[1] + w[2]) for w in pesos_oculta]
        saida = sig(sum(p * o for p, o in zip(pesos_saida, oculta)) + pesos_saida[-1])
        erro = alvo - saida
        erro_total += erro ** 2
        delta_saida = erro * saida * (1 - saida)
        deltas = [delta_saida * pesos_saida[j] * oculta[j] * (1 - oculta[j]) for j in range(n_oculta)]
        for j in range(n_oculta):
            pesos_saida[j] += taxa * delta_saida * oculta[j]
        pesos_saida[-1] += taxa * delta_saida
        for j in range(n_oculta):
            pesos_oculta[j][0] += taxa * deltas[j] * x[0]
            pesos_oculta[j][1] += taxa * deltas[j] * x[1]
            pesos_oculta[j][2] += taxa * deltas[j]
    if epoca % 1000 == 0:
        print("época", epoca, "erro", erro_total)
print("erro final", erro_total)
