"""The code and the commands on the pages of the documentation run, and print what is shown."""

import gzip
import re
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
from command_line import BANKNOTE

import xpnet
from xpnet.cli.main import COMMANDS
from xpnet.cli.options import ScriptOptions, flag, parsed_fields

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
GENERATED = ("records", "api", "findings", "command-line.md")
NEEDS = {
    "does-not-learn": ["sklearn"],
    "from-scikit-learn": ["sklearn"],
    "sweeps-and-ensembles": ["sklearn"],
    "deploy": ["onnx", "onnxruntime", "skl2onnx", "skops", "torch"],
    "excel-and-databases": ["fastexcel", "adbc_driver_sqlite", "xlsxwriter"],
    "several-machines": ["mpi4py"],
    "searches": ["sklearn", "distributed", "optuna"],
}
PAGES = sorted(page for page in DOCS.rglob("*.md") if not {*GENERATED} & {*page.parts})
RUNNABLE = [
    page
    for page in PAGES
    if re.search("```(python|console)", page.read_text("utf-8"))
    and page.stem != "tracking"  # see test_trackers.py
]
EVERYTHING = [ROOT / "README.md", *PAGES]


def blocks(page, *languages):
    pattern = rf"```({'|'.join(languages)})\n(.*?)```"
    return re.findall(pattern, page.read_text("utf-8"), flags=re.DOTALL)


@pytest.fixture
def at_hand(tmp_path, monkeypatch):
    """What the pages have at hand: a table, the plain examples, and digits as MNIST has them."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)  # for the program that a page writes
    for each in (BANKNOTE, *(ROOT / "examples" / "plain").iterdir()):
        shutil.copy(each, tmp_path)
    random = np.random.default_rng(0)
    for name, rows in (("train", 300), ("t10k", 50)):
        labels = random.integers(10, size=rows, dtype=np.uint8)
        images = random.integers(20, size=(rows, 4, 4), dtype=np.uint8)
        images[np.arange(rows), labels // 4, labels % 4] = 255
        for what, array in (("images-idx3", images), ("labels-idx1", labels)):
            sizes = np.array(array.shape, ">i4").tobytes()
            with gzip.open(f"{name}-{what}-ubyte.gz", "wb") as file:
                file.write(bytes([0, 0, 8, array.ndim]) + sizes + array.tobytes())


@pytest.mark.untraced
@pytest.mark.filterwarnings("ignore:.* imputed:")
@pytest.mark.usefixtures("at_hand")
@pytest.mark.parametrize("page", RUNNABLE, ids=lambda page: page.stem)
def test_the_code_and_the_commands_of_a_page_run_from_top_to_bottom(page, run, capfd):
    for needed in NEEDS.get(page.stem, ()):
        pytest.importorskip(needed)
    names: dict[str, object] = {}
    printed = ""
    for language, source in blocks(page, "python", "console", "text"):
        if language == "python":
            exec(compile(source, page.name, "exec"), names)
            printed = capfd.readouterr().out
        elif language == "console":
            outcomes = [run(*shlex.split(line)[2:]) for line in source.splitlines()]
            assert [each.err for each in outcomes if each.status] == []
            printed = outcomes[-1].out
        else:
            lines = iter(printed.splitlines())
            shown = [re.escape(line) for line in source.splitlines() if line]
            patterns = [line.replace(r"\.\.\.", ".*") for line in shown]
            assert [p for p in patterns if not any(re.search(p, line) for line in lines)] == []


@pytest.mark.parametrize("page", EVERYTHING, ids=lambda page: page.stem)
def test_every_command_that_a_page_shows_exists_with_its_options(page):
    flags = {
        name: {flag(each.name) for each in parsed_fields(options)} | {"--help"}
        for name, (options, _) in COMMANDS.items()
    }
    flags["doctor"] |= {flag(each.name) for each in parsed_fields(ScriptOptions)}
    shown = re.findall(r"(?:^|[`$ ])xpnet ([a-z]+)\b([^`\n#]*)", page.read_text("utf-8"), re.M)
    for command, rest in shown:
        if command in flags:
            assert {*re.findall(r" (--[a-z0-9-]+)", rest)} <= flags[command], (command, rest)
        else:
            assert "--" not in rest, command


@pytest.mark.parametrize("page", EVERYTHING, ids=lambda page: page.stem)
def test_code_is_in_blocks_that_say_what_it_is(page):
    text = re.sub(r"```.*?```", "", page.read_text("utf-8"), flags=re.DOTALL)
    indented = re.findall(r"\n\n(    (?:\$ |pip|xpnet|make|python|mpiexec).*)", text)
    assert indented == [] or page.name == "README.md"
    kinds = re.findall(r"^```(\S+)\n", page.read_text("utf-8"), flags=re.MULTILINE)
    assert {*kinds} <= {"python", "console", "text", "sh", "diff", "toml", "{toctree}"}


def test_every_public_name_is_in_the_reference():
    page = (DOCS / "reference" / "python.rst").read_text("utf-8")
    assert sorted(re.findall(r"^   (\w+)$", page, flags=re.MULTILINE)) == sorted(xpnet.__all__)


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


def test_every_link_between_pages_leads_somewhere():
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#:]+\.(?:md|png))", page.read_text("utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
