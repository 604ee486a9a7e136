"""Explain initial weights: the rule of each layer, why, and what it does to signal and gradient.

The expected figures come from mean-field theory: pre-activations of wide layers are Gaussian, so
every expectation is an integral over Gaussian variables, done by Gauss-Hermite quadrature (Poole
et al., arXiv 1606.05340; Schoenholz et al., arXiv 1611.01232). What counts is what differs from
row to row, so a pre-activation is taken as

    z = mean + sqrt(shared) s + sqrt(own) t        s, t standard normal

with a shared part that differs from unit to unit but is the same for all rows, and the row's own.
The theory takes the units of a layer as independent; weights of one sign break that, and their
measured figures exceed the expected ones. The measured ones come from one pass in each direction.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from math import inf, isfinite, pi, sqrt
from typing import Any, NamedTuple

import numpy as np

from xpnet.backend.device import Array, to_host
from xpnet.backend.random import generator
from xpnet.errors import InputError
from xpnet.nn.activations import Activation
from xpnet.nn.arrays import as_inputs, as_targets
from xpnet.nn.initializers import rule_for
from xpnet.nn.losses import resolve_head
from xpnet.nn.network import MLP, Trace
from xpnet.training.skill import unscaled

NODES = 64  # of the quadrature in each direction: errors below 1 % even for ReLU's kink
# Measured in benchmarks/results/initialisers.md: sigmoid networks whose gradient falls by more
# than this from the last to the first hidden layer learn late or not at all.
ALIVE_RATIO = 100.0
MIN_WEIGHTS = 15  # so many weights have one sign by chance once in 16,000 draws
SATURATED_SLOPE = 0.01  # mean derivative of a layer's units; sigmoid's own maximum is 0.25


@dataclass(frozen=True)
class LayerInit:
    """One layer of an `InitReport`.

    Attributes
    ----------
    layer : int
        From 1, the layer that reads the inputs.
    activation, rule, reason : str
    fan_in, fan_out : int
    standard_deviation : float
        Of the weights.
    expected_activation_variance, activation_variance : float
        Of an activation over the rows, averaged over the units; in theory, and measured. For the
        output layer, of its pre-activations.
    expected_gradient_variance, gradient_variance : float
        Mean square of dL/dz over rows and units; in theory from the output layer's, and measured.
    mean_activation, mean_slope : float
        Measured means of a and of da/dz; of z and 1 for the output layer.
    """

    layer: int
    activation: str
    rule: str
    reason: str
    fan_in: int
    fan_out: int
    standard_deviation: float
    expected_activation_variance: float
    activation_variance: float
    expected_gradient_variance: float
    gradient_variance: float
    mean_activation: float
    mean_slope: float


@dataclass(frozen=True)
class InitReport:
    """What `explain_init` found; ``str()`` gives the table.

    Attributes
    ----------
    network : str
    measured_on : str
    layers : tuple of LayerInit
    warnings : tuple of str
        Empty for a healthy start.
    """

    network: str
    measured_on: str
    layers: tuple[LayerInit, ...]
    warnings: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, as for JSON."""
        return asdict(self)

    def __str__(self) -> str:
        head_lines = [
            f"Weights of {self.network}",
            f"measured on {self.measured_on}",
            "",
            f"{'':45}{'activation variance':>24}{'gradient variance':>24}",
            f"{'layer':6}{'activation':12}{'fan in':>7}{'fan out':>9}{'std':>11}"
            f"{'expected':>13}{'measured':>11}{'expected':>13}{'measured':>11}",
        ]
        rows = [
            f"{each.layer:<6}{each.activation:12}{each.fan_in:>7}{each.fan_out:>9}"
            f"{each.standard_deviation:>11.4g}{each.expected_activation_variance:>13.3g}"
            f"{each.activation_variance:>11.3g}{each.expected_gradient_variance:>13.3g}"
            f"{each.gradient_variance:>11.3g}"
            for each in self.layers
        ]
        numbers: dict[str, list[str]] = {}
        for each in self.layers:
            numbers.setdefault(f"{each.rule} ({each.reason})", []).append(str(each.layer))
        why = [f"layer {', '.join(layers)}: {rule}" for rule, layers in numbers.items()]
        warned = [f"warning: {text}" for text in self.warnings]
        return "\n".join([*head_lines, *rows, "", *why, *([""] if warned else []), *warned])


def explain_init(
    net: MLP | Sequence[int], x: Any = None, y: Any = None, *, rows: int = 512, **options: Any
) -> InitReport:
    """Explain the weights of a network as they are; best before training.

    Parameters
    ----------
    net : MLP or sequence of int
        A network, or the sizes of one to be made with `options`, which are those of `xpnet.MLP`.
    x : array_like, (n, inputs), optional
        Prepared inputs; standard normal ones by default.
    y : array_like, (n,) or (n, outputs), optional
        Targets, for the gradient of the network's usual loss; without them the gradient with
        respect to the last pre-activations is drawn from a standard normal distribution.
    rows : int, from 2
        Rows to draw, or to use from those given.

    Returns
    -------
    InitReport
        ``str()`` gives the table.

    Raises
    ------
    InputError
        If x, y or the options do not fit the network.

    Examples
    --------
    >>> print(xpnet.explain_init([784, 200, 80, 10], hidden="sigmoid", output="softmax"))
    """
    if isinstance(net, MLP) and options:
        raise InputError(f"{sorted(options)} are for a new network; pass sizes, not a network")
    if isinstance(rows, bool) or not isinstance(rows, int) or rows < 2:
        raise InputError(f"rows {rows!r} must be an integer >= 2: variances are over the rows")
    if not isinstance(net, MLP):
        net = MLP(net, **{"init_data": x, **options})
    draw = generator(net.seed, "explain_init")
    source = "standard normal inputs" if x is None else "the inputs given"
    inputs = draw.standard_normal((rows, net.sizes[0])) if x is None else x[:rows]
    # An explosion is reported as such below.
    with net.device.active, np.errstate(over="ignore", invalid="ignore"):
        inputs = as_inputs(inputs, net.device, net.dtype, net.sizes[0])
        if inputs.shape[0] < 2:
            raise InputError("x has 1 row, but variances over the rows need two or more")
        trace = net.forward(inputs)
        delta = _output_delta(net, trace, None if y is None else y[:rows], draw)
        layers = _layers(net, trace, delta)
        warnings = tuple(_warnings(net, layers, scaled=not unscaled(_float64(inputs))))
    slope = "a random output gradient" if y is None else "the gradient of the loss"
    measured_on = f"{inputs.shape[0]} rows of {source}, with {slope}"
    return InitReport(repr(net), measured_on, layers, warnings)


def _float64(array: Array) -> Any:
    return np.asarray(to_host(array), dtype=np.float64)


def _output_delta(net: MLP, trace: Trace, y: Any, draw: Any) -> Array:
    """Return each row's own dL/dz of the last layer, (rows, outputs); drawn without targets."""
    last = trace.pre_activations[-1]
    if y is None:
        return net.device.put(draw.standard_normal(tuple(last.shape)), net.dtype)
    rows, outputs = last.shape
    targets = as_targets(y, net.device, net.dtype, outputs, net.output.name, rows)
    return resolve_head(net.output).value_and_delta(net.device.xp, last, targets)[1]


def _layers(net: MLP, trace: Trace, delta: Array) -> tuple[LayerInit, ...]:
    """Measure every layer, from the last one down, beside what the theory expects."""
    xp, weights = net.device.xp, [_float64(each) for each in net.weights]
    expected = _expected_signals(net, weights, _float64(trace.inputs[0]))
    a, slope, layers = trace.pre_activations[-1], 1.0, list[LayerInit]()
    expected_gradient = float(xp.mean(delta * delta))
    for layer in range(len(weights) - 1, -1, -1):
        if layer < len(net.hidden):
            z, a, backward = (
                trace.pre_activations[layer], trace.activations[layer], net.hidden[layer].backward
            )  # fmt: skip
            slope = float(xp.mean(backward(xp, xp.ones_like(z), z, a)))
            delta = backward(xp, xp.matmul(delta, net.weights[layer + 1].T), z, a)
            squared = np.mean(weights[layer + 1] ** 2) * expected[layer].squared_slope
            expected_gradient *= float(weights[layer + 1].shape[1] * squared)
        activation, rule, reason = _rule(net, layer)
        layers.append(LayerInit(
            layer + 1, activation.name, rule, reason, net.sizes[layer], net.sizes[layer + 1],
            standard_deviation=float(np.std(weights[layer])),
            expected_activation_variance=expected[layer].own,
            activation_variance=float(xp.mean(xp.var(a, axis=0))),
            expected_gradient_variance=expected_gradient,
            gradient_variance=float(xp.mean(delta * delta)),
            mean_activation=float(xp.mean(a)),
            mean_slope=slope,
        ))  # fmt: skip
    return tuple(layers[::-1])


def _rule(net: MLP, layer: int) -> tuple[Activation, str, str]:
    """Return the activation that a layer feeds, and its rule's name and reason."""
    activation = [*net.hidden, net.output][layer]
    if net.init == "callable":  # of a model file, which names the rule and cannot hold it
        return activation, "callable", "given by the caller"
    fed_by = net.hidden[layer - 1].name if layer else None
    name, _, reason = rule_for(
        net.init, activation.name, output=layer == len(net.hidden), fed_by=fed_by
    )
    return activation, name, reason


class _Signal(NamedTuple):
    """Moments of what a layer sends on, over its units and over the rows."""

    mean: float
    shared: float
    """Mean over the units of (mean over the rows)²."""
    own: float
    """Variance over the rows, averaged over the units."""
    squared_slope: float = 1.0


def _expected_signals(net: MLP, weights: list[Any], inputs: Any) -> list[_Signal]:
    """Carry the moments of the inputs through the layers; the last entry is of pre-activations.

    Of the drawn weights only their moments are used: what a unit's weights add up to (for the
    shared part, where weights of one sign and biases show) and their mean square.
    """
    means, own = np.mean(inputs, axis=0), float(np.mean(np.var(inputs, axis=0)))
    signals = [_Signal(float(np.mean(means)), float(np.mean(means**2)), own)]
    for layer, (weight, bias) in enumerate(zip(weights, map(_float64, net.biases), strict=True)):
        mean, shared, own, _ = signals[-1]
        fan_in, offsets = len(weight), np.sum(weight, axis=0) * mean + bias
        spread = fan_in * float(np.mean(np.var(weight, axis=0))) * max(shared - mean**2, 0.0)
        shared, own = spread + float(np.var(offsets)), fan_in * float(np.mean(weight**2)) * own
        mean = float(np.mean(offsets))
        signals.append(
            _through(net.hidden[layer], mean, shared, own)
            if layer < len(net.hidden)
            else _Signal(mean, shared + mean**2, own)
        )
    return signals[1:]


def _through(activation: Activation, mean: float, shared: float, own: float) -> _Signal:
    """Integrate an activation over z = mean + sqrt(shared) s + sqrt(own) t."""
    points, masses = np.polynomial.hermite.hermgauss(NODES)
    points, masses = points * sqrt(2.0), masses / sqrt(pi)
    z = mean + sqrt(shared) * points[:, None] + sqrt(own) * points[None, :]
    a = activation.forward(np, z)
    slope = activation.backward(np, np.ones_like(z), z, a)
    of_units = a @ masses  # mean over the rows at each s
    return _Signal(
        float(masses @ of_units),
        float(masses @ of_units**2),
        float(masses @ (((a - of_units[:, None]) ** 2) @ masses)),
        float(masses @ (slope**2 @ masses)),
    )


def _warnings(net: MLP, layers: Sequence[LayerInit], *, scaled: bool) -> Iterator[str]:
    """Say what is wrong with a start, worst first."""
    for layer, array in zip(layers, net.weights, strict=True):
        weights = to_host(array)
        place = f"layer {layer.layer}: all {layer.fan_in} x {layer.fan_out} weights"
        if weights.size > 1 and np.all(weights == weights[0, 0]):
            yield f"{place} are {weights[0, 0]:g}, so its units stay alike; draw them at random"
        elif weights.size >= MIN_WEIGHTS and (np.all(weights >= 0.0) or np.all(weights <= 0.0)):
            yield (
                f"{place} have one sign, which drives the units in one direction (mean "
                f"activation {layer.mean_activation:.3g}); draw them symmetrically about zero"
            )
    hidden = layers[:-1]
    for layer in hidden:
        if layer.activation in ("sigmoid", "tanh") and layer.mean_slope < SATURATED_SLOPE:
            first = layer is layers[0] and not scaled
            remedy = "scale the inputs to unit variance" if first else "use smaller weights"
            yield (
                f"layer {layer.layer}: its {layer.activation} units are saturated (mean slope "
                f"{layer.mean_slope:.1e}), so hardly any gradient passes; {remedy}"
            )
    if len(hidden) < 2:
        return
    yield from _fading("the signal", "hidden layer", [each.activation_variance for each in hidden])
    backwards = [each.gradient_variance for each in reversed(hidden)]
    yield from _fading("the gradient", "hidden layer back", backwards)


def _fading(what: str, step: str, variances: Sequence[float]) -> Iterator[str]:
    """Compare the last of some variances with the first."""
    first, last = variances[0], variances[-1]
    if last * ALIVE_RATIO < first:
        verb, remedy = "dies", "larger"
    elif first * ALIVE_RATIO < last or not isfinite(last):
        verb, remedy = "explodes", "smaller"
    else:
        return
    factor = (last / first) ** (1 / (len(variances) - 1)) if first > 0.0 else inf
    yield (
        f"{what} {verb}: its variance goes from {first:.2g} to {last:.2g}, times {factor:.2g} per "
        f'{step}; use {remedy} weights (init="auto") or fewer layers'
    )
