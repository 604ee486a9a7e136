import numpy as np

np.random.seed(70)
W_hidden = np.random.uniform(-0.5, 0.5, (6, 3))
W_output = np.random.uniform(-0.5, 0.5, (2, 6))
bias_hidden = np.zeros(6)
bias_output = np.zeros(2)

samples = np.random.uniform(-1, 1, (200, 3))
answers = np.column_stack([np.abs(samples[:, 0]), samples[:, 1] * 0.5 + samples[:, 2] * 0.5])

def run(v):
    hidden = np.tanh(W_hidden @ v + bias_hidden)
    return hidden, W_output @ hidden + bias_output

for epoch in range(60):
    sse = 0
    for v, answer in zip(samples, answers):
        hidden, output = run(v)
        error = answer - output
        sse += error @ error
        hidden_error = (error @ W_output) * (1 - hidden ** 2)
        W_output += 0.05 * np.outer(error, hidden)
        bias_output += 0.05 * error
        W_hidden += 0.05 * np.outer(hidden_error, v)
        bias_hidden += 0.05 * hidden_error
    if epoch % 10 == 0:
        print("epoch", epoch, "sse", sse)
print("sse", sse)
