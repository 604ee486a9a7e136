"""Plots, drawn with matplotlib, which is an extra."""

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from xpnet.backend.files import atomic_write
from xpnet.errors import InputError

if TYPE_CHECKING:
    from xpnet.training.history import History


def plot_history(history: "History", path: Any = None) -> Any:
    """Draw training and validation loss over the epochs; see `History.plot`."""
    figure = new_figure(path)
    axes = figure.add_subplot()
    epochs = range(1, history.epochs + 1)
    axes.plot(epochs, history.loss, label="training")
    if history.validation_loss:
        axes.plot(epochs, history.validation_loss, label="validation")
    if history.best_epoch is not None:
        axes.axvline(history.best_epoch, color="grey", linestyle=":", label="best weights")
    axes.set(xlabel="epoch", ylabel="loss")
    axes.legend()
    if path is not None:
        _save(figure, path)
    return figure


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
    """Return an empty figure; refuse a path whose suffix is not that of a picture."""
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
