from __future__ import annotations
from dataclasses import dataclass, field
import numpy as np

Array = np.ndarray

@dataclass
class Layer:
    weight: Array
    bias: Array
    act: str = "tanh"
    inp: Array | None = field(default=None, repr=False)
    out: Array | None = field(default=None, repr=False)

    @classmethod
    def create(cls, rng: np.random.Generator, n: int, m: int, act: str = "tanh") -> Layer:
        return cls(rng.standard_normal((n, m)) / np.sqrt(n), np.zeros(m), act)

    def __call__(self, x: Array) -> Array:
        self.inp = x
        z = x @ self.weight + self.bias
        self.out = np.tanh(z) if self.act == "tanh" else z
        return self.out

    def grad(self, g: Array) -> tuple[Array, Array, Array]:
        if self.act == "tanh":
            g = g * (1.0 - self.out**2)
        return self.inp.T @ g, g.sum(axis=0), g @ self.weight.T

def train(layers: list[Layer], x: Array, y: Array, steps: int, lr: float) -> float:
    for step in range(steps):
        out = x
        for layer in layers:
            out = layer(out)
        residual = out - y
        g = 2 * residual / residual.size
        updates = []
        for layer in layers[::-1]:
            dw, db, g = layer.grad(g)
            updates.append((layer, dw, db))
        for layer, dw, db in updates:
            layer.weight = layer.weight - lr * dw
            layer.bias = layer.bias - lr * db
        if step % 500 == 0:
            print(f"{step=} mse={np.mean(residual**2):.4f}")
    return float(np.mean(residual**2))

rng = np.random.default_rng(5)
x = rng.uniform(-2, 2, (300, 2))
y = np.exp(-(x**2).sum(axis=1, keepdims=True))
layers = [Layer.create(rng, 2, 20), Layer.create(rng, 20, 20), Layer.create(rng, 20, 1, "linear")]
print("mse:", train(layers, x, y, 2000, 0.2))
