"""A report in one HTML file: what was done, how good it is, and why; missing parts are left out."""

import platform
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from importlib.resources import files
from typing import Any

import numpy as np

import xpnet
from xpnet.backend.files import atomic_write
from xpnet.doctor.initial_weights import explain_init
from xpnet.errors import InputError
from xpnet.nn.network import MLP
from xpnet.report import figures
from xpnet.report.figures import Drawing
from xpnet.saving.model import Judged, Model
from xpnet.tables.columns import Number
from xpnet.tables.scores import class_names, score
from xpnet.tables.table import Table, table_of
from xpnet.training.history import History

MAX_IMPORTANT, MAX_DEPENDENCE = 15, 3  # columns that are drawn
GRID = 40  # points of a column
ROWS = 500  # that partial dependence is the mean of


@dataclass(frozen=True)
class Section:
    """A heading, and what is known under it."""

    heading: str
    head: Sequence[str] = ()  # of the table
    rows: Sequence[Sequence[str]] = ()
    figures: Sequence[Drawing] = ()
    text: str = ""


def page_template() -> Any:
    """Return the page's template; refuse if what a report needs is not installed."""
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
    there = [each for each in sections if each.rows or each.figures or each.text]
    html: str = page_template().render(title=title, sections=[*there, _versions()])
    if path is not None:
        with atomic_write(path) as file:
            file.write(html.encode())
    return html


def history_report(history: History, path: Any = None) -> str:
    """Return the curves of a training as a page; see `History.report`."""
    told = Section("Training", figures=[*figures.curves(history)], text=history.stopped)
    return render("A training with xpnet", [told], path)


def model_report(
    model: Model,
    title: str,
    command: str,
    path: Any,
    *,
    judged: Judged | None = None,
    table: Table | None = None,
    importance: dict[str, tuple[float, float]] | None = None,
) -> str:
    """Write the report of a model, on rows that it is judged on, of a table, if there are any."""
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
    linear = training.get("linear") if now == known else None
    history = History(**curves)
    found = training.get("doctor", ())
    told = ("code", "severity", "where", "evidence", "why", "remedy")
    keys = ("code", "severity", "where", "evidence", "explanation", "remedy")
    columns = _column_figures(model, table, importance or {}) if table is not None else ()
    return render(title, [
        _scores("How good it is", now, linear, drawn),
        _scores("How good it was when it was trained", known if now != known else None, None, ()),
        Section("What was done to the table", ("what", "columns"), decisions),
        Section("Network", figures=[figures.network(model.net)], text=repr(model.net)),
        Section("Training", figures=[*figures.curves(history)], text=training.get("stopped", "")),
        Section("What each column adds", figures=[*columns]),
        _layers(model.net, judged.x if judged else None),
        Section("What the doctor found", told, [[each[key] for key in keys] for each in found]),
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
    for name in scores.get("recall", {}):
        others = [_number(each["recall"].get(name)) for each in beside[2:]]
        rows.append([f"recall of {name}", _number(scores["recall"][name]), "", *others])
    for target, each in scores.get("targets", {}).items():
        other = linear["targets"][target] if linear else None
        rows += [[f"{target}: {row[0]}", *row[1:]] for row in _scores("", each, other, ()).rows]
    rows.append(["rows", f"{scores['rows']}"])
    constant = scores["baseline"].get("class", "the mean")
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


def _column_figures(
    model: Model, table: Table, importance: dict[str, tuple[float, float]]
) -> Iterator[Drawing]:
    plan = model.preprocessing
    score_name = "R2" if plan.task == "regression" else "accuracy"
    if importance:
        first = dict(list(importance.items())[:MAX_IMPORTANT])
        told = f"By how much {score_name} falls if a column is shuffled, on average of five times."
        yield figures.bars("Permutation importance", told, first, f"fall of {score_name}")
    rows = figures.some(plan.complete_rows(table))[:ROWS]
    part = table.matrix[rows].copy()
    what = [*plan.decode(np.zeros((1, plan.outputs)))][-1]

    def mean_of(other: Table) -> Any:
        return [*plan.decode(model.outputs(plan.transform(other))).values()][-1]

    numbers = {each.name for each in plan.columns if isinstance(each, Number)}
    spans = dict[str, Any]()
    for name in importance or numbers:
        cells = table.numbers([name], rows)[:, 0] if name in numbers else np.array([np.nan])
        low, high = np.nanquantile(cells, [0.02, 0.98]) if not np.isnan(cells).all() else (0, 0)
        if low < high and name in numbers:
            spans[name] = np.linspace(low, high, GRID)
    for name, cells in list(spans.items())[:MAX_DEPENDENCE]:
        means = []
        for cell in cells:
            matrix = part.copy()
            matrix[:, table.index(name)] = cell
            means.append(float(np.mean(mean_of(replace(table, matrix=matrix)))))
        yield figures.dependence(name, what, cells, means)
    names = [each.name for each in plan.columns]
    if len(names) == 2 and {*names} == spans.keys():
        across, up = np.meshgrid(*(spans[name] for name in names))
        plane = table_of(np.stack([across.ravel(), up.ravel()], axis=1), plan)
        yield figures.regions(names, what, (across, up), mean_of(plane).reshape(across.shape))


def _layers(net: MLP, x: Any) -> Section:
    """Return the variances of an untrained network like this one, and the slopes of both."""
    heading = "Initial weights and saturation"
    if net.init == "callable" or (x is not None and len(x) < 2):
        return Section(heading)
    before, after = explain_init(MLP(**net.config()), x), explain_init(net, x)
    head = (
        "layer", "activation", "rule", "deviation of weights", "variance of activations",
        "variance of gradient", "mean slope before", "after training",
    )  # fmt: skip
    rows = [
        [f"{a.layer}", a.activation, a.rule, *(f"{each:.3g}" for each in (*a[5:], b.mean_slope))]
        for a, b in zip(before.layers, after.layers, strict=True)
    ]
    return Section(heading, head, rows, text="\n".join(before.warnings))


def script_report(name: str, found: Any, path: Any) -> str:
    """Write the doctor's report on a script, found: doctor.findings.Report."""
    facts = found.facts
    head = ("code", "severity", "where", "evidence", "why", "remedy")
    rows = [
        (each.code, each.severity, each.where, each.evidence, each.explanation, each.remedy)
        for each in found.findings
    ]
    mapping = [*facts.get("mapping", ()), facts.get("not_mapped") or ""]
    return render(f"The doctor on {name}", [
        Section("What the doctor found", head, rows, text="" if rows else str(found)),
        Section("The network, as far as it was recognised", text="\n".join(mapping).strip()),
        Section("Gradients", text=facts.get("gradients") or ""),
    ], path)  # fmt: skip


def _versions() -> Section:
    found = {"xpnet": xpnet.__version__, "NumPy": np.__version__}
    rows = [*found.items(), ("Python", platform.python_version())]
    return Section("Versions", ("package", "version"), rows)
