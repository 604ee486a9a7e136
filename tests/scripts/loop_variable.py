import numpy as np
np.random.seed(7)

X = np.random.randn(4, 200)
Y = (np.abs(X).sum(axis=0, keepdims=True) > 3) * 1.0

Ws = [np.random.randn(10, 4) * 0.5, np.random.randn(1, 10) * 0.5]
bs = [np.zeros((10, 1)), np.zeros((1, 1))]

def predict(x):
    acts = [x]
    for W, b in zip(Ws, bs):
        acts.append(1 / (1 + np.exp(-(W @ acts[-1] + b))))
    return acts

for step in range(2000):
    acts = predict(X)
    delta = (acts[-1] - Y) / X.shape[1]
    dWs, dbs = [], []
    for l in (1, 0):
        dWs.insert(0, delta @ acts[l].T)
        dbs.insert(0, delta.sum(axis=1, keepdims=True))
        delta = Ws[l].T @ delta * acts[l] * (1 - acts[l])
    for W, b, dW, db in zip(Ws, bs, dWs, dbs):
        W = W - 2.0 * dW
        b = b - 2.0 * db
    if step % 400 == 0:
        print("step", step, "cost", -np.mean(Y * np.log(acts[-1]) + (1 - Y) * np.log(1 - acts[-1])))
print("accuracy", np.mean((predict(X)[-1] > 0.5) == (Y > 0.5)))
