"""Gradient check: whether a gradient is that of the loss and, if not, how it is wrong.

Slopes of the loss by central differences, in float64, along single entries and along one random
direction of every parameter, are compared with the gradient given. A wrong gradient is then tried
against the mistakes people make: sign, factor, transposition, unsummed batch, penalty, and so on.

Sources: CS231n notes on gradient checks (centred differences, kinks, a few entries of *every*
parameter); ratios that name the mistake: scikit-learn #8349, where it is the number of outputs.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from xpnet.backend.device import CPU, device_of
from xpnet.doctor.findings import Finding, Report
from xpnet.doctor.gradcheck.mistakes import value_mistakes
from xpnet.doctor.gradcheck.shapes import (
    loss_not_finite,
    not_checked,
    not_finite,
    shape_mistake,
    told_together,
)
from xpnet.doctor.gradcheck.slopes import Comparison, directions, slope
from xpnet.doctor.step import as_array, as_host, named_arrays, same_names
from xpnet.errors import InputError
from xpnet.nn.network import MLP

if TYPE_CHECKING:
    from xpnet.nn.losses import Loss

Parameters = Mapping[str, Any]


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
        errors = any(each.severity == "error" for each in self.findings)
        head = "Gradient check: " + ("WRONG" if errors else "right" if self.ok else "incomplete")
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
        ``gradients(parameters)`` gives a dict of arrays with the names of `parameters`: the
        gradients of the loss, which the update subtracts (``W -= rate * gradient``). Code that
        adds them (``W += rate * gradient``) is checked by handing over ``-gradient``.
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
        ``str()`` is for people; ``ok`` and ``findings`` are for programs. Where all slopes of a
        parameter are at kinks, it is checked beside them; what cannot be checked is not ``ok``.

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

    return check_functions(
        value, gradients, named_parameters(twin), batch_size=len(x), may_be_flat=True, **options
    )


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
    may_be_flat: bool = False,
) -> GradientReport:
    """Check hand-written code; see `check_gradients`.

    A loss that is the same whatever the parameters is refused unless it `may_be_flat`: that of an
    xpnet network always uses them, and softmax of one output is a constant all the same.
    """
    _refuse_others(loss, gradients, parameters)
    code = _Code(loss, gradients, named_arrays(parameters, "parameters"))
    host = {name: as_host(array, name=name) for name, array in code.parameters.items()}
    given, value, broadcast = _first_look(code, host)
    if not np.isfinite(value):
        return GradientReport((loss_not_finite(value),), {"loss": value})
    compare = partial(code.compare, samples=samples, seed=seed, rtol=rtol)
    of_shapes = [f for n in host for f in shape_mistake(n, given[n], host[n].shape)[1]]
    comparisons = [compare(name, given[name], host) for name in host]
    comparisons = _beside_kinks(code, host, comparisons, compare)
    if not np.any(_slopes(comparisons)) and _slopes(comparisons).size:
        if not may_be_flat:
            _refuse_the_same_loss(value, code.value(code.put(_elsewhere(host))))
        comparisons = _told_flat(comparisons)
    hints = {"batch_size": batch_size, "outputs": outputs or _outputs(host), "loss": value}
    findings = (*broadcast, *not_finite(given), *told_together(of_shapes),
                *value_mistakes(comparisons, hints), *not_checked(comparisons))  # fmt: skip
    return GradientReport(findings, {"loss": value}, tuple(comparisons))


@dataclass(frozen=True)
class _Code:
    """The code to check, as functions of host arrays."""

    loss: Callable[[Parameters], Any]
    gradients: Callable[[Parameters], Parameters]
    parameters: Mapping[str, Any]

    def put(self, values: Mapping[str, Any]) -> dict[str, Any]:
        return {
            name: device_of(self.parameters[name]).put(each.copy(), "float64")
            for name, each in values.items()
        }

    def value(self, at: Parameters) -> float:
        return float(np.sum(as_host(self.loss(at), name="loss(parameters)")))

    def compare(
        self, name: str, gradient: Any, host: Parameters, samples: int, seed: int, rtol: float
    ) -> Comparison:
        """Compare the gradient of one parameter with the slopes of the loss."""
        fixed, values = self.put(host), host[name]
        gradient = shape_mistake(name, gradient, values.shape)[0]
        if gradient is not None and not np.all(np.isfinite(gradient)):
            gradient = None

        def loss_at(moved: Any) -> float:
            return self.value({**fixed, **self.put({name: moved})})

        points = directions(gradient, values.shape, samples, np.random.default_rng(seed))
        slopes = [slope(loss_at, values, each) for each in points]
        return Comparison.of(name, values, gradient, points, slopes, rtol)


def _first_look(code: _Code, host: Parameters) -> tuple[dict[str, Any], float, list[Finding]]:
    """Return gradients, loss and what its shape shows; refuse code that cannot be checked."""
    fixed, handed = code.put(host), code.put(host)
    broadcast = _broadcast_finding(code.loss(fixed))
    given = _named_gradients(code.gradients(handed), host)
    _refuse_changes(host, handed)
    repeated = [code.value(fixed) for _ in range(2)]
    if np.isfinite(repeated).any():
        _refuse_another_value(*repeated)
    return given, repeated[0], broadcast


def _beside_kinks(
    code: _Code,
    host: Parameters,
    comparisons: Sequence[Comparison],
    compare: Callable[[str, Any, Parameters], Comparison],
) -> list[Comparison]:
    """Check beside the given values what has only kinks there, as ReLUs do with biases of 0.

    What is wrong among kinks is checked there again: two of them can cancel in the loss (a ReLU of
    minus a ReLU), and leave the gradient at that one point to convention.
    """
    kinks = any(each.kinks for each in comparisons)
    doubtful = {each.name for each in comparisons if not each.checked or (kinks and each.wrong)}
    if not doubtful:
        return list(comparisons)
    small = away_from_saturation(host)
    beside = {name: each + 0.1 * small[name] for name, each in host.items()}
    given = _named_gradients(code.gradients(code.put(beside)), host)
    again = {name: compare(name, given[name], beside) for name in doubtful}
    return [
        replace(again[each.name], place=", a little beside the kinks")
        if each.name in doubtful and again[each.name].checked
        else each
        for each in comparisons
    ]


def _slopes(comparisons: Sequence[Comparison]) -> Any:
    return np.concatenate([each.measured for each in comparisons])


def _told_flat(comparisons: Sequence[Comparison]) -> list[Comparison]:
    """Mark a check of slopes that are all 0, if all gradients are, too."""
    flat = not any(np.any(each.given) for each in comparisons)
    return [replace(each, flat=flat) for each in comparisons]


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


def _elsewhere(parameters: Parameters) -> dict[str, Any]:
    """Return parameters that are far from those given, even if the doctor made these."""
    return {name: -2.0 * each for name, each in away_from_saturation(parameters).items()}


def _refuse_the_same_loss(here: float, elsewhere: float) -> None:
    if here == elsewhere:
        raise InputError(
            f"loss(parameters) gives {here:.6g} whatever the parameters are; let it use the given "
            "ones (in a class, store them first: vars(network).update(parameters))"
            + ", and look for a factor that is 0, such as 1 // m"
            * (here == 0.0)
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
