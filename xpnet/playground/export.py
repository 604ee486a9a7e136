"""A playground's run as programs, in NumPy and with xpnet, with its numbers and its model."""

import io
import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np

from xpnet.playground.mistakes import MISTAKES

if TYPE_CHECKING:
    from xpnet.playground.engine import Playground

FORMULAS = {  # value and derivative
    "tanh": ("np.tanh({z})", "(1 - {a} ** 2)"),
    "relu": ("np.maximum({z}, 0)", "({z} > 0)"),
    "sigmoid": ("1 / (1 + np.exp(-{z}))", "{a} * (1 - {a})"),
    "leaky_relu": ("np.maximum({z}, 0.01 * {z})", "np.where({z} > 0, 1, 0.01)"),
    "elu": ("np.maximum({z}, 0) + np.expm1(np.minimum({z}, 0))", "(np.minimum({a}, 0) + 1)"),
    "identity": ("{z}", "1"),
}
LOG = "np.log(np.maximum({}, 1e-37))"
LOSSES = {  # value and derivative, with a the outputs and t the targets
    "squared_error": ("({a} - t) ** 2", "2 * {error}"),
    "absolute_error": ("np.abs({a} - t)", "np.sign({error})"),
    "binary_cross_entropy": (
        f"-(t * {LOG.format('{a}')} + (1 - t) * {LOG.format('1 - {a}')})",
        "{error} / np.maximum({a} * (1 - {a}), 1e-37)",
    ),
}
HEAD = '''"""{about}: the run of this address of xpnet's playground,

    #{link}

    python {name}.py    # numbers.npz has to lie beside it
"""

from pathlib import Path
{imports}
numbers = np.load(Path(__file__).with_name("numbers.npz"))
'''
DROPOUT = """
DROPOUT, KEYS = {rate}, draw("dropout").integers(1 << 63, size={layers}).astype(np.uint64)


def mixed(counter, key):  # splitmix64
    z = counter * np.uint64(0x9E3779B97F4A7C15) + key
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def keep(step, layer, a):
    counter = np.arange(a.size, dtype=np.uint64).reshape(a.shape)
    key = mixed(np.array([step], dtype=np.uint64), KEYS[layer])
    return (mixed(counter, key) < np.uint64(int((1 - DROPOUT) * 2.0**64))) / (1 - DROPOUT)

"""
START = """
SEED, STEPS, BATCH, RATE = {seed}, {steps}, {batch}, {rate}


def draw(purpose, *numbers):
    return np.random.Generator(np.random.PCG64([SEED, crc32(purpose.encode()), *numbers]))

{dropout}
x, y = numbers["x"], numbers["y"]  # (rows, 2), {scale}; (rows, 1)
{parameters}
losses = []
for step in range(STEPS):
    epoch, batch = divmod(step, -(-len(x) // BATCH))
    if batch == 0:
        order = {order}
    rows = order[batch * BATCH : (batch + 1) * BATCH]
    a0, t, m = x[rows], y[rows]{flat}, len(rows)
"""
ADAM = """    for p, g, mean, square in zip({parameters}, {gradients}, means, squares):
        mean[...] = 0.9 * mean + 0.1 * g
        square[...] = 0.999 * square + 0.001 * g**2
        root = np.sqrt(square) + 1e-8
        p -= RATE * np.sqrt(1 - 0.999 ** (step + 1)) / (1 - 0.9 ** (step + 1)) * mean / root
"""
WITH_XPNET = """
net = xpnet.MLP(
    {sizes}, hidden={hidden}, output="{output}",
    init="{init}", dtype="float64", seed={seed}, dropout={dropout},
)


class Losses(list):
    def on_train_start(self, training):
        self.change(net)

    def on_batch_end(self, training):
        self.append(float(training.loss))
        self.change(net)
        if len(self) == {steps}:
            training.stop("as many steps as in the playground")

    def change(self, net):
        for step, layer, row, column, value in {edits}:  # by hand; row -1 is the bias
            if step == len(self):
                (net.biases[layer] if row < 0 else net.weights[layer][row])[column] = value


losses = Losses()
xpnet.fit(
    net, numbers["x"], numbers["y"], loss="{loss}", optimizer=xpnet.{optimizer}({rate}),
    epochs={epochs}, batch_size={batch}, l1={l1}, l2={l2}, callbacks=[losses], progress=False,
)
"""
END = 'print(f"{len(losses)} steps, loss {losses[0]:.9f} -> {losses[-1]:.9f}")\n'


def export(play: "Playground") -> bytes:
    """Return a zip file: numpy_net.py, xpnet_net.py, numbers.npz, net.safetensors."""
    numbers, archive = io.BytesIO(), io.BytesIO()
    start = play.net.views(play.start_parameters)
    arrays = {f"W{i}": each for i, each in enumerate(start.weights, 1)}
    arrays |= {f"b{i}": each for i, each in enumerate(start.biases, 1)}
    np.savez(numbers, x=play.x[play.train], y=play.y[play.train], **arrays)
    with zipfile.ZipFile(archive, "w") as file, TemporaryDirectory() as folder:
        file.writestr("numpy_net.py", numpy_program(play))
        file.writestr("xpnet_net.py", xpnet_program(play))
        file.writestr("numbers.npz", numbers.getvalue())
        if not play.per_row:  # no network has such biases
            play.net.save(Path(folder) / "net.safetensors")
            file.write(Path(folder) / "net.safetensors", "net.safetensors")
    return archive.getvalue()


def _head(play: "Playground", name: str, imports: str) -> str:
    about = f"A {'-'.join(map(str, play.sizes))} network"
    return HEAD.format(about=about, link=play.link, name=name, imports=imports)


def xpnet_program(play: "Playground") -> str:
    """Write the run with `xpnet.fit`, which makes none of the mistakes."""
    s, steps = play.settings, len(play.losses)
    mistakes = "; ".join(MISTAKES[name][0] for name in sorted(s.wrong))
    return "".join([
        _head(play, "xpnet_net", "\nimport numpy as np\n\nimport xpnet\n"),
        f"# Not made here: {mistakes}.\n" if mistakes else "",
        WITH_XPNET.format(
            sizes=play.sizes, hidden=[name for _, name in s.hidden], output=play.net.output.name,
            init=s.init, seed=s.seed, dropout=s.dropout, steps=steps, edits=play.edits,
            loss=play.loss_name, optimizer={"sgd": "SGD", "adam": "Adam"}[s.optimizer], rate=s.rate,
            epochs=steps + 1, batch=s.batch, l1=s.l1, l2=s.l2,
        ),
        END,
    ])  # fmt: skip


def numpy_program(play: "Playground") -> str:
    """Write the run out in NumPy, layer by layer, with the mistakes that are switched on."""
    s, last = play.settings, len(play.sizes) - 1
    parameters = [f"W{i}, b{i} = numbers['W{i}'], numbers['b{i}']  # ({rows}, {units}), ({units},)"
                  for i, (rows, units) in enumerate(zip(play.sizes, play.sizes[1:], strict=False), 1)]  # fmt: skip
    names = [f"{kind}{i}" for i in range(1, last + 1) for kind in "Wb"]
    if s.optimizer == "adam":
        parameters += [f"{kind} = [np.zeros_like(each) for each in ({', '.join(names)})]"
                       for kind in ("means", "squares")]  # fmt: skip
    lines = [f"if step == {step}:\n        {'b' if row < 0 else 'W'}{layer + 1}"
             f"[{column if row < 0 else f'{row}, {column}'}] = {value}  # by hand"
             for step, layer, row, column, value in play.edits]  # fmt: skip
    lines += [*_forward(play, last), *_backward(play, last)]
    start = START.format(
        seed=s.seed, steps=len(play.losses), batch=len(play.train) if play.per_row else s.batch,
        rate=s.rate, scale=s.scale, parameters="\n".join(parameters),
        dropout=DROPOUT.format(rate=s.dropout, layers=last - 1) if s.dropout else "",
        order="np.arange(len(x))" if play.per_row else 'draw("order", epoch).permutation(len(x))',
        flat="[:, 0]" if "pairs" in s.wrong else "",
    )  # fmt: skip
    listed = ", ".join(names)
    step = "".join(f"    {p} = {p} - RATE * d{p}\n" for p in names)
    if s.optimizer == "adam":
        step = ADAM.format(parameters=f"[{listed}]", gradients=f"[d{listed.replace(', ', ', d')}]")
    body = "".join(f"    {each}\n" for each in lines)
    imports = "from zlib import crc32\n\nimport numpy as np\n"
    return _head(play, "numpy_net", imports) + start + body + step + END


def _forward(play: "Playground", last: int) -> list[str]:
    lines, s = [], play.settings
    functions = [*(name for _, name in s.hidden), play.net.output.name]
    for i, name in enumerate(functions, 1):
        below = f"h{i - 1}" if s.dropout and i > 1 else f"a{i - 1}"
        lines += [f"z{i} = {below} @ W{i} + b{i}",
                  f"a{i} = {FORMULAS[name][0].format(z=f'z{i}')}"]  # fmt: skip
        if s.dropout and i < last:
            lines += [f"k{i} = keep(step, {i - 1}, a{i})", f"h{i} = a{i} * k{i}"]
    return lines


def _backward(play: "Playground", last: int) -> list[str]:
    s, a = play.settings, f"a{last}"
    error = f"(t - {a})" if "sign" in s.wrong else f"({a} - t)"
    value, slope = (each.format(a=a, error=error) for each in LOSSES[play.loss_name])
    slopes = [FORMULAS[name][1] for name in (*(n for _, n in s.hidden), play.net.output.name)]
    if play.loss_name == "binary_cross_entropy" and not play.in_loss:  # one formula, and stable
        value, delta = f"np.logaddexp(0, z{last}) - t * z{last}", f"{error} / m"
    else:
        delta = f"back * {slopes[-1].format(a=a, z=f'z{last}')} / m * np.ones_like({a})"
    terms = f"np.sum({value}, axis=1)" if "pairs" in s.wrong else value
    lines = [f"losses.append(np.mean({terms}))"]
    if "back" in delta:
        lines.append(f"back = {slope}")
    if "pairs" in s.wrong:
        lines.append("back = np.sum(back, axis=1, keepdims=True)  # mistake: t is (m,)")
    if "sum" in s.wrong:
        lines.append("back = np.sum(back)  # mistake: one number for all rows")
    lines.append(f"d{last} = {delta}")
    for i in range(last, 0, -1):
        below = f"h{i - 1}" if s.dropout and i > 1 else f"a{i - 1}"
        penalty = f" + {s.l2} * W{i}" * bool(s.l2) + f" + {s.l1} * np.sign(W{i})" * bool(s.l1)
        summed = f"d{i}  # mistake: not summed" if play.per_row else f"np.sum(d{i}, axis=0)"
        lines += [f"dW{i} = {below}.T @ d{i}{penalty}", f"db{i} = {summed}"]
        if i > 1:
            kept = f" * k{i - 1}" if s.dropout else ""
            slope = slopes[i - 2].format(a=f"a{i - 1}", z=f"z{i - 1}")
            lines.append(f"d{i - 1} = d{i} @ W{i}.T{kept} * {slope}")
    return lines
