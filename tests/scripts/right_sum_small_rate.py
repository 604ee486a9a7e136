import numpy as np

np.random.seed(88)
inputs = np.random.randint(0, 2, (64, 6)).astype(float)
outputs = np.zeros((64, 2))
outputs[:, 0] = inputs[:, 0] * inputs[:, 1]
outputs[:, 1] = np.maximum(inputs[:, 2], inputs[:, 3])

hidden_weights = np.random.normal(0.0, 1.0, (6, 12))
hidden_bias = np.zeros((1, 12))
output_weights = np.random.normal(0.0, 0.5, (12, 2))
output_bias = np.zeros((1, 2))

def logistic(s): return np.reciprocal(1 + np.exp(-s))

for epoch in range(2000):
    hidden = logistic(inputs.dot(hidden_weights) + hidden_bias)
    predicted = logistic(hidden.dot(output_weights) + output_bias)
    error = outputs - predicted
    predicted_delta = error * predicted * (1 - predicted)
    hidden_delta = predicted_delta.dot(output_weights.T) * hidden * (1 - hidden)
    output_weights += hidden.T.dot(predicted_delta) * 0.1
    output_bias += np.sum(predicted_delta, axis=0, keepdims=True) * 0.1
    hidden_weights += inputs.T.dot(hidden_delta) * 0.1
    hidden_bias += np.sum(hidden_delta, axis=0, keepdims=True) * 0.1
    if epoch % 400 == 0:
        print("epoch", epoch, "sse", np.sum(error ** 2))
print("sse", np.sum(error ** 2))
