import numpy as np

np.random.seed(22)
num_examples = 300
X = np.random.randn(num_examples, 2)
y = (np.sin(2 * X[:, 0]) > X[:, 1]).astype(int)

nn_input_dim, nn_output_dim, nn_hdim = 2, 2, 15
epsilon, reg_lambda = 0.01, 0.01

W1 = np.random.randn(nn_input_dim, nn_hdim) / np.sqrt(nn_input_dim)
b1 = np.zeros((1, nn_hdim))
W2 = np.random.randn(nn_hdim, nn_output_dim) / np.sqrt(nn_hdim)
b2 = np.zeros((1, nn_output_dim))

for i in range(3000):
    z1 = X.dot(W1) + b1
    a1 = np.tanh(z1)
    z2 = a1.dot(W2) + b2
    exp_scores = np.exp(z2)
    probs = exp_scores / np.sum(exp_scores, axis=1, keepdims=True)

    delta3 = probs
    delta3[range(num_examples), y] -= 1
    dW2 = (a1.T).dot(delta3)
    db2 = np.sum(delta3, axis=0, keepdims=True)
    delta2 = delta3.dot(W2.T) * (1 - np.power(a1, 2))
    dW1 = np.dot(X.T, delta2)
    db1 = np.sum(delta2, axis=0)

    dW2 += reg_lambda * W2
    dW1 += reg_lambda * W1

    W1 += -epsilon * dW1
    b1 += -epsilon * db1
    W2 += -epsilon * dW2
    b2 += -epsilon * db2
    if i % 1000 == 0:
        print("iteration", i)
prediction = np.argmax(np.tanh(X.dot(W1) + b1).dot(W2) + b2, axis=1)
print("accuracy", (prediction == y).mean())
