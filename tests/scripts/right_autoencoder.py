import numpy as np

np.random.seed(52)
basis = np.random.randn(2, 8)
data = np.tanh(np.random.randn(250, 2) @ basis * 0.6)
enc_w, enc_b = np.random.randn(8, 12) * 0.3, np.zeros(12)
code_w, code_b = np.random.randn(12, 2) * 0.3, np.zeros(2)
dec_w, dec_b = np.random.randn(2, 12) * 0.5, np.zeros(12)
out_w, out_b = np.random.randn(12, 8) * 0.3, np.zeros(8)
lr = 0.02
for epoch in range(60):
    np.random.shuffle(data)
    for i in range(0, 250, 10):
        x = data[i:i + 10]
        e = np.tanh(x @ enc_w + enc_b)
        c = e @ code_w + code_b
        d = np.tanh(c @ dec_w + dec_b)
        y = d @ out_w + out_b
        g = 2 * (y - x) / 10
        gd = g @ out_w.T * (1 - d ** 2)
        gc = gd @ dec_w.T
        ge = gc @ code_w.T * (1 - e ** 2)
        out_w -= lr * d.T @ g
        out_b -= lr * g.sum(0)
        dec_w -= lr * c.T @ gd
        dec_b -= lr * gd.sum(0)
        code_w -= lr * e.T @ gc
        code_b -= lr * gc.sum(0)
        enc_w -= lr * x.T @ ge
        enc_b -= lr * ge.sum(0)
    if epoch % 10 == 0:
        print("epoch", epoch, "reconstruction", np.mean((y - x) ** 2))
y = np.tanh((np.tanh(data @ enc_w + enc_b) @ code_w + code_b) @ dec_w + dec_b) @ out_w + out_b
print("explained", 1 - np.mean((y - data) ** 2) / data.var())
