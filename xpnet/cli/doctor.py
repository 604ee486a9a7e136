"""`xpnet doctor` of a table: why a network does not learn."""

from dataclasses import replace

from xpnet.cli.output import say, show, show_json
from xpnet.cli.pilots import load_task
from xpnet.cli.remedies import in_cli_terms
from xpnet.cli.task import Task, fit_options, limit_threads, make_network
from xpnet.cli.train_options import DoctorOptions
from xpnet.doctor.diagnose import diagnose
from xpnet.doctor.findings import Report


def doctor(options: DoctorOptions) -> None:
    """Check the table, the gradient and a training run; print what is wrong, worst first."""
    task = load_task(options)
    with limit_threads(task):
        report = _diagnose(task)
    if options.json:
        told = {"command": "doctor", "data": options.data}
        show_json({**told, **report.to_dict(), "notes": task.notes})
        return
    for each in task.decisions:
        say(f"{each.kind}: {each.text()}")
    for note in task.notes:
        say(f"note: {note}")
    show(str(report))


def _diagnose(task: Task) -> Report:
    names = task.plan.input_names()
    report = diagnose(make_network(task), task.x, task.y, names=names, **fit_options(task))
    return replace(report, findings=in_cli_terms(report.findings, task))
