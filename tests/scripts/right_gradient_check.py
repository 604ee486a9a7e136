import numpy as np

np.random.seed(1)
X = np.random.uniform(-1, 1, (60, 3))
T = (X[:, :1] > X[:, 1:2] * X[:, 2:]).astype(float)
theta = {"W1": np.random.randn(3, 7), "b1": np.random.randn(7) * 0.1, "W2": np.random.randn(7, 1), "b2": np.zeros(1)}

def cost_and_grads(theta):
    A = np.tanh(X @ theta["W1"] + theta["b1"])
    P = 1 / (1 + np.exp(-(A @ theta["W2"] + theta["b2"])))
    J = -np.mean(T * np.log(P) + (1 - T) * np.log(1 - P))
    d = (P - T) / len(X)
    dA = d @ theta["W2"].T * (1 - A ** 2)
    return J, {"W1": X.T @ dA, "b1": dA.sum(0), "W2": A.T @ d, "b2": d.sum(0)}

# compare with finite differences before training
_, g = cost_and_grads(theta)
for name in theta:
    flat, worst = theta[name].reshape(-1), 0
    for i in range(flat.size):
        old = flat[i]
        flat[i] = old + 1e-5
        plus = cost_and_grads(theta)[0]
        flat[i] = old - 1e-5
        minus = cost_and_grads(theta)[0]
        flat[i] = old
        worst = max(worst, abs((plus - minus) / 2e-5 - g[name].reshape(-1)[i]))
    print("gradient check", name, worst)

for step in range(3000):
    J, g = cost_and_grads(theta)
    for name in theta:
        theta[name] -= 1.0 * g[name]
    if step % 500 == 0:
        print("step", step, "J", J)
print("J", J)
