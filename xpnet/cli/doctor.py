"""`xpnet doctor` and `xpnet parity`: what is wrong with the settings, or with the machine."""

import math
from contextlib import ExitStack
from dataclasses import fields, replace
from typing import Any

import numpy as np

from xpnet.backend.random import generator
from xpnet.backend.threads import one_thread, threads_for
from xpnet.cli.models import scores
from xpnet.cli.options import DoctorOptions, ParityOptions, TrainOptions, as_command, flag
from xpnet.cli.output import say, show, show_json
from xpnet.cli.remedies import changes, in_cli_terms
from xpnet.cli.task import (
    Task,
    check_options,
    fit_options,
    largest_product,
    load_task,
    network,
)
from xpnet.doctor.diagnose import diagnose
from xpnet.doctor.findings import Report
from xpnet.doctor.parity import compare
from xpnet.errors import DivergenceError, InputError
from xpnet.tables.columns import Number
from xpnet.tables.preprocessing import Preprocessing
from xpnet.training.fit import prepare_training

HELPS = 0.98  # a remedy is kept if the error with it is below this share of the one without
OF_TABLES = ("target", "task", "missing", "drop", "keep", "raw", "encoding", "delimiter",
             "decimal")  # fmt: skip
ROUNDS = 4  # of diagnosis and remedies: one can uncover the next


def doctor(options: DoctorOptions) -> None:
    """Check the table, the gradient and a training run; print what is wrong, worst first."""
    check_options(options)
    with ExitStack() as held:
        if options.deterministic:
            held.enter_context(one_thread())
        task = load_task(options)
        held.enter_context(threads_for(largest_product(task, network(task))))
        report = _diagnose(task)
        if not options.json:  # before the repairs, which take long
            for note in task.notes:
                say(f"note: {note}")
            show(str(report))
        tried, mended = _repair(options, task, report) if options.repair else ([], options)
    if options.json:
        repairs = {"repairs": tried, "command_line": as_command(mended)} if options.repair else {}
        show_json({"command": "doctor", "data": options.data, **report.to_dict(),
                   "notes": list(task.notes), **repairs})  # fmt: skip
    elif options.repair:
        show("\n" + _told(tried, mended) if report.findings else "Nothing to repair.")


def _diagnose(task: Task) -> Report:
    names = task.plan.input_names()
    report = diagnose(network(task), task.x, task.y, names=names, **fit_options(task))
    return replace(report, findings=in_cli_terms(report.findings, task))


def _repair(
    given: TrainOptions, task: Task, report: Report
) -> tuple[list[dict[str, Any]], TrainOptions]:
    """Apply all remedies, then undo each in turn and keep those without which the error rises.

    Together first: if two causes each stop the training, fixing only one shows nothing.
    """
    mended, reasons, refused = given, dict[str, list[str]](), dict[str, tuple[Any, str]]()
    for _ in range(ROUNDS):
        before, wanted = mended, dict[str, Any]()
        for finding in report.findings:
            for name, value in changes(finding.repair, task).items():
                wanted.setdefault(name, value)
                reasons.setdefault(name, []).append(finding.code)
        for name, value in wanted.items():
            changed = replace(mended, **{name: value})
            try:
                task, mended = load_task(changed), changed
            except InputError as unfit:
                refused[name] = (value, str(unfit))
        if mended == before:
            break
        report = _diagnose(task)
    tried: list[dict[str, Any]] = []
    at_first = _error(given)
    error = at_first if mended == given else _error(mended)
    for name, codes in reasons.items():
        about = {"option": name, "codes": sorted(set(codes))}
        old, new = getattr(given, name), getattr(mended, name)
        if old == new:
            back = (old, "once changed, another finding asked for this again")
            value, reason = refused.get(name, back)
            tried.append({**about, "value": value, "kept": False, "refused": reason})
            continue
        without = replace(mended, **{name: old})
        alone = _error(without)
        kept = error < HELPS * alone
        tried.append({**about, "value": new, "kept": kept, "error": error, "error_without": alone})
        mended, error = (mended, error) if kept else (without, alone)
    return tried, mended if error < HELPS * at_first else given


def _error(options: TrainOptions) -> float:
    """Train, and return the error on validation rows: 1 - R2, or the mean loss of the classes.

    Each class counts the same: a rare one that is never recognised shows.
    """
    task = load_task(options)
    net = network(task)
    try:
        prepare_training(net, task.x, task.y, progress=False, **fit_options(task)).run()
    except DivergenceError:
        return math.inf
    x, y = task.held_out or (task.x, task.y)
    if task.plan.task == "regression":
        r2 = scores(task.plan, net.predict(x), y)["r2"]
        return math.inf if r2 is None else 1.0 - float(r2)
    _, places, counts = np.unique(y, axis=0, return_inverse=True, return_counts=True)
    return net.loss(x, y, loss=options.loss, sample_weight=1.0 / counts[places.reshape(-1)])


def _told(tried: list[dict[str, Any]], mended: TrainOptions) -> str:
    lines = ["Remedies, with the error on validation rows:"]
    for each in tried:
        name, value = flag(each["option"]), each["value"]
        value = ", ".join(value) if isinstance(value, list) else value
        setting = f"{'no ' * (not value)}{name}" if isinstance(value, bool) else f"{name} {value}"
        if "refused" in each:
            outcome = f"cannot be applied: {each['refused']}"
        else:
            outcome = (
                f"{each['error']:.4g}, without it {each['error_without']:.4g}; "
                f"{'kept' if each['kept'] else 'no help'}"
            )
        lines.append(f"  {setting} ({', '.join(each['codes'])}): {outcome}")
    if not tried:
        return "No remedy could be tried automatically; see the remedies above."
    if any("error" in each for each in tried):
        lines += ["The settings that work best:", f"  {as_command(mended)}"]
    return "\n".join(lines)


def parity(options: ParityOptions) -> int:
    """Compare the same training on NumPy and on another device; 1 if they differ too much.

    On the CPU the other device is array-api-strict's, which refuses what a GPU would refuse.
    """
    strict = options.device == "cpu"
    task = load_task(replace(options, device="cpu")) if options.data else _made_up(options)
    net = network(replace(task, options=replace(task.options, device="cpu")))
    report = compare(
        net, task.x, task.y, steps=options.steps, learning_rate=options.lr,
        momentum=options.momentum, other="strict" if strict else options.device,
        loss=options.loss, batch_size=options.batch_size, l1=options.l1, l2=options.l2,
    )  # fmt: skip
    if options.json:
        show_json({"command": "parity", **report.to_dict()})
    else:
        show(str(report))
    return 0 if report.ok else 1


def _made_up(options: ParityOptions) -> Task:
    """Make a table of three classes: the class is the largest of three sums of the inputs."""
    for each in fields(options):
        if each.name in OF_TABLES and getattr(options, each.name) != each.default:
            raise InputError(f"{flag(each.name)}: it has an effect only with a table; name one")
    if options.loss == "poisson":
        raise InputError(
            "--loss poisson: it is for counts, but the generated table has classes; name a table "
            "with counts, or leave it out"
        )
    x = generator(options.seed, "parity").standard_normal((500, 8))
    y = np.argmax(x[:, :6].reshape(-1, 3, 2).sum(axis=2), axis=1)
    columns = tuple(Number(f"x{index}") for index in range(x.shape[1]))
    plan = Preprocessing("multiclass", "y", columns, (0.0, 1.0, 2.0))
    return Task(options, plan, x, y, None, len(y), ())
