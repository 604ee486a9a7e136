"""What the README shows is what the program does."""

import re
from pathlib import Path

import pytest

import xpnet

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


@pytest.mark.untraced
def test_the_demo_prints_what_it_shows(run, in_empty_directory):
    table = ROOT / "examples" / "data" / "banknote.csv"
    done = run("train", table, "--target", "class", "--out", "banknote.safetensors")
    shown = next(block for block in blocks("text") if block.startswith("task"))

    def without_machine(text):  # whose kernels differ in the last digits, and are in the file
        return re.sub(r"\d+ epochs .*|[\d,]+ bytes", "...", text)

    assert (done.status, done.err) == (0, "")  # no progress bar where nobody watches
    assert without_machine(done.out.strip()) == without_machine(shown.strip())


def test_the_doctor_says_of_the_script_what_is_shown(run, tmp_path, monkeypatch):
    script = tmp_path / "six_points.py"
    script.write_text((ROOT / "examples" / "plain" / script.name).read_text("utf-8"))
    monkeypatch.chdir(tmp_path)
    printed = run("doctor", script.name, "--quiet").out.splitlines()
    shown = next(block for block in blocks("text") if block.startswith("ERROR"))
    assert shown.splitlines() == [
        each for each in printed if each.startswith(("ERROR", "  remedy"))
    ]


def test_the_library_example_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(compile(blocks("python")[0], "README.md", "exec"), names)
    assert names["history"].loss[-1] < names["history"].loss[0]
    assert (tmp_path / "net.safetensors").exists()


def test_every_command_exists(run):
    told = set(re.findall(r"(?:^ {4}|`)xpnet (\w+) ", README, flags=re.MULTILINE))
    help_text = run("--help").out
    assert told >= {"train", "predict", "doctor"}
    assert all(re.search(rf"^  {name} ", help_text, flags=re.MULTILINE) for name in told)


def test_every_link_leads_somewhere():
    targets = [t for t in re.findall(r"\]\(([^)]+)\)", README) if "://" not in t]
    assert targets
    assert not [t for t in targets if t[0] != "#" and not (ROOT / t.partition("#")[0]).exists()]
    headings = re.findall(r"^## (.*)$", README, flags=re.MULTILINE)
    anchors = {re.sub(r"[^a-z0-9 -]", "", each.lower()).replace(" ", "-") for each in headings}
    assert not [t for t in targets if t[0] == "#" and t[1:] not in anchors]


def test_every_public_name_that_is_told_exists():
    told = set(re.findall(r"xpnet\.([A-Za-z_]\w*)", README))
    assert not [name for name in told if not hasattr(xpnet, name)]
