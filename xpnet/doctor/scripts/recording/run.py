"""Run a user's script as Python would, with its code instrumented on the way.

The script gets its own `__main__`, arguments, and input. However it ends, the caller gets control
again, with the traceback that Python would have shown.
"""

import _thread
import faulthandler
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

import numpy as np

from xpnet.doctor.scripts.recording.instrument import instrument
from xpnet.doctor.scripts.recording.source import Script, parts_of, read_source
from xpnet.doctor.scripts.recording.trace import Recorder
from xpnet.errors import InputError

PACKAGE = str(Path(__file__).parents[2])
INSTALLED = ("site-packages", "dist-packages")  # folders with other people's code
STOPPING = ("SIGINT", "SIGTERM", "SIGHUP", "SIGALRM")
NOT_SHOWN = DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning
FAILED = 2  # exit status after an error of the script
GRACE = 1.0  # seconds after which a script that was told to end is ended by force


class Stopped(BaseException):
    """The script must end now; no `except Exception` of its own holds that up."""


@dataclass(frozen=True)
class Outcome:
    """How a script ended: in words, empty if at its end; the exit status; its own time."""

    how: str
    status: int
    seconds: float


def run_script(
    script: Script,
    recorder: Recorder,
    *,
    seconds: float | None = None,
    output: IO[str] | None = None,
    give_up: Callable[[Outcome], None] = lambda outcome: None,
) -> Outcome:
    """Run a script to its end, or for some seconds; what it prints can go to a file.

    `give_up` must end the process: it is called if the script does not end when it is told to.
    InputError if it is no Python.
    """
    began, how, status = time.perf_counter(), "", 0

    def end(how: str, status: int) -> None:
        stack.close()
        give_up(Outcome(how, status, time.perf_counter() - began))

    with ExitStack() as stack:
        main, path = stack.enter_context(_as_program(script, recorder))
        stack.enter_context(_printing_to(output))
        parts = [_compiled(text, file, recorder) for file, text in parts_of(path)]
        recorder.prepare(main.__dict__)
        began, others = time.perf_counter(), {*threading.enumerate()}
        try:
            with _ToldToStop(seconds, end):
                for code in parts:
                    exec(code, main.__dict__)
                for thread in {*threading.enumerate()} - others:  # Python waits for them, too
                    if not thread.daemon:
                        thread.join()
        except Stopped as stop:
            how, status = stop.args
        except SystemExit as ended:
            if ended.code not in (None, 0):
                how = f"the script ended by sys.exit({ended.code!r})"
        except KeyboardInterrupt:
            how, status = "stopped by SIGINT", 130
        except BaseException as error:  # noqa: BLE001  # whatever the script raises is its own
            how, status, recorder.error = _show_traceback(error), FAILED, error
        return Outcome(how, status, time.perf_counter() - began)


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


def _show_traceback(error: BaseException) -> str:
    """Print the traceback without frames of this package; return how the script ended."""
    told = traceback.TracebackException.from_exception(error)
    each: traceback.TracebackException | None = told
    while each is not None:
        each.stack[:] = [frame for frame in each.stack if not _is_ours(frame.filename)]
        each = each.__cause__ or each.__context__
    print("".join(told.format()), end="", file=sys.stderr)
    others = (*INSTALLED, str(Path(os.__file__).parent))
    own = [f for f in told.stack if not any(each in f.filename for each in others)] or told.stack
    line = own[-1].lineno if own else 0
    relative = isinstance(error, ImportError) and "relative import" in str(error)
    hint = "; run it from the folder above its package: -m package.module" if relative else ""
    said = str(error).rstrip(".")
    return f"the script stopped in line {line}: {type(error).__name__}: {said}{hint}"


def _is_ours(file: str) -> bool:
    return file.startswith((PACKAGE, "<frozen importlib"))


@contextmanager
def _as_program(script: Script, recorder: Recorder) -> Iterator[tuple[ModuleType, Path]]:
    """Make this process look like the script's own; yield its `__main__` and its file."""
    folder = str(Path.cwd() if script.is_module else script.locate()[0].parent)
    before = os.getcwd(), sys.argv, [*sys.path], sys.modules["__main__"], {*sys.modules}
    numpy = {**vars(np)}  # which the report needs as it is, whatever the script replaces
    finder, main = _Finder(folder, recorder), ModuleType("__main__")
    try:
        sys.path.insert(0, folder)
        sys.meta_path.insert(0, finder)
        path, main.__package__ = script.locate()
        main.__dict__.update(__file__=str(path), __builtins__=__builtins__)
        sys.modules["__main__"], sys.argv = main, [str(path), *script.arguments]
        if path.suffix.lower() == ".ipynb":  # as Jupyter does; Python stays where it is
            main.__dict__["display"] = print
            os.chdir(folder)
        with warnings.catch_warnings():
            warnings.resetwarnings()
            for each in NOT_SHOWN:
                warnings.simplefilter("ignore", each)
            warnings.filterwarnings("ignore", message=".*non-interactive")  # no plot has a window
            warnings.showwarning = _shown_once()
            yield main, path
    finally:
        vars(np).update(numpy)
        os.chdir(before[0])
        sys.argv, sys.path[:], sys.modules["__main__"] = before[1:4]
        sys.meta_path.remove(finder)
        for name in finder.instrumented - before[4]:
            sys.modules.pop(name, None)


def _shown_once() -> Any:
    """Return what shows a warning as Python does, but where the script's own code caused it."""
    shown = set[tuple[str, int, str]]()

    def show(message: Any, category: type[Warning], file: str, line: int, *_: Any) -> None:
        frame: FrameType | None = sys._getframe(1)
        while frame is not None and (_is_ours(file) or file == warnings.__file__):
            file, line, frame = frame.f_code.co_filename, frame.f_lineno, frame.f_back
        if (key := (file, line, str(message))) not in shown:  # by a hook or by the plain code
            shown.add(key)
            sys.stderr.write(warnings.formatwarning(message, category, file, line))

    return show


class _Finder(MetaPathFinder):
    """Instruments the modules beside the script, and keeps Matplotlib from opening windows."""

    def __init__(self, folder: str, recorder: Recorder) -> None:
        self.folder, self.recorder = os.path.realpath(folder), recorder
        self.instrumented = set[str]()

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name == "matplotlib.pyplot":
            matplotlib: Any = sys.modules["matplotlib"]
            matplotlib.rcParams["backend"] = "agg"
            matplotlib.use = lambda *_, **__: None
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


class _ToldToStop:
    """Lets signals, the end of the time and `os._exit` end the script, if need be by force."""

    def __init__(self, seconds: float | None, end: Callable[[str, int], None]) -> None:
        self.seconds, self.end = seconds, end
        self.process, self.leave = os.getpid(), os._exit
        self.told, self.kept = list[tuple[str, int]](), dict[int, Any]()
        self.over, self.only_one = threading.Event(), threading.RLock()

    def __enter__(self) -> None:
        os._exit = self._leave_at_once
        for number in (getattr(signal, name, None) for name in STOPPING):  # Windows knows fewer
            if number is not None and signal.getsignal(number) != signal.SIG_IGN:
                self.kept[number] = signal.signal(number, self._stop)
        if self.seconds and hasattr(signal, "setitimer"):
            _alarm_in(self.seconds)
            _thread.start_new_thread(self._guard, ())  # `threading` would count it as the script's
            faulthandler.dump_traceback_later(self.seconds + 9.0 * GRACE, exit=True, file=2)

    def __exit__(self, *_: object) -> None:
        if os.getpid() != self.process:  # a child that came to the script's end
            self.leave(0)
        self._let_go()

    def _let_go(self) -> None:
        with self.only_one:  # of the script's thread and the guard's, one goes on
            self.over.set()
            os._exit = self.leave
            faulthandler.cancel_dump_traceback_later()
            if threading.current_thread() is threading.main_thread():
                _alarm_in(0.0)
                for number, handler in self.kept.items():
                    signal.signal(number, handler)

    def _force(self, how: str, status: int) -> None:
        with self.only_one:
            self._let_go()
            self.end(how, status)

    def _stop(self, number: int, frame: Any) -> None:
        if os.getpid() != self.process:  # one of the script's own workers
            self.leave(128 + number)
        self.told.append(_in_words(number, self.seconds))
        if len(self.told) > 1:
            self._force(*self.told[0])
        elif number == signal.SIGINT:  # which the script may handle itself
            raise KeyboardInterrupt
        else:
            _alarm_in(GRACE)
        raise Stopped(*self.told[0])

    def _leave_at_once(self, status: int) -> NoReturn:
        if os.getpid() != self.process:
            self.leave(status)
        how = f"the script ended by os._exit({status})", 0
        self._force(*how)
        raise Stopped(*how)

    def _guard(self) -> None:
        """Report in place of a script that sits in C code, and takes no signals.

        Where that lets no thread run, `faulthandler` says where it sits.
        """
        if not self.over.wait((self.seconds or 0.0) + 2.0 * GRACE):
            self._force(*_in_words(signal.SIGALRM, self.seconds))


def _alarm_in(seconds: float) -> None:
    if hasattr(signal, "setitimer"):  # not on Windows
        signal.setitimer(signal.ITIMER_REAL, seconds)


def _in_words(number: int, seconds: float | None) -> tuple[str, int]:
    """Return how a signal ends a script, and with which status."""
    if number == getattr(signal, "SIGALRM", None):
        return f"stopped after {seconds or 0.0:g} seconds", 0
    return f"stopped by {signal.Signals(number).name}", 128 + number
