import numpy as np

np.random.seed(42)
size = np.random.uniform(40, 200, 300)
rooms = np.random.randint(1, 7, 300)
age = np.random.uniform(0, 60, 300)
price = 2.1 * size + 15 * rooms - 1.2 * age + np.random.normal(0, 10, 300)

X = np.column_stack([size, rooms, age])
X = (X - X.mean(axis=0)) / X.std(axis=0)
y = (price - price.mean()) / price.std()

W1 = np.random.randn(3, 8) * np.sqrt(2 / 3)
b1 = np.zeros(8)
W2 = np.random.randn(8, 1) * np.sqrt(2 / 8)
b2 = np.zeros(1)

learning_rate = 0.05
for i in range(1500):
    Z1 = X @ W1 + b1
    A1 = np.maximum(Z1, 0)
    y_pred = A1 @ W2 + b2

    loss = np.mean((y_pred - y) ** 2)

    grad_y = (y_pred - y) / len(y)
    grad_y = grad_y.mean(axis=1, keepdims=True)
    grad_W2 = A1.T @ grad_y
    grad_b2 = grad_y.sum(axis=0)
    grad_A1 = grad_y @ W2.T
    grad_A1[Z1 < 0] = 0
    grad_W1 = X.T @ grad_A1
    grad_b1 = grad_A1.sum(axis=0)

    W1 -= learning_rate * grad_W1
    b1 -= learning_rate * grad_b1
    W2 -= learning_rate * grad_W2
    b2 -= learning_rate * grad_b2
    if i % 300 == 0:
        print(f"{i:5d} mse {loss:.4f}")

pred = (np.maximum(X @ W1 + b1, 0) @ W2 + b2).ravel()
r2 = 1 - np.sum((y - pred) ** 2) / np.sum((y - y.mean()) ** 2)
print("R2:", round(r2, 3))
