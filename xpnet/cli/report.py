"""`xpnet report`: what is known of a model, on one page."""

from dataclasses import fields
from pathlib import Path
from typing import Any

from xpnet.cli.options import ReportOptions, TrainOptions
from xpnet.cli.output import check_outputs, say
from xpnet.cli.predict import judge
from xpnet.errors import InputError
from xpnet.report.report import model_report
from xpnet.saving.model import load_model


def report(options: ReportOptions) -> None:
    """Write the report of a model, with figures where there is a table to judge it on."""
    out = options.out or f"{Path(options.model).stem}.html"
    check_outputs([out], [options.model, options.data])
    title = f"{Path(options.model).name} of xpnet"
    if options.data:
        model, judged, _ = judge(options)
    else:
        model, judged = load_model(options.model, options.device), None
        if model.preprocessing is None:
            raise InputError(f"{options.model}: holds only a network; report what trained it")
    command = _command(model.training, options.data or "TABLE")
    model_report(model, title, command, out, judged=judged)
    say(f"report written to {out}")


def _command(training: dict[str, Any] | None, data: str) -> str:
    """Return the command that trained a model, if its file tells."""
    known, names = (training or {}).get("given"), {each.name for each in fields(TrainOptions)}
    if not isinstance(known, dict):
        return ""
    return TrainOptions(data, **{k: v for k, v in known.items() if k in names}).as_command()
