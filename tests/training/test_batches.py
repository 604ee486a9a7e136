import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import xpnet
from xpnet.backend.device import CPU
from xpnet.training.batches import BLOCK_BYTES, Data, batches, digest, epoch_order, split

SIZES = {"rows": st.integers(1, 40), "batch_size": st.integers(1, 40), "seed": st.integers(0, 9)}


def order(rows, seed=0, epoch=0, *, shuffle=True):
    return epoch_order(rows, seed, epoch, shuffle=shuffle)


@given(**SIZES, epoch=st.integers(0, 5))
def test_an_epoch_holds_every_row_once(rows, batch_size, seed, epoch):
    size, x = min(rows, batch_size), np.zeros((rows, 1))
    used = order(rows, seed, epoch)
    assert sorted(used) == list(range(rows))
    found = list(batches(Data(x, x, None), used, size, CPU, "float64"))
    assert len(found) == -(-rows // size)
    assert sum(each.x.shape[0] for each in found) == rows
    for batch in found:
        assert batch.shares.sum() == pytest.approx(1.0)


def test_batches_are_the_rows_of_the_order_on_every_backend(backend):
    x, y = np.arange(14.0).reshape(7, 2), np.arange(7.0).reshape(7, 1)
    put = backend.device.put
    data = Data(put(x, "float64"), put(y, "float64"), None)
    wanted = order(7)
    with backend.no_sync():
        found = list(batches(data, wanted, 3, backend.device, "float64"))
    assert [each.x.shape[0] for each in found] == [3, 3, 1]
    for start, batch in zip((0, 3, 6), found, strict=True):
        rows = wanted[start : start + 3]
        np.testing.assert_array_equal(backend.host(batch.x), x[rows])
        np.testing.assert_array_equal(backend.host(batch.y), y[rows])


@pytest.mark.parametrize("shuffle", [False, True])
def test_batches_that_fill_several_blocks_are_cut_alike(shuffle):
    rows = 3 * BLOCK_BYTES // (8 * 9) + 5
    x = np.arange(rows * 8.0).reshape(rows, 8)
    data, wanted = Data(x, x[:, :1], None), order(rows, shuffle=shuffle)
    found = list(batches(data, wanted, 1000, CPU, "float64"))
    assert [each.x.shape[0] for each in found[:-1]] == [1000] * (rows // 1000)
    np.testing.assert_array_equal(np.concat([each.x for each in found]), x[wanted])
    assert all(np.shares_memory(each.x, x) is not shuffle for each in found)


def test_rows_can_come_from_a_file_that_is_read_by_row_numbers():
    x = np.arange(20.0).reshape(10, 2)

    class File:
        shape = x.shape

        def read_rows(self, rows):
            return x[rows]

    found = list(batches(Data(File(), x[:, :1], None), order(10), 4, CPU, "float32"))
    np.testing.assert_array_equal(np.concat([each.x for each in found]), x[order(10)])
    assert found[0].x.dtype == "float32"


@given(rows=st.integers(2, 60), fraction=st.floats(0.01, 0.99), seed=st.integers(0, 9))
def test_a_split_holds_every_row_once_and_leaves_neither_side_empty(rows, fraction, seed):
    wanted = max(1, round(rows * fraction))
    if wanted == rows:
        with pytest.raises(xpnet.InputError, match="leaves too few to train"):
            split(rows, fraction, seed)
        return
    training, held_out = split(rows, fraction, seed)
    assert sorted([*training, *held_out]) == list(range(rows))
    assert len(held_out) == wanted


@pytest.mark.parametrize("fraction", [0.05, 0.1, 0.2, 0.33, 0.5])
def test_each_class_gives_its_share(fraction):
    y = np.repeat([0, 1, 2], [600, 300, 100])
    training, held_out = split(1000, fraction, 0, y)
    assert sorted([*training, *held_out]) == list(range(1000))
    assert len(held_out) == round(fraction * 1000)
    expected = np.array([600, 300, 100]) * fraction
    assert abs(np.bincount(y[held_out]) - expected).max() <= 1.01


@pytest.mark.parametrize("fraction", [0.3, 0.6])
def test_every_class_stays_in_training(fraction):
    y = np.array([0] * 20 + [1, 2, 2])
    for seed in range(20):
        training, held_out = split(23, fraction, seed, y)
        assert set(y[training]) == {0, 1, 2}
        assert len(held_out) == round(fraction * 23)


@pytest.mark.parametrize(
    ("rows", "fraction", "message"),
    [
        (10, 0.0, "validation: found 0, expected a share between 0 and 1"),
        (10, 1.0, "validation: found 1, expected a share between 0 and 1"),
        (1, 0.5, "validation: found 0.5 of 1 rows, which leaves too few to train"),
    ],
)
def test_a_split_that_cannot_be_is_refused(rows, fraction, message):
    with pytest.raises(xpnet.InputError, match=message):
        split(rows, fraction, 0)
    with pytest.raises(xpnet.InputError, match="leaves too few to train"):
        split(4, 0.25, 0, np.arange(4))  # one row of each class


@pytest.mark.parametrize("epoch_rows", [3, 7, 10, 25])
def test_epochs_of_so_many_rows_go_through_one_pass_after_the_other(epoch_rows):
    count = 70 // epoch_rows + 1
    epochs = [epoch_order(10, 3, e, shuffle=True, epoch_rows=epoch_rows) for e in range(count)]
    assert {len(each) for each in epochs} == {epoch_rows}
    passes = [epoch_order(10, 3, each, shuffle=True) for each in range(7)]
    np.testing.assert_array_equal(np.concatenate(epochs)[:70], np.concatenate(passes))


def test_of_a_thousand_wide_rows_a_digest_tells_each():
    x = np.zeros((1000, 5 * BLOCK_BYTES // 1000))
    before = digest(Data(x, x[:, :1], None), CPU)
    for row in (4, 997):
        x[row, -1] = 1.0
        assert digest(Data(x, x[:, :1], None), CPU) != before
        x[row, -1] = 0.0
