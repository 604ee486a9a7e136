"""Trains a small network on noisy circles.  Usage: right_args.py [--lr 0.5] [--steps 1500] [--seed 0]"""
import argparse
import sys
import numpy as np

def parse(argv):
    p = argparse.ArgumentParser()
    p.add_argument("--lr", type=float, default=0.01)
    p.add_argument("--steps", type=int, default=10)
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--units", type=int, default=16)
    return p.parse_args(argv)

def main(argv=None):
    a = parse(argv)
    np.random.seed(a.seed)
    radius = np.random.choice([0.5, 1.2], 400)
    phi = np.random.uniform(0, 2 * np.pi, 400)
    X = np.column_stack([radius * np.cos(phi), radius * np.sin(phi)]) + np.random.randn(400, 2) * 0.08
    Y = (radius > 1).astype(int)[:, None]
    W1, B1 = np.random.randn(2, a.units), np.zeros((1, a.units))
    W2, B2 = np.random.randn(a.units, 1) / np.sqrt(a.units), np.zeros((1, 1))
    for step in range(a.steps):
        hidden = np.tanh(np.dot(X, W1) + B1)
        guess = 1.0 / (1.0 + np.exp(-(np.dot(hidden, W2) + B2)))
        miss = (guess - Y) / len(Y)
        hidden_miss = np.dot(miss, W2.T) * (1.0 - hidden ** 2)
        W2 -= a.lr * np.dot(hidden.T, miss)
        B2 -= a.lr * miss.sum(axis=0, keepdims=True)
        W1 -= a.lr * np.dot(X.T, hidden_miss)
        B1 -= a.lr * hidden_miss.sum(axis=0, keepdims=True)
        if step % 300 == 0:
            print(f"step {step}", file=sys.stderr)
    print("accuracy:", float(np.mean((guess > 0.5) == Y)))
    return 0

if __name__ == "__main__":
    sys.exit(main())
