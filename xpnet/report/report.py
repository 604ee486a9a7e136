"""Reports in one HTML file: what was done, how good it is, and why; missing parts are left out."""

import platform
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from importlib.resources import files
from typing import Any

import numpy as np

import xpnet
from xpnet.backend.files import atomic_write
from xpnet.doctor.doctor import Doctor
from xpnet.doctor.gradcheck.check import named_parameters
from xpnet.doctor.initial_weights import explain_init
from xpnet.doctor.run import Run
from xpnet.errors import InputError
from xpnet.nn.network import MLP
from xpnet.report import figures
from xpnet.report.evidence import pictures
from xpnet.report.figures import Drawing
from xpnet.report.plots import some
from xpnet.saving.model import Judged, Model
from xpnet.tables.columns import Number
from xpnet.tables.encodings import piecewise_linear
from xpnet.tables.scores import class_names, permutation_importance, score
from xpnet.training.history import History

MAX_COLUMNS = 60  # that are shuffled: each is predicted five times
MAX_IMPORTANT, MAX_DEPENDENCE = 15, 3  # columns that are drawn
GRID = 40  # points of a column


@dataclass(frozen=True)
class Section:
    """A heading and the content below it."""

    heading: str
    head: Sequence[str] = ()  # of the table
    rows: Sequence[Sequence[str]] = ()
    figures: Sequence[Drawing] = ()
    text: str = ""
    findings: Sequence[tuple[Mapping[str, Any], Drawing | None]] = ()


def page_template() -> Any:
    """Return the page's template; raise InputError if the extra ``report`` is not installed."""
    try:
        import matplotlib  # noqa: F401
        from jinja2 import Environment
    except ImportError as error:
        raise InputError(
            "reports need matplotlib and Jinja2: pip install 'xpnet[report]'"
        ) from error
    text = files("xpnet.report").joinpath("template.html").read_text(encoding="utf-8")
    return Environment(autoescape=True, trim_blocks=True).from_string(text)


def render(title: str, sections: Iterable[Section], path: Any = None) -> str:
    """Return the page, and write it to a path if given."""
    there = [s for s in sections if s.rows or s.figures or s.text or s.findings]
    versions = {"xpnet": xpnet.__version__, "NumPy": np.__version__}
    versions |= {"Python": platform.python_version()}
    there.append(Section("Versions", ("package", "version"), [*versions.items()]))
    html: str = page_template().render(title=title, sections=there)
    if path is not None:
        with atomic_write(path) as file:
            file.write(html.encode())
    return html


def history_report(history: History, path: Any = None) -> str:
    """Return the curves of a training as a page; see `History.report`."""
    told = Section("Training", figures=[*figures.curves(history)], text=history.stopped)
    return render("A training with xpnet", [told], path)


def model_report(
    model: Model, title: str, command: str, path: Any, *, judged: Judged | None = None
) -> str:
    """Write the report of a model, with the rows that it is judged on, if there are any."""
    plan, training = model.preprocessing, model.training or {}
    known = training.get("scores")
    now = score(plan, judged.outputs, judged.y) if judged else known
    drawn = [*_judged_figures(plan, judged)] if judged else []
    decisions = [
        (kind, f"{column}: {what}")
        for kind, each in training.get("decisions", {}).items()
        for column, what in each.items()
    ]
    decisions += [("note", each) for each in training.get("notes", ())]
    named = {each.name for each in fields(History)}
    curves = {k: v for k, v in training.get("history", {}).items() if k in named}
    linear, other = training.get("linear"), None if now == known else known
    history = History(**curves)
    drawing = figures.network(model.net, 1 + len(model.other_nets))
    return render(title, [
        _scores("How good it is", now, None if other else linear, drawn),
        _scores("How good it was when it was trained", other, linear, ()),
        _found(training.get("doctor", ()), _seen(model, judged, history)),
        Section("What was done to the table", ("what", "columns"), decisions),
        Section("Network", figures=[drawing]),
        Section("Training", figures=[*figures.curves(history)], text=training.get("stopped", "")),
        Section("What each column adds", figures=[*_column_figures(model, judged)]),
        _layers(model.net, judged.x if judged else None),
        Section("The command that repeats it", text=command),
    ], path)  # fmt: skip


def _scores(
    heading: str, scores: Any, linear: dict[str, Any] | None, drawn: Sequence[Drawing]
) -> Section:
    if scores is None:
        return Section(heading)
    beside = [scores, scores["baseline"], *([linear] if linear else [])]
    names = [name for name in ("accuracy", "r2", "mean_absolute_error") if name in scores]
    rows = [[name, *(_number(each.get(name)) for each in beside)] for name in names]
    constant = scores["baseline"].get("class", "the mean")
    for name in scores.get("recall", {}):
        others = [_number(each["recall"].get(name)) for each in beside[2:]]
        always = _number(name == constant)
        rows.append([f"recall of {name}", _number(scores["recall"][name]), always, *others])
    for target, each in scores.get("targets", {}).items():
        other = linear["targets"][target] if linear else None
        rows += [[f"{target}: {row[0]}", *row[1:]] for row in _scores("", each, other, ()).rows]
    rows.append(["rows", *(f"{scores['rows']}" for _ in beside)])
    head = ["score", "network", f"always {constant}", *(["linear model"] if linear else [])]
    return Section(heading, head, rows, drawn)


def _number(value: float | None) -> str:
    return "not defined" if value is None else f"{value:.6g}"


def _judged_figures(plan: Any, judged: Judged) -> Iterator[Drawing]:
    for at, one in enumerate(plan.each_target):
        outputs, y = judged.outputs, judged.y
        if plan.more_targets:
            outputs, y = outputs[:, at : at + 1], y[:, at]
        if one.task == "regression":
            yield from figures.regression(one.target, one.values(outputs[:, 0]), one.values(y))
        else:
            shares = np.stack([*one.decode(outputs).values()][1:], axis=1)
            yield from figures.classification(class_names(one.classes), shares, y)


def _column_figures(model: Model, judged: Judged | None) -> Iterator[Drawing]:
    if judged is None:
        return
    plan, importance = model.preprocessing, dict[str, tuple[float, float]]()
    if len(plan.columns) <= MAX_COLUMNS:
        importance = permutation_importance(plan, judged.predict, judged.x, judged.y)
        score_name = "R2" if plan.task == "regression" else "accuracy"
        first = dict(list(importance.items())[:MAX_IMPORTANT])
        told = f"By how much {score_name} falls if a column is shuffled, on average of five times."
        yield figures.bars("Permutation importance", told, first, f"fall of {score_name}")
    rows = some(judged.x)
    what = [*plan.decode(np.zeros((1, plan.outputs)))][-1]

    def answers(x: Any) -> Any:
        return [*plan.decode(model.outputs(x)).values()][-1]

    names = [each.name for each in plan.columns]
    grids = dict[str, tuple[Any, slice, Any]]()  # cells, inputs, and what the cells are there
    for name in importance or names:
        column, inputs = plan.columns[names.index(name)], plan.inputs_of(name)
        low, high = np.quantile(rows[:, inputs.start], [0.02, 0.98])
        if isinstance(column, Number) and low < high:
            scaled = np.linspace(low, high, GRID)
            grids[name] = scaled * column.std + column.mean, inputs, _inputs(column, scaled)
    for name, (cells, inputs, values) in list(grids.items())[:MAX_DEPENDENCE]:
        x, means = rows.copy(), list[float]()
        for each in values:
            x[:, inputs] = each
            means.append(float(np.mean(answers(x))))
        yield figures.dependence(name, what, cells, means)
    if len(names) == 2 and {*names} == grids.keys():
        (across, i, values), (up, j, others) = (grids[name] for name in names)
        plane = np.zeros((GRID, GRID, plan.inputs), rows.dtype)
        plane[:, :, i], plane[:, :, j] = values, others[:, None]
        shown = answers(plane.reshape(-1, plan.inputs)).reshape(GRID, GRID)
        yield figures.regions(names, what, (across, up), shown)


def _inputs(column: Number, scaled: Any) -> Any:
    """Return the inputs that `Preprocessing.transform` makes of a column's cells, (n,)."""
    edges = (np.asarray(column.edges) - column.mean) / column.std
    bins = piecewise_linear(scaled, edges) if column.edges else np.zeros((len(scaled), 0))
    missing = np.zeros((len(scaled), int(column.indicator)))
    return np.hstack([scaled[:, None], missing, bins])


def _layers(net: MLP, x: Any) -> Section:
    """Return the variances of an untrained network like this one, and both networks' slopes."""
    heading = "Initial weights and saturation"
    if net.init == "callable" or (x is not None and len(x) < 2):
        return Section(heading)
    before, after = explain_init(MLP(**net.config()), x), explain_init(net, x)
    head = (
        "layer", "activation", "rule", "deviation of weights", "variance of activations",
        "variance of gradient", "mean slope before", "after training",
    )  # fmt: skip
    rows = []
    for a, b in zip(before.layers, after.layers, strict=True):
        variances = a.activation_variance, a.gradient_variance
        numbers = a.standard_deviation, *variances, a.mean_slope, b.mean_slope
        rows.append([f"{a.layer}", a.activation, a.rule, *(f"{each:.3g}" for each in numbers)])
    return Section(heading, head, rows, text="\n".join(before.warnings))


def _seen(model: Model, judged: Judged | None, history: History) -> Run:
    """Return what the doctor sees of a network before and after training, on the judged rows."""
    net, doctor = model.net, Doctor(names=model.preprocessing.input_names())
    options = (model.training or {}).get("options", {})
    for each in (MLP(**net.config()), net) if net.init != "callable" else (net,):
        parameters, shown = named_parameters(each), {}
        if judged:
            _, slopes = each.gradients(judged.x, judged.y, loss=options.get("loss", "auto"))
            shown = {
                "inputs": judged.x, "targets": judged.y, "predictions": each.predict(judged.x),
                "activations": each.forward(judged.x).activations,
                "gradients": dict(zip(parameters, (*slopes.weights, *slopes.biases), strict=True)),
            }  # fmt: skip
        doctor.watch(parameters=parameters, **shown)
    doctor.note(losses=history.loss, validation_losses=history.validation_loss)
    return doctor.run


def _found(findings: Sequence[Mapping[str, Any]], run: Run) -> Section:
    drawn = pictures([each["code"] for each in findings], run)
    return Section("What the doctor found", findings=[*zip(findings, drawn, strict=True)])


def script_report(name: str, found: Any, run: Run, path: Any) -> str:
    """Write the doctor's report on a script; `found` is a `xpnet.doctor.findings.Report`."""
    facts = found.facts
    mapping = [*facts.get("mapping", ()), facts.get("not_mapped") or ""]
    findings = [asdict(each) for each in found.findings]
    return render(f"The doctor on {name}", [
        _found(findings, run) if findings else Section("What the doctor found", text=str(found)),
        Section("The network, as far as it was recognised", text="\n".join(mapping).strip()),
        Section("Gradients", text=facts.get("gradients") or ""),
    ], path)  # fmt: skip
