import numpy as np

rng = np.random.RandomState(123)
n_samples = 1000
X = rng.normal(size=(n_samples, 2))
y = np.floor(np.hypot(X[:, 0], X[:, 1]) * 2).clip(0, 3).astype(int)
Y = np.zeros((n_samples, 4)); Y[np.arange(n_samples), y] = 1

class Config:
    hidden = 25
    epsilon = 0.1

model = {
    "W1": rng.randn(2, Config.hidden) / np.sqrt(2),
    "b1": np.zeros((1, Config.hidden)),
    "W2": rng.randn(Config.hidden, 4) / np.sqrt(Config.hidden),
    "b2": np.zeros((1, 4)),
}

def forward(model, x):
    a1 = np.tanh(x.dot(model["W1"]) + model["b1"])
    z2 = a1.dot(model["W2"]) + model["b2"]
    exp_scores = np.exp(z2 - z2.max(axis=1, keepdims=True))
    return a1, exp_scores / np.sum(exp_scores, axis=1, keepdims=True)

def cost(model):
    _, p = forward(model, X)
    return -np.log(p[np.arange(n_samples), y] + 1e-12).mean()

for i in range(600):
    a1, probs = forward(model, X)
    delta3 = probs - Y
    dW2 = (a1.T).dot(delta3)
    db2 = np.sum(delta3, axis=0, keepdims=True)
    delta2 = delta3.dot(model["W2"].T) * (1 - np.power(a1, 2))
    dW1 = np.dot(X.T, delta2)
    db1 = np.sum(delta2, axis=0)
    model["W1"] += -Config.epsilon * dW1
    model["b1"] += -Config.epsilon * db1
    model["W2"] += -Config.epsilon * dW2
    model["b2"] += -Config.epsilon * db2
    if i % 100 == 0:
        print("Loss after iteration %i: %f" % (i, cost(model)))
print("accuracy", np.mean(forward(model, X)[1].argmax(axis=1) == y))
