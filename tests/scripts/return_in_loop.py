import numpy as np
from sklearn.datasets import make_moons


class Dense:
    def __init__(self, n_in, n_out):
        self.weights = np.random.randn(n_in, n_out) * np.sqrt(1 / n_in)
        self.bias = np.zeros((1, n_out))

    def forward(self, x):
        self.input = x
        return np.dot(x, self.weights) + self.bias

    def backward(self, grad, lr):
        input_grad = np.dot(grad, self.weights.T)
        weights_grad = np.dot(self.input.T, grad)
        self.weights -= lr * weights_grad
        self.bias -= lr * grad.sum(axis=0, keepdims=True)
        return input_grad


class Tanh:
    def forward(self, x):
        self.out = np.tanh(x)
        return self.out

    def backward(self, grad, lr):
        return grad * (1 - self.out ** 2)


class Sigmoid:
    def forward(self, x):
        self.out = 1 / (1 + np.exp(-x))
        return self.out

    def backward(self, grad, lr):
        return grad * self.out * (1 - self.out)


class Sequential:
    def __init__(self, *layers):
        self.layers = layers

    def predict(self, x):
        for layer in self.layers:
            x = layer.forward(x)
        return x

    def backward(self, grad, lr):
        for layer in reversed(self.layers):
            grad = layer.backward(grad, lr)
            return grad

    def fit(self, x, y, epochs=100, lr=0.1, batch_size=20):
        for epoch in range(epochs):
            perm = np.random.permutation(len(x))
            loss = 0
            for i in range(0, len(x), batch_size):
                xb, yb = x[perm[i:i + batch_size]], y[perm[i:i + batch_size]]
                out = self.predict(xb)
                loss += np.mean((out - yb) ** 2)
                self.backward(2 * (out - yb) / len(xb), lr)
            if epoch % 10 == 0:
                print(f"epoch {epoch}: loss={loss:.4f}")


if __name__ == "__main__":
    np.random.seed(0)
    X, y = make_moons(n_samples=300, noise=0.1, random_state=1)
    y = y.reshape(-1, 1)
    model = Sequential(Dense(2, 16), Tanh(), Dense(16, 1), Sigmoid())
    model.fit(X, y, epochs=100, lr=0.5)
    print("accuracy:", np.mean((model.predict(X) > 0.5) == y))
