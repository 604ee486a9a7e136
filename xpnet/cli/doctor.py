"""`xpnet doctor` of a table: why a network does not learn."""

from dataclasses import replace

from xpnet.cli.options import DoctorOptions
from xpnet.cli.output import say, show, show_report
from xpnet.cli.pilots import load_task
from xpnet.cli.remedies import in_cli_terms
from xpnet.cli.scores import describe, is_useless
from xpnet.cli.task import Task, fit_options, limit_threads, make_network
from xpnet.doctor.diagnose import diagnose
from xpnet.doctor.findings import Finding, Report
from xpnet.tables.scores import score
from xpnet.training.loop import Training

USELESS = Finding(
    "no-better-than-constant", "error", "rows not trained on", "",
    "What was learnt holds for the training rows at best.",
    "more rows, other columns, fewer units in --hidden, or a larger --dropout",
    "Karpathy, A Recipe for Training Neural Networks, 2019 (input-independent baseline)",
)  # fmt: skip


def doctor(options: DoctorOptions) -> None:
    """Check the table, the gradient and a training run; print what is wrong, worst first."""
    task = load_task(options)
    with limit_threads(task):
        report = _diagnose(task)
    if options.json:
        told = {"command": "doctor", "data": options.data, "notes": task.notes}
        show_report(True, told | report.to_dict(), ())
        return
    for each in task.decisions:
        say(f"{each.kind}: {each.text()}")
    for note in task.notes:
        say(f"note: {note}")
    show(str(report))


def _diagnose(task: Task) -> Report:
    trained, names = list[Training](), task.plan.input_names()
    report = diagnose(
        make_network(task), task.x, task.y, names=names, callbacks=[trained.append],
        **fit_options(task),
    )  # fmt: skip
    found = in_cli_terms(report.findings, task)
    if trained and not any(each.severity == "error" for each in found):
        x, y = task.judged
        scores = score(task.plan, trained[-1].net.predict(x), y)
        if is_useless(scores):  # as `train` says
            found = (replace(USELESS, evidence=describe(scores)[0][1]), *found)
    return replace(report, findings=found)
