"""Every finding has a page, whose example shows it; without the mistake nothing is found."""

import re
from pathlib import Path

import pytest
from finding_examples import diagnosis, examples
from reference_pages import explanations

import xpnet

pytestmark = pytest.mark.process

EXAMPLES = examples()
NOT_FIRST = ("diverged", "constant-output")


@pytest.mark.untraced(but=[
    "no-bias", "gradient-accumulated", "gradient-scale", "update-order", "initial-loss",
    "update-wrong", "regularisation-dominates", "unshuffled-rows", "softmax-axis",
])  # fmt: skip
@pytest.mark.parametrize("code", EXAMPLES)
def test_the_mistake_of_a_page_is_found(code):
    found = diagnosis(EXAMPLES[code].wrong).codes
    assert code in found[code in NOT_FIRST :][:1]


@pytest.mark.untraced
@pytest.mark.parametrize("right", {each.right: None for each in EXAMPLES.values()})
def test_a_script_of_the_pages_that_is_right_has_no_findings(right):
    assert diagnosis(right).codes == ()


def test_there_is_an_example_for_every_code():
    doctor = Path(xpnet.__file__).parent / "doctor"
    source = "\n".join(each.read_text("utf-8") for each in doctor.rglob("*.py"))
    given = re.findall(r'(?:\bcode ?=|Finding\(|Mistake\()\s*"([a-z-]+)"', source)
    assert {*given, *explanations()} == {*EXAMPLES}


def test_a_report_with_findings_ends_with_where_their_pages_are():
    example = EXAMPLES["bias-per-sample"]
    assert str(diagnosis(example.wrong)).endswith("reference/findings, by make docs.")
    assert "reference/findings" not in str(diagnosis(example.right))
