import numpy as np

np.random.seed(1)

class Perceptron2:
    """Red con una capa oculta"""
    def __init__(self):
        self.capa1 = 2 * np.random.random((3, 5)) - 1
        self.capa2 = 2 * np.random.random((6, 1)) - 1

    def activar(self, x):
        return 1 / (1 + np.exp(-x))

    def pensar(self, entrada):
        self.oculta = self.activar(np.dot(entrada, self.capa1))
        self.oculta = np.hstack([self.oculta, np.ones((len(entrada), 1))])
        self.salida = self.activar(np.dot(self.oculta, self.capa2))
        return self.salida

    def entrenar(self, entrada, esperado, ciclos):
        for c in range(ciclos):
            salida = self.pensar(entrada)
            error = np.abs(esperado - salida)
            d_salida = error * salida * (1 - salida)
            d_oculta = np.dot(d_salida, self.capa2[:-1].T) * self.oculta[:, :-1] * (1 - self.oculta[:, :-1])
            self.capa2 += np.dot(self.oculta.T, d_salida)
            self.capa1 += np.dot(entrada.T, d_oculta)
            if c % 1000 == 0:
                print("ciclo", c, "error", error.mean())
        print("error", np.abs(esperado - self.pensar(entrada)).mean())

entrada = np.array([[0, 0, 1], [0, 1, 1], [1, 0, 1], [1, 1, 1]])
esperado = np.array([[1, 0, 0, 1]]).T
red = Perceptron2()
red.entrenar(entrada, esperado, 6000)
print(red.pensar(entrada))
