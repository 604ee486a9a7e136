"""Run a user's script as Python would, with its code instrumented on the way.

The script gets its own `__main__`, arguments, and input; plots open no window. However it
ends, the caller gets control again, with the traceback that Python would have shown.
"""

import os
import signal
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import CodeType, FrameType, ModuleType
from typing import IO, Any, NoReturn

from xpnet.doctor.scripts.instrument import instrument
from xpnet.doctor.scripts.source import Script, parts_of, read_source
from xpnet.doctor.scripts.trace import Recorder
from xpnet.errors import InputError

PACKAGE = str(Path(__file__).parents[2])
INSTALLED = ("site-packages", "dist-packages")  # folders with other people's code
STOPPING = ("SIGINT", "SIGTERM", "SIGHUP", "SIGALRM")
NOT_SHOWN = DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning
GRACE = 1.0  # seconds that a script has to end once it was told to


class Stopped(BaseException):
    """The script must end now; no `except Exception` of its own holds that up."""


@dataclass(frozen=True)
class Outcome:
    """How a script ended: in words, empty if at its end; the exit status; its own time."""

    how: str
    status: int
    seconds: float
    line: int = 0  # that raised an exception


def run_script(
    script: Script,
    recorder: Recorder,
    *,
    seconds: float | None = None,
    output: IO[str] | None = None,
    give_up: Callable[[Outcome], NoReturn],
) -> Outcome:
    """Run a script to its end, or for some seconds; what it prints can go to a file.

    `give_up` is called if the script is told to end and does not. InputError if it is no Python.
    """
    began = time.perf_counter()

    def outcome(how: str = "", status: int = 0, line: int = 0) -> Outcome:
        return Outcome(how, status, time.perf_counter() - began, line)

    with _as_program(script, recorder) as (main, path), _printing_to(output):
        parts = [_compiled(text, file, recorder) for file, text in parts_of(path)]
        recorder.prepare(main.__dict__)
        began = time.perf_counter()
        try:
            with _told_to_stop(seconds, lambda *how: give_up(outcome(*how))):
                for code in parts:
                    exec(code, main.__dict__)
                for thread in threading.enumerate():  # Python waits for them, too
                    if thread is not threading.current_thread() and not thread.daemon:
                        thread.join()
        except Stopped as stop:
            return outcome(*stop.args)
        except SystemExit as ended:
            return outcome(_exit_in_words(ended))
        except KeyboardInterrupt:
            return outcome("stopped by SIGINT", 130)
        except BaseException as error:  # noqa: BLE001  # whatever the script raises is its own
            return outcome(*_show_traceback(error))
    return outcome()


def _compiled(text: str, file: str, recorder: Recorder) -> CodeType:
    try:
        return compile(instrument(text, file, recorder.sites), file, "exec")
    except (SyntaxError, ValueError, RecursionError) as error:
        line = getattr(error, "lineno", None)
        place = f"{file}, line {line}" if line else file
        reason = getattr(error, "msg", None) or str(error)
        version = ".".join(map(str, sys.version_info[:2]))
        old = "; code for Python 2 must be converted first" if "print" in reason else ""
        raise InputError(f"{place}: Python {version} cannot read it: {reason}{old}") from error


def _exit_in_words(ended: SystemExit) -> str:
    """Print the message of a `sys.exit`, as Python does, and say how the script ended."""
    if ended.code in (None, 0):
        return ""
    if not isinstance(ended.code, int):
        print(ended.code, file=sys.stderr)
        return "the script ended by sys.exit"
    return f"the script ended by sys.exit({ended.code})"


def _show_traceback(error: BaseException) -> tuple[str, int, int]:
    """Print the traceback without frames of this package; return how it ended, status and line."""
    told = traceback.TracebackException.from_exception(error)
    each: traceback.TracebackException | None = told
    while each is not None:
        each.stack[:] = [frame for frame in each.stack if not _is_ours(frame.filename)]
        each = each.__cause__ or each.__context__
    print("".join(told.format()), end="", file=sys.stderr)
    line = told.stack[-1].lineno or 0 if told.stack else 0
    hint = ""
    if isinstance(error, ImportError) and "relative import" in str(error):
        hint = "; run it as a module of its package, from the folder above: -m package.module"
    return f"the script stopped in line {line}: {type(error).__name__}: {error}{hint}", 2, line


def _is_ours(file: str) -> bool:
    return file.startswith((PACKAGE, "<frozen importlib"))


@contextmanager
def _as_program(script: Script, recorder: Recorder) -> Iterator[tuple[ModuleType, Path]]:
    """Make this process look like the script's own; yield its `__main__` and its file."""
    folder = str(Path.cwd() if script.is_module else script.locate().parent)
    before = (os.getcwd(), sys.argv, [*sys.path], {*sys.modules}, sys.modules["__main__"])
    finder, main = _Finder(folder, recorder), ModuleType("__main__")
    with ExitStack() as restored:
        restored.callback(_restore, *before, finder)
        sys.path.insert(0, folder)
        sys.meta_path.insert(0, finder)
        path = script.locate()  # which imports the package of a module
        main.__dict__.update(__file__=str(path), __builtins__=__builtins__)
        if script.is_module:
            main.__package__ = script.name.rpartition(".")[0]
        if path.suffix.lower() == ".ipynb":
            main.__dict__["display"] = print  # IPython's
        restored.enter_context(warnings.catch_warnings())
        warnings.resetwarnings()
        for each in NOT_SHOWN:
            warnings.simplefilter("ignore", each)
        warnings.filterwarnings("ignore", message=".*non-interactive")  # plots, without a window
        warnings.showwarning = _Warnings().show  # type: ignore[assignment]
        restored.enter_context(_numpy_as_it_is())
        sys.modules["__main__"], sys.argv = main, [str(path), *script.arguments]
        if path.suffix.lower() == ".ipynb":  # as Jupyter does; Python stays where it is
            os.chdir(folder)
        yield main, path


def _restore(
    folder: str,
    arguments: list[str],
    path: list[str],
    modules: set[str],
    main: ModuleType,
    finder: "_Finder",
) -> None:
    os.chdir(folder)
    sys.argv, sys.path[:] = arguments, path
    sys.meta_path.remove(finder)
    for name in finder.instrumented - modules:
        sys.modules.pop(name, None)
    sys.modules["__main__"] = main


class _Warnings:
    """Shows warnings as Python does, but where the script's own code caused them."""

    def __init__(self) -> None:
        self.by_hooks = dict[tuple[str, int, str], bool]()  # those shown: whether a hook raised it

    def show(
        self, message: Warning | str, category: type[Warning], file: str, line: int, *_: Any
    ) -> None:
        """Show a warning, once if a hook and the script's own code both raise it."""
        frame: FrameType | None = sys._getframe(1)
        hook = _is_ours(file)
        while frame is not None and (_is_ours(file) or file == warnings.__file__):
            file, line = frame.f_code.co_filename, frame.f_lineno
            frame = frame.f_back
        key = file, line, str(message)
        known = self.by_hooks.get(key)
        self.by_hooks[key] = hook
        if known is None or not (hook or known):
            sys.stderr.write(warnings.formatwarning(message, category, file, line))


@contextmanager
def _numpy_as_it_is() -> Iterator[None]:
    """Give NumPy's functions back if the script replaces them: the report needs them."""
    import numpy as np

    known = {**vars(np)}
    try:
        yield
    finally:
        vars(np).update(known)


class _Finder(MetaPathFinder):
    """Instruments the modules beside the script, and keeps Matplotlib from opening windows."""

    def __init__(self, folder: str, recorder: Recorder) -> None:
        self.folder, self.recorder = os.path.realpath(folder), recorder
        self.instrumented = set[str]()

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name == "matplotlib.pyplot":
            _without_windows(sys.modules["matplotlib"])
        spec = PathFinder.find_spec(name, path, target)
        file = spec.origin if spec else None
        if spec is None or file is None or not file.endswith(".py"):
            return None
        inner = os.path.relpath(os.path.realpath(file), self.folder).split(os.sep)
        if ".." in inner or any(each in inner for each in INSTALLED) or _is_ours(file):
            return None
        self.instrumented.add(name)
        spec.loader = _Loader(name, file)
        spec.loader.recorder = self.recorder
        return spec


class _Loader(SourceFileLoader):
    recorder: Recorder

    def exec_module(self, module: ModuleType) -> None:
        """Run the text itself: what Python has compiled before is not instrumented."""
        code = _compiled(read_source(Path(self.path)), self.path, self.recorder)
        self.recorder.prepare(module.__dict__)
        exec(code, module.__dict__)


def _without_windows(matplotlib: Any) -> None:
    matplotlib.rcParams["backend"] = "agg"
    matplotlib.use = lambda *args, **kwargs: None


@contextmanager
def _printing_to(file: IO[str] | None) -> Iterator[None]:
    """Send what is printed to a file: also what other programs and C code print."""
    if file is None:
        yield
        return
    kept = {}
    for stream, number in ((sys.stdout, 1), (sys.stderr, 2)):
        stream.flush()
        kept[number] = os.dup(number)
        os.dup2(file.fileno(), number)
    try:
        with redirect_stdout(file), redirect_stderr(file):
            yield
    finally:
        for stream in (file, sys.__stdout__, sys.__stderr__):
            if stream is not None:
                stream.flush()
        for number, before in kept.items():
            os.dup2(before, number)
            os.close(before)


@contextmanager
def _told_to_stop(seconds: float | None, give_up: Callable[[str, int], NoReturn]) -> Iterator[None]:
    """Let signals, the end of the time, and `os._exit` end the script, if need be by force."""
    process, told, kept, leave = os.getpid(), list[tuple[str, int]](), dict[int, Any](), os._exit

    def stop(number: int, frame: Any) -> None:
        if os.getpid() != process:  # one of the script's own workers
            leave(128 + number)
        told.append(_in_words(number, seconds))
        if len(told) > 1:
            os._exit = leave
            give_up(*told[0])
        if number == signal.SIGINT:  # which the script may handle itself
            raise KeyboardInterrupt
        _alarm_in(GRACE)
        raise Stopped(*told[0])

    def leave_at_once(status: int) -> NoReturn:
        if os.getpid() != process:
            leave(status)
        how = f"the script ended by os._exit({status})", 0
        if threading.current_thread() is not threading.main_thread():
            os._exit = leave
            give_up(*how)
        raise Stopped(*how)

    os._exit = leave_at_once
    for name in STOPPING:
        number = getattr(signal, name, None)  # Windows knows fewer
        if number is not None and signal.getsignal(number) != signal.SIG_IGN:
            kept[number] = signal.signal(number, stop)
    _alarm_in(seconds or 0.0)
    try:
        yield
    finally:
        if os.getpid() != process:  # a child that came to the script's end
            leave(0)
        os._exit = leave
        _alarm_in(0.0)
        for number, handler in kept.items():
            signal.signal(number, handler)


def _alarm_in(seconds: float) -> None:
    if hasattr(signal, "setitimer"):  # not on Windows
        signal.setitimer(signal.ITIMER_REAL, seconds)


def _in_words(number: int, seconds: float | None) -> tuple[str, int]:
    if number == getattr(signal, "SIGALRM", None):
        return f"stopped after {seconds:g} seconds", 0
    return f"stopped by {signal.Signals(number).name}", 128 + number
