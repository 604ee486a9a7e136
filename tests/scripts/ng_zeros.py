import numpy as np

def layer_sizes(X, Y):
    return X.shape[0], 5, Y.shape[0]

def initialize_parameters(n_x, n_h, n_y):
    parameters = {"W1": np.zeros((n_h, n_x)), "b1": np.zeros((n_h, 1)),
                  "W2": np.zeros((n_y, n_h)), "b2": np.zeros((n_y, 1))}
    return parameters

def forward_propagation(X, parameters):
    Z1 = np.dot(parameters["W1"], X) + parameters["b1"]
    A1 = np.tanh(Z1)
    Z2 = np.dot(parameters["W2"], A1) + parameters["b2"]
    A2 = 1 / (1 + np.exp(-Z2))
    return A2, {"Z1": Z1, "A1": A1, "Z2": Z2, "A2": A2}

def compute_cost(A2, Y):
    m = Y.shape[1]
    return -np.sum(Y * np.log(A2) + (1 - Y) * np.log(1 - A2)) / m

def backward_propagation(parameters, cache, X, Y):
    m = X.shape[1]
    A1, A2 = cache["A1"], cache["A2"]
    dZ2 = A2 - Y
    dW2 = 1 / m * np.dot(dZ2, A1.T)
    db2 = 1 / m * np.sum(dZ2, axis=1, keepdims=True)
    dZ1 = np.dot(parameters["W2"].T, dZ2) * (1 - np.power(A1, 2))
    dW1 = 1 / m * np.dot(dZ1, X.T)
    db1 = 1 / m * np.sum(dZ1, axis=1, keepdims=True)
    return {"dW1": dW1, "db1": db1, "dW2": dW2, "db2": db2}

def update_parameters(parameters, grads, learning_rate=0.8):
    for key in parameters:
        parameters[key] = parameters[key] - learning_rate * grads["d" + key]
    return parameters

np.random.seed(7)
X = np.random.randn(2, 300)
Y = (np.sum(X ** 2, axis=0, keepdims=True) < 1.3).astype(int)
parameters = initialize_parameters(*layer_sizes(X, Y))
for i in range(3000):
    A2, cache = forward_propagation(X, parameters)
    cost = compute_cost(A2, Y)
    grads = backward_propagation(parameters, cache, X, Y)
    parameters = update_parameters(parameters, grads)
    if i % 500 == 0:
        print("Cost after iteration %i: %f" % (i, cost))
print("Accuracy: %.1f %%" % (100 * np.mean((A2 > 0.5) == Y)))
