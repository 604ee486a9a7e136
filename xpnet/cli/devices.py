"""`xpnet devices` and `xpnet parity`: the devices of this machine, and whether they agree."""

from dataclasses import replace

import numpy as np

from xpnet.backend.random import generator
from xpnet.backend.threads import system_report
from xpnet.cli.options import DevicesOptions, ParityOptions
from xpnet.cli.output import show, show_report
from xpnet.cli.task import Task, make_network, read_task, with_defaults
from xpnet.doctor.parity import compare
from xpnet.errors import InputError
from xpnet.tables.columns import Number
from xpnet.tables.preprocessing import Preprocessing


def devices(options: DevicesOptions) -> None:
    """Print what this machine computes with."""
    report = system_report()
    blas = {name: each or "?" for name, each in report["blas"].items()}  # Apple's is not known
    with_blas = f"{blas['name']} {blas['version']}, {blas['threads']} thread(s)"
    lines = [
        ("cpu", f"{report['processor']}, {report['processors']} processor(s)"),
        ("numpy", f"{report['numpy']} with {with_blas}"),
        ("kernels", blas["kernels"]),
        ("gpu", ", ".join(report["gpus"]) or f"none: {report['gpu_reason']}"),
    ]
    show_report(options.json, {"command": "devices", **report}, lines)


def parity(options: ParityOptions) -> int:
    """Compare the same training on NumPy and on another device; return 1 if they differ too much.

    On the CPU the other device is array-api-strict's, which refuses what a GPU would refuse.
    """
    on_cpu = replace(options, device="cpu")
    task = read_task(on_cpu) if options.data else _generated(on_cpu)
    report = compare(
        make_network(task), task.x, task.y, steps=options.steps, learning_rate=options.lr,
        momentum=options.momentum, other="strict" if options.device == "cpu" else options.device,
        loss=options.loss, batch_size=task.options.batch_size, l1=options.l1, l2=task.options.l2,
    )  # fmt: skip
    show(str(report))
    return 0 if report.ok else 1


def _generated(options: ParityOptions) -> Task:
    """Return a task with three classes: the class is the largest of three sums of inputs."""
    if options.target is not None:
        raise InputError("--target: it has an effect only with a table; name one")
    x = generator(options.seed, "parity").standard_normal((500, 8))
    y = np.argmax(x[:, :6].reshape(-1, 3, 2).sum(axis=2), axis=1)
    columns = tuple(Number(f"x{index}") for index in range(x.shape[1]))
    plan = Preprocessing("multiclass", "y", columns, (0.0, 1.0, 2.0))
    return with_defaults(Task(options.with_recipe(), plan, x, y, None, len(y)))
