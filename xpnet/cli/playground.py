"""`xpnet playground`: a page on which a network learns, on 127.0.0.1."""

import webbrowser
from importlib.util import find_spec

import numpy as np

from xpnet.cli.options import PlaygroundOptions
from xpnet.cli.output import say, show
from xpnet.cli.task import read_task
from xpnet.errors import InputError
from xpnet.playground.data import Points


def playground(options: PlaygroundOptions) -> None:
    """Serve the page, with the table's rows if one is given, until Ctrl-C."""
    if any(find_spec(each) is None for each in ("starlette", "uvicorn", "websockets")):
        raise InputError("playground needs a server: pip install 'xpnet[playground]'")
    from xpnet.playground.server import serve

    def tell(address: str) -> None:
        link = "#data=your%20table" if options.data else ""
        show(f"{address}{link}")
        if not options.no_browser:
            webbrowser.open(address + link)

    serve(points_of(options) if options.data else None, options.port, tell)


def points_of(options: PlaygroundOptions) -> Points:
    """Read the table: its prepared inputs; a target of several classes is its first against all."""
    task = read_task(options)
    x, y, names = np.asarray(task.x), np.asarray(task.y, dtype=float), task.plan.input_names()
    if x.shape[1] < 2:
        raise InputError(f"{options.data}: one input makes no plane; give a table with two or more")
    if y.ndim > 1:
        raise InputError(f"--target {options.target}: the page shows one target; name one")
    regression = task.plan.task == "regression"
    if regression:
        low, high = y.min(), y.max()
        y = 2 * (y - low) / max(high - low, 1e-30) - 1
    elif task.plan.task == "multiclass":
        say("note: the page tells the first class from all others")
        y = y == 0
    return Points(x, y, names, regression)
