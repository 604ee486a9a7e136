"""¿El cliente compra? Datos: edad, ingreso anual, visitas."""
import csv
import numpy as np

# generar un archivo de ejemplo
gen = np.random.default_rng(11)
with open("clientes.csv", "w", newline="") as f:
    w = csv.writer(f)
    w.writerow(["edad", "ingreso", "visitas", "compra"])
    for _ in range(250):
        edad, ingreso, visitas = gen.integers(18, 80), gen.normal(32000, 9000), gen.poisson(5)
        w.writerow([edad, round(ingreso), visitas, int(ingreso / 9000 + visitas / 2 - edad / 20 > 4)])

filas = []
with open("clientes.csv") as f:
    for fila in csv.DictReader(f):
        filas.append([float(fila[c]) for c in ("edad", "ingreso", "visitas", "compra")])
datos = np.array(filas)
X, Y = datos[:, :3], datos[:, 3:]

def sigmoide(z):
    return 1 / (1 + np.exp(-z))

np.random.seed(5)
pesos1 = np.random.randn(3, 5) * 0.5
sesgo1 = np.zeros((1, 5))
pesos2 = np.random.randn(5, 1) * 0.5
sesgo2 = np.zeros((1, 1))
tasa = 0.5

for epoca in range(2000):
    oculta = sigmoide(X @ pesos1 + sesgo1)
    salida = sigmoide(oculta @ pesos2 + sesgo2)
    error = salida - Y
    delta2 = error / len(X)
    delta1 = (delta2 @ pesos2.T) * oculta * (1 - oculta)
    pesos2 -= tasa * oculta.T @ delta2
    sesgo2 -= tasa * delta2.sum(axis=0, keepdims=True)
    pesos1 -= tasa * X.T @ delta1
    sesgo1 -= tasa * delta1.sum(axis=0, keepdims=True)
    if epoca % 400 == 0:
        print("época", epoca, "error", np.mean(error ** 2))
print("aciertos", np.mean((salida > 0.5) == (Y > 0.5)))
