"""The `xpnet` command: parses, runs, and turns every outcome into an exit status.

0 done; 1 a bug, with its traceback; 2 wrong input or usage; 3 training diverged; 4 a result could
not be saved; 128 + N stopped by signal N. Commands import what they need when they run.
"""

import shlex
import signal
import sys
import warnings
from collections.abc import Sequence
from functools import partial
from importlib import import_module
from typing import Any

import click

from xpnet import __version__
from xpnet.backend import files
from xpnet.backend.signals import Interrupted, interrupt_on_signals
from xpnet.cli import options, ranks
from xpnet.cli.options import OPTION_OF, flag, names_script, parser, repeated
from xpnet.cli.output import discard, say, silenced
from xpnet.errors import DivergenceError, InputError, SaveError, XpnetError

BUG, WRONG_INPUT, DIVERGED, NOT_SAVED = 1, 2, 3, 4
STATUS_OF = {DivergenceError: DIVERGED, SaveError: NOT_SAVED}
COMMANDS: dict[str, tuple[type, str]] = {
    "train": (options.TrainOptions, "train"), "sweep": (options.SweepOptions, "sweep"),
    "predict": (options.PredictOptions, "models"), "evaluate": (options.EvaluateOptions, "models"),
    "inspect": (options.InspectOptions, "models"), "report": (options.ReportOptions, "models"),
    "export": (options.ExportOptions, "models"), "doctor": (options.DoctorOptions, "doctor"),
    "parity": (options.ParityOptions, "devices"),
    "playground": (options.PlaygroundOptions, "playground"),
    "devices": (options.DevicesOptions, "devices"),
}  # fmt: skip
"""By name: its options, whose docstring is its help, and its module, imported when it runs."""


class Program(click.Group):
    """The program, which makes a command's parser when it is asked for."""

    def __init__(self, arguments: Sequence[str]) -> None:
        super().__init__(help="The neural network you would have written by hand, done right.")
        click.version_option(__version__, message="xpnet %(version)s")(self)
        self._runs_script = names_script(arguments)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names, in their order."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """Return a command, or None if there is none of that name."""
        if name not in COMMANDS:
            return None
        kind, module = COMMANDS[name]
        settings = {}
        if name == "doctor" and self._runs_script:
            kind, module = options.ScriptOptions, "doctor_script"
            settings = {"ignore_unknown_options": True}  # they are the script's
        return parser(name, kind, partial(_run, module, name), context_settings=settings)


def _run(module: str, name: str, given: Any) -> int | None:
    if ranks.communicator() is not None and name != "train":
        raise InputError(f"mpiexec: it runs xpnet train, not xpnet {name}; leave mpiexec out")
    files.quietly = silenced
    status: int | None = getattr(import_module(f"xpnet.cli.{module}"), name)(given)
    return status


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status.

    Without arguments, as the program itself, it takes the process's, and also takes over signals.
    """
    try:
        if arguments is None:
            interrupt_on_signals()
            warnings.showwarning = lambda message, *_: say(f"xpnet: {message}")
            arguments = sys.argv[1:]
        arguments = repeated(arguments) if arguments[:1] == ["sweep"] else arguments
        # Click only parses: it would turn signals and closed pipes into statuses of its own.
        action = Program(arguments).main(
            list(arguments) or ["--help"], prog_name="xpnet", standalone_mode=False
        )
        if callable(action):
            action = action()
        if sys.stdout is not None:
            sys.stdout.flush()
        return int(action or 0) if arguments else WRONG_INPUT
    except (Exception, KeyboardInterrupt, SystemExit) as error:  # noqa: BLE001  # all get a status
        tell = partial(_status, error, arguments or ())
        return tell() if ranks.rank() is None else ranks.end_all(tell)


def _status(error: BaseException, arguments: Sequence[str]) -> int:
    if isinstance(error, click.Abort):  # what Click makes of Ctrl-C
        error = Interrupted(signal.SIGINT)
    if isinstance(error, KeyboardInterrupt):
        say(_interrupted(error, arguments))
        return error.exit_code if isinstance(error, Interrupted) else 130
    # The reader, such as head, has what it wanted; Click turns that into an exit of its own.
    if isinstance(error, BrokenPipeError | SystemExit):
        discard(1)
        return 0
    if isinstance(error, click.UsageError):
        path = error.ctx.command_path if error.ctx else "xpnet"
        message = error.format_message().rstrip(".")
        quotes = "; quote names with spaces" if "unexpected extra" in message else ""
        say(f"xpnet: {message}{quotes}; see {path} --help")
        return WRONG_INPUT
    if isinstance(error, XpnetError):
        message, name = str(error), error.argument
        if name:
            message = flag(OPTION_OF.get(name, name)) + message.removeprefix(name)
        say(f"xpnet: {message}")
        return STATUS_OF.get(type(error), WRONG_INPUT)
    if isinstance(error, MemoryError):
        reason = f": {error}".rstrip(":. ")  # CuPy's is a sentence, Python's is empty
        say(f"xpnet: not enough memory{reason}; use fewer rows or columns, or smaller layers.")
        return WRONG_INPUT
    if isinstance(error, OSError) and error.filename is None and error.strerror:
        discard(1)
        say(f"xpnet: cannot write standard output: {error.strerror}.")
        return NOT_SAVED
    import traceback

    say("".join(traceback.format_exception(error)) + "xpnet: this is a bug; please report it.")
    return BUG


def _interrupted(error: KeyboardInterrupt, arguments: Sequence[str]) -> str:
    message = f"xpnet: {str(error) or 'stopped'}"
    if "train" not in arguments[:1]:
        return f"{message}."  # nothing else takes checkpoints
    if not any(each.partition("=")[0] == "--checkpoint" for each in arguments):
        return f"{message}; nothing was saved (--checkpoint DIR would have kept the work)."
    again = ["xpnet", *arguments, *(["--resume"] if "--resume" not in arguments else [])]
    if ranks.rank() is not None:
        again = ["mpiexec", "-n", str(ranks.communicator().size), *again]
    return f"{message}; continue with: {shlex.join(again)}"
