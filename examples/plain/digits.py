# Two hidden layers, one image at a time. The cost does not move.
# Why? xpnet doctor digits.py
import numpy as np
from sklearn.datasets import load_digits

images, labels = load_digits(return_X_y=True)
images = images / 16
np.random.seed(0)


class Network:
    def __init__(self, sizes):
        self.weights = [
            np.random.rand(a, b) * np.sqrt(1 / b) for a, b in zip(sizes[:-1], sizes[1:])
        ]

    def forward(self, x):
        activations = [x]
        for w in self.weights[:-1]:
            activations.append(1 / (1 + np.exp(-activations[-1] @ w)))
        z = activations[-1] @ self.weights[-1]
        e = np.exp(z - z.max())
        return activations, e / e.sum()

    def step(self, x, target, rate, decay):
        activations, output = self.forward(x)
        delta = output - target
        for layer in reversed(range(len(self.weights))):
            gradient = np.outer(activations[layer], delta)
            if layer > 0:
                a = activations[layer]
                delta = (self.weights[layer] @ delta) * a * (1 - a)
            self.weights[layer] -= rate * (gradient + decay * self.weights[layer])
        return -np.log(output[np.argmax(target)])


net = Network([64, 128, 128, 10])
targets = np.eye(10)[labels]
for epoch in range(2):
    cost = 0
    for i in np.random.permutation(1400):
        cost += net.step(images[i], targets[i], rate=0.01, decay=1e-5)
    print("epoch", epoch, "cost", cost / 1400)

right = [net.forward(x)[1].argmax() == y for x, y in zip(images[1400:], labels[1400:])]
print("accuracy", np.mean(right))
