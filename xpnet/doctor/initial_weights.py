"""Explain initial weights: the rule of each layer, why, and what it does to signal and gradient.

The expected figures come from mean-field theory: over the rows, the pre-activation of a unit is
Gaussian, so every expectation is an integral over a Gaussian variable, done by Gauss-Hermite
quadrature (Poole et al., arXiv 1606.05340; Schoenholz et al., arXiv 1611.01232). The theory takes
the units of a layer as independent; weights of one sign break that, and their measured figures
exceed the expected ones. The measured ones come from one pass in each direction.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import inf, isfinite, pi, sqrt
from typing import Any

import numpy as np

from xpnet.backend.device import Array, to_host
from xpnet.backend.random import generator
from xpnet.errors import InputError
from xpnet.nn.arrays import as_inputs, as_targets
from xpnet.nn.initializers import rule_for
from xpnet.nn.losses import resolve_head
from xpnet.nn.network import MLP, Trace

NODES = 64  # of the quadrature: errors below 1 % even for ReLU's kink
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
        head_lines = [
            f"{self.title}\n",
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
        why = []
        for rule in dict.fromkeys(each.rule for each in self.layers):
            layers = ", ".join(str(each.layer) for each in self.layers if each.rule == rule)
            why.append(f"layer {layers}: {rule}")
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
    if not isinstance(rows, int) or rows < 2:
        raise InputError(f"rows {rows!r} must be an integer >= 2: variances are over the rows")
    if not isinstance(net, MLP):
        net = MLP(net, **options)
    draw = generator(net.seed, "explain_init")
    source = "standard normal inputs" if x is None else "the inputs given"
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
    slope = "a random output gradient" if y is None else "the gradient of the loss"
    title = f"Weights of {net!r}\nmeasured on {inputs.shape[0]} rows of {source}, with {slope}"
    return InitReport(title, layers, warnings)


def _layers(net: MLP, trace: Trace, delta: Array) -> tuple[LayerInit, ...]:
    """Measure every layer, from the last one down, beside what the theory expects."""
    xp, expected = net.device.xp, _expected_signals(net, to_host(trace.inputs[0]))
    a, slope, layers = trace.pre_activations[-1], 1.0, list[LayerInit]()
    expected_gradient = float(xp.mean(delta * delta))
    for layer in range(len(net.weights) - 1, -1, -1):
        if layer < len(net.hidden):
            z, a, above = (
                trace.pre_activations[layer],
                trace.activations[layer],
                net.weights[layer + 1],
            )
            backward = net.hidden[layer].backward
            slope = float(xp.mean(backward(xp, xp.ones_like(z), z, a)))
            delta = backward(xp, xp.matmul(delta, above.T), z, a)
            squared = float(np.mean(to_host(above) ** 2)) * expected[layer][1]
            expected_gradient *= above.shape[1] * squared
        activation, rule = _rule(net, layer)
        layers.append(LayerInit(
            layer + 1, activation, rule, net.sizes[layer], net.sizes[layer + 1],
            standard_deviation=float(np.std(to_host(net.weights[layer]))),
            expected_activation_variance=expected[layer][0],
            activation_variance=float(xp.mean(xp.var(a, axis=0))),
            expected_gradient_variance=expected_gradient,
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


def _expected_signals(net: MLP, inputs: Any) -> list[tuple[float, float]]:
    """Return each layer's expected activation variance and mean squared slope; see the module."""
    points, masses = np.polynomial.hermite.hermgauss(NODES)
    points, masses = points * sqrt(2.0), masses / sqrt(pi)
    mean, variance = np.mean(inputs, axis=0, dtype=float), np.var(inputs, axis=0, dtype=float)
    signals = []
    for layer, (weights, bias) in enumerate(zip(net.weights, net.biases, strict=True)):
        weights = to_host(weights).astype(float)
        mean, variance = mean @ weights + to_host(bias), variance @ weights**2
        squared_slope = 1.0
        if layer < len(net.hidden):
            z = mean[:, None] + np.sqrt(variance)[:, None] * points
            a = net.hidden[layer].forward(np, z)
            slope = net.hidden[layer].backward(np, np.ones_like(z), z, a)
            mean, squared_slope = a @ masses, float(np.mean(slope**2 @ masses))
            variance = (a - mean[:, None]) ** 2 @ masses
        signals.append((float(np.mean(variance)), squared_slope))
    return signals


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
    if len(hidden) < 2:
        return
    for what, step, first, last in (
        ("signal", "", hidden[0].activation_variance, hidden[-1].activation_variance),
        ("gradient", " back", hidden[-1].gradient_variance, hidden[0].gradient_variance),
    ):
        dies, explodes = (
            last * ALIVE_RATIO < first,
            first * ALIVE_RATIO < last or not isfinite(last),
        )
        if dies or explodes:
            factor = (last / first) ** (1 / (len(hidden) - 1)) if first > 0.0 else inf
            yield (
                f"the {what} {'dies' if dies else 'explodes'}: its variance goes from {first:.2g} "
                f"to {last:.2g}, times {factor:.2g} per hidden layer{step}; use "
                f'{"larger" if dies else "smaller"} weights (init="auto") or fewer layers'
            )
