"""The corpus of hand-written networks: its manifest is true of its scripts."""

import hashlib
import json

import pytest
from doctor_scripts import examine
from script_corpus import FOLDER, cases, kinds, measure

pytestmark = pytest.mark.untraced

CASES = {case.name: case for case in cases()}
HALVES = {"half_million_steps.py": "-"}  # for its cost alone
QUICK = ("un_neurone.py", "few_epochs.py", "clientes_csv.py", "right_listas_python.py")


def source(text: str) -> str:
    if not text.startswith("{"):
        return text
    cells = json.loads(text)["cells"]
    return "\n".join("".join(each["source"]) for each in cells if each["cell_type"] == "code")


def test_every_script_of_the_corpus_has_its_entry_or_belongs_to_one():
    named = {name for case in CASES.values() for name in (case.name, *case.files)}
    found = {path.name for path in FOLDER.iterdir() if path.suffix in {".py", ".ipynb"}}
    assert named == found


def test_halves_follow_from_the_names_alone():
    for name in CASES:
        drawn = "AB"[hashlib.sha256(name.encode()).digest()[0] % 2]
        later = "C" if CASES[name].half == "C" else drawn  # written when A and B were known
        assert CASES[name].half == HALVES.get(name, later)


def test_the_corpus_is_as_large_and_its_scripts_as_short_as_promised():
    assert sum(case.right for case in CASES.values()) >= 30
    assert sum(not case.right for case in CASES.values()) >= 60
    for case in CASES.values():
        assert len(source(case.path.read_text()).splitlines()) <= 75


@pytest.mark.parametrize("name", CASES)
def test_a_mend_changes_the_lines_at_fault_and_its_measured_score(name):
    case = CASES[name]
    if case.right:
        assert case.learnt(case.before)
        assert not case.mend
        return
    assert {case.kind, *case.also} <= kinds().keys()
    mended = case.mended()
    assert case.lines()
    for each in mended.values():
        compile(source(each), case.name, "exec")
    assert case.learnt(case.after)
    assert not case.learnt(case.before)


@pytest.mark.process
@pytest.mark.parametrize("name", QUICK)
def test_scores_in_the_manifest_are_measured_ones(name, tmp_path):
    case = CASES[name]
    before, after, _ = measure(case, tmp_path)
    assert before == pytest.approx(case.before, rel=0.1)
    assert case.learnt(after)


@pytest.mark.process
def test_the_doctor_names_the_cause_and_its_line_in_an_unchanged_script():
    found = examine(CASES["layers_list_own_activation.py"], fix=False)
    assert found.mapped
    assert found.first
    assert found.line


@pytest.mark.process
def test_the_doctor_has_nothing_against_a_right_script():
    found = examine(CASES["right_dropout.py"], fix=False)
    assert not found.trouble
    assert not found.said("error")
    assert not found.said("warning")
