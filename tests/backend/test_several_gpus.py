"""Several GPUs in one process: a network belongs to its own, from any thread.

Whichever GPU is current when something is called, results are the same and it still is afterwards.
The only skip is for want of a second GPU.
"""

import copy
import pickle
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from lazily import sklearn

import xpnet
from xpnet.backend.device import open_device
from xpnet.training.lbfgs import fit_lbfgs

pytestmark = pytest.mark.cuda
SECOND = "gpu:1"
X = np.random.default_rng(0).standard_normal((96, 4))
Y = np.argmax(X[:, :3], axis=1)
QUIET = {"progress": False, "batch_size": 16, "epochs": 4}


@pytest.fixture(autouse=True)
def current(cuda):
    """Return what tells the number of the current GPU; skip without a second one."""
    import cupy

    if cupy.cuda.runtime.getDeviceCount() < 2:
        pytest.skip("this machine has one GPU")
    return cupy.cuda.runtime.getDevice


@pytest.fixture(params=[0, 1], ids=["on the first", "on the second"])
def caller(request, current):
    """Have one or the other GPU current, as the caller's own CuPy code may have it."""
    import cupy

    with cupy.cuda.Device(request.param):
        yield request.param
        assert current() == request.param


def network(device, **options):
    settings = {"hidden": "tanh", "output": "softmax", "dtype": "float64", "seed": 3, **options}
    return xpnet.MLP([4, 8, 3], device=device, **settings)


def _gradients(net):
    loss, gradients = net.gradients(X, Y, l1=1e-3, l2=1e-3, sample_weight=np.arange(96.0))
    return [loss, *(net.device.get(each) for part in gradients for each in part)]


def _given(net):
    net.set_parameters([2.0 * net.device.get(w) for w in net.weights], net.biases)
    with net.device.active:  # what the caller computes with the arrays is the caller's to place
        net.weights[0][...] = net.weights[0] + 1.0
    return net.predict(X)


def _replaced(net):
    pickled = pickle.loads(pickle.dumps(net))  # noqa: S301 (own data)
    return [each.predict(X) for each in (copy.deepcopy(net), pickled, net.to(net.device))]


def _with_callbacks(net):
    seen = []

    class Watch:
        def on_batch_end(self, training):
            seen.append(float(training.loss + training.trace.inputs[0][0, 0] * 0.0))

    options = {"validation": 0.25, "metrics": ["accuracy"], "early_stopping": 2}
    history = xpnet.fit(net, X, Y, callbacks=[Watch(), xpnet.Doctor()], **options, **QUIET)
    return [seen, history.loss, history.validation_loss, net.predict(X)]


def _weighted(net):
    options = {"class_weight": "balanced", "clip_norm": 0.1, "schedule": "cosine"}
    optimizer = xpnet.Adam(0.01)
    history = xpnet.fit(net, X, Y, optimizer=optimizer, l1=1e-3, l2=1e-3, **options, **QUIET)
    return [history.loss, net.predict(X)]


CALLS = {
    "predict": lambda net: net.predict(X),
    "loss": lambda net: net.loss(X, Y),
    "gradients": _gradients,
    "fit": lambda net: [xpnet.fit(net, X, Y, **QUIET).loss, net.predict(X)],
    "fit with callbacks": _with_callbacks,
    "fit with weights": _weighted,
    "fit_lbfgs": lambda net: [fit_lbfgs(net, X, Y, max_iter=5).loss, net.predict(X)],
    "explain_init": lambda net: str(xpnet.explain_init(net, X).layers),
    "diagnose": lambda net: str(xpnet.diagnose(net, X, Y, epochs=3)),
    "check_gradients": lambda net: str(xpnet.check_gradients(net, X, Y)),
    "parameters": _given,
    "copies": _replaced,
}


@pytest.mark.parametrize("call", CALLS)
def test_a_network_on_either_gpu_does_the_same_whichever_is_current(call, caller):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = [CALLS[call](network(name, dropout=0.2 * (call.startswith("fit "))))
                 for name in ("gpu", SECOND)]  # fmt: skip
    np.testing.assert_equal(found[0], found[1])


def test_a_network_is_made_on_its_gpu(caller):
    net = network(SECOND)
    assert {each.device.id for each in net.parameters} == {1}


def test_an_estimator_trains_where_its_rows_are(caller, monkeypatch):
    monkeypatch.setenv("SCIPY_ARRAY_API", "1")  # or scikit-learn asks for it
    x = open_device(SECOND).put(X, "float64")
    model = xpnet.MLPClassifier(hidden_layer_sizes=(6,), max_iter=3, solver="adamw")
    with warnings.catch_warnings(), sklearn.config_context(array_api_dispatch=True):
        warnings.simplefilter("ignore")  # three iterations are not enough
        model.fit(x, Y)
        assert model.network_.device.name == SECOND
        assert model.predict_proba(x).device.id == model.predict(x).device.id == 1


def test_a_network_goes_on_after_another_gpu_was_opened(caller):
    net = network("gpu")
    before = net.predict(X)
    xpnet.fit(network(SECOND), X, Y, **QUIET)
    np.testing.assert_array_equal(net.predict(X), before)


def test_the_steps_of_a_loop_by_hand_run_where_the_network_is_within_active(caller):
    found = []
    for name in ("gpu", SECOND):
        net = network(name)
        x = net.device.put(X, "float64")
        with net.device.active:
            trace = net.forward(x)
            gradients = net.backward(trace, trace.pre_activations[-1])
            for own, gradient in zip(net.parameters, [*gradients[0], *gradients[1]], strict=True):
                own -= 0.1 * gradient
            found.append(net.device.get(net.outputs(x)))
    np.testing.assert_array_equal(found[0], found[1])


def test_a_network_is_used_from_threads_that_never_saw_its_gpu():
    net = network(SECOND)
    expected = net.predict(X)
    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(net.predict, [X] * 12):
            np.testing.assert_array_equal(found, expected)
        trained = pool.submit(xpnet.fit, net, X, Y, **QUIET).result()
    twin = network(SECOND)
    assert trained.loss == xpnet.fit(twin, X, Y, **QUIET).loss


@pytest.mark.parametrize("names", [("gpu", SECOND), (SECOND, SECOND), ("gpu", "gpu")])
def test_two_threads_train_at_once_as_one_after_the_other(names):
    """Each with fused activations and its own recording, which begins while the other trains."""
    start = threading.Barrier(2)

    def learn(device, *, wait):
        net = network(device, dropout=0.3)
        if wait:
            start.wait()
        loss = xpnet.fit(net, X, Y, progress=False, batch_size=16, epochs=6).loss
        return [loss, net.predict(X)]

    devices = [open_device(name) for name in names]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with ThreadPoolExecutor(2) as pool:
            together = [pool.submit(learn, device, wait=True) for device in devices]
        expected = [learn(device, wait=False) for device in devices]
    np.testing.assert_equal([each.result() for each in together], expected)
