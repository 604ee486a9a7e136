"""A rule of the doctor: a sign to look for, and the texts of the finding that it makes."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from xpnet.doctor.findings import Finding
from xpnet.doctor.run import Run

RECIPE = "Karpathy, A recipe for training neural networks, 2019"
CHECKER = "Ben Braiek and Khomh, TheDeepChecker, arXiv 2204.00694"
DIAGNOSIS = "Wardat et al., DeepDiagnosis, arXiv 2112.04036"
GLOROT = "Glorot and Bengio, Understanding the difficulty of training deep networks, 2010"
STANDARDISE = "mean, std = x_train.mean(axis=0), x_train.std(axis=0); x = (x - mean) / std"


@dataclass(frozen=True)
class Sign:
    """What a rule saw: where, the numbers, and the settings that would fix it.

    `severity` and `remedy` are given where the rule's own do not fit what was seen.
    """

    where: str
    evidence: str
    repair: dict[str, Any] | None = None
    severity: str = ""
    remedy: str = ""


@dataclass(frozen=True)
class Rule:
    """One rule: `look` gives a sign when `limit` is exceeded; the rest is the finding's text.

    Attributes
    ----------
    severity : str
        ``""``: an error if nothing was learnt, a warning if something was.
    """

    code: str
    look: Callable[[Run, float], Sign | None]
    limit: float
    severity: str
    explanation: str
    remedy: str
    source: str

    def apply(self, run: Run) -> Finding | None:
        """Return the finding for a run, if there is one."""
        sign = self.look(run, self.limit)
        if sign is None:
            return None
        severity = sign.severity or self.severity or run.severity
        return Finding(
            self.code, severity, sign.where, sign.evidence, self.explanation,
            sign.remedy or self.remedy, self.source, sign.repair,
        )  # fmt: skip
