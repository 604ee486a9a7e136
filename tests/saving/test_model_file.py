import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from model_examples import KEPT, PREPROCESSING, example
from safetensors import safe_open
from safetensors.numpy import load_file

import xpnet
from xpnet.errors import InputError, SaveError
from xpnet.nn.activations import Activation
from xpnet.nn.network import MLP
from xpnet.saving.model import load_model, save_model
from xpnet.tables.prepare import prepare
from xpnet.tables.preprocessing import Preprocessing


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("sizes", [[1, 1], [3, 2], [5, 7, 3, 1], [1, 1, 1, 1, 1]])
def test_a_loaded_network_is_the_saved_one_bit_for_bit(path, sizes, dtype):
    net = MLP(sizes, hidden="gelu", output="sigmoid", dtype=dtype, seed=11)
    net.save(path)
    loaded = load_model(path).net
    assert loaded.config() == net.config()
    for one, other in zip(net.parameters, loaded.parameters, strict=True):
        assert one.dtype == other.dtype
        assert one.tobytes() == other.tobytes()
        assert other.flags.writeable
    x = np.linspace(-1, 1, 4 * sizes[0]).reshape(4, sizes[0])
    assert net.predict(x).tobytes() == xpnet.load(path).predict(x).tobytes()


SAVE_AND_LOAD = """
import sys
sys.path.insert(0, "tests")
from model_examples import example
from xpnet.saving.model import load_model, save_model
save_model(sys.argv[1], example(), training={"b": 2, "a": 1})
load_model(sys.argv[1])  # imports what it needs
recording, seen = False, []
sys.addaudithook(lambda event, arguments: recording and seen.append((event, arguments)))
recording = True
load_model(sys.argv[1])
recording = False
for event, arguments in seen:
    print(event, arguments[0] if arguments else "")
"""


@pytest.mark.process
def test_another_process_saves_the_same_bytes_and_loading_runs_no_code(path):
    """An audit hook sees every open, import, exec and process; it cannot be removed again."""
    other = path.with_name("other")
    done = subprocess.run(
        [sys.executable, "-c", SAVE_AND_LOAD, other],
        check=True,
        cwd=Path(__file__).parents[2],
        env=os.environ | {"PYTHONHASHSEED": "7", "LC_ALL": "C"},
        stdout=subprocess.PIPE,
        text=True,
    )
    save_model(path, example(), training={"a": 1, "b": 2})
    assert other.read_bytes() == path.read_bytes()
    events = done.stdout.splitlines()
    assert not [line for line in events if line.startswith("open ") and line != f"open {other}"]
    forbidden = ("exec", "compile", "import", "marshal", "pickle", "subprocess", "os.", "ctypes")
    assert not [line for line in events if line.startswith(forbidden)]


def test_preprocessing_comes_back_with_columns_and_classes(path):
    given = Preprocessing.from_dict(PREPROCESSING)
    save_model(path, example(), preprocessing=given)
    assert load_model(path).preprocessing == given
    assert load_model(path).preprocessing.to_dict() == PREPROCESSING


def test_plain_safetensors_reads_the_file(path):
    net = example()
    save_model(path, net)
    tensors = load_file(path)
    assert sorted(tensors) == ["biases.0", "biases.1", "weights.0", "weights.1"]
    assert np.array_equal(tensors["weights.1"], net.weights[1])
    with safe_open(path, "numpy") as file:
        fields = json.loads(file.metadata()["xpnet"])
    assert fields["format"] == "xpnet model"
    assert fields["architecture"] == net.config()


def test_the_kept_version_1_file_loads_for_ever():
    model = load_model(KEPT)
    assert model.format_version == 1
    assert model.net.sizes == (3, 4, 2)
    assert model.net.hidden[0].name == "tanh"
    assert model.net.output.name == "softmax"
    assert model.training == {"epochs": 5, "loss": 0.25}
    assert model.preprocessing.to_dict() == PREPROCESSING
    x = [[0.0, 0.0, 0.0], [1.0, -1.0, 0.5]]
    expected = [[0.5472883, 0.4527117], [0.45417109, 0.54582888]]
    assert np.allclose(model.net.predict(x), expected, rtol=1e-6)


def test_weights_that_are_not_finite_are_not_saved_over_good_ones(path):
    save_model(path, example())
    before = path.read_bytes()
    net = example()
    net.weights[1][2, 1] = np.inf
    with pytest.raises(SaveError, match=r"weights\.1 holds NaN or infinity.*smaller learning rate"):
        net.save(path)
    assert path.read_bytes() == before


def test_an_activation_of_ones_own_is_not_saved(path):
    own = Activation("mine", lambda xp, z: z, lambda xp, d_a, z, a: d_a)
    with pytest.raises(SaveError, match="activation 'mine' is a function of your own"):
        MLP([2, 3, 1], hidden=own).save(path)
    impostor = Activation("relu", lambda xp, z: z, lambda xp, d_a, z, a: d_a)
    with pytest.raises(SaveError, match="'relu' is a function of your own"):
        MLP([2, 3, 1], hidden=impostor).save(path)
    assert not path.exists()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), object(), {1, 2}, 1j])
def test_a_summary_that_json_cannot_hold_is_refused(path, value):
    with pytest.raises(InputError, match="cannot be stored as JSON"):
        save_model(path, example(), training={"a": value})
    assert not path.exists()


def test_a_model_of_the_command_predicts_raw_tables_and_its_network_alone_warns(tmp_path):
    from xpnet.tables.table import read_table

    table, path = tmp_path / "t.csv", tmp_path / "m.safetensors"
    rows = "".join(f"{100 + i},{'ab'[i % 2]},{i % 2}\n" for i in range(40))
    table.write_text("a,b,y\n" + rows)
    prepared = prepare(read_table(table), "y")
    net = MLP([3, 4, 1], output="sigmoid", seed=1)
    save_model(path, net, preprocessing=prepared.preprocessing)
    columns = load_model(path).predict(table)
    outputs = net.predict(prepared.x)[:, 0]
    np.testing.assert_allclose(columns["probability of 1"], outputs, rtol=1e-6)
    with pytest.warns(UserWarning, match="takes inputs as `xpnet train` prepared them"):
        xpnet.load(path)
    net.save(path)
    bare = load_model(path)
    for use in (bare.predict, bare.judge, bare.columns, bare.importance, lambda _: bare.reading):
        with pytest.raises(InputError, match=r"holds only a network; use model.net.predict\(x\)"):
            use(table)
