"""Findings of the doctor and the gradient check, and reports of them, worst first."""

from dataclasses import asdict, dataclass, field
from typing import Any

SEVERITIES = ("error", "warning", "note")
MORE = (
    "Each code has a page with an example in the documentation: reference/findings, by make docs."
)
UNSKILLED = 0.05  # share of the targets' variance below which a constant is as good


@dataclass(frozen=True)
class Evidence:
    """What a rule saw: where, and the numbers; other texts replace those of the rule."""

    where: str
    measured: str
    change: dict[str, Any] | None = None
    severity: str = ""
    remedy: str = ""
    code: str = ""


@dataclass(frozen=True)
class Finding:
    """A finding, with the measured evidence and the change that fixes it.

    Attributes
    ----------
    code : str
        Stable name, such as ``"gradient-sign"``.
    severity : str
        ``"error"`` (it cannot learn this way), ``"warning"`` or ``"note"``.
    where : str
        The parameter, layer, feature or quantity concerned.
    evidence : str
        The measured numbers.
    explanation, remedy, reference : str
        Why it matters, the change to make, and where to read more.
    repair : dict or None
        The remedy for programs: settings to change, such as ``{"learning_rate": 0.1}``.
    """

    code: str
    severity: str
    where: str
    evidence: str
    explanation: str
    remedy: str
    reference: str
    repair: dict[str, Any] | None = None

    def __str__(self) -> str:
        lines = [f"{self.severity.upper()} {self.code} in {self.where}: {self.evidence}"]
        lines.append(f"  why:    {self.explanation}")
        lines += [f"  remedy: {line}" for line in self.remedy.splitlines()]
        return "\n".join([*lines, f"  see:    {self.reference}"])


@dataclass(frozen=True)
class Report:
    """Findings, worst first; among equals, causes before symptoms.

    Attributes
    ----------
    findings : tuple of Finding
    facts : dict
        Numbers that are measured in any case (skill, losses, steps). For a hand-written loop,
        ``not_shown`` lists what it did not pass to `watch`.
    """

    findings: tuple[Finding, ...]
    facts: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        ranked = sorted(self.findings, key=lambda finding: SEVERITIES.index(finding.severity))
        object.__setattr__(self, "findings", tuple(ranked))

    @property
    def ok(self) -> bool:
        """Whether there is no error and no warning; notes are allowed."""
        return all(finding.severity == "note" for finding in self.findings)

    @property
    def codes(self) -> tuple[str, ...]:
        """The codes of the findings, worst first, each once."""
        return tuple(dict.fromkeys(finding.code for finding in self.findings))

    def __str__(self) -> str:
        told = [str(finding) for finding in self.findings]
        if not told:
            told = ["No findings: nothing wrong was measured."]
            unjudged = self.facts.get("stopped_looking") or self.facts.get("taught_otherwise")
            if not unjudged and self.facts.get("skill", 1.0) < UNSKILLED:
                steps = f"after {self.facts['steps']} steps"
                told = [f"No findings, but {steps} the predictions are no better than a constant."]
        if missing := ", ".join(self.facts.get("not_shown", ())):
            told.append(f"Not shown, and so not checked: {missing}.")
        if self.findings:
            told.append(MORE)
        return "\n\n".join(told)

    def to_dict(self) -> dict[str, Any]:
        """Return ``{"ok": bool, "findings": [...], "facts": {...}}``, ready for JSON."""
        return {
            "ok": self.ok,
            "findings": [asdict(finding) for finding in self.findings],
            "facts": self.facts,
        }
