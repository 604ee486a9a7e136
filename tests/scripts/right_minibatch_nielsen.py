import random
import numpy as np

class Network(object):
    def __init__(self, sizes):
        self.num_layers = len(sizes)
        self.biases = [np.random.randn(y, 1) for y in sizes[1:]]
        self.weights = [np.random.randn(y, x) for x, y in zip(sizes[:-1], sizes[1:])]

    def feedforward(self, a):
        for b, w in zip(self.biases, self.weights):
            a = sigmoid(np.dot(w, a) + b)
        return a

    def sgd(self, training_data, epochs, mini_batch_size, eta):
        for j in range(epochs):
            random.shuffle(training_data)
            for k in range(0, len(training_data), mini_batch_size):
                self.update_mini_batch(training_data[k:k + mini_batch_size], eta)
            if j % 5 == 0:
                print("Epoch", j, self.evaluate(training_data), "/", len(training_data))

    def update_mini_batch(self, batch, eta):
        sum_b = [np.zeros(b.shape) for b in self.biases]
        sum_w = [np.zeros(w.shape) for w in self.weights]
        for x, y in batch:
            nb, nw = self.gradients(x, y)
            sum_b = [s + n for s, n in zip(sum_b, nb)]
            sum_w = [s + n for s, n in zip(sum_w, nw)]
        self.weights = [w - (eta / len(batch)) * s for w, s in zip(self.weights, sum_w)]
        self.biases = [b - (eta / len(batch)) * s for b, s in zip(self.biases, sum_b)]

    def gradients(self, x, y):
        zs, acts = [], [x]
        for b, w in zip(self.biases, self.weights):
            zs.append(np.dot(w, acts[-1]) + b)
            acts.append(sigmoid(zs[-1]))
        gb, gw = [None] * len(self.biases), [None] * len(self.weights)
        delta = (acts[-1] - y) * sigmoid_prime(zs[-1])
        gb[-1], gw[-1] = delta, np.dot(delta, acts[-2].T)
        for l in range(2, self.num_layers):
            delta = np.dot(self.weights[-l + 1].T, delta) * sigmoid_prime(zs[-l])
            gb[-l], gw[-l] = delta, np.dot(delta, acts[-l - 1].T)
        return gb, gw

    def evaluate(self, data):
        return sum(int(np.argmax(self.feedforward(x)) == np.argmax(y)) for x, y in data)

def sigmoid(z):
    return 1.0 / (1.0 + np.exp(-z))

def sigmoid_prime(z):
    return sigmoid(z) * (1 - sigmoid(z))

np.random.seed(5)
random.seed(5)
glyphs = np.random.rand(5, 20, 1)
data = []
for i in range(200):
    k = i % 5
    data.append((glyphs[k] + 0.2 * np.random.randn(20, 1), np.eye(5)[:, k:k + 1]))
net = Network([20, 15, 5])
net.sgd(data, 21, 10, 3.0)
print("right", net.evaluate(data))
