"""Of every class the doctor looks at some rows, and each counts for its share."""

import numpy as np
import pytest

import xpnet
from xpnet import Doctor
from xpnet.doctor.sample import MIN_CLASS_ROWS, choose_rows

RARE = np.zeros(20_000)
RARE[77::1500] = 1.0


def rare():
    """Return inputs that hardly tell the 14 rows of a class from the 19,986 of the other."""
    return np.random.default_rng(0).normal(size=(len(RARE), 3)), RARE


def test_each_row_stands_for_its_share_of_the_class():
    labels = RARE.astype(np.int32)
    rows, share = choose_rows(labels, len(labels), 400)
    assert np.count_nonzero(labels[rows]) == MIN_CLASS_ROWS
    assert np.all(np.diff(rows) > 0)
    assert np.bincount(labels[rows], share).tolist() == pytest.approx([19_986, 14])


def test_classes_that_alternate_with_the_rows_looked_at_are_both_seen():
    rows, _ = choose_rows(np.arange(4000) % 2, 4000, 400)
    assert np.bincount(rows % 2).min() > 170


@pytest.mark.parametrize("output", ["sigmoid", "softmax"])
def test_a_class_with_one_row_in_a_thousand_is_judged_alike_in_fit_and_diagnose(output):
    x, y = rare()
    net = xpnet.MLP([3, 8, 1 if output == "sigmoid" else 2], output=output)
    doctor = Doctor()
    xpnet.fit(net, x, y, epochs=1, batch_size=512, callbacks=[doctor])
    reports = doctor.report(), xpnet.diagnose(net, x, y.tolist(), epochs=5)
    expected = "19986 rows of the commonest class, 14 of the rarest, of which 0% are recognised"
    for report in reports:
        [found] = [each for each in report.findings if each.code == "class-imbalance"]
        assert found.evidence == expected


def test_rows_in_a_file_are_looked_at_by_class_too(tmp_path):
    x, y = rare()
    np.save(tmp_path / "x.npy", x)
    net, doctor = xpnet.MLP([3, 8, 1], output="sigmoid"), Doctor()
    xpnet.fit(net, xpnet.RowFile(tmp_path / "x.npy"), y, epochs=1, batch_size=512,
              callbacks=[doctor])  # fmt: skip
    assert "class-imbalance" in doctor.report().codes
