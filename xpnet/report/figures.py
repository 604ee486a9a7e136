"""The figures of a report as SVG; equal data give equal bytes, and text stays text."""

import io
import re
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from xpnet.backend.device import to_host
from xpnet.nn.network import MLP
from xpnet.report.plots import MAX_NAME, curve, new_figure, numbered, short
from xpnet.training.history import History

BLUE, RED, GREY = "#1f5fa8", "#b3261e", "#5f5f5f"
MAX_CLASSES = 12  # in a confusion matrix, and with curves of their own
MAX_UNITS = 9  # drawn of a layer
BINS, BARS = 10, 30  # of confidence; of other histograms
IDS = re.compile(r'<g id="[^"]*">')  # would be given twice on one page


@dataclass(frozen=True)
class Drawing:
    """A figure, its title, and a sentence on what it shows."""

    title: str
    description: str
    svg: str


def draw(title: str, description: str, paint: Callable[[Any], None]) -> Drawing:
    """Return the drawing that a function makes on matplotlib's axes."""
    figure = new_figure()
    from matplotlib import rc_context

    with warnings.catch_warnings(), rc_context({
        "svg.hashsalt": title, "svg.fonttype": "none", "text.parse_math": False, "font.size": 9,
        "axes.spines.top": False, "axes.spines.right": False,
    }):  # fmt: skip
        warnings.filterwarnings("ignore", "Glyph")  # the browser has the letters
        figure.set_size_inches(4.4, 3.2)
        paint(figure.add_subplot())
        buffer = io.StringIO()
        nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(buffer, format="svg", metadata=nothing)
    found = IDS.sub("<g>", buffer.getvalue())
    return Drawing(title, description, found[found.index("<svg") :])


def curves(history: History) -> Iterator[Drawing]:
    """Draw the losses, the learning rate and the metrics over the epochs."""
    if not history.epochs:
        return
    best, rates = history.best_epoch, history.learning_rate
    kept = f"; the weights of epoch {best} were kept" if best else ""
    told = f"From {history.loss[0]:.4g} to {history.loss[-1]:.4g} in {history.epochs} epochs{kept}."
    named = {"training": history.loss, "validation": history.validation_loss}
    yield lines("Loss", told, numbered(named), ("epoch", "loss"), kept=best)
    if rates:
        told, named = f"From {rates[0]:.4g} to {rates[-1]:.4g}.", {"rate": rates}
        yield lines("Learning rate", told, numbered(named), ("epoch", "rate"), kept=best)
    for name, values in history.metrics.items():
        told = f"{name} is {values[-1]:.4g} after the last epoch."
        yield lines(name, told, numbered({name: values}), ("epoch", name), kept=best)


def lines(
    title: str, told: str, named: Mapping[str, Any], labels: tuple[str, str],
    *, kept: int | None = None, dots: str = "",
) -> Drawing:  # fmt: skip
    """Draw curves, see `curve`."""
    return draw(title, told, lambda axes: curve(axes, named, labels, kept, dots))


def network(net: MLP, count: int) -> Drawing:
    """Draw the layers: units as points, weights as lines, darker if larger, red if negative."""

    def paint(axes: Any) -> None:
        shown = [min(units, MAX_UNITS) for units in net.sizes]
        for layer, weights in enumerate(net.weights):
            host = to_host(weights)[: shown[layer], : shown[layer + 1]]
            scaled = host / (np.abs(host).max() or 1.0)
            for (i, j), weight in np.ndenumerate(scaled):
                ends = [i - shown[layer] / 2, j - shown[layer + 1] / 2]
                color = BLUE if weight > 0 else RED
                axes.plot([layer, layer + 1], ends, color=color, alpha=0.8 * abs(weight), lw=1)
        for layer, units in enumerate(shown):
            axes.plot([layer] * units, np.arange(units) - units / 2, "o", color="black", ms=5)
        names = ["inputs", *(each.name for each in (*net.hidden, net.output))]
        places = range(len(shown))
        axes.set_xticks(places, [f"{n}\n{name}" for n, name in zip(net.sizes, names, strict=True)])
        axes.yaxis.set_visible(False)

    told = f"{net!r}; negative weights are red; of a layer, {MAX_UNITS} units at most are drawn."
    told = f"The first of {count}: {told}" if count > 1 else told
    return draw("Network", told, paint)


def classification(names: Sequence[str], shares: Any, y: Any) -> Iterator[Drawing]:
    """Draw confusion, ROC, precision and recall, and calibration.

    `shares` are probabilities, (n, classes); y are class numbers, (n,).
    """
    few = len(names) <= MAX_CLASSES
    if few:
        yield confusion(names, shares, y)
    every = range(len(names) if few else 0)
    chosen = every[1:] if len(names) == 2 else every
    ranked = {names[k]: _ranked(shares[:, k], y == k) for k in chosen if 0 < sum(y == k) < len(y)}
    if ranked:
        areas = {n: np.trapezoid(hit, false) for n, (false, hit, _) in ranked.items()}
        told = "Area under the curve of " + ", ".join(f"{n}: {a:.4f}" for n, a in areas.items())
        roc = {n: (false, hit) for n, (false, hit, _) in ranked.items()}
        yield lines("ROC curve", f"{told}.", roc, ("false positive rate", "true positive rate"))
        told = "Average precision of " + ", ".join(
            f"{n}: {np.sum(np.diff(hit) * right[1:]):.4f}" for n, (_, hit, right) in ranked.items()
        )
        both = {n: (hit, right) for n, (_, hit, right) in ranked.items()}
        yield lines("Precision and recall", f"{told}.", both, ("recall", "precision"))
    yield calibration(shares, y)


def confusion(names: Sequence[str], shares: Any, y: Any) -> Drawing:
    """Draw the confusion matrix: how often each class is predicted as each other."""
    counts = np.zeros((len(names), len(names)), int)
    np.add.at(counts, (y, np.argmax(shares, axis=1)), 1)

    def paint(axes: Any) -> None:
        axes.pcolormesh(counts, cmap="Blues", edgecolor="white")
        for (i, j), count in np.ndenumerate(counts):
            color = "white" if count > counts.max() / 2 else "black"
            axes.text(j + 0.5, i + 0.5, count, ha="center", va="center", color=color)
        places = np.arange(len(names)) + 0.5
        told = [short(each) for each in names]
        slanted = {"rotation": 30, "ha": "right"} if len("".join(told)) > MAX_NAME else {}
        axes.set_xticks(places, told, **slanted)
        axes.set_yticks(places, told)
        axes.invert_yaxis()
        axes.set(xlabel="predicted", ylabel="true")

    right = int(np.trace(counts))
    return draw("Confusion matrix", f"{right:,} of {len(y):,} rows are right.", paint)


def _ranked(share: Any, positive: Any) -> tuple[Any, Any, Any]:
    """Return false and true positive rate and precision at each threshold, from the highest."""
    order = np.argsort(-share, kind="stable")
    last = np.append(np.flatnonzero(np.diff(share[order])), len(order) - 1)  # of equal shares
    hits = np.cumsum(positive[order])[last]
    misses = last + 1 - hits
    false, hit = (np.append(0.0, each / each[-1]) for each in (misses, hits))
    return false, hit, np.append(1.0, hits / (last + 1))


def calibration(shares: Any, y: Any) -> Drawing:
    """Draw how often predictions of each confidence are right (Guo et al., 2017)."""
    sure, right = np.max(shares, axis=1), np.argmax(shares, axis=1) == y
    bins = np.minimum((sure * BINS).astype(int), BINS - 1)
    used = np.unique(bins)
    means = np.array([(sure[bins == b].mean(), right[bins == b].mean()) for b in used])
    weights = np.array([np.mean(bins == b) for b in used])
    told = f"Expected calibration error: {weights @ np.abs(means[:, 0] - means[:, 1]):.4f}."
    both = {"as sure as right": ([0.0, 1.0], [0.0, 1.0]), "network": means.T}
    labels = "confidence", "share that is right"
    return lines("Calibration", told, both, labels, dots="network")


def regression(target: str, predicted: Any, true: Any) -> Iterator[Drawing]:
    """Draw predictions and residuals, both (n,)."""
    ends, wrong = [np.min(true), np.max(true)], predicted - true
    named = {"equal": (ends, ends), "rows": (true, predicted)}
    told = "Where both are equal they lie on the line."
    yield lines("Predicted against true", told, named, (target, f"predicted {target}"), dots="rows")
    told = f"Their mean is {np.mean(wrong):.4g}, their deviation {np.std(wrong):.4g}."
    yield histograms("Residuals", told, {"predicted - true": wrong}, target)


def bars(
    title: str, told: str, named: Mapping[str, Any], label: str, *, log: bool = False
) -> Drawing:
    """Draw a bar and its deviation for each name, the first one at the top."""

    def paint(axes: Any) -> None:
        values, errors = zip(*named.values(), strict=True)
        axes.barh(range(len(named)), values, xerr=errors, color=BLUE, ecolor=GREY, log=log)
        axes.set_yticks(range(len(named)), [short(each) for each in named])
        axes.invert_yaxis()
        axes.set(xlabel=label)

    return draw(title, told, paint)


def histograms(title: str, told: str, named: Mapping[str, Any], label: str) -> Drawing:
    """Draw histograms of arrays of any shape."""
    finite = {name: each[np.isfinite(each)] for name, each in named.items()}
    bins = np.histogram_bin_edges(np.concatenate([*finite.values()]), BARS)

    def paint(axes: Any) -> None:
        for name, values in finite.items():
            share = np.full(values.size, 1 / max(values.size, 1))
            axes.hist(values, bins=bins, weights=share, histtype="step", label=short(name))
        axes.set(xlabel=label, ylabel="share")
        axes.legend()

    return draw(title, told, paint)


def dependence(name: str, what: str, cells: Any, means: Any) -> Drawing:
    """Draw the mean prediction, (points,), if a column has the same cell in all rows."""
    told = f"{what} goes from {means[0]:.4g} to {means[-1]:.4g} on average as {name} grows."
    title, labels = f"Partial dependence on {name}", (name, "mean prediction")
    return lines(title, told, {what: (cells, means)}, labels)


def regions(names: Sequence[str], what: str, grid: tuple[Any, Any], values: Any) -> Drawing:
    """Draw the prediction on the plane of two columns; values (up, across)."""

    def paint(axes: Any) -> None:
        axes.contourf(*grid, values, levels=10, cmap="Blues")
        axes.contour(*grid, values, levels=3, colors="black", linewidths=0.6)
        axes.set(xlabel=short(names[0]), ylabel=short(names[1]))

    return draw("Decision regions", f"The darker, the larger {what}.", paint)
