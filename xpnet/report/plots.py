"""Plots with matplotlib, which is an extra."""

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from xpnet.backend.files import atomic_write
from xpnet.errors import InputError

if TYPE_CHECKING:
    from xpnet.training.history import History

MAX_POINTS = 400  # of a curve or a cloud, so that a report can be mailed
MAX_NAME = 24  # letters


def plot_history(history: "History", path: Any = None) -> Any:
    """Draw training and validation loss over the epochs; see `History.plot`."""
    figure = new_figure(path)
    axes = figure.add_subplot()
    named = {"training": history.loss, "validation": history.validation_loss}
    curve(axes, numbered(named), ("epoch", "loss"), history.best_epoch)
    if path is not None:
        _save(figure, path)
    return figure


def curve(
    axes: Any, named: Mapping[str, Any], labels: tuple[str, str], kept: int | None, dots: str = ""
) -> None:
    """Draw a curve (x, y) for each name, `dots` for one of them, and the epoch that was kept."""
    for name, points in named.items():
        across, up = map(some, points)
        axes.plot(across, up, "." if name == dots else "-", label=short(name))
        axes.xaxis.get_major_locator().set_params(integer=across.dtype.kind == "i")
    if kept is not None:
        axes.axvline(kept, color="grey", linestyle=":", label="kept")
    axes.set(xlabel=short(labels[0]), ylabel=short(labels[1]))
    if named:
        axes.legend()


def numbered(named: Mapping[str, Sequence[float]]) -> dict[str, Any]:
    """Return values with their places, from 1, without empty ones."""
    return {name: (np.arange(1, len(each) + 1), each) for name, each in named.items() if each}


def some(values: Any) -> Any:
    """Return evenly spaced entries of values, (n, ...), with the first and the last one."""
    values = np.asarray(values)
    return values[np.linspace(0, len(values) - 1, min(len(values), MAX_POINTS)).astype(int)]


def short(name: str) -> str:
    """Return a name, shortened if it would leave no room for the figure."""
    return name if len(name) <= MAX_NAME else f"{name[: MAX_NAME - 1]}…"


def plot_results(path: str, series: Mapping[str, list[tuple[float, ...]]], x: str, y: str) -> None:
    """Draw points (x, y, deviation of y), a line for each series."""
    figure = new_figure(path)
    axes = figure.add_subplot()
    for label, points in series.items():
        axes.errorbar(*zip(*sorted(points), strict=True), marker="o", capsize=2, label=label)
    if all(point[0] > 0.0 for points in series.values() for point in points):
        axes.set_xscale("log")
    axes.set(xlabel=x, ylabel=y)
    axes.legend(fontsize="small")
    _save(figure, path)


def _save(figure: Any, path: Any) -> None:
    with atomic_write(path) as file:
        figure.savefig(file, format=_kind(path), dpi=150)


def new_figure(path: Any = None) -> Any:
    """Return an empty figure; refuse a path without a suffix of pictures."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise InputError("plots need matplotlib: pip install 'xpnet[plot]'") from error
    figure = Figure(figsize=(6.4, 4.0), layout="constrained")
    if path is not None and _kind(path) not in figure.canvas.get_supported_filetypes():
        raise InputError(f"{path}: end the name in .png, .svg or .pdf")
    return figure


def _kind(path: str | os.PathLike[str]) -> str:
    return os.path.splitext(os.fspath(path))[1].lower().removeprefix(".")
