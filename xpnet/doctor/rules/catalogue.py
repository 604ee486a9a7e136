"""The doctor's rules in their order: causes before symptoms."""

from xpnet.doctor.findings import Finding
from xpnet.doctor.rules import backward, data, forward, loss, outcome, updates
from xpnet.doctor.rules.rule import rules_of
from xpnet.doctor.run import Run

RULES = rules_of(loss, backward, data, forward, updates, outcome)


def examine(run: Run, given: tuple[Finding, ...] = ()) -> tuple[Finding, ...]:
    """Apply all rules to a run, after the given findings; each rule sees the codes so far."""
    run.found, findings = [finding.code for finding in given], list(given)
    for rule in RULES:
        finding = rule.apply(run)
        if finding is not None:
            findings.append(finding)
            run.found.append(finding.code)
    return tuple(findings)
