import json
import re
import shlex
from html import unescape
from pathlib import Path

import numpy as np
import pytest
from lazily import polars, untraced
from observed_scripts import RIGHT

from xpnet.cli.main import main
from xpnet.report.figures import Drawing
from xpnet.training.history import History

SHORT = ("--hidden", "4", "--epochs", "3", "--nets", "2")
HOSTILE = "<script>alert($1$)</script>日本"


def table_of(task, rows=120):
    draw = np.random.default_rng(0)
    a, b = draw.normal(size=(2, rows))
    target = {
        "binary": np.where(a + b > 0, "yes", "no"),
        "multiclass": np.array(["low", "middle", "high"])[np.digitize(a, [-0.5, 0.5])],
        "regression": a - 2 * b,
    }[task]
    return polars.DataFrame({HOSTILE: a, "b": b, "y": target})


@pytest.fixture(scope="module", autouse=True)
def untraced_figures():
    """Let coverage not look at matplotlib, most of the time that a report takes."""
    figure = pytest.importorskip("matplotlib.figure").Figure
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(figure, "savefig", untraced()(figure.savefig))
        yield


@pytest.fixture
def undrawn(monkeypatch):
    """Leave the figures empty, where a test is not about them."""
    monkeypatch.setattr("xpnet.report.figures.draw", lambda *told: Drawing(*told[:2], svg=""))


@pytest.fixture(scope="module", params=["binary", "multiclass", "regression"])
def pages(request, tmp_path_factory):
    """The task, a folder with table and model, and the pages of train and report."""
    folder = tmp_path_factory.mktemp(request.param)
    data, model = f"{folder}/data.csv", f"{folder}/model.safetensors"
    table_of(request.param).write_csv(data)
    trained, judged = f"{folder}/trained.html", f"{folder}/judged.html"
    assert main(["train", data, "--target=y", "--out", model, "--report", trained, *SHORT]) == 0
    assert main(["report", model, data, "--out", judged]) == 0
    return (
        request.param,
        folder,
        [(folder / f"{n}.html").read_text() for n in ("trained", "judged")],
    )


def numbers_in(page):
    """Return the first table's rows: a name, and the network's number."""
    return dict(
        re.findall(r'<th scope="row">([^<]+)</th><td>([^<]*)</td>', page.partition("</table>")[0])
    )


def test_a_report_of_a_table_has_the_numbers_of_evaluate(pages, capsys):
    _, folder, (_, judged) = pages
    capsys.readouterr()
    assert main(["evaluate", f"{folder}/model.safetensors", f"{folder}/data.csv", "--json"]) == 0
    scores, shown = json.loads(capsys.readouterr().out)["scores"], numbers_in(judged)
    flat = {n: v for n, v in scores.items() if isinstance(v, float)}
    flat |= {f"recall of {name}": each for name, each in scores.get("recall", {}).items()}
    assert {name: float(shown[name]) for name in flat} == pytest.approx(flat, rel=1e-5)


def test_a_report_of_a_training_has_the_numbers_of_the_model_file(pages, capsys):
    _, folder, (trained, _) = pages
    capsys.readouterr()
    main(["inspect", f"{folder}/model.safetensors", "--json"])
    training = json.loads(capsys.readouterr().out)["training"]
    name = "accuracy" if "accuracy" in training["scores"] else "r2"
    assert float(numbers_in(trained)[name]) == pytest.approx(training["scores"][name], rel=1e-5)
    assert "linear model" in trained
    assert training["linear"]["rows"] == training["scores"]["rows"]


def test_figures_are_those_of_the_task(pages):
    task, _, (trained, judged) = pages
    of_classes = {"Confusion matrix", "ROC curve", "Precision and recall", "Calibration"}
    wanted = {"Predicted against true", "Residuals"} if task == "regression" else of_classes
    for page in (trained, judged):
        titles = set(re.findall(r"<strong>([^<]+)\.</strong>", page))
        assert titles >= wanted | {"Loss", "Network"}
        assert not titles & ({"Residuals", *of_classes} - wanted)
        assert {"Permutation importance", "Decision regions", "Partial dependence on b"} <= titles


@pytest.mark.untraced
@pytest.mark.parametrize("pages", ["multiclass"], indirect=True)
def test_the_same_model_and_table_give_the_same_bytes(pages, tmp_path):
    _, folder, (_, judged) = pages
    again = tmp_path / "again.html"
    main(["report", f"{folder}/model.safetensors", f"{folder}/data.csv", "--out", str(again)])
    assert again.read_text() == judged


def test_a_page_asks_for_nothing_and_names_of_columns_stay_text(pages):
    for page in pages[2]:
        assert "<script" not in page
        assert not re.findall(r'(?:src|href)="(?!#)|url\((?!#)|@import', page)
        assert len(page.encode()) < 400_000
    assert "&lt;script&gt;alert($1$)" in page


@pytest.mark.untraced
@pytest.mark.parametrize("pages", ["binary"], indirect=True)
def test_a_report_without_a_table_leaves_out_what_needs_one(pages, tmp_path):
    _, folder, _ = pages
    out = tmp_path / "alone.html"
    assert main(["report", f"{folder}/model.safetensors", "--out", str(out)]) == 0
    page = out.read_text()
    assert "How good it is" in page
    assert "xpnet train TABLE --target y" in page
    assert "What each column adds" not in page
    assert "Calibration" not in page


@pytest.mark.untraced
def test_many_classes_and_text_columns_are_reported(tmp_path):
    draw = np.random.default_rng(1)
    kind = draw.choice(["red", "green", "blue"], 400)
    table = polars.DataFrame(
        {"kind": kind, "a": draw.normal(size=400), "y": draw.integers(0, 20, 400)}
    )
    data, model, out = (f"{tmp_path}/{name}" for name in ("t.csv", "t.safetensors", "t.html"))
    table.write_csv(data)
    assert main(["train", data, "--target=y", "--task=multiclass", "--out", model, *SHORT]) == 0
    assert main(["report", model, data, "--out", out]) == 0
    page = (tmp_path / "t.html").read_text()
    assert "Calibration" in page
    assert "Confusion matrix" not in page
    assert len(page) < 400_000


@pytest.mark.untraced
@pytest.mark.usefixtures("undrawn")
def test_findings_have_a_picture_of_their_evidence(tmp_path):
    data, model = f"{tmp_path}/t.csv", f"{tmp_path}/t.safetensors"
    pages = [f"{tmp_path}/{name}.html" for name in ("trained", "judged", "alone")]
    table_of("binary").write_csv(data)
    main(
        ["train", data, "--target=y", "--out", model, "--init=zeros", "--report", pages[0], *SHORT]
    )
    main(["report", model, data, "--out", pages[1]])
    main(["report", model, "--out", pages[2]])
    for page in pages:
        found = Path(page).read_text().partition("What the doctor found")[2]
        assert "symmetric-units in weights[0]" in found
        assert "Initial weights." in found


@pytest.mark.parametrize(
    "code",
    [
        "all-positive-weights",
        "dead-units",
        "vanishing-gradient",
        "prediction-drift",
        "constant-output",
        "loss-rising",
    ],
)
def test_each_kind_of_finding_is_drawn_once_and_only_where_it_was_seen(code):
    from xpnet.doctor.doctor import Doctor
    from xpnet.report.evidence import pictures

    draw, doctor = np.random.default_rng(0), Doctor()
    x, weights = draw.normal(size=(20, 2)), draw.normal(size=(2, 1))
    for step in range(3):
        doctor.watch(loss=step, parameters={"W": weights}, gradients={"W": weights}, inputs=x,
                     activations=[x**2], predictions=x @ weights, targets=x[:, :1])  # fmt: skip
    first, again = pictures([code, code], doctor.run)
    assert first is not None
    assert again is None
    assert [*pictures([code, "no-bias"], Doctor().run)] == [None, None]


@pytest.mark.untraced
@pytest.mark.usefixtures("undrawn")
def test_importance_of_a_training_is_measured_on_rows_kept_from_each_network(tmp_path, monkeypatch):
    from xpnet.report import report

    measured = []
    monkeypatch.setattr(report, "permutation_importance", lambda plan, predict, x, y: (
        measured.append((predict(x, np.arange(len(y))), len(y))) or {"b": (0.5, 0.0)}
    ))  # fmt: skip
    data, model, page = (f"{tmp_path}/{name}" for name in ("t.csv", "t.safetensors", "t.html"))
    table_of("regression").write_csv(data)
    main(["train", data, "--target=y", "--out", model, "--report", page, *SHORT])
    ((outputs, rows),) = measured
    assert 24 < rows < 48  # a fifth of 120 rows each, some of them twice
    assert np.isfinite(outputs).all()


def test_history_report_shows_the_curves_and_the_epoch_that_was_kept(tmp_path):
    history = History([3.0, 2.0, 1.0], [3.0, 1.0, 2.0], {"r2": [0.0, 0.5, 0.4]}, [0.2, 0.1, 0.0])
    history.best_epoch = 2
    page = history.report(tmp_path / "history.html")
    assert (tmp_path / "history.html").read_text() == page
    assert "the weights of epoch 2 were kept" in page
    assert re.findall(r"<strong>([^<]+)\.</strong>", page) == ["Loss", "Learning rate", "r2"]


def test_area_under_the_curve_and_average_precision_are_scikit_learns():
    metrics = pytest.importorskip("sklearn.metrics", reason="the oracle is scikit-learn")
    from xpnet.report.figures import classification

    draw = np.random.default_rng(0)
    y, share = draw.integers(0, 2, 200), draw.integers(0, 20, 200) / 20.0  # with ties
    told = {
        e.title: e.description
        for e in classification(["0", "1"], np.stack([1 - share, share], 1), y)
    }
    assert told["ROC curve"].endswith(f"1: {metrics.roc_auc_score(y, share):.4f}.")
    average = metrics.average_precision_score(y, share)
    assert told["Precision and recall"].endswith(f"1: {average:.4f}.")


def test_a_report_must_not_replace_the_table_or_the_model(pages, capsys):
    _, folder, _ = pages
    data, model = f"{folder}/data.csv", f"{folder}/model.safetensors"
    assert main(["report", model, data, "--out", data]) == 2
    assert "this command reads it" in capsys.readouterr().err
    assert main(["train", data, "--target=y", "--out", model, "--report", model]) == 2
    assert "this command writes it twice" in capsys.readouterr().err


@pytest.mark.untraced
@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("options", [["--hidden=4"], ["--optimizer=lbfgs"]])
def test_the_command_on_a_page_trains_the_model_again(options, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    table_of("binary", 60).write_csv("data.csv")
    words = ["train", "data.csv", "--target=y", "--nets=1", *options]
    assert main([*words, "--out=a.safetensors"]) == 0
    assert main(["report", "a.safetensors", "data.csv", "--out=page.html"]) == 0
    command = re.search(r"xpnet train [^<]+", Path("page.html").read_text())
    assert main([*shlex.split(unescape(command[0]))[1:], "--out=b.safetensors"]) == 0
    assert Path("a.safetensors").read_bytes() == Path("b.safetensors").read_bytes()


@pytest.mark.usefixtures("undrawn")
def test_a_linear_model_that_diverges_costs_no_model(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    draw = np.random.default_rng(0)
    common = draw.normal(size=(100, 1))
    x = common + 0.1 * draw.normal(size=(100, 300))
    columns = {f"x{i}": x[:, i] for i in range(300)} | {"y": common[:, 0]}
    polars.DataFrame(columns).write_csv("wide.csv")
    words = ["--simple", "--optimizer=sgd", "--lr=0.0005", "--report=page.html"]
    assert main(["train", "wide.csv", "--target=y", *words, "--out=m.safetensors"]) == 0
    assert Path("m.safetensors").exists()
    assert "linear model" not in Path("page.html").read_text()


@pytest.mark.process
def test_the_doctor_reports_on_a_script(tmp_path, monkeypatch):
    (tmp_path / "net.py").write_text(RIGHT.replace("(p - Y)", "(Y - p)"))
    monkeypatch.chdir(tmp_path)
    main(["doctor", "--report", "net.html", "net.py"])
    page = (tmp_path / "net.html").read_text()
    assert "The network, as far as it was recognised" in page
    assert "gradient-sign" in page
