import numpy as np

def relu(Z):
    return np.maximum(0, Z), Z

def sigmoid(Z):
    return 1 / (1 + np.exp(-Z)), Z

def linear_activation_forward(A_prev, W, b, activation):
    Z = W.dot(A_prev) + b
    A, activation_cache = sigmoid(Z) if activation == "sigmoid" else relu(Z)
    return A, ((A_prev, W, b), activation_cache)

def L_model_forward(X, parameters):
    caches, A, L = [], X, len(parameters) // 2
    for l in range(1, L):
        A, cache = linear_activation_forward(A, parameters["W%d" % l], parameters["b%d" % l], "relu")
        caches.append(cache)
    AL, cache = linear_activation_forward(A, parameters["W%d" % L], parameters["b%d" % L], "sigmoid")
    return AL, caches + [cache]

def linear_backward(dZ, cache):
    A_prev, W, b = cache
    m = A_prev.shape[1]
    return np.dot(W.T, dZ), 1 / m * np.dot(dZ, A_prev.T), 1 / m * np.sum(dZ, axis=1, keepdims=True)

def L_model_backward(AL, Y, caches):
    grads, L = {}, len(caches)
    dA = -(np.divide(Y, AL) - np.divide(1 - Y, 1 - AL))
    for l in reversed(range(L)):
        linear_cache, Z = caches[l]
        if l == L - 1:
            s = sigmoid(Z)[0]
            dZ = dA * s * (1 - s)
        else:
            dZ = np.array(dA, copy=True)
            dZ[Z <= 0] = 0
        dA, grads["dW%d" % (l + 1)], grads["db%d" % (l + 1)] = linear_backward(dZ, linear_cache)
    return grads

np.random.seed(1)
X = np.random.uniform(-1, 1, (2, 400))
Y = ((X[0] ** 2 + X[1] ** 2 > 0.3) & (X[0] > -0.4)).astype(float).reshape(1, -1)
dims = [2, 10, 6, 1]
parameters = {}
for l in range(1, len(dims)):
    parameters["W%d" % l] = np.random.randn(dims[l], dims[l - 1]) * np.sqrt(2 / dims[l - 1])
    parameters["b%d" % l] = np.zeros((dims[l], 1))
for i in range(2500):
    AL, caches = L_model_forward(X, parameters)
    cost = -np.mean(Y * np.log(AL) + (1 - Y) * np.log(1 - AL))
    grads = L_model_backward(AL, Y, caches)
    for key in parameters:
        parameters[key] = parameters[key] - 0.3 * grads["d" + key]
    if i % 500 == 0:
        print("Cost after iteration {}: {}".format(i, cost))
print("Accuracy: " + str(np.mean((AL > 0.5) == Y)))
