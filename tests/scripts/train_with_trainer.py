import sys
import numpy as np
from trainer import Trainer

def main():
    np.random.seed(int(sys.argv[1]) if len(sys.argv) > 1 else 0)
    X = np.random.uniform(-2, 2, (300, 2))
    Y = np.stack([np.sin(X[:, 0]), X[:, 0] * X[:, 1] / 2], axis=1)
    net = Trainer([2, 6, 6, 6, 6, 2])
    net.fit(X, Y, epochs=150, batch=20, lr=0.2)
    print("mse", np.mean((net.predict(X) - Y) ** 2))

if __name__ == "__main__":
    main()
