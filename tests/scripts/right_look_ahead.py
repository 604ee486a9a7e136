import numpy as np

zufall = np.random.RandomState(23)
x = zufall.uniform(-3, 3, (300, 1))
y = np.cos(x) + 0.2 * x


class Schicht:
    def __init__(self, ein, aus):
        self.gewichte = zufall.randn(ein, aus) / np.sqrt(ein)
        self.schwellen = np.zeros(aus)
        self.tempo_g = np.zeros_like(self.gewichte)
        self.tempo_s = np.zeros_like(self.schwellen)
        self.summe_g = np.zeros_like(self.gewichte)
        self.summe_s = np.zeros_like(self.schwellen)


class Netz:
    def __init__(self, *groessen):
        self.schichten = [Schicht(a, b) for a, b in zip(groessen, groessen[1:])]

    def vorwaerts(self, x):
        self.werte = [x]
        for nummer, s in enumerate(self.schichten):
            z = self.werte[-1] @ s.gewichte + s.schwellen
            self.werte.append(z if nummer == len(self.schichten) - 1 else np.tanh(z))
        return self.werte[-1]

    def gradienten(self, y):
        delta = 2 * (self.werte[-1] - y) / len(y)
        ergebnis = []
        for nummer in reversed(range(len(self.schichten))):
            ergebnis.insert(0, (self.werte[nummer].T @ delta, delta.sum(axis=0)))
            if nummer > 0:
                delta = delta @ self.schichten[nummer].gewichte.T * (1 - self.werte[nummer] ** 2)
        return ergebnis

    def nesterov(self, x, y, rate=0.02, mu=0.9):
        for s in self.schichten:
            s.gewichte += mu * s.tempo_g
            s.schwellen += mu * s.tempo_s
        self.vorwaerts(x)
        for s, (dg, ds) in zip(self.schichten, self.gradienten(y)):
            s.gewichte -= rate * dg
            s.schwellen -= rate * ds
            s.tempo_g = mu * s.tempo_g - rate * dg
            s.tempo_s = mu * s.tempo_s - rate * ds

    def adagrad(self, x, y, rate=0.02):
        self.vorwaerts(x)
        for s, (dg, ds) in zip(self.schichten, self.gradienten(y)):
            s.summe_g += dg ** 2
            s.summe_s += ds ** 2
            s.gewichte -= rate * dg / (np.sqrt(s.summe_g) + 1e-8)
            s.schwellen -= rate * ds / (np.sqrt(s.summe_s) + 1e-8)


netz = Netz(1, 20, 1)
for schritt in range(2000):
    netz.nesterov(x, y)
for schritt in range(1000):
    netz.adagrad(x, y)
print("Fehler", np.mean((netz.vorwaerts(x) - y) ** 2))
