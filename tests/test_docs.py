"""The code on the pages of the documentation runs."""

import re
import shlex
import shutil
from pathlib import Path

import pytest
from command_line import BANKNOTE

import xpnet

DOCS = Path(__file__).resolve().parents[1] / "docs"
NEEDS = {
    "from-scikit-learn": ["sklearn"],
    "sweeps-and-ensembles": ["sklearn"],
    "deploy": ["onnx", "onnxruntime", "skl2onnx", "skops", "torch"],
    "excel-and-databases": ["fastexcel", "adbc_driver_sqlite", "xlsxwriter"],
    "several-machines": ["mpi4py"],
    "searches": ["sklearn", "distributed", "optuna"],
}
PAGES = sorted(
    page
    for page in DOCS.rglob("*.md")
    if "```python" in page.read_text("utf-8") and page.stem != "tracking"  # see test_trackers.py
)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_code_and_the_commands_of_a_page_run_from_top_to_bottom(
    page, tmp_path, monkeypatch, run, capfd
):
    for needed in NEEDS.get(page.stem, ()):
        pytest.importorskip(needed)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)  # for the program that a page writes
    shutil.copy(BANKNOTE, tmp_path)
    names: dict[str, object] = {}
    blocks = re.findall(r"```(python|console)\n(.*?)```", page.read_text("utf-8"), flags=re.DOTALL)
    for language, source in blocks:
        if language == "python":
            exec(compile(source, page.name, "exec"), names)
        for command in source.splitlines() if language == "console" else ():
            outcome = run(*shlex.split(command.removeprefix("$ xpnet ")))
            assert outcome.status == 0, outcome.err
    shown = re.search(r"```text\n(Gradient check: WRONG.*?)```", page.read_text("utf-8"), re.DOTALL)
    assert shown is None or shown[1].strip() in capfd.readouterr().out


def test_the_names_that_options_take_are_those_that_are_told():
    page = (DOCS / "reference" / "names.md").read_text("utf-8")

    def told(option):
        row = re.search(rf"^\| `{option}` \| (.*) \|$", page, flags=re.MULTILINE)
        return set(re.findall(r"`([^`]+)`", row[1]))

    assert told("hidden") == set(xpnet.nn.activations.HIDDEN)
    assert told("output") == set(xpnet.nn.activations.OUTPUTS)
    assert told("loss") == {"auto", *xpnet.nn.losses.LOSSES}
    assert told("init") == set(xpnet.nn.initializers.INIT_NAMES)
    assert {name.lower() for name in told("optimizer")} == set(xpnet.nn.optimizers.OPTIMIZERS)
    assert told("schedule") == set(xpnet.nn.schedules.SCHEDULES)
    assert told("metrics") == set(xpnet.training.metrics.METRICS)


def test_every_test_that_a_page_names_exists():
    tests = "\n".join(each.read_text("utf-8") for each in DOCS.parent.glob("tests/**/test_*.py"))
    for page in DOCS.rglob("*.md"):
        for name in re.findall(r"`(test_\w+)`", page.read_text("utf-8")):
            assert f"def {name}(" in tests, f"{page.name}: {name}"
