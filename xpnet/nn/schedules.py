"""Learning-rate schedules: factors on the optimiser's learning rate, as functions of progress.

A schedule is any callable ``schedule(progress) -> float``.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import cos, pi
from typing import NamedTuple, TypeAlias

from xpnet.errors import InputError, bad_argument, check_numbers


class Progress(NamedTuple):
    """How far a training run has got; all that a schedule may depend on."""

    step: int  # steps taken before this one, from 0
    epoch: int  # epochs completed, from 0
    steps_per_epoch: int
    total_steps: int
    losses: Sequence[float]
    """Of each epoch completed, the validation loss or, without one, the training loss."""

    @property
    def done(self) -> float:
        """Share of the steps taken, from 0 to 1, also in a run that was resumed beyond its end."""
        return min(self.step / self.total_steps, 1.0)


Schedule: TypeAlias = Callable[[Progress], float]


_RULES = {
    **dict.fromkeys(("epochs", "patience", "steps"), "must be finite and >= 1"),
    **dict.fromkeys(("factor", "end"), "must be from 0 to 1"),
    **dict.fromkeys(("power", "min_delta"), "must be finite and >= 0"),
}


@dataclass(frozen=True)
class _Checked:
    """A schedule whose options are checked against `_RULES`."""

    def __post_init__(self) -> None:
        for name, rule in _RULES.items():
            if hasattr(self, name):
                check_numbers(rule, **{name: getattr(self, name)})


@dataclass(frozen=True)
class Constant:
    """Always 1."""

    def __call__(self, progress: Progress) -> float:
        return 1.0


@dataclass(frozen=True)
class StepDecay(_Checked):
    """Times `factor` after every `epochs` epochs."""

    epochs: int = 10
    factor: float = 0.5

    def __call__(self, progress: Progress) -> float:
        return float(self.factor ** (progress.epoch // self.epochs))


@dataclass(frozen=True)
class Linear(_Checked):
    """From 1 at the first step down to `end` after the last one."""

    end: float = 0.0

    def __call__(self, progress: Progress) -> float:
        return 1.0 + (self.end - 1.0) * progress.done


@dataclass(frozen=True)
class Cosine(_Checked):
    """Half a cosine from 1 to `end`. Loshchilov and Hutter, arXiv 1608.03983, without restarts."""

    end: float = 0.0

    def __call__(self, progress: Progress) -> float:
        return self.end + (1.0 - self.end) * 0.5 * (1.0 + cos(pi * progress.done))


@dataclass(frozen=True)
class InverseScaling(_Checked):
    """1 / (step + 1) ** power."""

    power: float = 0.5

    def __call__(self, progress: Progress) -> float:
        return float((progress.step + 1) ** -self.power)


@dataclass(frozen=True)
class ReduceOnPlateau(_Checked):
    """Times `factor` whenever the loss has not improved by `min_delta` for `patience` epochs.

    Has no state: the history of losses says it all, so a resumed run continues alike.
    """

    factor: float = 0.5
    patience: int = 5
    min_delta: float = 1e-4

    def __call__(self, progress: Progress) -> float:
        result, best, waited = 1.0, float("inf"), 0
        for loss in progress.losses:
            waited = 0 if loss < best - self.min_delta else waited + 1
            best = min(best, loss)
            if waited >= self.patience:
                result, waited = result * self.factor, 0
        return result


@dataclass(frozen=True)
class Warmup(_Checked):
    """Rise linearly over the first `steps` steps to 1, then follow another schedule."""

    steps: int = 100
    then: Schedule = Constant()

    def __call__(self, progress: Progress) -> float:
        return min(1.0, (progress.step + 1) / self.steps) * self.then(progress)


SCHEDULES: dict[str, Schedule] = {
    "constant": Constant(),
    "step": StepDecay(),
    "linear": Linear(),
    "cosine": Cosine(),
    "inverse": InverseScaling(),
    "plateau": ReduceOnPlateau(),
    "warmup": Warmup(),
}


def per_epoch(schedule: Schedule) -> bool:
    """Return whether the factor is the same for all steps of an epoch."""
    return isinstance(schedule, Constant | StepDecay | ReduceOnPlateau)


def looks_at_losses(schedule: Schedule) -> bool:
    """Return whether the factor may depend on the losses of the epochs before."""
    if isinstance(schedule, Warmup):
        return looks_at_losses(schedule.then)
    return not isinstance(schedule, Constant | StepDecay | Linear | Cosine | InverseScaling)


def ends_with_the_run(schedule: str | Schedule | None) -> bool:
    """Return whether a schedule, or its name, depends on the number of steps of the whole run."""
    if isinstance(schedule, Warmup):
        return ends_with_the_run(schedule.then)
    return isinstance(schedule, Linear | Cosine) or schedule in ("linear", "cosine")


def resolve_schedule(schedule: str | Schedule | None) -> Schedule:
    """Return a schedule by its name, or the one given; a constant one for None."""
    if schedule is None:
        return Constant()
    if isinstance(schedule, type):
        raise InputError(f"schedule {schedule.__name__} is a class; pass {schedule.__name__}()")
    if callable(schedule):
        return schedule
    if schedule not in SCHEDULES:
        raise bad_argument("schedule", schedule, f"is not known; use one of {', '.join(SCHEDULES)}")
    return SCHEDULES[schedule]
