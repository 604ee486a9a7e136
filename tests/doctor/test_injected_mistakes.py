"""Each kind of mistake that the benchmark injects is named first, in one run of each."""

import json
from dataclasses import replace

import pytest
from doctor_mistakes import KINDS, broken, draw
from doctor_networks import report_on

QUICK = 100  # steps; what has to show at the end of a long run keeps its own


@pytest.mark.untraced(but=["gradients of earlier steps not cleared"])
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_an_injected_mistake_is_the_first_finding(kind):
    """In an xpnet network where it can occur there, else in a hand-written one."""
    if kind.data[0] != "circle":
        pytest.importorskip("sklearn")
    healthy = replace(draw(kind, kind.flavours[-1], kind.data[0], seed=0), steps=QUICK)
    report = report_on(broken(healthy, kind))
    finding = report.findings[0]
    assert finding.code in kind.causes, report
    assert finding.severity in ("error", "warning")
    assert finding.evidence
    assert finding.remedy
    assert finding.reference
    assert finding.repair
    json.dumps(report.to_dict())
