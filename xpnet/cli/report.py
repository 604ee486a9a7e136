"""`xpnet report`: what is known of a model, on one page."""

from dataclasses import fields
from pathlib import Path
from typing import Any

from xpnet.backend.files import probe_writable
from xpnet.cli.options import ReportOptions, TrainOptions
from xpnet.cli.output import keep_inputs, say
from xpnet.cli.predict import judge
from xpnet.errors import InputError
from xpnet.report.report import model_report
from xpnet.saving.model import load_model
from xpnet.tables.scores import permutation_importance

MAX_COLUMNS = 60  # that are shuffled: each is predicted five times


def report(options: ReportOptions) -> None:
    """Write the report of a model, with figures where there is a table to judge it on."""
    out = options.out or f"{Path(options.model).stem}.html"
    keep_inputs([out], [options.model, options.data])
    probe_writable(out)
    title = f"{Path(options.model).name} of xpnet"
    if not options.data:
        model = load_model(options.model, options.device)
        if model.preprocessing is None:
            raise InputError(f"{options.model}: holds only a network; report what trained it")
        model_report(model, title, _command(model.training, "TABLE"), out)
    else:
        model, table, judged, _ = judge(options)
        plan, importance = model.preprocessing, None
        if len(plan.columns) <= MAX_COLUMNS:
            importance = permutation_importance(plan, model.outputs, table, repeats=5, seed=0)
        model_report(
            model, title, _command(model.training, options.data), out,
            judged=judged, table=table, importance=importance,
        )  # fmt: skip
    say(f"report written to {out}")


def _command(training: dict[str, Any] | None, data: str) -> str:
    """Return the command that trained a model, as far as its file tells."""
    known, names = (training or {}).get("options"), {each.name for each in fields(TrainOptions)}
    if not isinstance(known, dict):
        return ""
    return TrainOptions(data, **{k: v for k, v in known.items() if k in names}).as_command()
