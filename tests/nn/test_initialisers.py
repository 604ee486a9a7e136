from math import sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import xpnet
from xpnet.backend.random import dropout_keys, hash64
from xpnet.nn.activations import HIDDEN
from xpnet.nn.initializers import AUTO, INIT_NAMES, INITIALIZERS, rule_for
from xpnet.training.dropout import Dropout

GLOROT = sqrt(2.0 / 500)
STANDARD_DEVIATIONS = {
    "glorot_uniform": GLOROT,
    "glorot_normal": GLOROT,
    "he_uniform": sqrt(2.0 / 300),
    "he_normal": sqrt(2.0 / 300),
    "lecun_normal": sqrt(1.0 / 300),
    "zeros": 0.0,
}


@pytest.mark.parametrize("name", list(STANDARD_DEVIATIONS))
def test_each_rule_draws_with_its_published_spread_about_zero(name):
    drawn = INITIALIZERS[name](np.random.default_rng(0), 300, 200)
    expected = STANDARD_DEVIATIONS[name]
    assert drawn.shape == (300, 200)
    assert drawn.std() == pytest.approx(expected, rel=0.02)
    assert abs(drawn.mean()) <= 4 * expected / sqrt(drawn.size)


@given(fan_in=st.integers(1, 40), fan_out=st.integers(1, 40), seed=st.integers(0, 99))
def test_orthogonal_weights_have_orthonormal_rows_or_columns(fan_in, fan_out, seed):
    drawn = INITIALIZERS["orthogonal"](np.random.default_rng(seed), fan_in, fan_out)
    assert drawn.shape == (fan_in, fan_out)
    small = drawn @ drawn.T if fan_in <= fan_out else drawn.T @ drawn
    np.testing.assert_allclose(small, np.eye(min(fan_in, fan_out)), atol=1e-13)


def test_auto_has_a_rule_and_a_reason_for_every_hidden_activation():
    assert set(AUTO) == set(HIDDEN) - {"identity"}
    assert rule_for("auto", "relu", output=False)[0] == "he_uniform"
    assert rule_for("auto", "selu", output=False)[0] == "lecun_normal"
    assert rule_for("auto", "tanh", output=False)[0] == "glorot_uniform"
    for activation in HIDDEN:
        _, _, reason = rule_for("auto", activation, output=False)
        assert reason


def test_initial_weights_are_the_same_bits_on_every_backend_and_rounded_for_float32(other_backend):
    for init in INIT_NAMES:
        exact = xpnet.MLP([5, 9, 4], init=init, seed=7, dtype="float64")
        for dtype in ("float32", "float64"):
            net = xpnet.MLP([5, 9, 4], init=init, seed=7, dtype=dtype, device=other_backend.device)
            for ours, theirs in zip(net.weights, exact.weights, strict=True):
                ours = other_backend.host(ours)
                np.testing.assert_array_equal(ours, theirs.astype(dtype))
                assert ours.dtype == dtype


def test_a_user_can_bring_a_rule_of_their_own():
    net = xpnet.MLP([2, 3, 1], init=lambda draw, fan_in, fan_out: np.full((fan_in, fan_out), 0.5))
    np.testing.assert_array_equal(net.weights[0], np.full((2, 3), 0.5))
    with pytest.raises(
        xpnet.InputError, match=r"init gave weights of shape \(3, 2\) for layer 0, .* \(2, 3\)"
    ):
        xpnet.MLP([2, 3, 1], init=lambda draw, fan_in, fan_out: np.zeros((fan_out, fan_in)))
    with pytest.raises(xpnet.InputError, match="init gave weights of shape list for layer 0"):
        xpnet.MLP([2, 3], init=lambda generator, fan_in, fan_out: [[0.0] * fan_out] * fan_in)


def test_an_unknown_rule_is_refused_with_those_that_are_known():
    with pytest.raises(xpnet.InputError, match="init 'xavier' is not known; use one of auto, glor"):
        xpnet.MLP([2, 3, 1], init="xavier")


def test_dropout_masks_are_the_same_bits_on_every_backend(other_backend):
    put = other_backend.device.put
    here, there = (
        Dropout(xpnet.MLP([2, 50, 40, 1], dropout=(0.3, 0.5), device=device), seed=3)
        for device in ("cpu", other_backend.device)
    )
    expected = here.masks(100, here.keys(20, 1)[0].tolist())
    keys_there = [put(np.asarray(key), "int64") for key in there.keys(20, 1)[0]]
    with other_backend.no_sync():
        by_numbers = there.masks(100, there.keys(20, 1)[0].tolist())
        by_arrays = there.masks(100, keys_there)
    for mask, *found, rate in zip(expected, by_numbers, by_arrays, (0.3, 0.5), strict=True):
        for each in found:
            np.testing.assert_array_equal(other_backend.host(each), mask)
        assert np.mean(mask > 0.0) == pytest.approx(1.0 - rate, abs=0.02)
        assert mask.max() == pytest.approx(1.0 / (1.0 - rate))


def test_dropout_keys_differ_by_seed_layer_and_step_and_do_not_depend_on_how_many_are_asked_for():
    seeds = (0, 1, 2**130)
    found = np.stack([dropout_keys(seed, 3, range(1000)) for seed in seeds])
    assert len(np.unique(found)) == found.size == 9000
    np.testing.assert_array_equal(dropout_keys(1, 3, range(700, 702)), found[1, 700:702])


def test_the_hash_is_splitmix64_as_published():
    """Against integers of any size, and the first outputs of the reference from seed 0."""

    def reference(counter):
        z = counter * 0x9E3779B97F4A7C15 % 2**64
        z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 % 2**64
        z = (z ^ z >> 27) * 0x94D049BB133111EB % 2**64
        return z ^ z >> 31

    found = hash64(np.arange(100), 0).astype(np.uint64)
    assert [int(each) for each in found] == [reference(counter) for counter in range(100)]
    assert int(found[1]) == 0xE220A8397B1DCDAF
