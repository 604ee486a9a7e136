"""The playground without a browser: what messages do, and what links repeat."""

import base64
import io
import json
import runpy
import zipfile

import numpy as np
import pytest
from playground_presets import EXPECTED, LEARNT

from xpnet.playground.data import DATA, TABLE, Points
from xpnet.playground.engine import Playground
from xpnet.playground.settings import PRESETS

ALL_OPTIONS = (
    "data=spiral&noise=0.1&layers=8 relu,4 leaky_relu,3 sigmoid&optimizer=adam&rate=0.01"
    "&dropout=0.3&l1=0.0001&l2=0.001&edits=0:0:0:1:0.5,20:1:-1:0:2.0"
)


def run(link, steps=None, table=None):
    page = Playground(table)
    reply = page.answer({"do": "start", "link": link})
    assert "error" not in reply, reply["error"]
    steps = reply["settings"]["steps"] if steps is None else steps
    while reply["step"] < steps and not reply["ended"]:
        reply = page.answer({"do": "train", "steps": steps - reply["step"]})
    return page, page.answer({"do": "train", "steps": 0})


def exported(page, folder):
    content = base64.b64decode(page.answer({"do": "export"})["zip"])
    zipfile.ZipFile(io.BytesIO(content)).extractall(folder)
    return {
        name: runpy.run_path(str(folder / f"{name}.py"))["losses"]
        for name in ("numpy_net", "xpnet_net")
    }


@pytest.mark.untraced
@pytest.mark.parametrize(("name", "code"), EXPECTED.items())
def test_every_preset_learns_or_has_its_finding_and_remedies_can_be_applied(name, code):
    whole = code in (None, "learning-rate-too-small")
    page, reply = run(PRESETS[name], None if whole else 200)
    codes = [each["code"] for each in reply["findings"]]
    assert code in codes if code else (codes == [] and reply["loss"] < LEARNT)
    for finding in reply["findings"]:
        link = "&".join(f"{key}={value}" for key, value in finding["change"].items())
        assert "error" not in page.answer({"do": "start", "link": link})


@pytest.mark.parametrize("data", DATA)
def test_every_data_set_trains_and_replies_are_plain_json(data):
    _, reply = run(f"data={data}&noise=0.1", 20)
    json.dumps(reply, allow_nan=False)
    assert reply["step"] == 20


def test_the_link_of_a_run_repeats_it_to_the_same_loss():
    page, reply = run(ALL_OPTIONS, 100)
    page.answer({"do": "edit", "layer": 0, "row": 1, "column": 0, "value": -2.0})
    reply = page.answer({"do": "train", "steps": 50})
    assert run(reply["link"])[1]["loss"] == reply["loss"]


def test_an_edit_changes_the_weight_at_once():
    page, _ = run("", 3)
    reply = page.answer({"do": "edit", "layer": 1, "row": -1, "column": 1, "value": 7.5})
    assert reply["biases"][1][1] == 7.5


@pytest.mark.parametrize("link", ["", ALL_OPTIONS, "data=hills&loss=absolute_error", "layers="])
def test_exported_programs_give_the_same_losses(link, tmp_path):
    page, _ = run(link, 80)
    for losses in exported(page, tmp_path).values():
        np.testing.assert_allclose(losses, page.losses, rtol=0, atol=1e-9)
    assert (tmp_path / "net.safetensors").exists()


@pytest.mark.parametrize("mistakes", ["bias", "sign", "sum", "pairs", "positive",
                                      "bias,sign,sum,pairs,positive"])  # fmt: skip
def test_the_exported_numpy_program_makes_the_same_mistakes(mistakes, tmp_path):
    page, _ = run(f"{PRESETS['Case 2, done right']}&mistakes={mistakes}", 60)
    np.testing.assert_allclose(
        exported(page, tmp_path)["numpy_net"], page.losses, rtol=0, atol=1e-9
    )


def test_a_table_is_drawn_on_two_inputs_or_its_main_components():
    x = np.random.default_rng(0).normal(size=(50, 3)) * [1, 5, 2]
    table = Points(x, x[:, 1] > 0, ("age", "income", "visits"))
    _, reply = run(f"data={TABLE}&horizontal=income&vertical=visits", 400, table)
    assert reply["loss"] < 0.2
    _, reply = run(f"data={TABLE}", 400, table)
    assert reply["loss"] < 0.2


def test_an_input_that_is_the_same_in_all_rows_drawn_is_no_obstacle():
    x = np.stack([np.arange(50.0), np.zeros(50)], axis=1)
    _, reply = run(
        f"data={TABLE}&horizontal=a&vertical=rare", 5, Points(x, x[:, 0] > 20, ("a", "rare"))
    )
    assert np.isfinite(reply["loss"])


def test_the_doctor_marks_the_stuck_units():
    _, reply = run(PRESETS["Dead ReLUs"])
    marks = next(each["marks"] for each in reply["findings"] if each["code"] == "dead-units")
    assert marks["units"] == [(1, 0), (1, 1), (1, 2)]


def test_numbers_that_are_not_finite_end_the_run():
    page, reply = run(PRESETS["Too high a rate"])
    assert "not finite" in reply["ended"]
    assert page.answer({"do": "train", "steps": 5})["step"] == reply["step"]


@pytest.mark.parametrize(
    ("link", "told"),
    [
        ("colour=red", "address: colour=red is not understood"),
        ("rate=fast", "address: rate=fast is not understood"),
        ("layers=4", "address: layers=4 is not understood"),
        ("rate=-1", "rate -1: from 1e-09 to"),
        ("data=moon", "data 'moon': choose one of circle, "),
        ("layers=99 tanh", "layers 99 tanh: at most 8"),
        ("layers=9 cosine", "layers 9 cosine: at most 8"),
        ("mistakes=typo", "mistakes: 'typo' is none of"),
        ("mistakes=bias&optimizer=adam", "steps of sgd"),
        ("edits=0:5:0:0:1", "the network has no such weight"),
        ("edits=0:0:0:0:nan", "the network has no such weight"),
        ("steps=-5", "steps -5: from 0"),
        ("rate=nan", "rate nan"),
    ],
)
def test_an_address_that_is_not_understood_is_told(link, told):
    assert told in Playground().answer({"do": "start", "link": link})["error"]


def test_a_run_that_cannot_be_started_leaves_the_present_one():
    page, before = run("data=xor", 20)
    refused = page.answer({"do": "start", "link": "data=plane&loss=binary_cross_entropy"})
    assert "needs output='sigmoid'" in refused["error"]
    assert page.answer({"do": "train", "steps": 0})["loss"] == before["loss"]


@pytest.mark.parametrize("message", [{}, [1], {"do": "fly"}, {"do": "train", "steps": "many"},
                                     {"do": "start", "link": 5}])  # fmt: skip
def test_a_message_that_is_not_understood_is_told(message):
    assert "is not understood" in Playground().answer(message)["error"]
