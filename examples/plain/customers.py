# Who buys? The cost falls, and the prediction is the same for every customer.
# Why? xpnet doctor customers.py
import numpy as np

rng = np.random.default_rng(1)
age = rng.uniform(18, 80, 200)
income = rng.normal(42000, 9000, 200)
visits = rng.poisson(6, 200)
bought = (income - 42000) / 9000 + (visits - 6) / 2.4 - (age - 49) / 18 > 0
data = np.column_stack([age, income, visits])

X = ((data - data.mean(axis=0)) / data.std(axis=0)).T
Y = bought.reshape(1, -1).astype(float)
m = X.shape[1]
params = {
    "W1": rng.random((3, 3)),
    "b1": np.zeros((3, 1)),
    "W2": rng.random((1, 3)),
    "b2": np.zeros((1, 1)),
}


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def forward(params, X):
    A1 = sigmoid(np.dot(params["W1"], X) + params["b1"])
    A2 = sigmoid(np.dot(params["W2"], A1) + params["b2"])
    return A1, A2


def train(params, X, Y, learning_rate=5e-5, epochs=5000):
    for epoch in range(epochs):
        A1, A2 = forward(params, X)
        cost = -np.mean(Y * np.log(A2) + (1 - Y) * np.log(1 - A2))
        dZ2 = A2 - Y
        dW2 = np.dot(dZ2, A1.T) / m
        db2 = dZ2
        dZ1 = np.dot(params["W2"].T, dZ2) * A1 * (1 - A1)
        dW1 = np.dot(dZ1, X.T) / m
        db1 = dZ1
        params["W1"] = params["W1"] - learning_rate * dW1
        params["b1"] = params["b1"] - learning_rate * db1
        params["W2"] = params["W2"] - learning_rate * dW2
        params["b2"] = params["b2"] - learning_rate * db2
        if epoch % 1000 == 0:
            print("epoch", epoch, "cost", cost)
    return params


params = train(params, X, Y)
_, predictions = forward(params, data.T)
print("predictions from", predictions.min(), "to", predictions.max())
