"""Explain initial weights: each layer's rule, why, and its effect on signal and gradient.

A good start keeps both variances of about the same size through all layers (Glorot and Bengio,
2010; He et al., 2015).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import inf, isfinite
from typing import Any, NamedTuple

import numpy as np

from xpnet.backend.device import to_host
from xpnet.backend.random import generator
from xpnet.errors import InputError
from xpnet.nn.arrays import as_inputs
from xpnet.nn.initializers import rule_for
from xpnet.nn.network import MLP

ROWS = 512  # that are drawn, or used of those given
# Measured in benchmarks/results/initialisers.md: sigmoid networks whose gradient falls by more
# than this from the last to the first hidden layer learn late or not at all.
ALIVE_RATIO = 100.0
MIN_WEIGHTS = 15  # so many weights have one sign by chance once in 16,000 draws
SATURATED_SLOPE = 0.01  # mean derivative of a layer's units; sigmoid's own maximum is 0.25


class LayerInit(NamedTuple):
    """One layer of an `InitReport`."""

    layer: int  # from 1, the layer that reads the inputs
    activation: str
    rule: str  # and its reason
    fan_in: int
    fan_out: int
    standard_deviation: float  # of the weights
    # Over the rows, the mean of all units: of the activations, or the output's pre-activations.
    activation_variance: float
    gradient_variance: float  # mean square of dL/dz over rows and units
    mean_slope: float  # mean of da/dz; 1 for the output layer


@dataclass(frozen=True)
class InitReport:
    """The result of `explain_init`; a healthy start has no warnings. ``str()`` gives a table."""

    title: str
    layers: tuple[LayerInit, ...]
    warnings: tuple[str, ...]

    def __str__(self) -> str:
        form = (
            "{0.layer:<6}{0.activation:12}{0.fan_in:>7}{0.fan_out:>9}{0.standard_deviation:>11.4g}"
            "{0.activation_variance:>21.3g}{0.gradient_variance:>19.3g}"
        )
        head = (
            "layer activation   fan in  fan out        std  activation variance  gradient variance"
        )
        rows = [form.format(each) for each in self.layers]
        why = [f"layer {each.layer}: {each.rule}" for each in self.layers]
        warned = [f"warning: {text}" for text in self.warnings]
        return "\n".join([self.title, "", head, *rows, "", *why, *warned])


def explain_init(net: MLP, x: Any = None) -> InitReport:
    """Explain the current weights of a network; it is best used before training.

    The gradient is that of a loss whose derivative with respect to the last pre-activations is
    drawn from a standard normal distribution.

    Parameters
    ----------
    net : MLP
    x : array_like, (n, inputs), optional
        Prepared inputs, of which at most 512 rows are used; by default standard normal numbers.

    Returns
    -------
    InitReport
        ``str()`` gives the table.

    Raises
    ------
    InputError
        If x does not fit the network, or has fewer than two rows.

    Examples
    --------
    >>> print(xpnet.explain_init(xpnet.MLP([784, 200, 80, 10], hidden="sigmoid")))
    """
    draw, xp = generator(net.seed, "explain_init"), net.device.xp
    source = "standard normal inputs" if x is None else "the inputs given"
    inputs = draw.standard_normal((ROWS, net.sizes[0])) if x is None else x[:ROWS]
    layers = list[LayerInit]()
    # An explosion is reported as such below.
    with net.device.active, np.errstate(over="ignore", invalid="ignore"):
        inputs = as_inputs(inputs, net.device, net.dtype, net.sizes[0])
        if inputs.shape[0] < 2:
            raise InputError("variances over the rows need two or more rows")
        trace = net.forward(inputs)
        a, slope = trace.pre_activations[-1], 1.0
        delta = net.device.put(draw.standard_normal(tuple(a.shape)), net.dtype)
        for layer in range(len(net.weights) - 1, -1, -1):
            if layer < len(net.hidden):
                z, a = trace.pre_activations[layer], trace.activations[layer]
                backward = net.hidden[layer].backward
                slope = float(xp.mean(backward(xp, xp.ones_like(z), z, a)))
                delta = backward(xp, xp.matmul(delta, net.weights[layer + 1].T), z, a)
            layers.insert(0, LayerInit(
                layer + 1, *_rule(net, layer), net.sizes[layer], net.sizes[layer + 1],
                standard_deviation=float(np.std(to_host(net.weights[layer]))),
                activation_variance=float(xp.mean(xp.var(a, axis=0))),
                gradient_variance=float(xp.mean(delta * delta)),
                mean_slope=slope,
            ))  # fmt: skip
    title = f"Weights of {net!r}\nmeasured on {inputs.shape[0]} rows of {source}"
    return InitReport(title, tuple(layers), tuple(_warnings(net, layers)))


def _rule(net: MLP, layer: int) -> tuple[str, str]:
    """Return the activation behind a layer, and the layer's rule with its reason."""
    names = [*(each.name for each in net.hidden), net.output.name]
    if net.init == "callable":  # of a model file, which names the rule and cannot hold it
        return names[layer], "callable (given by the caller)"
    fed_by, output = names[layer - 1] if layer else None, layer == len(net.hidden)
    name, _, reason = rule_for(net.init, names[layer], output=output, fed_by=fed_by)
    return names[layer], f"{name} ({reason})"


def _warnings(net: MLP, layers: Sequence[LayerInit]) -> Iterator[str]:
    for layer, weights in zip(layers, map(to_host, net.weights), strict=True):
        place = f"layer {layer.layer}: all {layer.fan_in} x {layer.fan_out} weights"
        if weights.size > 1 and np.all(weights == weights[0, 0]):
            yield f"{place} are {weights[0, 0]:g}, so its units stay alike; draw them at random"
        elif weights.size >= MIN_WEIGHTS and (np.all(weights >= 0.0) or np.all(weights <= 0.0)):
            yield f"{place} have one sign; draw them symmetrically about zero"
    hidden = layers[:-1]
    for layer in hidden:
        if layer.activation in ("sigmoid", "tanh") and layer.mean_slope < SATURATED_SLOPE:
            scale = "scale the inputs to unit variance, or " if layer is layers[0] else ""
            yield (
                f"layer {layer.layer}: its {layer.activation} units are saturated (mean slope "
                f"{layer.mean_slope:.1e}), so hardly any gradient passes; {scale}use smaller "
                "weights"
            )
    if len(hidden) < 2:
        return
    signal = [each.activation_variance for each in hidden]
    gradient = [each.gradient_variance for each in hidden[::-1]]
    for what, way in (("signal", signal), ("gradient", gradient)):
        first, last = way[0], way[-1]
        dies = last * ALIVE_RATIO < first
        if dies or first * ALIVE_RATIO < last or not isfinite(last):
            factor = (last / first) ** (1 / (len(way) - 1)) if first > 0.0 else inf
            yield (
                f"the {what} {'dies' if dies else 'explodes'}: its variance goes from {first:.2g} "
                f"to {last:.2g}, times {factor:.2g} per hidden layer; use "
                f'{"larger" if dies else "smaller"} weights (init="auto") or fewer layers'
            )
