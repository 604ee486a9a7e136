"""`xpnet predict`, `evaluate`, `inspect`: what is done with a model file; and `devices`."""

from typing import Any

import numpy as np

from xpnet.backend.files import probe_writable
from xpnet.backend.threads import system_report
from xpnet.cli.options import DevicesOptions, EvaluateOptions, InspectOptions, PredictOptions
from xpnet.cli.output import (
    check_table_name,
    keep_inputs,
    say,
    show,
    show_json,
    table,
    write_table,
)
from xpnet.errors import InputError
from xpnet.saving.model import FORMAT_VERSION, Model, load_model
from xpnet.tables.columns import Category
from xpnet.tables.messages import format_number
from xpnet.tables.preprocessing import Preprocessing
from xpnet.tables.table import read_table
from xpnet.training.skill import Skill

HARDLY = 0.1  # of the way from the mean recall of a constant, 1 / classes, to 1


def predict(options: PredictOptions) -> None:
    """Write the predicted class and probabilities, or value, of each row."""
    if options.out:
        check_table_name(options.out)
        keep_inputs([options.out], [options.model, options.data])
        probe_writable(options.out)
    model = _with_plan(options.model, options.device)
    data = read_table(
        options.data, encoding=options.encoding, delimiter=options.delimiter,
        decimal=options.decimal or model.decimal, features=options.features,
        as_texts=model.preprocessing.text_columns,
    )  # fmt: skip
    columns, notes = model.columns(data)
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

        show(polars.DataFrame(columns).write_csv().rstrip("\n"))


def evaluate(options: EvaluateOptions) -> None:
    """Measure a model on rows whose targets are known."""
    model = _with_plan(options.model, options.device)
    plan = model.preprocessing
    data = read_table(
        options.data, encoding=options.encoding, target=options.target,
        delimiter=options.delimiter, decimal=options.decimal or model.decimal,
        as_texts=plan.text_columns,
    )  # fmt: skip
    if data.layout == "table" and options.target not in (None, plan.target):
        raise InputError(
            f"--target {options.target}: the model was trained to predict {plan.target}, which is "
            f"also a column of {options.data}; leave --target out"
        )
    notes = plan.notes(data)
    rows = plan.complete_rows(data, target=True) if plan.missing == "drop" else None
    y = plan.encode_target(data, rows)
    found = scores(plan, model.net.predict(plan.transform(data, rows, dtype=model.net.dtype)), y)
    if rows is not None and len(rows) < data.rows:
        notes.append(f"{data.rows - len(rows)} of {data.rows} rows left out for missing cells")
    if options.json:
        show_json({"command": "evaluate", "model": options.model, "data": options.data,
                   "task": plan.task, "rows": len(y), "scores": found, "notes": notes})  # fmt: skip
        return
    lines = [("data", f"{options.data}: {len(y):,} rows"), *(("note", each) for each in notes)]
    show(table([*lines, *describe_scores(found)]))


def inspect(options: InspectOptions) -> None:
    """Show what a model file holds."""
    model = load_model(options.model)
    net, plan, training = model.net, model.preprocessing, model.training
    if options.json:
        show_json({"command": "inspect", "model": options.model, "format_version": FORMAT_VERSION,
                   "library_version": model.library_version, "architecture": net.config(),
                   "parameters": net.flat.shape[0], "training": training,
                   "preprocessing": None if plan is None else plan.to_dict()})  # fmt: skip
        return
    lines = [
        ("file", f"{options.model}, format {FORMAT_VERSION}, by xpnet {model.library_version}"),
        ("network", f"{net!r}"),
    ]
    if plan is not None:
        lines += [("task", f"{plan.task} of {plan.target}"), *_columns(plan)]
    if training is not None and isinstance(training.get("scores"), dict):
        lines.append(("training", f"{training.get('epochs')} epochs; {training.get('stopped')}"))
        lines += describe_scores(training["scores"], f"{training.get('validated_on')} ")
    show(table(lines))


def devices(options: DevicesOptions) -> None:
    """Show what this machine computes with."""
    report = system_report()
    if options.json:
        show_json({"command": "devices", **report})
        return
    used = report["blas"]
    kernels = "not known" if used["kernels"] is None else used["kernels"]
    lines = [
        ("cpu", f"{report['processor']}, {report['processors']} processor(s)"
         f"{', AVX-512' if report['avx512'] else ''}"),
        ("numpy", f"{report['numpy']} with {used['name']} {used['version']}"),
        ("kernels", f"{kernels}, chosen by {used['kernels_chosen_by']}"),
        ("gpu", ", ".join(report["gpus"]) or f"none: {report['gpu_reason']}"),
    ]  # fmt: skip
    show(table(lines))


def _columns(plan: Preprocessing) -> list[tuple[str, str]]:
    names = [
        f"{each.name} ({each.inputs} categories)" if isinstance(each, Category) else each.name
        for each in plan.columns
    ]
    listed = ", ".join(names[:20]) + (f", and {len(names) - 20} more" if len(names) > 20 else "")
    lines = [("columns", listed)]
    if plan.classes:
        lines.append(("classes", ", ".join(class_names(plan.classes))))
    return lines


def _with_plan(path: str, device: str) -> Model:
    model = load_model(path, device)
    if model.preprocessing is None:
        raise InputError(
            f"{path}: holds only a network, without the preprocessing that a table needs; use it "
            "from Python: xpnet.load(...).predict(x)"
        )
    return model


def class_names(classes: tuple[Any, ...]) -> list[str]:
    """Return the classes as people write them: 1 and not 1.0."""
    return [format_number(each) for each in classes]


def scores(plan: Preprocessing, outputs: Any, y: Any) -> dict[str, Any]:
    """Measure predictions against those of the best constant, in the target's own unit.

    Parameters
    ----------
    outputs : host array, (n, outputs)
    y : host array, (n,)
        Class numbers, or values as the network is trained on them.
    """
    if plan.task == "regression":
        error = np.abs(np.asarray(outputs[:, 0], np.float64) - y) * plan.target_std
        spread = np.abs(y - np.mean(y)) * plan.target_std
        squares, total = float(np.sum(error**2)), float(np.sum(spread**2))
        return {
            "r2": 1.0 - squares / total if total else None,
            "mean_absolute_error": float(np.mean(error)),
            "baseline": {"r2": 0.0, "mean_absolute_error": float(np.mean(spread))},
            "rows": len(y),
        }
    if outputs.shape[1] == 1:
        outputs = np.concatenate([1.0 - outputs, outputs], axis=1)
    names = class_names(plan.classes)
    right = np.argmax(outputs, axis=1) == y
    counts = np.bincount(y, minlength=len(names))
    hits = np.bincount(y[right], minlength=len(names))
    most = int(np.argmax(counts))
    return {
        "accuracy": float(np.mean(right)),
        "baseline": {"accuracy": float(counts[most] / len(y)), "class": names[most]},
        "recall": {n: float(h / c) for n, h, c in zip(names, hits, counts, strict=True) if c},
        "rows": len(y),
    }


def describe_scores(found: dict[str, Any], where: str = "") -> list[tuple[str, str]]:
    """Put scores into words."""
    baseline, rows = found["baseline"], f"on {found['rows']:,} {where}rows"
    if "accuracy" in found:
        constant = f"always {baseline['class']}: {100 * baseline['accuracy']:.2f} %"
        lines = [("accuracy", f"{100 * found['accuracy']:.2f} % {rows} ({constant})")]
        if 2 <= len(found["recall"]) <= 10:
            each = ", ".join(f"{name} {100 * r:.1f}" for name, r in found["recall"].items())
            lines.append(("by class", f"{each} %"))
        return [*lines, *_verdict(found, f"always {baseline['class']}")]
    r2 = "not defined" if found["r2"] is None else f"{found['r2']:.4f}"
    off, constant_off = (_short(each["mean_absolute_error"]) for each in (found, baseline))
    return [
        ("R2", f"{r2} {rows} (always the mean: 0)"),
        ("mean error", f"{off} (always the mean: {constant_off})"),
        *_verdict(found, "always the mean"),
    ]


def useless(found: dict[str, Any]) -> bool:
    """Tell whether the predictions are no better than the best constant.

    Of classes, neither in accuracy nor in the mean recall, which counts rare ones as much.
    """
    if "accuracy" not in found:
        return found["r2"] is not None and not Skill(1.0 - found["r2"], 1.0).is_clear
    recall = list(found["recall"].values())
    wrong = Skill(1.0 - found["accuracy"], 1.0 - found["baseline"]["accuracy"])
    chance = 1.0 / len(recall)
    missed = Skill(1.0 - float(np.mean(recall)), 1.0 - chance, HARDLY * (1.0 - chance))
    return not wrong.is_clear and len(recall) > 1 and not missed.is_clear


def _verdict(found: dict[str, Any], constant: str) -> list[tuple[str, str]]:
    remedy = "xpnet doctor looks for the cause"
    return [("note", f"no better than {constant}; {remedy}")] if useless(found) else []


def _short(number: float) -> str:
    return f"{number:,.0f}" if 1e3 <= number < 1e9 else f"{number:.4g}"
