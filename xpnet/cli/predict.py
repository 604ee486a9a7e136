"""`xpnet predict`, `evaluate` and `inspect`: what is done with a model file."""

from typing import Any

from xpnet.backend.files import probe_writable
from xpnet.cli.model_options import EvaluateOptions, InspectOptions, ModelOptions, PredictOptions
from xpnet.cli.output import (
    as_csv,
    check_table_name,
    format_lines,
    keep_inputs,
    say,
    show,
    show_json,
    write_table,
)
from xpnet.cli.scores import describe, describe_importance, describe_training
from xpnet.errors import InputError
from xpnet.saving.model import Model, load_model
from xpnet.tables.messages import up_to_ten
from xpnet.tables.scores import class_names, permutation_importance, score
from xpnet.tables.table import Table, read_table


def predict(options: PredictOptions) -> None:
    """Write the predicted class and probabilities, or value, of each row."""
    if options.out:
        check_table_name(options.out)
        keep_inputs([options.out], [options.model, options.data])
        probe_writable(options.out)
    model, data = _read(options, features=options.features)
    columns, notes = model.columns(data, spread=options.spread)
    for name, values in columns.items() if model.net.dtype == "float32" else ():
        if values.dtype == "float64":  # digits that mean something
            columns[name] = values.astype("float32")
    if options.out:
        write_table(options.out, columns)
    if options.json:
        where = {"out": options.out} if options.out else {"predictions": columns}
        show_json({"command": "predict", "model": options.model, "data": options.data,
                   "rows": data.rows, "notes": notes, **where})  # fmt: skip
        return
    for note in notes:
        say(note)
    if options.out:
        say(f"{data.rows:,} predictions written to {options.out}")
    else:
        import polars

        show(as_csv(polars.DataFrame(columns)).rstrip("\n"))


def evaluate(options: EvaluateOptions) -> None:
    """Measure a model on rows whose targets are known."""
    model, data = _read(options, target=options.target)
    plan = model.preprocessing
    if data.layout == "table" and options.target not in (None, plan.target):
        what = f"--target {options.target}: the model predicts {plan.target}; leave --target out"
        raise InputError(what)
    notes = plan.notes(data)
    rows = plan.complete_rows(data, target=True) if plan.missing != "refuse" else None
    y = plan.encode_target(data, rows)
    scores = score(plan, model.outputs(plan.transform(data, rows, dtype=model.net.dtype)), y)
    if len(y) < data.rows:
        notes.append(f"{data.rows - len(y)} of {data.rows} rows left out for missing cells")
    lines = [("data", f"{options.data}: {len(y):,} rows"), *(("note", each) for each in notes)]
    lines += describe(scores)
    report: dict[str, Any] = {}
    if options.importance:
        report["importance"] = permutation_importance(plan, model.outputs, data, repeats=5, seed=0)
        lines += describe_importance(report["importance"], scores)
    if options.json:
        show_json({"command": "evaluate", "model": options.model, "data": options.data,
                   "task": plan.task, "rows": len(y), "scores": scores,
                   "notes": notes, **report})  # fmt: skip
    else:
        show(format_lines(lines))


def inspect(options: InspectOptions) -> None:
    """Show what a model file holds."""
    model = load_model(options.model)
    net, plan, training = model.net, model.preprocessing, model.training
    version, count = model.format_version, 1 + len(model.other_nets)
    if options.json:
        show_json({"command": "inspect", "model": options.model, "format_version": version,
                   "library_version": model.library_version, "architecture": net.config(),
                   "networks": count, "parameters": count * net.flat.shape[0], "training": training,
                   "preprocessing": None if plan is None else plan.to_dict()})  # fmt: skip
        return
    lines = [
        ("file", f"{options.model}, format {version}, by xpnet {model.library_version}"),
        ("network", f"{f'{count} x ' * (count > 1)}{net!r}"),
    ]
    if plan is not None:
        names = up_to_ten(each.name for each in plan.columns)
        lines += [("task", f"{plan.task} of {plan.target}"), ("columns", names)]
        lines += [("classes", ", ".join(class_names(plan.classes)))] if plan.classes else []
    if training is not None and isinstance(training.get("scores"), dict):
        stopped = str(training.get("stopped"))
        early = "" if stopped.endswith(" done") else f"{training.get('epochs')} epochs, "
        lines += [("training", early + stopped), *describe_training(training)]
    show(format_lines(lines))


def _read(
    options: ModelOptions, target: str | None = None, features: str | None = None
) -> tuple[Model, Table]:
    """Read the model and the table, as the model needs it."""
    model = load_model(options.model, options.device)
    if model.preprocessing is None:
        raise InputError(
            f"{options.model}: holds only a network, without the preprocessing that a table needs; "
            "use it from Python: xpnet.load(...).predict(x)"
        )
    given = {"decimal": options.decimal, "header": False if options.no_header else None}
    how = model.reading | {name: each for name, each in given.items() if each is not None}
    return model, read_table(
        options.data, encoding=options.encoding, delimiter=options.delimiter, target=target,
        features=features, **how,
    )  # fmt: skip
