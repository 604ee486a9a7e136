"""Plots, drawn with matplotlib, which is an extra."""

from typing import TYPE_CHECKING, Any

from xpnet.errors import InputError, SaveError

if TYPE_CHECKING:
    from xpnet.training.history import History


def plot_history(history: "History", path: Any = None) -> Any:
    """Draw training and validation loss over the epochs; see `History.plot`."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise InputError("plots need matplotlib: pip install 'xpnet[plot]'") from error
    figure = Figure(figsize=(6.4, 4.0), layout="constrained")
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


def _save(figure: Any, path: Any) -> None:
    try:
        figure.savefig(path, dpi=150)
    except OSError as error:
        reason = error.strerror or error
        raise SaveError(f"{path}: cannot save: {reason}; name a file in a folder that exists and "
                        "that you may write to") from error  # fmt: skip
    except ValueError as error:
        raise InputError(f"{path}: {error}; end the name in .png, .svg or .pdf") from error
