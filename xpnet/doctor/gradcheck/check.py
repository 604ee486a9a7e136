"""Gradient check: whether a gradient is that of the loss and, if not, how it is wrong.

Slopes of the loss in float64, along some entries and one random direction of every parameter, are
compared with the given gradient. Sources: CS231n notes on gradient checks; scikit-learn #8349 for a
ratio that names the mistake, there the number of outputs.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from xpnet.backend.device import CPU, device_of, to_host
from xpnet.doctor.findings import Finding, Report
from xpnet.doctor.gradcheck.mistakes import CS231N, merge_findings, shape_mistake, value_mistakes
from xpnet.doctor.gradcheck.slopes import Comparison, compare
from xpnet.doctor.rules.loss import not_finite, target_shape
from xpnet.doctor.rules.rule import Evidence
from xpnet.doctor.sample import sample_arrays
from xpnet.doctor.step import as_host, named_arrays, same_names
from xpnet.errors import InputError
from xpnet.nn.losses import penalty
from xpnet.nn.network import MLP

if TYPE_CHECKING:
    from xpnet.nn.losses import Loss

Parameters = Mapping[str, Any]
MAX_ROWS = 32  # of an xpnet network's data


@dataclass(frozen=True)
class GradientReport(Report):
    """Report of a gradient check."""

    comparisons: tuple[Comparison, ...] = ()  # one for each parameter

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
        gradients of the loss, which the update subtracts (``W -= rate * gradient``). If your code
        adds them (``W += rate * gradient``), return ``-gradient``.
    parameters : dict of str to array
        Arrays of any Array API library; both functions get them as float64. List them from the
        first layer to the last, or number them (``W1``, ``b1``, ``W2``, ...).
    net : MLP
    x, y : array_like
        As for `fit`; at most 32 rows, evenly spaced, are used.
    loss, l1, l2
        In the second form, as for `fit`.
    samples : int
        Entries checked in each parameter, besides one direction through all; 8 by default.
    batch_size : int, optional
        Rows in the loss of hand-written code, to name a factor.

    Returns
    -------
    GradientReport
        ``str()`` is for people; ``ok`` and ``findings`` are for programs. A parameter with all its
        slopes at kinks is checked beside them; one that cannot be checked is not ``ok``.

    Raises
    ------
    InputError
        If an argument is of the wrong kind, the names differ (gradients may also be called dW1 or
        W1_grad), the loss differs between two equal calls, or `gradients` changes the parameters.

    Examples
    --------
    >>> parameters = {"W": numpy.array([1.0, 2.0])}
    >>> print(check_gradients(lambda p: (p["W"] ** 2).sum(), lambda p: {"W": p["W"]}, parameters))
    """
    if isinstance(options.get("net", arguments[0] if arguments else None), MLP):
        return check_network(*arguments, **options)
    return check_functions(*arguments, **options)


def check_network(
    net: MLP, x: Any, y: Any, *, loss: "str | Loss" = "auto", l1: float = 0.0, l2: float = 0.0,
    **options: Any,
) -> GradientReport:  # fmt: skip
    """Check an xpnet network on a float64 copy on the host; see `check_gradients`."""
    twin = net.to(CPU, "float64")
    (x, y, _), _ = sample_arrays(MAX_ROWS, x, y)

    def put(parameters: Parameters) -> None:
        for own, given in zip(twin.parameters, parameters.values(), strict=True):
            own[...] = given

    def value(parameters: Parameters) -> float:
        put(parameters)
        extra = penalty(twin.device.xp, twin.flat_weights, l1, l2)
        return twin.loss(x, y, loss=loss) + float(extra)

    def gradients(parameters: Parameters) -> dict[str, Any]:
        put(parameters)
        found = twin.gradients(x, y, loss=loss, l1=l1, l2=l2)[1]
        return dict(zip(parameters, [*found.weights, *found.biases], strict=True))

    start = named_parameters(twin)
    return check_functions(value, gradients, start, batch_size=len(x), **options)


def named_parameters(net: MLP) -> dict[str, Any]:
    """Return host copies of the parameters by name: ``weights[0]``, ..., ``biases[0]``, ..."""
    names = [f"{kind}[{i}]" for kind in ("weights", "biases") for i in range(len(net.weights))]
    return {n: to_host(each).copy() for n, each in zip(names, net.parameters, strict=True)}


def check_functions(
    loss: Callable[[Parameters], Any], gradients: Callable[[Parameters], Parameters],
    parameters: Parameters, *, samples: int = 8, batch_size: int | None = None,
) -> GradientReport:  # fmt: skip
    """Check hand-written code; see `check_gradients`."""
    for name, function in (("loss", loss), ("gradients", gradients)):
        if not callable(function):
            raise InputError(
                f"{name} is {type(function).__name__}; pass a function of the parameters: "
                "check_gradients(loss, gradients, parameters)"
            )
    code = _Code(loss, gradients, named_arrays(parameters, "parameters"), samples)
    if not code.parameters:
        raise InputError("parameters is empty; pass a dict of names and arrays, such as {'W1': W1}")
    host = {name: as_host(array, name=name) for name, array in code.parameters.items()}
    broadcast = _broadcast(as_host(loss(code.put(host)), name="loss(parameters)"))
    given, value = code.gradients_at(host), code.only_value(host)
    if not np.isfinite(value):
        return GradientReport(_not_finite({"loss(parameters)": np.array(value)}), {"loss": value})
    comparisons = _beside_kinks(code, host, code.compare(host, given))
    measured = np.concatenate([each.measured for each in comparisons])
    if measured.size and not np.any(measured):
        comparisons = [replace(each, flat=True) for each in comparisons]
    sizes = batch_size, (1, *list(host.values())[-1].shape)[-1]
    shapes = [each for n in host for each in shape_mistake(n, given[n], host[n].shape)[1]]
    findings = (*broadcast, *_not_finite(given), *merge_findings(shapes),
                *value_mistakes(comparisons, value, sizes), *_not_checked(comparisons))  # fmt: skip
    return GradientReport(findings, {"loss": value}, tuple(comparisons))


@dataclass(frozen=True)
class _Code:
    """The code to check, which computes in the caller's library, as functions of host arrays."""

    loss: Callable[[Parameters], Any]
    gradients: Callable[[Parameters], Parameters]
    parameters: Parameters
    samples: int

    def put(self, values: Parameters) -> dict[str, Any]:
        """Return float64 copies of host arrays, on the device of the caller's parameters."""
        return {
            name: device_of(self.parameters[name]).put(each.copy(), "float64")
            for name, each in values.items()
        }

    def value(self, at: Parameters) -> float:
        """Return the loss as a number; it may be given as separate terms of a sum."""
        return float(np.sum(as_host(self.loss(at), name="loss(parameters)")))

    def only_value(self, values: Parameters) -> float:
        """Return the loss; refuse one that differs between two equal calls."""
        fixed = self.put(values)
        first, second = self.value(fixed), self.value(fixed)
        if not np.array_equal(first, second, equal_nan=True):
            raise InputError(
                f"loss(parameters) gave {first!r} and then {second!r} for the same parameters; "
                "switch dropout off, fix the seed, and change no variable inside it"
            )
        return first

    def gradients_at(self, values: Parameters) -> dict[str, Any]:
        """Return the gradients as host arrays; refuse other names and changed parameters."""
        handed = self.put(values)
        given = self.gradients(handed)
        if not isinstance(given, Mapping):
            raise InputError(
                f"gradients(parameters) returned {type(given).__name__}; return a dict with one "
                f"array for each of {sorted(values)}"
            )
        given = same_names(given, values)
        if given.keys() != values.keys():
            raise InputError(
                f"gradients(parameters) returned {sorted(given)} but the parameters are "
                f"{sorted(values)}; return one array for each, under the same names"
            )
        changed = [n for n in values if not np.array_equal(as_host(handed[n]), values[n])]
        if changed:
            raise InputError(
                f"gradients(parameters) changed {', '.join(changed)}; let it only return "
                "gradients, and update the parameters afterwards"
            )
        return {name: as_host(given[name], name=f"the gradient of {name}") for name in values}

    def compare(self, values: Parameters, given: Parameters) -> list[Comparison]:
        """Compare given gradients with the slopes of the loss at some values of all parameters."""
        fixed = self.put(values)

        def compared(name: str) -> Comparison:
            def loss_at(moved: Any) -> float:
                return self.value({**fixed, **self.put({name: moved})})

            gradient, _ = shape_mistake(name, given[name], values[name].shape)
            return compare(name, loss_at, values[name], gradient, self.samples)

        return [compared(name) for name in given]


def _beside_kinks(
    code: _Code, host: Parameters, comparisons: Sequence[Comparison]
) -> list[Comparison]:
    """Check parameters beside their values if there are only kinks, or they are wrong near some."""
    kinks = any(each.kinks for each in comparisons)
    doubtful = [each.name for each in comparisons if not each.checked or (kinks and each.wrong)]
    if not doubtful:
        return list(comparisons)
    small = away_from_saturation(host)
    beside = {name: each + 0.1 * small[name] for name, each in host.items()}
    given = code.gradients_at(beside)
    again = code.compare(beside, {name: given[name] for name in doubtful})
    better = {each.name: replace(each, place=", a little beside the kinks")
              for each in again if each.checked}  # fmt: skip
    return [better.get(each.name, each) for each in comparisons]


def away_from_saturation(parameters: Parameters) -> dict[str, Any]:
    """Return small random host parameters: saturated units have slopes of 0."""
    random = np.random.default_rng(0)
    shapes = {n: tuple(each.shape) for n, each in named_arrays(parameters, "parameters").items()}
    return {
        name: 1.0 / np.sqrt(max((*shape, 4))) * random.standard_normal(shape)
        for name, shape in shapes.items()
    }


def of_unit_size(x: Any) -> Any:
    """Return inputs scaled to root mean squares up to 1, also because of saturated units."""
    x = as_host(x, name="x")
    largest = np.maximum(np.max(np.abs(x), axis=0), 1.0)  # whose square may not be finite
    return x / np.maximum(largest * np.sqrt(np.mean((x / largest) ** 2, axis=0)), 1.0)


def _broadcast(terms: Any) -> tuple[Finding, ...]:
    """Find out whether (m,) met (m, 1), from a loss that is given as separate terms."""
    m = terms.shape[0] if terms.ndim == 2 and terms.shape[0] == terms.shape[1] else 0
    evidence = f"the loss has {m} x {m} = {m * m} terms for {m} samples"
    seen = Evidence("loss", evidence, {"reshape_targets": True}, code="loss-broadcast")
    return (target_shape.finding(seen),) if m > 1 else ()


def _not_finite(given: Parameters) -> tuple[Finding, ...]:
    """Return one finding for all NaN and infinite numbers, if there are any."""
    counts = {name: int(np.sum(~np.isfinite(each))) for name, each in given.items()}
    bad = {name: f"{count} of {given[name].size} entries of {name}"
           for name, count in counts.items() if count}  # fmt: skip
    return (replace(not_finite.finding(Evidence(
        ", ".join(bad), f"{', '.join(bad.values())} are NaN or infinite",
        remedy="compute softmax or sigmoid with cross-entropy from the pre-activations: delta = "
        "outputs - targets   # and no log(0), 0 / 0 or exp of a large number",
    )), repair=None),) if bad else ()  # fmt: skip


def _not_checked(comparisons: Sequence[Comparison]) -> tuple[Finding, ...]:
    """Return one warning for all that could not be checked, if there is anything."""
    left = [each for each in comparisons if not each.checked]
    kinks = f"all {sum(each.kinks for each in left)} slopes tried are at kinks, also beside them"
    flat = "every slope of the loss is exactly 0" if any(each.flat for each in left) else kinks
    return (Finding(
        "not-checked", "warning", ", ".join(each.name for each in left), flat,
        "Nothing shows a mistake here: the loss does not use the parameters it is given, has a "
        "factor that is 0 (such as 1 // m), or units are dead, saturated or at a kink.",
        "let loss(parameters) use what it is given (in a class, store it first: "
        "vars(network).update(parameters)), or check at small random parameters", CS231N,
    ),) if left else ()  # fmt: skip
