"""A rule of the doctor: one decorated function whose docstring is the finding's explanation.

It stands where its cause belongs, in one of the files of this room, such as `dead_units` in
`forward`; the rules of a file are applied from top to bottom. Remedies are said in NumPy, for any
code; `change` says them in xpnet's settings.
"""

from collections.abc import Callable, Sized
from dataclasses import dataclass
from operator import attrgetter
from types import ModuleType
from typing import Any

from xpnet.doctor.findings import Evidence as Evidence
from xpnet.doctor.findings import Finding
from xpnet.doctor.run import Run

RECIPE = "Karpathy, A recipe for training neural networks, 2019"
CHECKER = "Ben Braiek and Khomh, TheDeepChecker, arXiv 2204.00694"
DIAGNOSIS = "Wardat et al., DeepDiagnosis, arXiv 2112.04036"
GLOROT = "Glorot and Bengio, Understanding the difficulty of training deep networks, 2010"
GOODFELLOW = "Goodfellow et al., Deep Learning"
LECUN = "LeCun et al., Efficient BackProp, 1998"
NIELSEN = "Nielsen, Neural networks and deep learning, 2015"
BACKPROPAGATION = "CS231n notes, Backpropagation, gradients for vectorized operations"
STANDARDIZE = "mean, std = x_train.mean(axis=0), x_train.std(axis=0); x = (x - mean) / std"
ENOUGH_STEPS = 10  # fewer say nothing about the outcome


@dataclass(frozen=True)
class Rule:
    """One rule: `check` finds evidence; the rest is the finding's text.

    Limits were chosen by measuring healthy and broken runs (`benchmarks/doctor.py`); where one
    differs from the source, the source's value raised false alarms or came too late.
    """

    code: str
    check: Callable[..., Any]  # of a run, and of the limit if there is one; gives evidence
    why: str
    remedy: str
    source: str
    limit: float | None = None
    needs: tuple[str, ...] = ()  # attributes of `Run` without which the rule says nothing
    steps: int = 0  # needed, too
    explained_by: tuple[str, ...] = ()  # codes that make it superfluous; * stands for anything
    severity: str = ""  # by default an error if nothing was learnt, a warning if something was
    change: dict[str, Any] | None = None  # the remedy for programs

    def apply(self, run: Run) -> Finding | None:
        """Return the finding for a run, if there is one."""
        needed = (attrgetter(need)(run) for need in self.needs)
        empty = (each is None or (isinstance(each, Sized) and not len(each)) for each in needed)
        if run.steps < self.steps or any(empty) or run.has_found(*self.explained_by):
            return None
        seen = self.check(run) if self.limit is None else self.check(run, self.limit)
        usual = "error" if run.failing else "warning"
        return None if seen is None else self.finding(seen, self.severity or usual)

    def finding(self, seen: Evidence, severity: str = "error") -> Finding:
        """Return the finding for what was seen."""
        return Finding(
            seen.code or self.code, seen.severity or severity, seen.where, seen.measured, self.why,
            seen.remedy or self.remedy, self.source, seen.change or self.change,
        )  # fmt: skip


def rule(code: str, **about: Any) -> Callable[[Callable[..., Any]], Rule]:
    """Make a `Rule` of the function that follows; `about` are the rule's attributes."""
    return lambda check: Rule(code, check, " ".join((check.__doc__ or "").split()), **about)


def rules_of(*modules: ModuleType) -> tuple[Rule, ...]:
    """Return the rules of some files, in their order."""
    named = (each for module in modules for each in vars(module).values())
    return tuple(each for each in named if isinstance(each, Rule))
