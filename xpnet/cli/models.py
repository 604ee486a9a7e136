"""`xpnet predict`, `evaluate`, `inspect`, `report`, `export`: what is done with a model file."""

import os
from dataclasses import fields
from pathlib import Path
from typing import Any

from xpnet.backend.files import fingerprint
from xpnet.cli.options import (
    EvaluateOptions,
    ExportOptions,
    InspectOptions,
    ModelOptions,
    PredictOptions,
    ReportOptions,
    TrainOptions,
    reading,
)
from xpnet.cli.output import as_csv, check_outputs, say, show, show_report, table_kind, write_table
from xpnet.cli.scores import describe, describe_importance, describe_training, described_task
from xpnet.errors import InputError
from xpnet.saving.model import Judged, Model, load_model
from xpnet.tables.messages import closest, quoted, up_to_ten
from xpnet.tables.scores import permutation_importance, score
from xpnet.tables.table import Table, read_table


def predict(options: PredictOptions) -> None:
    """Write the predicted class and probabilities, or value, of each row."""
    import polars

    if options.out:
        table_kind(options.out)
        check_outputs([options.out], [options.model, options.data])
    model, data = _read(options, features=options.features)
    columns, notes = model.columns(data, spread=options.spread)
    if model.net.dtype == "float32":  # more digits would mean nothing
        floats = {name: each for name, each in columns.items() if each.dtype == "float64"}
        columns |= {name: each.astype("float32") for name, each in floats.items()}
    if options.out:
        write_table(options.out, columns)
    if options.json:
        where = {"out": options.out} if options.out else {"predictions": columns}
        report = _about("predict", options) | {"rows": data.rows, "notes": notes}
        show_report(True, report | where, ())
        return
    for note in notes:
        say(note)
    if options.out:
        say(f"{data.rows:,} predictions written to {options.out}")
    else:
        show(as_csv(polars.DataFrame(columns)).rstrip("\n"))


def judge(options: EvaluateOptions | ReportOptions) -> tuple[Model, Judged, list[str]]:
    """Read a model and rows with targets, and predict these; also return notes."""
    model, data = _read(options, target=options.target)
    plan = model.preprocessing
    if data.layout == "table" and options.target not in (None, ",".join(plan.targets)):
        known = ", ".join(plan.targets)
        what = f"--target {options.target}: the model predicts {known}; leave --target out"
        raise InputError(what)
    for name in plan.targets if data.layout == "table" else ():
        if name not in data.places:
            what = f"{data.path}: there is no column {quoted(name)}, the target to compare with"
            raise InputError(f"{what}; {closest(name, data.names)} xpnet predict needs none.")
    notes = plan.notes(data)
    rows = plan.complete_rows(data, target=True) if plan.missing != "refuse" else None
    judged = model.judge(data, rows)
    if _was_trained_on(model, options):
        notes.append(f"it was trained on {options.data}: new rows may have lower scores")
    if (left_out := data.rows - len(judged.y)) > 0:
        notes.append(f"{left_out:,} of {data.rows:,} rows left out for missing cells")
    return model, judged, notes


def _was_trained_on(model: Model, options: ModelOptions) -> bool:
    """Return whether these rows are the model's own: of the same file, and sheet or query."""
    training = model.training or {}
    given = training.get("given", {})
    for name in ("sheet", "query"):
        if given.get(name) not in (None, getattr(options, name)):
            return False
    file = fingerprint(options.data)
    return bool(file) and file == training.get("file")


def evaluate(options: EvaluateOptions) -> None:
    """Print the scores of a model on rows with targets."""
    model, judged, notes = judge(options)
    plan, y = model.preprocessing, judged.y
    scores = score(plan, judged.outputs, y)
    lines = [("data", f"{options.data}: {len(y):,} rows"), *(("note", each) for each in notes)]
    lines += describe(scores)
    report = {"task": plan.task, "rows": len(y), "scores": scores, "notes": notes}
    if options.importance:
        importance = permutation_importance(plan, judged.predict, judged.x, y)
        report["importance"] = importance
        lines += describe_importance(importance, scores)
    show_report(options.json, _about("evaluate", options) | report, lines)


def inspect(options: InspectOptions) -> None:
    """Print what a model file holds."""
    model = load_model(options.model)
    net, plan, training = model.net, model.preprocessing, model.training
    version, count = model.format_version, 1 + len(model.other_nets)
    report = {
        "command": "inspect", "model": options.model, "format_version": version,
        "library_version": model.library_version, "architecture": net.config(),
        "networks": count, "parameters": count * net.flat.shape[0], "training": training,
        "preprocessing": None if plan is None else plan.to_dict(),
    }  # fmt: skip
    lines = [
        ("file", f"{options.model}, format {version}, by xpnet {model.library_version}"),
        ("network", f"{f'{count} x ' * (count > 1)}{net!r}"),
    ]
    if plan is not None:
        names = up_to_ten(each.name for each in plan.columns)
        lines += [("task", described_task(plan)), ("columns", names)]
    if training is not None and isinstance(training.get("scores"), dict):
        stopped = str(training.get("stopped"))
        early = "" if stopped.endswith(" done") else f"{training.get('epochs')} epochs, "
        lines += [("training", early + stopped), *describe_training(training)]
    show_report(options.json, report, lines)


def report(options: ReportOptions) -> None:
    """Write the report of a model, with figures of the table, if one is given."""
    from xpnet.report.report import model_report

    out = options.out or f"{Path(options.model).stem}.html"
    check_outputs([out], [options.model, options.data], report=out)
    if options.data:
        model, judged, _ = judge(options)
    else:
        model, judged = load_model(options.model, options.device), None
        if model.preprocessing is None:
            raise InputError(f"{options.model}: holds only a network; report what trained it")
    known, names = (model.training or {}).get("given"), {each.name for each in fields(TrainOptions)}
    given = {k: v for k, v in known.items() if k in names} if isinstance(known, dict) else None
    command = "" if given is None else TrainOptions(options.data or "TABLE", **given).as_command()
    title = f"{Path(options.model).name} of xpnet"
    model_report(model, title, command, out, judged=judged)
    say(f"report written to {out}")


def export(options: ExportOptions) -> None:
    """Write a model as ONNX, or as a Python program."""
    suffix = ".py" if options.numpy else ".onnx"
    out = options.out or os.path.splitext(options.model)[0] + suffix
    check_outputs([out], [options.model])
    model, as_program = load_model(options.model), options.numpy or out.endswith(".py")
    (model.to_numpy_source if as_program else model.to_onnx)(out)
    say(f"{out} written ({os.path.getsize(out):,} bytes)")


def _about(command: str, options: ModelOptions) -> dict[str, Any]:
    return {"command": command, "model": options.model, "data": options.data}


def _read(options: ModelOptions, **arrays: Any) -> tuple[Model, Table]:
    """Read the model, and the table with the options that the model needs."""
    model = load_model(options.model, options.device)
    if model.preprocessing is None:
        raise InputError(
            f"{options.model}: holds only a network, without the preprocessing that a table needs; "
            "use it from Python: xpnet.load(...).predict(x)"
        )
    return model, read_table(options.data, **arrays, **model.reading | reading(options))
