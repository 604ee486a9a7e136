"""Training from files that are read row by row."""

import os

import numpy as np
import pytest
from lazily import polars

import xpnet
from xpnet.tables.npy import moments
from xpnet.tables.prepare import prepare
from xpnet.tables.table import read_table

SIZES = (6, 5, 3)


@pytest.fixture
def numbers():
    rng = np.random.default_rng(0)
    return rng.normal(3.0, 2.0, (500, 6)).astype("float32"), rng.integers(0, 3, 500)


def test_rows_come_in_the_order_asked_for(tmp_path, numbers):
    x, _ = numbers
    np.save(tmp_path / "x.npy", x)
    source = xpnet.RowFile(tmp_path / "x.npy")
    rows = np.array([7, 3, 4, 5, 499, 0, 3])
    np.testing.assert_array_equal(source.read_rows(rows), x[rows])
    assert source.shape == (500, 6)


def test_a_file_is_predicted_block_by_block_and_refused_where_it_cannot_be_read(
    tmp_path, numbers, monkeypatch
):
    x, y = numbers
    np.save(tmp_path / "x.npy", x)
    file, net = xpnet.RowFile(tmp_path / "x.npy"), xpnet.MLP(SIZES, output="softmax")
    monkeypatch.setattr("xpnet.tables.npy.CELLS", 600)  # a fifth of the numbers
    np.testing.assert_allclose(net.predict(file), net.predict(x), rtol=1e-6)
    for use in (lambda: net.loss(file, y), lambda: xpnet.fit(net, x, file)):
        with pytest.raises(
            xpnet.InputTypeError, match=r"[xy] is RowFile\(.*the x of fit or predict. Pass"
        ):
            use()


@pytest.mark.parametrize("options", [{}, {"validation": 0.2, "sample_weight": np.arange(1.0, 501)}])
def test_a_file_trains_to_the_same_bits_as_the_array(tmp_path, numbers, options):
    x, y = numbers
    np.save(tmp_path / "x.npy", x)
    nets = [xpnet.MLP(SIZES, output="softmax") for _ in range(2)]
    of_array, of_file = (
        xpnet.fit(net, each, y, epochs=2, batch_size=7, **options)
        for net, each in zip(nets, (x, xpnet.RowFile(tmp_path / "x.npy")), strict=True)
    )
    assert of_array.loss == of_file.loss
    assert of_array.validation_loss == of_file.validation_loss
    for in_memory, from_file in zip(nets[0].parameters, nets[1].parameters, strict=True):
        np.testing.assert_array_equal(in_memory, from_file)


@pytest.mark.parametrize("name", ["t.parquet", "t.feather", "x.npy", "t.csv"])
def test_processes_read_their_own_rows_of_a_file_that_allows_it(
    tmp_path, numbers, name, monkeypatch
):
    monkeypatch.setattr("xpnet.tables.npy.CELLS", 200)
    x, y = numbers
    path, target = tmp_path / name, "y"
    table = polars.DataFrame(x).with_columns(
        y=y, text=polars.Series(y).replace_strict({0: "b", 1: None, 2: "a"})
    )
    if name == "x.npy":
        target = None
        np.save(path, x)
        np.save(tmp_path / "y.npy", y)
    elif name == "t.csv":
        table.write_csv(path)
    elif name == "t.feather":
        table.write_ipc(path, record_batch_size=70)
    else:
        table.write_parquet(path, row_group_size=70)
    given = {"target": str(tmp_path / "y.npy")} if target is None else {}
    rows = prepare(read_table(path, stream=True, **given), target, stream=True, validation=0.2).x
    every = [range(150), range(150, len(rows.rows))]
    parts = rows.shared_out(every)
    if name == "t.csv":
        assert parts is None
        return
    for read, own in zip(parts, every, strict=True):
        np.testing.assert_array_equal(read(), rows.read_rows(np.asarray(own)))
    os.utime(path, (0, 0))
    assert parts[0]() is None
    path.unlink()
    assert parts[0]() is None


def test_standardized_rows_have_mean_0_and_variance_1(tmp_path, numbers):
    x = np.repeat(numbers[0], 20, axis=0)
    x[:, 2] = 4.0
    np.save(tmp_path / "x.npy", x)
    source = xpnet.RowFile(tmp_path / "x.npy").standardized()
    scaled = source.read_rows(np.arange(len(x)))
    np.testing.assert_allclose(scaled.mean(axis=0), 0.0, atol=1e-6)
    np.testing.assert_allclose(scaled.std(axis=0), [1, 1, 0, 1, 1, 1], atol=1e-6)
    np.testing.assert_array_equal(source.standardized().read_rows(np.arange(len(x))), scaled)


def test_moments_are_those_of_all_rows_and_leave_out_what_is_missing(numbers):
    x = np.column_stack([numbers[0] + 1e6, np.full(500, 0.1), np.full(500, np.nan)])
    x[::7, 0] = np.nan
    mean, std, constant = moments((x[i : i + 60] for i in range(0, 500, 60)), 8)
    np.testing.assert_allclose(mean[:6], np.nanmean(x[:, :6], axis=0), rtol=1e-14)
    np.testing.assert_allclose(std[:6], np.nanstd(x[:, :6], axis=0), rtol=1e-9)
    assert mean[6:].tolist() == [0.1, 0.0]
    assert std[6:].tolist() == [0.0, 0.0]
    assert constant.tolist() == [False] * 6 + [True] * 2


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a,b\n1,2\n", "not NPY or IDX data"),
        (bytes([0, 0, 8, 2]) + np.array([5, 4], ">u4").tobytes() + b"x", "needs 20 bytes, found 1"),
        (b"", "not NPY"),
        (np.array(["a", "b"]), "an array of <U1.*convert it to real numbers"),
        (np.array(1.0), r"shape \(\); give rows and columns"),
        (None, "No such file"),
    ],
)
def test_other_files_are_refused_by_name(tmp_path, content, message):
    path = tmp_path / "x.npy"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        np.save(path, content)
    with pytest.raises((xpnet.FileError, xpnet.InputError), match=f"x.npy: .*{message}"):
        xpnet.RowFile(path)


def test_nan_and_wrong_width_are_found_before_training(tmp_path, numbers):
    x, y = numbers
    x[417, 3] = np.nan
    np.save(tmp_path / "x.npy", x)
    with pytest.raises(xpnet.InputError, match=r"block 0 of RowFile.*nan at index \(417, 3\)"):
        xpnet.fit(xpnet.MLP(SIZES, output="softmax"), xpnet.RowFile(tmp_path / "x.npy"), y)
    with pytest.raises(xpnet.InputError, match=r"takes \(n, 9\)"):
        xpnet.fit(xpnet.MLP([9, 3], output="softmax"), xpnet.RowFile(tmp_path / "x.npy"), y)


def test_a_file_that_shrinks_while_it_is_read_is_reported(tmp_path, numbers):
    path = tmp_path / "x.npy"
    np.save(path, numbers[0])
    source = xpnet.RowFile(path)
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(xpnet.FileError, match="became shorter"):
        source.read_rows([499])
