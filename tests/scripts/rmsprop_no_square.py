import numpy as np

rs = np.random.RandomState(42)
x = np.linspace(-np.pi, np.pi, 200).reshape(-1, 1)
t = np.sin(x) + 0.05 * rs.randn(200, 1)

n_hid = 20
w_h = rs.randn(1, n_hid)
b_h = np.zeros((1, n_hid))
w_o = rs.randn(n_hid, 1) * 0.3
b_o = np.zeros((1, 1))

lr = 0.01
decay = 0.9
eps = 1e-8
s_wh, s_bh, s_wo, s_bo = [np.zeros_like(p) for p in (w_h, b_h, w_o, b_o)]

for epoch in range(1500):
    h = np.tanh(x.dot(w_h) + b_h)
    y = h.dot(w_o) + b_o
    e = y - t
    loss = np.mean(e ** 2)

    g_y = 2 * e / len(x)
    g_wo = h.T.dot(g_y)
    g_bo = g_y.sum(axis=0, keepdims=True)
    g_h = g_y.dot(w_o.T) * (1 - h ** 2)
    g_wh = x.T.dot(g_h)
    g_bh = g_h.sum(axis=0, keepdims=True)

    s_wh = decay * s_wh + (1 - decay) * g_wh
    s_bh = decay * s_bh + (1 - decay) * g_bh
    s_wo = decay * s_wo + (1 - decay) * g_wo
    s_bo = decay * s_bo + (1 - decay) * g_bo

    w_h -= lr * g_wh / (np.sqrt(s_wh) + eps)
    b_h -= lr * g_bh / (np.sqrt(s_bh) + eps)
    w_o -= lr * g_wo / (np.sqrt(s_wo) + eps)
    b_o -= lr * g_bo / (np.sqrt(s_bo) + eps)
    if epoch % 300 == 0:
        print(epoch, loss)

print("final mse", loss)
