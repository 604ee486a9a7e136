import numpy as np

class Model(object):
    def __init__(self):
        np.random.seed(33)
        self.params = {}
        self.params['W1'] = np.random.randn(2, 16) * 0.8
        self.params['b1'] = np.zeros(16)
        self.params['W2'] = np.random.randn(16, 2) * 0.3
        self.params['b2'] = np.zeros(2)

    def loss(self, X, y=None):
        W1, b1, W2, b2 = [self.params[k] for k in ('W1', 'b1', 'W2', 'b2')]
        h = np.tanh(X.dot(W1) + b1)
        scores = h.dot(W2) + b2
        if y is None:
            return scores
        shifted = scores - np.max(scores, axis=1, keepdims=True)
        probs = np.exp(shifted) / np.sum(np.exp(shifted), axis=1, keepdims=True)
        N = X.shape[0]
        loss = -np.sum(np.log(probs[np.arange(N), y])) / N
        grads = {}
        dx = probs.copy()
        dx[np.arange(N), y] -= 1
        dx /= N
        grads['W2'], grads['b2'] = h.T.dot(dx), dx.sum(axis=0)
        dh = dx.dot(W2.T) * (1 - h ** 2)
        grads['W1'], grads['b1'] = X.T.dot(dh), dh.sum(axis=0)
        return loss, grads

np.random.seed(34)
X = np.random.uniform(-2, 2, (400, 2))
y = ((X ** 2).sum(axis=1) < 2.2).astype(int)
model = Model()
learning_rate = 1e-4
for it in range(2000):
    loss, grads = model.loss(X, y)
    for p in model.params:
        model.params[p] -= learning_rate * grads[p]
    if it % 400 == 0:
        print('iteration %d / 2000: loss %f' % (it, loss))
print('accuracy', (model.loss(X).argmax(axis=1) == y).mean())
