"""Several networks in one model file, the epoch that is kept, and the textbook network."""

import numpy as np
import pytest
from command_line import BANKNOTE, QUICK, Run, regression, table
from safetensors.numpy import load_file

import xpnet
from xpnet.cli import pilots
from xpnet.errors import FileError
from xpnet.saving.checkpoint import checkpoints
from xpnet.saving.container import read_container, write_container
from xpnet.tables.table import read_table

pytestmark = pytest.mark.usefixtures("in_empty_directory")

SHORT = ["--steps", "100", "--hidden", "8", "--dropout", "0", "--lr", "0.03"]


@pytest.fixture
def heights(run: Run):
    """Train on the table of heights; return the report."""

    def train(*options: object, status: int = 0):
        path, out = regression(), ["--out", "m.safetensors"]
        found = run("train", path, "--target", "height", "--json", *out, *SHORT, *options)
        assert found.status == status, found.err
        return found.json if status == 0 else found

    return train


def test_predictions_are_the_mean_of_the_networks(heights, run: Run) -> None:
    report = heights("--nets", 3)
    model = xpnet.load_model("m.safetensors")
    nets = (model.net, *model.other_nets)
    assert [net.seed for net in nets] == [0, 1, 2]
    assert report["networks"] == 3
    assert report["parameters"] == 3 * model.net.flat.shape[0]
    x = np.random.default_rng(1).standard_normal((5, 2))
    mean = np.mean([net.predict(x) for net in nets], axis=0)
    np.testing.assert_allclose(model.outputs(x), mean, rtol=1e-6)
    predicted = run("predict", "m.safetensors", "heights.csv", "--json").json["predictions"]
    np.testing.assert_allclose(model.predict("heights.csv")["height"], predicted["height"], 1e-6)
    assert run("evaluate", "m.safetensors", "heights.csv", "--json").json["scores"]["r2"] > 0.5
    apart = run("predict", "m.safetensors", "heights.csv", "--json", "--spread").json["predictions"]
    values = [model.preprocessing.values(net.predict(model.preprocessing.transform(
        read_table("heights.csv")))[:, 0]) for net in nets]  # fmt: skip
    np.testing.assert_allclose(apart["spread of height"], np.std(values, axis=0), rtol=1e-3)
    assert "3 x MLP" in run("inspect", "m.safetensors").out


def test_each_network_is_judged_on_rows_that_it_was_not_trained_on(heights) -> None:
    report = heights("--nets", 3)
    assert report["rows"] == {"table": 60, "training": 48, "validation": 12}
    assert 24 < report["scores"]["rows"] <= 36
    of_file = heights("--nets", 2, "--validation", "heights.csv")
    assert of_file["rows"] == {"table": 60, "training": 60, "validation": 60}


def test_a_network_of_several_ends_with_the_same_bits_when_it_is_resumed(heights) -> None:
    heights("--nets", 2)
    once = load_file("m.safetensors")
    more = ["--nets", 2, "--checkpoint", "run"]
    heights(*more)
    for path in checkpoints("run/net-2")[-1:]:
        path.unlink()  # the second network was interrupted
    heights(*more, "--resume")
    again = load_file("m.safetensors")
    assert once.keys() == again.keys()
    for name, value in once.items():
        assert value.tobytes() == again[name].tobytes()


def test_the_number_of_networks_fits_the_rows(heights) -> None:
    assert heights("--nets", "auto")["networks"] == 4
    assert "--nets 0: give a number" in heights("--nets", 0, status=2).err
    refused = heights("--nets", 3, "--stream", status=2).err
    assert "--nets 3: several need rows in memory and no mpiexec" in refused
    assert "--steps 100: give a number" in heights("--epochs", 3, status=2).err


def test_networks_that_a_file_promises_are_all_there(heights) -> None:
    heights("--nets", 2)
    fields, tensors = read_container("m.safetensors", "model", 4)
    del fields["library"]
    for changed, message in (([1, 2], "do not fit"), (7, "architecture")):
        write_container("bad.safetensors", "model", 3, {**fields, "other_seeds": changed}, tensors)
        with pytest.raises(FileError, match=message):
            xpnet.load_model("bad.safetensors")


def test_the_epoch_with_the_best_validation_loss_is_kept_and_said(run: Run) -> None:
    rng = np.random.default_rng(0)
    lines = [",".join(f"{v:.3f}" for v in row) for row in rng.standard_normal((60, 9))]
    path = table("noise.csv", "\n".join([",".join("abcdefgh") + ",y", *lines]) + "\n")
    options = ["--target", "y", "--nets", 1, "--dropout", 0]
    history = run("train", path, *options, "--json").json["history"]
    best = history["best_epoch"]
    assert history["validation_loss"][best - 1] == min(history["validation_loss"])
    assert 1 <= best < 20
    assert f"the best is epoch {best};" in run("train", path, *options).out


def test_the_textbook_network_is_that_of_version_0_1(run: Run) -> None:
    found = run("train", BANKNOTE, "--target", "class", "--simple", "--json", "--epochs", 2).json
    options, net = found["options"], found["network"]
    assert net["sizes"] == [4, 64, 64, 1]
    assert net["hidden"] == ["relu", "relu"]
    assert found["networks"] == 1
    wanted = {"optimizer": "adam", "lr": 0.003, "schedule": "linear", "l2": 0.001,
              "dropout": 0.0, "batch_size": 32, "steps": None}  # fmt: skip
    assert {name: options[name] for name in wanted} == wanted
    assert found["history"]["best_epoch"] is None


def test_the_spread_of_classes_is_that_of_the_predicted_ones_probability(run: Run) -> None:
    rows = [f"{i % 3 + 0.3 * (i % 7)},{'abc'[i % 3]}" for i in range(60)]
    path = table("letters.csv", "\n".join(["x,letter", *rows]) + "\n")
    run("train", path, "--target", "letter", "--nets", 2, *SHORT)
    model = xpnet.load_model("letters.safetensors")
    x = model.preprocessing.transform(read_table("letters.csv"))
    one, other = (net.predict(x) for net in (model.net, *model.other_nets))
    chosen = np.argmax(one + other, axis=1)
    found = model.predict("letters.csv", spread=True)["spread of letter"]
    wanted = np.abs(one - other)[np.arange(60), chosen] / 2
    np.testing.assert_allclose(found, wanted, atol=1e-6)


def test_epochs_are_passes_over_the_rows(run: Run) -> None:
    found = run("train", BANKNOTE, "--target", "class", *QUICK, "--json", "--nets", 1).json
    assert found["epochs"] == 3
    assert found["options"]["steps"] is None


def prices(noise: float, power) -> str:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((400, 2))
    y = power(1.5 * x[:, 0] - x[:, 1] + noise * rng.standard_normal(400))
    lines = [f"{a:.4f},{b:.4f},{c:.5g}" for (a, b), c in zip(x, y, strict=True)]
    return str(table("prices.csv", "\n".join(["a,b,price", *lines]) + "\n"))


def test_the_logarithm_of_a_skewed_target_is_learnt_where_that_is_better(run: Run) -> None:
    quick = ["--target", "price", "--steps", 200, "--hidden", "16", "--lr", "0.02", "--nets", 2]
    path = prices(0.3, np.exp)
    found = run("train", path, *quick, "--json").json
    assert found["decisions"]["target"] == {"price": "skewed; its logarithm is learnt"}
    asked = run("train", path, *quick, "--json", "--loss", "squared_error", "--out", "b").json
    assert "target" not in asked["decisions"]
    assert found["scores"]["mean_absolute_error"] < asked["scores"]["mean_absolute_error"]
    model, y = xpnet.load_model("prices.safetensors"), np.loadtxt(path, delimiter=",", skiprows=1)
    answers = model.predict(path)["price"]
    assert answers.min() > 0.0
    assert answers.mean() == pytest.approx(y[:, 2].mean(), rel=1e-4)
    again = run("evaluate", "prices.safetensors", path, "--json").json["scores"]
    assert again["mean_absolute_error"] == pytest.approx(abs(answers - y[:, 2]).mean(), rel=1e-4)
    assert "[--loss]" in run("train", path, *quick).out


def test_counts_are_learnt_with_the_poisson_loss_where_that_is_better(run: Run) -> None:
    rng = np.random.default_rng(0)
    path = prices(0.0, lambda z: rng.poisson(np.exp(0.7 * z + 1)))
    quick = ["--target", "price", "--steps", 200, "--hidden", "16", "--lr", "0.02", "--nets", 2,
             "--json"]  # fmt: skip
    found = run("train", path, *quick).json
    assert found["decisions"]["target"] == {"price": "counts, learnt with the Poisson loss"}
    assert (found["options"]["loss"], found["network"]["output"]) == ("poisson", "exp")
    assert found["scores"]["r2"] > 0.5
    assert xpnet.load_model("prices.safetensors").predict(path)["price"].min() >= 0.0
    asked = run("train", path, *quick, "--loss", "squared_error").json
    assert "target" not in asked["decisions"]


@pytest.mark.parametrize("effect", [1.0, 0.0])
def test_texts_with_many_values_count_by_their_mean_target_where_that_is_better(
    run: Run, effect: float
) -> None:
    rng = np.random.default_rng(0)
    shops, noise = rng.integers(0, 300, 1200), rng.standard_normal((2, 1200))
    y = effect * rng.standard_normal(300)[shops] + 0.3 * noise[0] + noise[1]
    rows = (f"s{shop},{a:.3f},{b:.3f}" for shop, a, b in zip(shops, noise[0], y, strict=True))
    path = table("shops.csv", "\n".join(["shop,a,y", *rows]) + "\n")
    quick = ["--target", "y", "--steps", 100, "--hidden", "8", "--lr", "0.02", "--nets", 1]
    out = run("train", path, *quick).out
    assert (" by their mean y" in out) == bool(effect)
    assert run("predict", "shops.safetensors", path).status == 0
    assert "by their mean" not in run("train", path, *quick, "--encode", "ple").out


@pytest.mark.parametrize("sums", [True, False])
def test_numbers_are_in_bins_unless_held_out_rows_gain_without(run: Run, sums: bool) -> None:
    x = np.random.default_rng(0).standard_normal((1000, 6)).round(3)
    y = x.sum(axis=1) > 0.0 if sums else np.sin(6 * x[:, 0]) > 0.2
    rows = (",".join(map(str, [*each, int(label)])) for each, label in zip(x, y, strict=True))
    path = table("t.csv", "\n".join(["a,b,c,d,e,f,y", *rows]) + "\n")
    found = run("train", path, "--target", "y", "--steps", 500, "--hidden", "16", "--lr", "0.01",
                "--nets", 1, "--json").json  # fmt: skip
    assert (found["network"]["sizes"][0] == 6) == sums


@pytest.mark.parametrize("noise", [0.0, 2.0])
def test_units_are_dropped_unless_held_out_rows_gain_without(run: Run, noise: float) -> None:
    path = prices(noise, np.tanh)
    quick = ["train", path, "--target", "price", "--steps", 400, "--hidden", "32", "--lr", 0.01,
             "--nets", 1, "--json"]  # fmt: skip
    assert run(*quick).json["options"]["dropout"] == (0.3 if noise else 0.0)
    assert run(*quick, "--dropout", 0.2).json["options"]["dropout"] == 0.2
    sweep = ["sweep", *quick[1:8], "--lr", 0.01, "--json", "--seeds", 1]
    assert ("--dropout 0" in run(*sweep).json["best"]) == (noise == 0.0)


@pytest.mark.parametrize("classes", [True, False])
def test_effects_stay_where_they_save_3_percent_of_log_loss_or_root_mean_square(
    run: Run, monkeypatch, classes: bool
) -> None:
    def loss(task, how):  # of classes, the log loss itself; of numbers, squares
        return 0.96 if any(getattr(each, "effects", ()) for each in task.plan.columns) else 1.0

    monkeypatch.setattr(pilots, "_pilot_loss", loss)
    shops, y = np.random.default_rng(0).integers(0, 300, (2, 1200)).tolist()
    rows = (f"s{a},{a % 7},{'ny'[b % 2] if classes else b}" for a, b in zip(shops, y, strict=True))
    path = table("shops.csv", "\n".join(["shop,a,y", *rows]) + "\n")
    found = run("train", path, "--target", "y", "--steps", 10, "--hidden", "2", "--nets", 1)
    assert (found.status, " by their mean y" in found.out) == (0, classes)


def test_targets_that_are_not_skewed_or_whose_logarithm_is_no_better_stay(run: Run) -> None:
    quick = ["--target", "price", "--steps", 100, "--hidden", "8", "--nets", 1, "--json"]
    assert "target" not in run("train", prices(0.3, lambda z: z + 10), *quick).json["decisions"]
    path = prices(0.0, lambda z: 1e-3 + np.maximum(z, 0.0) ** 2)
    assert "target" not in run("train", path, *quick).json["decisions"]


def test_networks_that_do_not_fit_into_memory_are_refused_before_weights_are_drawn(
    run: Run, monkeypatch
) -> None:
    given = ["train", regression(), "--target", "height", "--hidden"]
    with monkeypatch.context() as only:  # not even a table is read
        only.setattr("xpnet.cli.task.free_memory", lambda: 30_000_000_000)
        only.setattr("xpnet.cli.task.read_table", None)
        told = run(*given, "1000000000")
        assert told.status == 2
        assert "3,000,000,001 parameters or more need 180,000 MB or more, and 30,000 MB" in told.err
    monkeypatch.setattr("xpnet.cli.task.free_memory", lambda: 400_000)
    assert "4 networks of" in run(*given, "64,64", "--nets", "4").err
