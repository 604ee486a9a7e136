"""Options, hypothesis profiles, and the fixtures of more than one file.

Above all the backends that every device-independent test runs on.
"""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import Any

import emulated_cuda
import hypothesis
import numpy as np
import pytest
import threadpoolctl
from command_line import BANKNOTE, QUICK, Outcome, Run
from lazily import untraced

import xpnet.backend.device
from xpnet.backend.device import Device, device_of, open_device
from xpnet.backend.threads import THREAD_VARIABLES
from xpnet.cli.main import main
from xpnet.errors import DeviceError
from xpnet.tables.table import Table, read_table

ROOT = Path(__file__).resolve().parents[1]

# A program that a shell starts in the background ignores these, and so would all it starts.
for _name, _default in (("SIGINT", signal.default_int_handler), ("SIGHUP", signal.SIG_DFL)):
    _signal = getattr(signal, _name, None)  # Windows has no SIGHUP
    if _signal is not None and signal.getsignal(_signal) is signal.SIG_IGN:
        signal.signal(_signal, _default)

hypothesis.settings.register_profile("ci", max_examples=30, deadline=None, derandomize=True)
hypothesis.settings.register_profile("slow", max_examples=10_000, deadline=None)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--run-slow", action="store_true", help="run tests that take minutes too")
    parser.addoption(
        "--require-cuda", action="store_true", help="fail, not skip, where no GPU can be used"
    )


def pytest_configure(config: pytest.Config) -> None:
    # Threads of BLAS that wait for each other spin: they double the time, and more on busy cores.
    for name in THREAD_VARIABLES:
        os.environ.setdefault(name, "1")  # for what is loaded or started from here on
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # each process would compile all modules anew
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # ONNX Runtime's database is memory that is shared
    threadpoolctl.threadpool_limits(1, user_api="blas")
    hypothesis.settings.load_profile("slow" if config.getoption("--run-slow") else "ci")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--run-slow"):
        return
    for item in items:
        if "slow" in item.keywords:
            item.add_marker(pytest.mark.skip(reason="takes minutes; run with --run-slow"))


def _load_untraced(loader: SourceFileLoader, module: ModuleType) -> None:
    """Load a module as Python would; coverage sees only what is this repository's."""
    with untraced() if "site-packages" in loader.path else nullcontext():
        _load(loader, module)


_load, SourceFileLoader.exec_module = SourceFileLoader.exec_module, _load_untraced


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Keep coverage from what is "untraced", and from its processes: it doubles their time.

    pytest-cov's own mark does nothing in the processes of pytest-xdist, which two coverages trace.
    """
    if _is_traced(item):
        return (yield)
    with pytest.MonkeyPatch.context() as patch, untraced():
        patch.delenv("COVERAGE_PROCESS_CONFIG", raising=False)
        return (yield)


def _is_traced(item: Any) -> bool:
    """Tell whether coverage looks at a test: all, those that "untraced" names, and "counted"."""
    mark = item.get_closest_marker("untraced")
    if mark is None or "but" not in mark.kwargs:
        return mark is None or "counted" in item.fixturenames
    case = getattr(item, "callspec", None)
    names = (item.originalname, *((case.id, *case.params.values()) if case else ()))
    return any(each in names for each in mark.kwargs["but"])


@pytest.fixture
def traced(request: pytest.FixtureRequest) -> bool:
    """Tell whether coverage looks at this test."""
    return _is_traced(request.node)


@dataclass(frozen=True)
class Backend:
    """One Array API library on one device, as a test sees it."""

    name: str
    device: Device
    array: Callable[[Any], Any]
    """Make an array as a user of this library would hold it, from host values."""
    no_sync: Callable[[], AbstractContextManager[None]] = nullcontext
    """Within it, reading a value back from the device raises, where that can be seen."""

    @property
    def xp(self) -> Any:
        return self.device.xp

    def host(self, array: Any) -> Any:
        return self.device.get(array)


BACKENDS = (
    "numpy",
    "numpy-readonly",
    "strict-device1",
    "strict-nosync",
    "torch",
    pytest.param("cupy", marks=pytest.mark.cuda),
)


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> Iterator[Backend]:
    """Every backend in turn; one that is absent is skipped with the reason."""
    with open_backend(request.param, request.config) as opened:
        yield opened


@pytest.fixture(params=[each for each in BACKENDS if each not in ("numpy", "numpy-readonly")])
def other_backend(request: pytest.FixtureRequest) -> Iterator[Backend]:
    """Every backend but NumPy, to be compared with it."""
    with open_backend(request.param, request.config) as opened:
        yield opened


@contextmanager
def open_backend(name: str, config: pytest.Config) -> Iterator[Backend]:
    if name == "numpy":
        yield Backend(name, xpnet.backend.device.CPU, np.asarray)
    elif name == "numpy-readonly":
        yield Backend(name, xpnet.backend.device.CPU, _readonly)
    elif name == "torch":
        torch = pytest.importorskip("torch", reason="PyTorch is not installed")
        yield Backend(name, device_of(torch.zeros(1)), lambda values: torch.tensor(values))
    elif name == "cupy":
        device = _open_cuda(config)
        # A real GPU does not tell that the host waited: there the guard sees nothing.
        guard = emulated_cuda.no_host_waits if emulated_cuda.installed() else nullcontext
        yield Backend(name, device, device.xp.asarray, guard)
    else:
        with _open_strict(name) as opened:
            yield opened


def _readonly(values: Any) -> Any:
    array = np.array(values)
    array.flags.writeable = False
    return array


def _open_cuda(config: pytest.Config) -> Device:
    try:
        return open_device("gpu")
    except DeviceError as error:
        if config.getoption("--require-cuda"):
            pytest.fail(str(error))
        pytest.skip(str(error))


@pytest.fixture
def cuda(request: pytest.FixtureRequest) -> Device:
    """Return the GPU, or skip with the reason that there is none to be had."""
    return _open_cuda(request.config)


@pytest.fixture
def emulator(cuda: Device) -> Any:
    """Return the module `emulated_cuda`, or skip: for what only the emulated GPU can show."""
    if not emulated_cuda.installed():
        pytest.skip("only the emulated GPU can show this; run: make test-cuda")
    return emulated_cuda


@contextmanager
def _open_strict(name: str) -> Iterator[Backend]:
    """array-api-strict, the stand-in for a GPU: on a second device it refuses to mix devices.

    "strict-nosync" also refuses what needs the size or value of a result on the host, and what the
    CUDA graphs of a GPU could not record.
    """
    strict = pytest.importorskip("array_api_strict", reason="array-api-strict is not installed")
    place = strict.Device("device1")
    device = device_of(strict.zeros(1, device=place))

    def array(values: Any) -> Any:
        return strict.asarray(np.asarray(values), device=place)

    if name != "strict-nosync":
        yield Backend(name, device, array)
        return
    guarded: list[bool] = []
    kind = type(array([0.0]))

    def refuse(method: str) -> Callable[[Any], Any]:
        original = getattr(kind, method)

        def guard(self: Any) -> Any:
            if guarded:
                raise AssertionError(f"{method} of an array: the host waits for the device here")
            return original(self)

        return guard

    @contextmanager
    def no_sync() -> Iterator[None]:
        guarded.append(True)
        try:
            yield
        finally:
            guarded.clear()

    with pytest.MonkeyPatch.context() as patch:
        for method in ("__float__", "__bool__", "__int__", "__index__"):
            patch.setattr(kind, method, refuse(method))
        with strict.ArrayAPIStrictFlags(
            boolean_indexing=False, data_dependent_shapes=False, enabled_extensions=()
        ):
            yield Backend(name, device, array, no_sync)


class NoSync:
    """A callback under which no training step may wait for the device.

    Losses may be read when an epoch ends, so the guard opens after its last batch.
    """

    def __init__(self, backend: Backend, steps_per_epoch: int) -> None:
        self.backend, self.steps, self.guard = backend, steps_per_epoch, ExitStack()

    def on_epoch_start(self, training: Any) -> None:
        self.left = self.steps
        self.guard.enter_context(self.backend.no_sync())

    def on_batch_end(self, training: Any) -> None:
        self.left -= 1
        if not self.left:
            self.guard.close()


@pytest.fixture
def no_sync(backend: Backend) -> Iterator[Callable[[int], NoSync]]:
    """Return the callback that forbids waiting within steps: ``no_sync(steps_per_epoch)``."""
    with ExitStack() as guards:

        def make(steps: int) -> NoSync:
            made = NoSync(backend, steps)
            guards.callback(made.guard.close)  # where a step failed, no later test is guarded
            return made

        yield make


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real data that is not part of the repository: $XPNET_DATA, or shared/data beside it."""
    folder = Path(os.environ.get("XPNET_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(
            "no data; set XPNET_DATA to a folder with playground/ (see benchmarks/README.md)"
        )
    return folder


@pytest.fixture(params=["MLPClassifier", "MLPRegressor"])
def kind(request: pytest.FixtureRequest) -> Any:
    """Both estimators in turn, loaded when a test needs them."""
    return getattr(xpnet, request.param)


# Tables and model files


@pytest.fixture
def table(tmp_path: Path) -> Callable[..., Table]:
    """Write a text to a file, and read it as a table."""

    def make(text: str, name: str = "table.csv") -> Table:
        path = tmp_path / name
        path.write_text(text)
        return read_table(path)

    return make


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where a test puts its model file."""
    return tmp_path / "model.safetensors"


# The command line; see command_line.py


@pytest.fixture
def in_empty_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Run:
    """Run a command in this process."""

    def command(*arguments: object) -> Outcome:
        capfd.readouterr()
        status = main([str(each) for each in arguments])
        return Outcome(status, *capfd.readouterr())

    return command


@pytest.fixture
def train(run: Run) -> Run:
    """Train quickly on banknote."""

    def command(*arguments: object) -> Outcome:
        return run("train", BANKNOTE, "--target", "class", *QUICK, *arguments)

    return command


@pytest.fixture(scope="session")
def trained_model(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A model file that `train` wrote, trained once for all tests."""
    path = tmp_path_factory.mktemp("model") / "model.safetensors"
    assert main(["train", str(BANKNOTE), "--target", "class", *QUICK, "--out", str(path)]) == 0
    return path.read_bytes()


@pytest.fixture
def model(trained_model: bytes, in_empty_directory: None) -> Path:
    """Return the path of a model file in the directory of the test."""
    path = Path("model.safetensors")
    path.write_bytes(trained_model)
    return path
