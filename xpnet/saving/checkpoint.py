"""Checkpoints: the whole state of a training run in a file, from which it continues exactly.

All randomness is determined by the seed and counters, so the state is the parameters and the
`TrainingState`. A resumed run ends with the same bits as one that was never interrupted (except
for `History.seconds`, which is wall time). The state of other callbacks is not saved.
"""

import re
import time
import warnings
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from xpnet.backend.device import to_host
from xpnet.backend.files import lock, probe_writable, saving_to
from xpnet.errors import FileError, InputError, SaveError, check_integers
from xpnet.nn.schedules import ends_with_the_run
from xpnet.saving.container import Arrays, PathLike, read_container, refusal, write_container
from xpnet.saving.model import network_tensors, parameters_in
from xpnet.training.batches import digest
from xpnet.training.history import CURVES, History

if TYPE_CHECKING:
    from xpnet.training.loop import Training

FORMAT_VERSION = 1
_EVERY = re.compile(r"(\d+(?:\.\d+)?) *(epoch|second|step)?s?")


class Checkpoint:
    """Callback that saves the whole training run at intervals, and continues an earlier one.

    The directory holds the newest `keep` files ``checkpoint-STEP.safetensors``. It is tested before
    the first step, and locked for this run. A resumed run whose schedule was for another number of
    epochs cannot end like an uninterrupted one; a warning says so.

    Parameters
    ----------
    directory : path
        Created if it is missing.
    every : str
        ``"5 epochs"``, ``"30 seconds"`` or ``"100 steps"``; a bare number means epochs. The last
        epoch and an interruption are always saved.
    keep : int, from 1
    resume : bool
        Continue from the newest checkpoint; start from the beginning if there is none.

    Attributes
    ----------
    resumed_from : Path or None
    """

    needs_traces = False

    def __init__(
        self, directory: PathLike, *, every: str = "1 epoch", keep: int = 3, resume: bool = False
    ) -> None:
        interval = _EVERY.fullmatch(str(every).strip())
        number, unit = interval.groups() if interval else ("0", "")
        if float(number) == 0 or (unit != "second" and "." in number):
            raise InputError(
                f"checkpoint every {every!r} is not understood; write for example '5 epochs',"
                " '30 seconds' or '100 steps'"
            )
        check_integers(1, keep=keep)
        self.directory, self.keep, self.resume = Path(directory), keep, resume
        self.every, self.unit = float(number), unit or "epoch"
        self.resumed_from: Path | None = None
        self._saved_at, self._broken = 0.0, 0
        self._locks = ExitStack()

    def on_train_start(self, training: "Training") -> None:
        """Test the directory, lock it, and restore an earlier run.

        Raises `SaveError` if the directory cannot be written, is in use, or holds a run although
        `resume` is False; `InputError` if the checkpoint belongs to a run with other options, with
        their names; `FileError` if there are checkpoints but none can be read.
        """
        with saving_to(self.directory):
            self.directory.mkdir(parents=True, exist_ok=True)
        needed = training.net.flat.shape[0] * 8 * 5 * (self.keep + 1)
        probe_writable(self.directory / "checkpoint", needed)
        with ExitStack() as locks:
            locks.enter_context(lock(self.directory / "checkpoint"))
            self._begin(training)
            self._locks = locks.pop_all()  # until the end, if nothing was wrong

    def wants_step(self, step: int) -> bool:
        """Return whether to save after this step."""
        if self.unit == "step":
            return step % int(self.every) == 0
        return self.unit == "second" and time.monotonic() - self._saved_at >= self.every

    def on_batch_end(self, training: "Training") -> None:
        """Save if the given number of steps or seconds has passed."""
        if self.wants_step(training.state.step):
            self._save(training)

    def on_epoch_end(self, training: "Training") -> None:
        """Save if the given number of epochs has passed or this is the last."""
        state = training.state
        # An interruption is saved at the end of the run.
        stopped = training.stop_reason not in ("", "interrupted")
        last = stopped or state.epoch >= training.options.epochs
        if last or (self.unit == "epoch" and state.epoch % int(self.every) == 0):
            self._save(training)

    def on_train_end(self, training: "Training") -> None:
        """Save an interrupted run, and release the directory."""
        try:
            # Otherwise the last epoch is saved, or the weights are not those of the last step.
            consistent = training.state.step and training.between_steps
            if training.stop_reason == "interrupted" and consistent:
                self._save(training)
        finally:
            self._locks.close()

    def _save(self, training: "Training") -> None:
        xp, step = training.net.device.xp, training.state.step
        if not bool(xp.all(xp.isfinite(training.net.flat))):
            return  # diverged; the end of the epoch says so, and the good ones are not pushed out
        _write(self.directory / f"checkpoint-{step:010d}.safetensors", training)
        self._saved_at = time.monotonic()
        for old in checkpoints(self.directory)[: -self.keep - self._broken]:
            with suppress(OSError):  # the next save tries again
                old.unlink()

    def _begin(self, training: "Training") -> None:
        self._saved_at = time.monotonic()
        existing = checkpoints(self.directory)
        if not existing:
            return
        if not self.resume:
            raise SaveError(
                f"{self.directory}: already holds a training run ({existing[-1].name}); resume it,"
                " or choose an empty directory."
            )
        path, fields, tensors = self._newest_intact(existing)
        _restore(path, fields, tensors, training)
        self.resumed_from = path
        before, now = fields["epochs"], training.options.epochs
        if before != now and ends_with_the_run(training.options.schedule):
            warnings.warn(
                f"{path}: the schedule was laid out for {before} epochs and is now for {now}:"
                f" the result differs from {now} epochs in one go; for that, train from the start.",
                stacklevel=2,
            )

    def _newest_intact(self, existing: list[Path]) -> tuple[Path, dict[str, Any], Arrays]:
        broken = list[str]()
        for path in reversed(existing):
            try:
                fields, tensors = read_container(path, "checkpoint", FORMAT_VERSION)
            except FileError as error:
                broken.append(str(error))
                continue
            for message in broken:
                warnings.warn(f"{message} Continuing from {path.name}.", stacklevel=2)
            # They may have later steps than the next ones saved, and do not count as kept.
            self._broken = len(broken)
            return path, fields, tensors
        raise FileError(
            f"{self.directory}: none of {len(broken)} checkpoints can be read; start again in an "
            f"empty directory. The newest: {broken[0]}"
        )


def checkpoints(directory: PathLike) -> list[Path]:
    """Return the checkpoint files of a directory, the newest last."""
    return sorted(Path(directory).glob("checkpoint-[0-9]*.safetensors"))


def _write(path: Path, training: "Training") -> None:
    state = dict(vars(training.state))
    optimizer, history = state.pop("optimizer"), state.pop("history")
    counters = {name: each for name, each in state.items() if isinstance(each, int | str)}
    content = {
        "architecture": training.net.config(),
        "options": _options(training),
        "epochs": training.options.epochs,
        "counters": counters,
        "metrics": list(history.metrics),
        "best_epoch": history.best_epoch,
        "stop_reason": "" if training.stop_reason == "interrupted" else training.stop_reason,
    }
    tensors = network_tensors(training.net)
    tensors |= {f"optimizer.{i}": to_host(each) for i, each in enumerate(optimizer)}
    numbers = {name: state[name] for name in state.keys() - counters.keys()}
    numbers["learning_rate"] = training.learning_rate
    tensors |= {f"state.{name}": to_host(v) for name, v in numbers.items() if v is not None}
    curves = {name: getattr(history, name) for name in CURVES}
    curves |= {f"metrics.{name}": curve for name, curve in history.metrics.items()}
    tensors |= {f"history.{name}": np.asarray(curve, float) for name, curve in curves.items()}
    write_container(path, "checkpoint", FORMAT_VERSION, content, tensors)


def _restore(path: Path, fields: dict[str, Any], tensors: Arrays, training: "Training") -> None:
    """Restore the saved state in a run just created with the same data and options."""
    net, state = training.net, training.state
    for part, now in (("architecture", net.config()), ("options", _options(training))):
        for name, value in now.items():
            if (before := fields[part].get(name)) != value:
                raise InputError(
                    f"{path}: belongs to another training run: {name} was {before!r} and is now "
                    f"{value!r}; give the same options and data, or another directory"
                )
    own = {name: tensors[name] for name in tensors if name.startswith(("weights.", "biases."))}
    net.set_parameters(*parameters_in(own, net.sizes, net.dtype, refusal(path)))

    def put(name: str) -> Any:
        return net.device.put(tensors[name], tensors[name].dtype.name)

    state.optimizer = [put(f"optimizer.{i}") for i in range(len(state.optimizer))]
    counters = fields["counters"]
    for name in vars(state):
        if name in counters and (name != "compile" or training.options.compile == "auto"):
            setattr(state, name, counters[name])
        elif (stored := f"state.{name}") in tensors:
            number = tensors[stored].ndim == 0
            setattr(state, name, float(tensors[stored]) if number else put(stored))
    curves: dict[str, Any] = {name: tensors[f"history.{name}"].tolist() for name in CURVES}
    curves["metrics"] = {
        name: tensors[f"history.metrics.{name}"].tolist() for name in fields["metrics"]
    }
    state.history = History(**curves, best_epoch=fields["best_epoch"])
    training.learning_rate = float(tensors["state.learning_rate"])
    if fields["stop_reason"]:
        training.stop(fields["stop_reason"])


def _options(training: "Training") -> dict[str, str]:
    """Return what must be equal in a resumed run; the number of epochs may differ."""
    options = training.options
    described = {  # functions by their names: their repr has an address in it
        name: str(getattr(each, "__qualname__", None) or repr(each))
        for name, each in vars(options).items()
    }
    del described["epochs"], described["compile"]
    described["metrics"], described["seed"] = ", ".join(training.metrics), str(training.seed)
    plain = "" if getattr(training, "in_pairs", True) else ", plain"  # of several processes
    described["chunks"] = f"{getattr(training, 'chunks', 'none')}{plain}"
    described["loss"] = training.head.loss.name
    described["data"] = digest(training.data, training.net.device)
    described["validation data"] = digest(training.validation, training.net.device)
    return described
