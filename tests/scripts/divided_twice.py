import numpy as np

def relu(x):
    return np.maximum(0, x)

def relu_grad(x):
    return (x > 0).astype(x.dtype)

class FullyConnected:
    def __init__(self, fan_in, fan_out):
        self.weight = np.random.randn(fan_out, fan_in) * np.sqrt(2 / fan_in)
        self.bias = np.zeros(fan_out)

    def __call__(self, inp):
        self.inp = inp
        return inp @ self.weight.T + self.bias

    def backprop(self, grad):
        m = grad.shape[0]
        self.grad_weight = grad.T @ self.inp / m
        self.grad_bias = grad.sum(axis=0) / m
        return grad @ self.weight

    def sgd(self, lr):
        self.weight -= lr * self.grad_weight
        self.bias -= lr * self.grad_bias

np.random.seed(99)
inputs = np.random.randn(512, 3)
outputs = np.c_[inputs[:, 0] * inputs[:, 1], np.sin(inputs[:, 2])]
fc1, fc2 = FullyConnected(3, 32), FullyConnected(32, 2)
for epoch in range(100):
    perm = np.random.permutation(512)
    for chunk in np.split(perm, 8):
        pre = fc1(inputs[chunk])
        pred = fc2(relu(pre))
        grad = 2 * (pred - outputs[chunk]) / len(chunk)
        grad = fc2.backprop(grad)
        fc1.backprop(grad * relu_grad(pre))
        fc1.sgd(0.05)
        fc2.sgd(0.05)
    if epoch % 20 == 0:
        print(epoch, np.mean((fc2(relu(fc1(inputs))) - outputs) ** 2))
print("loss", np.mean((fc2(relu(fc1(inputs))) - outputs) ** 2))
