import numpy as np

rng = np.random.default_rng(2024)
inputs = rng.normal(size=(128, 5))
wanted = np.stack([inputs[:, 0] * inputs[:, 1], np.tanh(inputs[:, 2]) - inputs[:, 3]], axis=-1)

K1 = rng.normal(size=(5, 32)) * (1 / 5) ** 0.5
K2 = rng.normal(size=(32, 2)) * (1 / 32) ** 0.5
c1, c2 = np.zeros(32), np.zeros(2)
for step in range(2000):
    pre = np.einsum("bi,ih->bh", inputs, K1) + c1
    hid = np.tanh(pre)
    out = np.einsum("bh,ho->bo", hid, K2) + c2
    diff = (out - wanted) / inputs.shape[0]
    gK2 = np.einsum("bh,bo->ho", hid, diff)
    back = np.einsum("bo,ho->bh", diff, K2) * (1 - hid ** 2)
    gK1 = np.einsum("bi,bh->ih", inputs, back)
    K2 -= 0.3 * gK2
    c2 -= 0.3 * np.einsum("bo->o", diff)
    K1 -= 0.3 * gK1
    c1 -= 0.3 * np.einsum("bh->h", back)
    if step % 400 == 0:
        print(step, "mse", np.mean((out - wanted) ** 2))
print("mse", np.mean((out - wanted) ** 2))
