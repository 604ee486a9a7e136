import numpy as np
import pandas as pd

draw = np.random.default_rng(5)
length, width, height = draw.uniform(0.5, 3.0, (3, 300))
density = draw.uniform(1.0, 4.0, 300)
df = pd.DataFrame({"length": length, "width": width, "height": height, "density": density})
df["cost"] = 2 * df.length * df.width + df.height
df["weight"] = df.length * df.width * df.height * df.density / 5
features = df[["length", "width", "height", "density"]].to_numpy()
labels = df[["cost", "weight"]].to_numpy()

# standardize
features = (features - features.mean(axis=1, keepdims=True)) / features.std(axis=1, keepdims=True)
labels = (labels - labels.mean(axis=0)) / labels.std(axis=0)

split = int(0.8 * len(features))
x_train, x_val = features[:split], features[split:]
y_train, y_val = labels[:split], labels[split:]

rng = np.random.RandomState(0)
params = {
    "w1": rng.normal(scale=0.5, size=(4, 32)),
    "b1": np.zeros((1, 32)),
    "w2": rng.normal(scale=0.2, size=(32, 2)),
    "b2": np.zeros((1, 2)),
}


def predict(x):
    hidden = np.tanh(np.dot(x, params["w1"]) + params["b1"])
    return hidden, np.dot(hidden, params["w2"]) + params["b2"]


for step in range(2000):
    hidden, out = predict(x_train)
    error = out - y_train
    grads = {}
    grads["w2"] = np.dot(hidden.T, error) / split
    grads["b2"] = error.mean(axis=0, keepdims=True)
    back = np.dot(error, params["w2"].T) * (1 - hidden ** 2)
    grads["w1"] = np.dot(x_train.T, back) / split
    grads["b1"] = back.mean(axis=0, keepdims=True)
    for key in params:
        params[key] -= 0.1 * grads[key]
    if step % 200 == 0:
        print(step, "train", (error ** 2).mean(), "val", ((predict(x_val)[1] - y_val) ** 2).mean())

val_pred = predict(x_val)[1]
r2 = 1 - ((val_pred - y_val) ** 2).sum() / ((y_val - y_val.mean(axis=0)) ** 2).sum()
print("R2 on validation:", r2)
