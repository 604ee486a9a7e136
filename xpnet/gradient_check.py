"""Gradient check: whether a gradient is that of the loss and, if not, how it is wrong.

Slopes of the loss by central differences, in float64, along single entries and along one random
direction of every parameter, are compared with the gradient given. A wrong gradient is then tried
against the mistakes people make: sign, factor, transposition, unsummed batch, penalty, and so on.

Sources: CS231n notes on gradient checks (centred differences, kinks, a few entries of *every*
parameter); ratios that name the mistake: scikit-learn #8349, where it is the number of outputs.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from xpnet.device import CPU, device_of
from xpnet.errors import InputError
from xpnet.findings import Finding, Report
from xpnet.gradient_mistakes import (
    Comparison,
    loss_not_finite,
    not_finite,
    shape_mistake,
    told_together,
    value_mistakes,
)
from xpnet.network import MLP
from xpnet.observations import as_array, as_host, named_arrays, same_names

if TYPE_CHECKING:
    from xpnet.losses import Loss

Parameters = Mapping[str, Any]
STEPS = (2e-5, 1e-5, 1e-6, 1e-7)  # the last two only where the first meet a kink or a bend


@dataclass(frozen=True)
class GradientReport(Report):
    """Report of a gradient check, with one `Comparison` for each parameter.

    Attributes
    ----------
    comparisons : tuple of Comparison
    """

    comparisons: tuple[Comparison, ...] = ()

    def __str__(self) -> str:
        width = max((len(each.name) for each in self.comparisons), default=0)
        rows = "\n".join(f"  {each.name:{width}}  {each}" for each in self.comparisons)
        head = "Gradient check: " + ("right" if self.ok else "WRONG")
        return f"{head}\n{rows}" + (f"\n\n{super().__str__()}" if self.findings else "")


def check_gradients(*arguments: Any, **options: Any) -> GradientReport:
    """Compare a gradient with the slopes of the loss, and say how it is wrong.

    Two forms: ``check_gradients(loss, gradients, parameters, ...)`` for hand-written code, and
    ``check_gradients(net, x, y, ...)`` for an xpnet network, above all with your own activations
    and losses; the network is checked on a float64 copy on the host.

    Parameters
    ----------
    loss : callable
        ``loss(parameters)`` gives a number, the same one at every call.
    gradients : callable
        ``gradients(parameters)`` gives a dict of arrays with the names of `parameters`.
    parameters : dict of str to array
        Arrays of any Array API library; handed to both functions as float64. List them from the
        first layer to the last, or number them (``W1``, ``b1``, ``W2``, ...).
    net : MLP
    x, y : array_like
        As for `fit`; the first `rows` of them, 32 by default, are used.
    loss, l1, l2
        In the second form, as for `fit`.
    rtol : float
        Relative error that still counts as right, 1e-5 by default. Right code stays below 1e-6.
    samples : int
        Entries checked in each parameter, 8 by default, besides one direction through all.
    batch_size, outputs : int, optional
        Rows and outputs, to name a factor; by default outputs are read from the last parameter.
    seed : int
        Seed of the choice of entries and directions.

    Returns
    -------
    GradientReport
        ``str()`` is for people; ``ok`` and ``findings`` are for programs.

    Raises
    ------
    InputError
        If an argument is of the wrong kind, the names differ (gradients may also be called dW1 or
        W1_grad), the loss differs between two equal calls or is the same for all parameters, or
        `gradients` changes the parameters.

    Examples
    --------
    >>> parameters = {"W": numpy.array([1.0, 2.0])}
    >>> print(check_gradients(lambda p: (p["W"] ** 2).sum(), lambda p: {"W": p["W"]}, parameters))
    """
    if isinstance(options.get("net", arguments[0] if arguments else None), MLP):
        return check_network(*arguments, **options)
    return check_functions(*arguments, **options)


def check_network(
    net: MLP,
    x: Any,
    y: Any,
    *,
    loss: "str | Loss" = "auto",
    l1: float = 0.0,
    l2: float = 0.0,
    rows: int = 32,
    **options: Any,
) -> GradientReport:
    """Check an xpnet network on its first `rows` rows, on a float64 copy on the host."""
    twin = net.to(CPU, "float64")
    x, y = _first_rows(x, rows, "x"), _first_rows(y, rows, "y")

    def put(parameters: Parameters) -> None:
        for own, given in zip(twin.parameters, parameters.values(), strict=True):
            own[...] = given

    def value(parameters: Parameters) -> float:
        put(parameters)
        return twin.gradients(x, y, loss=loss, l1=l1, l2=l2)[0]

    def gradients(parameters: Parameters) -> dict[str, Any]:
        put(parameters)
        found = twin.gradients(x, y, loss=loss, l1=l1, l2=l2)[1]
        return dict(zip(parameters, [*found.weights, *found.biases], strict=True))

    return check_functions(value, gradients, named_parameters(twin), batch_size=len(x), **options)


def named_parameters(net: MLP) -> dict[str, Any]:
    """Return host copies of the parameters by name: ``weights[0]``, ``biases[0]``, ..."""
    named = {f"weights[{i}]": net.device.get(each).copy() for i, each in enumerate(net.weights)}
    biases = {f"biases[{i}]": net.device.get(each).copy() for i, each in enumerate(net.biases)}
    return named | biases


def check_functions(
    loss: Callable[[Parameters], Any],
    gradients: Callable[[Parameters], Parameters],
    parameters: Parameters,
    *,
    rtol: float = 1e-5,
    samples: int = 8,
    batch_size: int | None = None,
    outputs: int | None = None,
    seed: int = 0,
) -> GradientReport:
    """Check hand-written code; see `check_gradients`."""
    _refuse_others(loss, gradients, parameters)
    parameters = named_arrays(parameters, "parameters")
    devices = {name: device_of(array) for name, array in parameters.items()}
    host = {name: as_host(array, name=name) for name, array in parameters.items()}

    def put(values: Mapping[str, Any]) -> dict[str, Any]:
        return {name: devices[name].put(values[name].copy(), "float64") for name in values}

    fixed = put(host)

    def value(at: Parameters) -> float:
        return float(np.sum(as_host(loss(at), name="loss(parameters)")))

    def loss_at(name: str, values: Any) -> float:
        return value({**fixed, name: devices[name].put(values, "float64")})

    broadcast = _broadcast_finding(loss(fixed))
    handed = put(host)
    given = _named_gradients(gradients(handed), host)
    _refuse_changes(host, handed)
    repeated = [value(fixed) for _ in range(2)]
    if not np.isfinite(repeated).any():
        return GradientReport((loss_not_finite(repeated[0]),), {"loss": repeated[0]})
    _refuse_another_value(*repeated)
    hints = {"batch_size": batch_size, "outputs": outputs or _outputs(host)}
    comparisons, of_shapes = [], list[Finding]()
    for name, values in host.items():
        mended, shape_findings = shape_mistake(name, given[name], values.shape)
        if mended is not None and not np.all(np.isfinite(mended)):
            mended = None
        points = _directions(mended, values.shape, samples, np.random.default_rng(seed))
        slopes = [_slope(partial(loss_at, name), values, each) for each in points]
        comparisons.append(Comparison.of(name, values, mended, points, slopes, rtol))
        of_shapes += shape_findings
    if _is_flat(comparisons):
        _refuse_the_same_loss(repeated[0], value(put(_elsewhere(host))))
    findings = (*broadcast, *not_finite(given), *told_together(of_shapes),
                *value_mistakes(comparisons, hints))  # fmt: skip
    return GradientReport(findings, {"loss": repeated[0]}, tuple(comparisons))


def _outputs(parameters: Mapping[str, Any]) -> int:
    shape = next(reversed(list(parameters.values()))).shape
    return int(shape[-1]) if shape else 1


def away_from_saturation(parameters: Parameters) -> dict[str, Any]:
    """Return small random parameters of the same shapes, on the host.

    Where units are saturated, every slope is 0 and a wrong gradient looks right; the check is then
    worth repeating with these.
    """
    random = np.random.default_rng(0)
    arrays = named_arrays(parameters, "parameters")
    shapes = {name: tuple(array.shape) for name, array in arrays.items()}
    scale = {name: 1.0 / np.sqrt(max((*shape, 4))) for name, shape in shapes.items()}
    return {name: scale[name] * random.standard_normal(shapes[name]) for name in shapes}


def of_unit_size(x: Any) -> Any:
    """Return inputs scaled so that no feature's root mean square exceeds 1, for the same reason."""
    x = as_host(x, name="x")
    largest = np.maximum(np.max(np.abs(x), axis=0), 1.0)  # whose square may not be finite
    return x / np.maximum(largest * np.sqrt(np.mean((x / largest) ** 2, axis=0)), 1.0)


def _first_rows(array: Any, rows: int, name: str) -> Any:
    array = as_array(array, name)
    return as_host(array[:rows, ...] if array.shape else array, name=name)


def _refuse_others(loss: Any, gradients: Any, parameters: Any) -> None:
    for name, given in (("loss", loss), ("gradients", gradients)):
        if not callable(given):
            raise InputError(
                f"{name} is {type(given).__name__}; pass a function of the parameters: "
                "check_gradients(loss, gradients, parameters)"
            )
    if isinstance(parameters, Mapping) and not parameters:
        raise InputError("parameters is empty; pass a dict of names and arrays, such as {'W1': W1}")


def _refuse_changes(parameters: Mapping[str, Any], handed: Mapping[str, Any]) -> None:
    changed = [name for name, own in parameters.items()
               if not np.array_equal(as_host(handed[name]), own, equal_nan=True)]  # fmt: skip
    if changed:
        raise InputError(
            f"gradients(parameters) changed {', '.join(changed)}; let it only return gradients, "
            "and update the parameters afterwards"
        )


def _refuse_another_value(first: float, second: float) -> None:
    if first != second:
        raise InputError(
            f"loss(parameters) gave {first!r} and then {second!r} for the same parameters; switch "
            "dropout off, fix the seed, and change no variable inside it"
        )


def _is_flat(comparisons: Sequence[Comparison]) -> bool:
    """Tell whether every slope is exactly 0, but not every gradient."""
    given = any(np.any(np.nan_to_num(each.given)) for each in comparisons)
    return given and not any(np.any(each.measured) for each in comparisons)


def _elsewhere(parameters: Parameters) -> dict[str, Any]:
    """Return parameters that are far from those given, even if the doctor made these."""
    return {name: -2.0 * each for name, each in away_from_saturation(parameters).items()}


def _refuse_the_same_loss(here: float, elsewhere: float) -> None:
    if here == elsewhere:
        raise InputError(
            f"loss(parameters) gives {here:.6g} whatever the parameters are; let it use the given "
            "ones (in a class, store them first: vars(network).update(parameters))"
        )


def _named_gradients(given: Parameters, parameters: Parameters) -> dict[str, Any]:
    if not isinstance(given, Mapping):
        raise InputError(
            f"gradients(parameters) returned {type(given).__name__}; return a dict with one array "
            f"for each of {sorted(parameters)}"
        )
    given = same_names(given, parameters)
    if set(given) != set(parameters):
        raise InputError(
            f"gradients(parameters) returned {sorted(given)} but the parameters are "
            f"{sorted(parameters)}; return one array for each, under the same names"
        )
    return {name: as_host(given[name], name=f"the gradient of {name}") for name in parameters}


def _broadcast_finding(value: Any) -> list[Finding]:
    """See whether (m,) met (m, 1), from a loss that is given as separate terms."""
    terms = as_host(value, name="loss(parameters)")
    if terms.ndim != 2 or terms.shape[0] != terms.shape[1] or terms.shape[0] < 2:
        return []
    m = terms.shape[0]
    return [Finding(
        "loss-broadcast", "error", "loss",
        f"the loss has {m} x {m} = {m * m} terms for {m} samples",
        f"Targets of shape ({m},) met outputs of shape ({m}, 1), and NumPy paired every output "
        "with every target. Each output is pulled towards all targets at once, so the best the "
        "network can do is to predict their mean.",
        "targets = targets.reshape(-1, 1)   # the same shape as the outputs",
        "NumPy manual, Broadcasting", {"reshape_targets": True},
    )]  # fmt: skip


def _directions(
    gradient: Any, shape: tuple[int, ...], samples: int, random: np.random.Generator
) -> list[Any]:
    """Single entries, half of them where the gradient is largest, and one through them all."""
    size = int(np.prod(shape))
    order = np.argsort(-np.abs(np.zeros(size) if gradient is None else gradient.ravel()))
    entries = {*map(int, order[: samples // 2]), *map(int, random.permutation(size)[:samples])}
    points = [np.zeros(size) for _ in sorted(entries)[: 2 * samples]]
    for point, entry in zip(points, sorted(entries), strict=True):
        point[entry] = 1.0
    if size > len(points):
        points.append(random.choice([-1.0, 1.0], size) / np.sqrt(size))
    return [point.reshape(shape) for point in points]


def _slope(loss: Callable[[Any], float], values: Any, direction: Any) -> tuple[float, float] | None:
    """Return the slope along a direction and its uncertainty; None at a kink or if not a number.

    How much a shorter step changes the slope is the error of the longer one; the gap between the
    slopes to the right and left shows bends that cancel in their mean.
    """
    middle, gaps, centred, noise = loss(values), [], [], 0.0
    for step in STEPS:
        up, down = loss(values + step * direction), loss(values - step * direction)
        right, left = (up - middle) / step, (middle - down) / step
        noise = 8.0 * np.finfo(float).eps * max(abs(up), abs(middle), abs(down)) / step
        centred.append((right + left) / 2.0)
        gaps.append(abs(right - left))
        if not np.isfinite(gaps[-1]):
            return None
        doubt = abs(centred[-1] - centred[-2]) if len(centred) > 1 else np.inf
        rest, clear = max(gaps[-1], doubt), 1e-5 * max(abs(right), abs(left))
        if rest <= clear or (len(gaps) == 2 and rest <= clear + 4.0 * noise):
            return centred[-1], noise + doubt + 0.5 * gaps[-1]
        if len(gaps) > 2 and gaps[-1] <= 4.0 * noise:
            return None  # a kink that the longer steps have shown is hidden, and not passed
    # The gap of a bend shrinks with the step. A kink keeps it; of several, the nearest one does.
    bent = gaps[-1] <= 0.3 * gaps[-2]
    return (centred[-1], noise + 2.0 * doubt + gaps[-1]) if bent else None
