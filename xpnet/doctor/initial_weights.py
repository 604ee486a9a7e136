"""Explain initial weights: the rule of each layer, why, and what it does to signal and gradient.

Measured in one pass in each direction. What to expect is in Glorot and Bengio (2010) and He et al.
(2015): a good start keeps both variances of about the same size through all layers.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import inf, isfinite
from typing import Any

import numpy as np

from xpnet.backend.device import Array, to_host
from xpnet.backend.random import generator
from xpnet.errors import InputError
from xpnet.nn.arrays import as_inputs, as_targets
from xpnet.nn.initializers import rule_for
from xpnet.nn.losses import resolve_head
from xpnet.nn.network import MLP, Trace

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
    activation, rule : str
        The rule comes with its reason.
    fan_in, fan_out : int
    standard_deviation : float
        Of the weights.
    activation_variance : float
        Of an activation over the rows, averaged over the units. For the output layer, of its
        pre-activations.
    gradient_variance : float
        Mean square of dL/dz over rows and units.
    mean_activation, mean_slope : float
        Means of a and of da/dz; of z and 1 for the output layer.
    """

    layer: int
    activation: str
    rule: str
    fan_in: int
    fan_out: int
    standard_deviation: float
    activation_variance: float
    gradient_variance: float
    mean_activation: float
    mean_slope: float


@dataclass(frozen=True)
class InitReport:
    """What `explain_init` found; ``str()`` gives the table.

    Attributes
    ----------
    title : str
        The network, and what it was measured on.
    layers : tuple of LayerInit
    warnings : tuple of str
        Empty for a healthy start.
    """

    title: str
    layers: tuple[LayerInit, ...]
    warnings: tuple[str, ...]

    def __str__(self) -> str:
        head = (
            f"{'layer':6}{'activation':12}{'fan in':>7}{'fan out':>9}{'std':>11}"
            f"{'activation variance':>21}{'gradient variance':>19}"
        )
        rows = [
            f"{each.layer:<6}{each.activation:12}{each.fan_in:>7}{each.fan_out:>9}"
            f"{each.standard_deviation:>11.4g}{each.activation_variance:>21.3g}"
            f"{each.gradient_variance:>19.3g}"
            for each in self.layers
        ]
        why = []
        for rule in dict.fromkeys(each.rule for each in self.layers):
            layers = ", ".join(str(each.layer) for each in self.layers if each.rule == rule)
            why.append(f"layer {layers}: {rule}")
        warned = [f"warning: {text}" for text in self.warnings]
        return "\n".join(
            [self.title, "", head, *rows, "", *why, *([""] if warned else []), *warned]
        )


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
    if not isinstance(rows, int) or rows < 2:
        raise InputError(f"rows {rows!r} must be an integer >= 2: variances are over the rows")
    if not isinstance(net, MLP):
        net = MLP(net, **options)
    draw = generator(net.seed, "explain_init")
    inputs = draw.standard_normal((rows, net.sizes[0])) if x is None else x[:rows]
    # An explosion is reported as such below.
    with net.device.active, np.errstate(over="ignore", invalid="ignore"):
        inputs = as_inputs(inputs, net.device, net.dtype, net.sizes[0])
        if inputs.shape[0] < 2:
            raise InputError("variances over the rows need two or more rows")
        trace = net.forward(inputs)
        last = trace.pre_activations[-1]
        if y is None:
            delta = net.device.put(draw.standard_normal(tuple(last.shape)), net.dtype)
        else:
            targets = as_targets(
                y[:rows], net.device, net.dtype, net.sizes[-1], net.output.name, last.shape[0]
            )
            delta = resolve_head(net.output).value_and_delta(net.device.xp, last, targets)[1]
        layers = _layers(net, trace, delta)
        warnings = tuple(_warnings(net, layers))
    source = "standard normal inputs" if x is None else "the inputs given"
    slope = "a random output gradient" if y is None else "the gradient of the loss"
    title = f"Weights of {net!r}\nmeasured on {inputs.shape[0]} rows of {source}, with {slope}"
    return InitReport(title, layers, warnings)


def _layers(net: MLP, trace: Trace, delta: Array) -> tuple[LayerInit, ...]:
    """Measure every layer, from the last one down."""
    xp, a, slope, layers = net.device.xp, trace.pre_activations[-1], 1.0, list[LayerInit]()
    for layer in range(len(net.weights) - 1, -1, -1):
        if layer < len(net.hidden):
            z, a = trace.pre_activations[layer], trace.activations[layer]
            backward = net.hidden[layer].backward
            slope = float(xp.mean(backward(xp, xp.ones_like(z), z, a)))
            delta = backward(xp, xp.matmul(delta, net.weights[layer + 1].T), z, a)
        activation, rule = _rule(net, layer)
        layers.append(LayerInit(
            layer + 1, activation, rule, net.sizes[layer], net.sizes[layer + 1],
            standard_deviation=float(np.std(to_host(net.weights[layer]))),
            activation_variance=float(xp.mean(xp.var(a, axis=0))),
            gradient_variance=float(xp.mean(delta * delta)),
            mean_activation=float(xp.mean(a)),
            mean_slope=slope,
        ))  # fmt: skip
    return tuple(layers[::-1])


def _rule(net: MLP, layer: int) -> tuple[str, str]:
    """Return the activation that a layer feeds, and its rule with the reason."""
    names = [*(each.name for each in net.hidden), net.output.name]
    if net.init == "callable":  # of a model file, which names the rule and cannot hold it
        return names[layer], "callable (given by the caller)"
    fed_by, output = names[layer - 1] if layer else None, layer == len(net.hidden)
    name, _, reason = rule_for(net.init, names[layer], output=output, fed_by=fed_by)
    return names[layer], f"{name} ({reason})"


def _warnings(net: MLP, layers: Sequence[LayerInit]) -> Iterator[str]:
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
            scale = "scale the inputs to unit variance, or " if layer is layers[0] else ""
            yield (
                f"layer {layer.layer}: its {layer.activation} units are saturated (mean slope "
                f"{layer.mean_slope:.1e}), so hardly any gradient passes; {scale}use smaller "
                "weights"
            )
    if len(hidden) >= 2:
        signal = hidden[0].activation_variance, hidden[-1].activation_variance
        gradient = hidden[-1].gradient_variance, hidden[0].gradient_variance
        yield from _fading("signal", "", *signal, len(hidden) - 1)
        yield from _fading("gradient", " back", *gradient, len(hidden) - 1)


def _fading(what: str, way: str, first: float, last: float, steps: int) -> Iterator[str]:
    """Say that a variance dies or explodes from the first to the last hidden layer on its way."""
    dies = last * ALIVE_RATIO < first
    if dies or first * ALIVE_RATIO < last or not isfinite(last):
        factor = (last / first) ** (1 / steps) if first > 0.0 else inf
        yield (
            f"the {what} {'dies' if dies else 'explodes'}: its variance goes from {first:.2g} to "
            f"{last:.2g}, times {factor:.2g} per hidden layer{way}; use "
            f'{"larger" if dies else "smaller"} weights (init="auto") or fewer layers'
        )
