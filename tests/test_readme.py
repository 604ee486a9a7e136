"""What the README shows is what the program does."""

import re
from pathlib import Path

import pytest

import xpnet

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


def test_the_demo_prints_what_it_shows(run, in_empty_directory):
    table = ROOT / "examples" / "data" / "banknote.csv"
    done = run("train", table, "--target", "class", "--out", "banknote.safetensors")
    shown = next(block for block in blocks("text") if block.startswith("task"))

    def without_machine(text):  # whose kernels differ in the last digits, and are in the file
        return re.sub(r"\d+ epochs .*|[\d,]+ bytes", "...", text)

    assert (done.status, done.err) == (0, "")  # no progress bar where nobody watches
    assert without_machine(done.out.strip()) == without_machine(shown.strip())


def test_the_hand_written_example_prints_what_it_shows(capsys):
    source = next(block for block in blocks("python") if "check_gradients(loss" in block)
    exec(compile(source, "README.md", "exec"), {})
    shown = next(block for block in blocks("text") if block.startswith("Gradient check"))
    assert capsys.readouterr().out.strip() == shown.strip()


def test_the_first_screen_shows_what_the_whole_example_prints():
    printed = next(block for block in blocks("text") if block.startswith("Gradient check"))
    first = README[: README.index("```text")]
    shown = [line[4:] for line in first.splitlines() if line.startswith(("    ERROR", "      rem"))]
    assert len(shown) == 4
    for line in shown:
        assert line.removesuffix("; ...") in printed


def test_the_library_examples_run(tmp_path, monkeypatch, capsys):
    pytest.importorskip("sklearn")
    monkeypatch.chdir(tmp_path)
    names = {}
    for told in ("net.save", "xpnet.Loss(", "model.fit(x"):
        source = next(block for block in blocks("python") if told in block)
        exec(compile(source, "README.md", "exec"), names)
    assert names["history"].loss[-1] < names["history"].loss[0]
    assert (tmp_path / "net.safetensors").exists()
    assert "Gradient check: right" in capsys.readouterr().out
    assert names["model"].validation_loss_curve_


def test_the_names_that_options_take_are_those_that_are_told():
    def told(option):
        row = re.search(rf"^\| `{option}` \| (.*) \|$", README, flags=re.MULTILINE)
        return set(re.findall(r"`([^`]+)`", row[1]))

    assert told("hidden") == set(xpnet.nn.activations.HIDDEN)
    assert told("output") == set(xpnet.nn.activations.OUTPUTS)
    assert told("loss") == {"auto", *xpnet.nn.losses.LOSSES}
    assert told("init") == set(xpnet.nn.initializers.INIT_NAMES)
    assert {name.lower() for name in told("optimizer")} == set(xpnet.nn.optimizers.OPTIMIZERS)
    assert told("schedule") == set(xpnet.nn.schedules.SCHEDULES)
    assert told("metrics") == set(xpnet.training.metrics.METRICS)


def test_every_command_exists(run):
    told = set(re.findall(r"^ {4}xpnet (\w+) ", README, flags=re.MULTILINE))
    help_text = run("--help").out
    assert told >= {"train", "predict", "evaluate", "inspect", "doctor", "parity"}
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
