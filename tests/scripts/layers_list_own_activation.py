import numpy as np

np.random.seed(12)

def f(z):
    return 1.0 / (1.0 + np.exp(-z))

sizes = [6, 6, 6, 3]
weights = [np.random.normal(0, 1 / np.sqrt(a) * 2, (a, b)) for a, b in zip(sizes[:-1], sizes[1:])]
biases = [np.zeros(b) for b in sizes[1:]]

centers = np.random.randn(3, 6) * 1.2
labels = np.random.randint(0, 3, 240)
X = centers[labels] + np.random.randn(240, 6) * 0.8
X[:, 3:] = X[:, 3:] * X[:, :3]
T = np.eye(3)[labels]

eta = 0.5
for epoch in range(600):
    acts = [X]
    for W, b in zip(weights, biases):
        acts.append(f(acts[-1] @ W + b))
    err = acts[-1] - T
    if epoch % 100 == 0:
        print(epoch, "error", np.mean(err ** 2))
    delta = err * acts[-1] * (1 - acts[-1])
    for layer in reversed(range(len(weights))):
        if layer == len(weights) - 1:
            grad = acts[layer].T @ delta
        else:
            grad = acts[layer + 1].T @ delta
        grad_b = delta.sum(axis=0)
        delta = (delta @ weights[layer].T) * acts[layer] * (1 - acts[layer])
        weights[layer] -= eta * grad / len(X)
        biases[layer] -= eta * grad_b / len(X)

print("error", np.mean(err ** 2))
print("correct:", np.mean(acts[-1].argmax(axis=1) == labels))
