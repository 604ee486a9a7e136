from right_layers import Dense, ReLU, SoftmaxCrossEntropy
import numpy as np

def load():
    rng = np.random.default_rng(17)
    centers = rng.normal(size=(6, 8)) * 1.5
    labels = rng.integers(0, 6, 480)
    return centers[labels] + rng.normal(size=(480, 8)), labels

def main():
    X, y = load()
    layers = [Dense(8, 32), ReLU(), Dense(32, 6)]
    loss = SoftmaxCrossEntropy()
    rng = np.random.default_rng(18)
    for epoch in range(30):
        total = 0.0
        for rows in np.array_split(rng.permutation(len(X)), 16):
            out = X[rows]
            for layer in layers:
                out = layer.forward(out)
            total += loss.forward(out, y[rows])
            grad = loss.backward()
            for layer in reversed(layers):
                grad = layer.backward(grad)
            for layer in layers:
                layer.step(0.2)
        if epoch % 10 == 0:
            print("epoch", epoch, "loss", total / 16)
    out = X
    for layer in layers:
        out = layer.forward(out)
    print("accuracy", np.mean(out.argmax(axis=1) == y))

if __name__ == "__main__":
    main()
