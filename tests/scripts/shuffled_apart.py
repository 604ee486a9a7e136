import numpy as np

np.random.seed(44)
samples = np.random.randn(300, 5) 
weights_true = np.random.randn(5, 3)
classes = (samples @ weights_true).argmax(axis=1)
targets = np.eye(3)[classes]

nn = dict(w1=np.random.randn(5, 12) * 0.4, w2=np.random.randn(12, 3) * 0.4, b1=np.zeros(12), b2=np.zeros(3))

def softmax(s):
    s = np.exp(s - s.max(axis=1, keepdims=True))
    return s / s.sum(axis=1, keepdims=True)

def run(x):
    hidden = np.tanh(x @ nn["w1"] + nn["b1"])
    return hidden, softmax(hidden @ nn["w2"] + nn["b2"])

for epoch in range(200):
    np.random.shuffle(samples)
    np.random.shuffle(targets)
    for s in range(0, 300, 30):
        x, t = samples[s:s + 30], targets[s:s + 30]
        hidden, p = run(x)
        grad = (p - t) / 30
        grad_h = grad @ nn["w2"].T * (1 - hidden ** 2)
        nn["w2"] -= 0.3 * hidden.T @ grad
        nn["b2"] -= 0.3 * grad.sum(axis=0)
        nn["w1"] -= 0.3 * x.T @ grad_h
        nn["b1"] -= 0.3 * grad_h.sum(axis=0)
    if epoch % 40 == 0:
        hidden, p = run(samples)
        print("epoch", epoch, "ce", -np.mean(np.log(p[targets == 1])))
p = run(samples)[1]
print("accuracy", np.mean(p.argmax(axis=1) == (samples @ weights_true).argmax(axis=1)))
