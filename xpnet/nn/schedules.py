"""Learning-rate schedules: factors on the optimiser's learning rate, as functions of progress.

A schedule is any callable ``schedule(progress) -> float``.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

from xpnet.errors import InputError, bad_argument, check_integers, check_numbers


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
    **dict.fromkeys(("epochs", "steps"), "must be finite and >= 1"),
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
        return self.end + (1.0 - self.end) * 0.5 * (1.0 + math.cos(math.pi * progress.done))


@dataclass(frozen=True)
class InverseScaling(_Checked):
    """1 / (step + 1) ** power."""

    power: float = 0.5

    def __call__(self, progress: Progress) -> float:
        return float((progress.step + 1) ** -self.power)


@dataclass(frozen=True)
class ReduceOnPlateau(_Checked):
    """Times `factor` whenever the loss has not improved for `patience` epochs.

    It has improved once it is lower than when it last had, by more than the share `min_delta`. Has
    no state: the history of losses says it all, so a resumed run continues alike.
    """

    factor: float = 0.5
    patience: int = 5
    min_delta: float = 1e-4

    def __post_init__(self) -> None:
        super().__post_init__()
        check_integers(1, patience=self.patience)

    def __call__(self, progress: Progress) -> float:
        waits = epochs_waited(progress.losses, self.min_delta, relative=True)
        reductions = sum(waited > 0 and waited % self.patience == 0 for waited in waits)
        return float(self.factor**reductions)


def epochs_waited(
    losses: Sequence[float], min_delta: float, *, relative: bool = False
) -> Iterator[int]:
    """Yield for each epoch how many have passed since the loss last fell by more than min_delta.

    As in PyTorch and Keras it has to fall below what it was then, so that small steps add up.
    """
    best, waited = math.inf, 0
    for loss in losses:
        least = min_delta * abs(best) if relative and best < math.inf else min_delta
        best, waited = (loss, 0) if loss < best - least else (best, waited + 1)
        yield waited


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


@dataclass(frozen=True)
class Warmup(_Checked):
    """Rise linearly over the first `steps` steps to 1, then follow another schedule."""

    steps: int = 100
    then: Any = Constant()  # or a name

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "then", resolve_schedule(self.then))

    def __call__(self, progress: Progress) -> float:
        return min(1.0, (progress.step + 1) / self.steps) * float(self.then(progress))


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
