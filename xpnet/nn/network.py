"""The multilayer perceptron: forward pass, backward pass, nothing else.

For layers l = 1 .. L, with x = a[0] of shape (batch, inputs):

    z[l] = a[l-1] W[l] + b[l]              pre-activations, (batch, fan_out)
    a[l] = f[l](z[l])                      activations

and from delta[L] = dLoss/dz[L], which the head gives,

    dLoss/dW[l] = a[l-1]ᵀ delta[l]         dLoss/db[l] = sum of delta[l] over the batch
    delta[l-1]  = (delta[l] W[l]ᵀ) through f[l-1]

Many networks of one architecture go through the same code, in arrays with one more axis, the first:
(networks, batch, units).
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from html import escape
from itertools import pairwise
from numbers import Integral
from typing import Any, NamedTuple

from xpnet.backend.device import CPU, DTYPES, Array, Device, device_of, is_foreign, open_device
from xpnet.errors import InputError, bad_argument, check_integers, check_numbers
from xpnet.nn.activations import HIDDEN, OUTPUTS, Activation, resolve_activation
from xpnet.nn.arrays import (
    Batch,
    as_inputs,
    as_row_weights,
    as_targets,
    is_row_source,
    put_numbers,
    row_shares,
)
from xpnet.nn.initializers import Rule, draw
from xpnet.nn.losses import Head, Loss, add_penalty_gradients, penalty, resolve_head

# Rows per forward pass in prediction. Fixed, so that results do not depend on how the caller splits
# the rows into calls. Larger blocks are slower: the allocator returns their memory to the system
# after each use.
PREDICT_ROWS = 512


class Trace(NamedTuple):
    """What one forward pass computed; the backward pass, the doctor and tests all use it."""

    inputs: list[Array]  # what each layer received, (batch, fan_in), after dropout
    pre_activations: list[Array]  # z of each layer, (batch, fan_out), the last one included
    activations: list[Array]  # a of each hidden layer, (batch, units), before dropout
    masks: list[Array] | None  # dropout's factors, (batch, units): 0 or 1 / (1 - rate)
    slopes: list[Array | None]  # f'(z) of each hidden layer, where it came with a


class Gradients(NamedTuple):
    """Derivatives of the loss, in the order and shapes of the network's parameters."""

    weights: tuple[Array, ...]  # (fan_in, fan_out)
    biases: tuple[Array, ...]  # (fan_out,)


class MLP:
    """A multilayer perceptron.

    Parameters
    ----------
    sizes : sequence of int
        Units per layer from the inputs to the outputs, for example ``[4, 16, 16, 1]``.
    hidden : str, Activation, or a sequence of one per hidden layer
        ``"relu"``, ``"tanh"``, ``"sigmoid"`` or another of `xpnet.nn.activations.HIDDEN`.
    output : str or Activation
        ``"identity"``, ``"sigmoid"``, ``"softmax"``, ``"tanh"``, ``"exp"`` or ``"softplus"``.
    init : str or callable
        A rule of `xpnet.nn.initializers`; ``"auto"`` chooses by activation; a callable gets
        ``(generator, fan_in, fan_out)``.
    dtype : {"float32", "float64"}
    device : str or Device
        ``"cpu"``, ``"gpu"``, ``"gpu:N"``.
    seed : int
        Seed of every random draw of this network and its training.
    dropout : float or sequence of float
        Share of hidden units dropped in training, in [0, 1); one for all or one per hidden layer.

    Attributes
    ----------
    weights : tuple of array, (fan_in, fan_out)
    biases : tuple of array, (fan_out,)
        Views of `flat`. Write into them, as in ``net.weights[0][...] = mine``, or use
        `set_parameters`.
    flat : array, (parameters,)
        All parameters in one vector: first all weights, then all biases.

    Raises
    ------
    InputError
        For an option that is unknown or out of range.
    DeviceError
        If the device cannot be used.
    """

    def __init__(
        self,
        sizes: Sequence[int],
        *,
        hidden: str | Activation | Sequence[str | Activation] = "relu",
        output: str | Activation = "identity",
        init: str | Rule = "auto",
        dtype: str = "float32",
        device: str | Device = "cpu",
        seed: int = 0,
        dropout: float | Sequence[float] = 0.0,
    ) -> None:
        self.sizes = checked_sizes(sizes)
        names, rates = (
            one_for_each(each, len(self.sizes) - 2, "hidden layers") for each in (hidden, dropout)
        )
        self.hidden = tuple(resolve_activation(each, HIDDEN) for each in names)
        self.output = resolve_activation(output, OUTPUTS)
        for rate in rates:
            check_numbers("must be >= 0 and below 1", dropout=rate)
        self.dropout = tuple(map(float, rates))
        check_integers(0, seed=seed)
        self.dtype, self.seed, self.init = checked_dtype(dtype), int(seed), init
        self.device = open_device(device)
        xp, names = self.device.xp, [each.name for each in (*self.hidden, self.output)]
        with self.device.active:
            drawn = (self.device.put(p, dtype) for p in draw(init, self.sizes, names, self.seed))
            self.flat = xp.concat([xp.reshape(p, (-1,)) for p in drawn])
            self._derive()

    def forward(self, x: Array, masks: list[Array] | None = None, *, slopes: bool = False) -> Trace:
        """Compute all but the output activation, which is the head's.

        Parameters
        ----------
        x : device array, (batch, inputs)
        masks : list of array, (batch, units), optional
            Dropout's factors, one array for each hidden layer.
        slopes : bool
            Also compute f'(z) where that is cheap, for a backward pass.
        """
        xp, matmul, biases = self.device.xp, self.device.matmul, self._bias_rows
        inputs: list[Array] = []
        pre_activations: list[Array] = []
        activations: list[Array] = []
        derivatives: list[Array | None] = []
        for layer, weights in enumerate(self._views.weights):
            inputs.append(x)
            z = matmul(x, weights)
            z += biases[layer]
            pre_activations.append(z)
            if layer < len(self.hidden):
                both = self._both[layer] if slopes else None
                a, slope = both(xp, z) if both else (self._forward[layer](xp, z), None)
                activations.append(a)
                derivatives.append(slope)
                x = a if masks is None else a * masks[layer]
        return Trace(inputs, pre_activations, activations, masks, derivatives)

    def backward(self, trace: Trace, delta: Array, into: Gradients | None = None) -> Gradients:
        """Return the gradients of all parameters from delta = dLoss/dz of the last layer.

        Parameters
        ----------
        trace : Trace
            From the forward pass with the same parameters.
        delta : device array, (batch, outputs)
        into : Gradients, optional
            Arrays to write to and to return; new ones by default.
        """
        device, xp = self.device, self.device.xp
        matmul, matmul_into, weights = device.matmul, device.matmul_into, self._views.weights
        gradients = self.views(xp.zeros_like(self.flat)) if into is None else into
        ones = device.ones(delta.shape[-2], self.dtype)  # times delta: its sum over the batch, fast
        for layer in range(len(weights) - 1, -1, -1):
            matmul_into(gradients.weights[layer], trace.inputs[layer].mT, delta)
            matmul_into(gradients.biases[layer], ones, delta)
            if layer > 0:
                d_a = matmul(delta, weights[layer].mT)
                if trace.masks is not None:
                    d_a *= trace.masks[layer - 1]
                slope = trace.slopes[layer - 1]
                if slope is None:
                    z, a = trace.pre_activations[layer - 1], trace.activations[layer - 1]
                    delta = self._backward[layer - 1](xp, d_a, z, a)
                else:
                    delta = d_a * slope
        return gradients

    def loss_and_gradients(
        self, batch: Batch, head: Head, masks: list[Array] | None = None,
        into: Gradients | None = None,
    ) -> tuple[Array, Gradients, Trace]:  # fmt: skip
        """Return the loss, its gradients and the trace of one batch, all on the device.

        The head comes from `xpnet.nn.losses.resolve_head`; `masks` and `into` are as in `forward`
        and `backward`. The loss is the mean over the batch, 0-d, without penalties.
        """
        trace = self.forward(batch.x, masks, slopes=True)
        losses, delta = head.value_and_delta(self.device.xp, trace.pre_activations[-1], batch.y)
        loss = self.device.vecdot(losses, batch.shares)
        return loss, self.backward(trace, delta * batch.shares[..., None], into), trace

    def gradients(
        self,
        x: Any,
        y: Any,
        *,
        loss: str | Loss = "auto",
        l1: float = 0.0,
        l2: float = 0.0,
        sample_weight: Any = None,
    ) -> tuple[float, Gradients]:
        """Return the loss of a batch, with penalties, and its gradients.

        Parameters
        ----------
        x, y, loss, l1, l2, sample_weight
            As in `xpnet.fit`.

        Returns
        -------
        loss : float
        gradients : Gradients
            Device arrays, in the shapes of `weights` and `biases`.

        Raises
        ------
        InputError
            For shapes, values and options that cannot be used.
        """
        xp, head = self.device.xp, resolve_head(self.output, loss)
        check_numbers("must be finite and >= 0", l1=l1, l2=l2)
        with self.device.active:
            x, y, row_weights = self.prepare(x, y, sample_weight)
            batch = Batch(x, y, row_shares(xp, y, row_weights))
            value, gradients, _ = self.loss_and_gradients(batch, head)
            add_penalty_gradients(xp, self.weights, gradients.weights, l1, l2)
            return float(value + penalty(xp, self.flat_weights, l1, l2)), gradients

    def loss(
        self, x: Any, y: Any, *, loss: str | Loss = "auto", sample_weight: Any = None
    ) -> float:
        """Return the mean loss over the rows, without penalties and without dropout.

        Arguments and errors are those of `gradients`.
        """
        head = resolve_head(self.output, loss)
        with self.device.active:
            return float(self.mean_loss(head, *self.prepare(x, y, sample_weight)))

    def mean_loss(self, head: Head, x: Array, y: Array, row_weights: Array | None) -> Array:
        """Return the (weighted) mean loss of prepared rows as a 0-d array."""
        xp = self.device.xp
        total = weight = 0.0
        for z, rows in self.tiles(x):
            losses, _ = head.value_and_delta(xp, z, y[..., rows, :])
            if row_weights is None:
                total, weight = total + xp.sum(losses, axis=-1), weight + losses.shape[-1]
            else:
                tile = row_weights[..., rows, 0]
                total = total + xp.sum(losses * tile, axis=-1)
                weight = weight + xp.sum(tile, axis=-1)
        return total / weight

    def predict(self, x: Any) -> Any:
        """Return the outputs, (n, outputs): probabilities or values.

        Parameters
        ----------
        x : array_like, (n, inputs), or `xpnet.RowFile`
            For an array of the library that the network computes in, the outputs are one, too;
            otherwise they are a NumPy array. A file is read block by block.
        """
        device, foreign = self.device, is_foreign(x) and device_of(x).xp is self.device.xp
        blocks = x.blocks() if is_row_source(x) else [x]
        ready = (as_inputs(each, device, self.dtype, self.sizes[0]) for each in blocks)
        with device.active:
            outputs = device.xp.concat([self.outputs(each) for each in ready], axis=0)
            return outputs if foreign else device.get(outputs)

    def outputs(self, x: Array) -> Array:
        """Return the outputs for inputs on the device; `predict` without its checks."""
        xp = self.device.xp
        tiles = [self.output.forward(xp, z) for z, _ in self.tiles(x)]
        return tiles[0] if len(tiles) == 1 else xp.concat(tiles, axis=0)

    def tiles(self, x: Array) -> Iterator[tuple[Array, slice]]:
        """Yield the last pre-activations of up to `PREDICT_ROWS` rows at a time, and which rows."""
        for start in range(0, x.shape[-2], PREDICT_ROWS):
            rows = slice(start, min(start + PREDICT_ROWS, x.shape[-2]))
            yield self.forward(x[..., rows, :]).pre_activations[-1], rows

    def prepare(
        self, x: Any, y: Any, sample_weight: Any = None
    ) -> tuple[Array, Array, Array | None]:
        """Return inputs, targets and row weights, checked, on the device."""
        device, dtype = self.device, self.dtype
        x = as_inputs(x, device, dtype, self.sizes[0])
        y = as_targets(y, device, dtype, self.sizes[-1], self.output.name, x.shape[0])
        if sample_weight is None:
            return x, y, None
        return x, y, as_row_weights(sample_weight, device, dtype, x.shape[0])

    def _derive(self) -> None:
        """Set what copies and pickles leave out: views, and activations fused for the device."""
        self._views = self.views(self.flat)
        many = self.flat.ndim == 2  # one network's biases broadcast as they are, which is faster
        self._bias_rows = [each[:, None, :] if many else each for each in self._views.biases]
        self._forward = [self.device.fuse(each.forward) for each in self.hidden]
        self._backward = [self.device.fuse(each.backward) for each in self.hidden]
        self._both = [each.both if self.device is CPU else None for each in self.hidden]

    @property
    def weights(self) -> tuple[Array, ...]:
        """The weights of each layer, (fan_in, fan_out), views of `flat`."""
        return self._views.weights

    @property
    def biases(self) -> tuple[Array, ...]:
        """The biases of each layer, (fan_out,), views of `flat`."""
        return self._views.biases

    @property
    def parameters(self) -> tuple[Array, ...]:
        """All weights, then all biases: the arrays themselves, updated in place by training."""
        return (*self.weights, *self.biases)

    @property
    def flat_weights(self) -> Array:
        """The first part of `flat`, without the biases."""
        return self.without_biases(self.flat)

    def without_biases(self, flat: Array) -> Array:
        """Return the weights' part, (..., weights), of a vector like `flat`."""
        return flat[..., : flat.shape[-1] - sum(self.sizes[1:])]

    def views(self, flat: Array) -> Gradients:
        """Return views of a vector like `flat`, in the shapes of the weights and biases."""
        xp, layers, pieces, start = self.device.xp, len(self.sizes) - 1, list[Array](), 0
        for shape in [*pairwise(self.sizes), *((fan_out,) for fan_out in self.sizes[1:])]:
            end = start + math.prod(shape)
            pieces.append(xp.reshape(flat[..., start:end], (*flat.shape[:-1], *shape), copy=False))
            start = end
        return Gradients(tuple(pieces[:layers]), tuple(pieces[layers:]))

    def set_parameters(self, weights: Sequence[Any], biases: Sequence[Any]) -> None:
        """Copy weights and biases into the network's own arrays.

        Parameters
        ----------
        weights : sequence of array, (fan_in, fan_out)
            One for each layer; they may be the network's own, in another order.
        biases : sequence of array, (fan_out,)
            One for each layer.

        Raises
        ------
        InputError
            For another number of arrays, or another shape.
        InputTypeError
            For what is not an array of real numbers.
        """
        arrays, layers = [*weights, *biases], len(self.weights)
        if len(arrays) != 2 * layers:
            raise InputError(f"{len(arrays)} arrays given; the network has {2 * layers}")
        xp, ready = self.device.xp, list[Array]()
        for i, (own, array) in enumerate(zip(self.parameters, arrays, strict=True)):
            name = f"weights[{i}]" if i < layers else f"biases[{i - layers}]"
            ready.append(put_numbers(array, self.device, self.dtype, name))
            shape, needed = tuple(ready[-1].shape), tuple(own.shape)
            if shape != needed:
                raise InputError(f"{name} has shape {shape}, but the network needs {needed}")
        with self.device.active:
            self.flat[...] = xp.concat([xp.reshape(values, (-1,)) for values in ready])  # a copy

    def with_parameters(self, flat: Array, device: Device | None = None) -> "MLP":
        """Return a network of the same architecture whose parameters are views of `flat`.

        That is (parameters,); or, for a stack of networks, (networks, parameters).
        """
        twin = object.__new__(MLP)
        twin.__dict__.update(self.__dict__, flat=flat, device=device or self.device)
        twin._derive()
        return twin

    def to(self, device: str | Device, dtype: str | None = None) -> "MLP":
        """Return a copy on another device, or in another dtype."""
        device, dtype = open_device(device), checked_dtype(dtype or self.dtype)
        own = self.device.get(self.flat).copy()
        twin = self.with_parameters(device.put(own, dtype), device)
        twin.dtype = dtype
        return twin

    def __copy__(self) -> "MLP":
        return self.with_parameters(self.flat)

    def __deepcopy__(self, memo: dict[int, Any]) -> "MLP":
        return self.to(self.device)

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what `_derive` makes; replace device and activations by their names."""
        state = {name: value for name, value in self.__dict__.items() if not name.startswith("_")}
        hidden = tuple(each.known_by for each in self.hidden)
        device, output = self.device.opening(), self.output.known_by
        return state | {"device": device, "hidden": hidden, "output": output}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.device = open_device(**state["device"])
        self.hidden = tuple(resolve_activation(each, HIDDEN) for each in state["hidden"])
        self.output = resolve_activation(state["output"], OUTPUTS)
        self.flat = self.device.put(self.flat, self.dtype)  # a pickle's is on the current GPU
        self._derive()

    def config(self) -> dict[str, Any]:
        """Return the constructor's arguments as plain values, for files and messages."""
        return {
            "sizes": list(self.sizes),
            "hidden": [each.name for each in self.hidden],
            "output": self.output.name,
            "init": self.init if isinstance(self.init, str) else "callable",
            "dtype": self.dtype,
            "seed": self.seed,
            "dropout": list(self.dropout),
        }

    def save(self, path: Any) -> None:
        """Write a safetensors model file; see `xpnet.load`."""
        from xpnet.saving.model import save_model

        save_model(path, self)

    def __repr__(self) -> str:
        shape, names = "-".join(map(str, self.sizes)), [a.name for a in (*self.hidden, self.output)]
        return (
            f"MLP({shape}, {', '.join(names)}; {self.flat.shape[0]:,} parameters, {self.dtype} on "
            f"{self.device.name})"
        )

    def _repr_html_(self) -> str:
        rows = [
            f"<tr><td>{fan_in} → {fan_out}</td><td>{escape(each.name)}</td>"
            f"<td>{(fan_in + 1) * fan_out:,}</td></tr>"
            for (fan_in, fan_out), each in zip(
                pairwise(self.sizes), (*self.hidden, self.output), strict=True
            )
        ]
        head = "<tr><th>layer</th><th>activation</th><th>parameters</th></tr>"
        return f"<p>{escape(repr(self))}</p><table>{head}{''.join(rows)}</table>"


def one_for_each(given: Any, count: int, of: str) -> list[Any]:
    """Return one value for each: the one given for all, or those given."""
    if isinstance(given, str) or not isinstance(given, Iterable):
        return [given] * count
    values = list(given)
    if len(values) != count:
        raise InputError(f"{values!r:.80} has {len(values)} entries for {count} {of}")
    return values


def checked_dtype(dtype: str) -> str:
    """Return the dtype; refuse what no network computes in."""
    if dtype not in DTYPES:
        raise bad_argument("dtype", dtype, "is not known; use 'float32' or 'float64'")
    return dtype


def checked_sizes(sizes: Sequence[int]) -> tuple[int, ...]:
    """Return the layer sizes as integers, including inputs and outputs."""
    checked = tuple(sizes) if isinstance(sizes, Iterable) else (sizes,)
    if len(checked) < 2 or any(not isinstance(s, Integral) or s < 1 for s in checked):
        raise InputError(
            f"sizes {list(checked)!r} must be two or more integers >= 1: inputs, hidden units, "
            "outputs"
        )
    return tuple(int(size) for size in checked)
