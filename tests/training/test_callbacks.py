import math
import signal

import numpy as np
import pytest
from training_examples import Calls, X, Y, parameters, regressor

import xpnet


def test_callbacks_are_called_in_their_order_and_may_have_any_of_the_methods():
    class OnlyTwo:
        def on_epoch_end(self, training):
            calls.names.append(f"loss {len(training.state.history.loss)}")

        def on_train_end(self, training):
            calls.names.append("last")

    calls = Calls()
    xpnet.fit(regressor(), X, Y, epochs=2, batch_size=30, callbacks=[calls, OnlyTwo()])
    epoch = ["epoch_start", "batch_end", "batch_end", "epoch_end"]
    assert calls.names == ["train_start", *epoch, "loss 1", *epoch, "loss 2", "train_end", "last"]


def test_a_callback_sees_loss_gradients_trace_and_can_stop():
    def look(training):
        gradients = [np.copy(each) for each in training.gradients.weights]
        if training.state.step == 3:
            training.stop("enough")
        return float(training.loss), gradients, training.trace

    calls = Calls(look)
    history = xpnet.fit(regressor(), X, Y, batch_size=20, callbacks=[calls])
    assert len(calls.seen) == 3
    assert history.stopped == "enough"
    loss, gradients, trace = calls.seen[0]
    assert math.isfinite(loss)
    assert [each.shape for each in gradients] == [(3, 8), (8, 1)]
    assert [each.shape for each in trace.pre_activations] == [(20, 8), (20, 1)]
    calls = Calls(lambda training: training.stop(""))
    history = xpnet.fit(regressor(), X, Y, batch_size=20, callbacks=[calls])
    assert (len(calls.seen), history.stopped) == (1, "stopped without a reason")


def test_a_plain_function_is_called_after_each_epoch_and_can_stop():
    losses = []

    def look(training):
        losses.append(training.state.history.loss[-1])
        if len(losses) == 2:
            training.stop("enough")

    history = xpnet.fit(regressor(), X, Y, optimizer="adam", callbacks=[look])
    assert (losses, history.stopped) == (history.loss, "enough")


def test_an_error_in_a_callback_is_not_swallowed_and_ends_those_that_began_and_only_those():
    class Broken(Calls):
        def on_epoch_end(self, training):
            raise RuntimeError("my own mistake")

    calls = Broken()
    with pytest.raises(RuntimeError, match="my own mistake"):
        xpnet.fit(regressor(), X, Y, epochs=2, callbacks=[calls])
    assert calls.names[-1] == "train_end"

    class Unwilling:
        def on_train_start(self, training):
            raise RuntimeError("not today")

    first, last = Calls(), Calls()
    with pytest.raises(RuntimeError, match="not today"):
        xpnet.fit(regressor(), X, Y, callbacks=[first, Unwilling(), last])
    assert (first.names, last.names) == (["train_start", "train_end"], [])


def test_ctrl_c_finishes_the_step_and_leaves_a_network_that_can_go_on():
    net, calls = regressor(), Calls(lambda training: training.state.step)

    class CtrlC:
        def on_batch_end(self, training):
            if training.state.step == 5:
                signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt, match="stopped by SIGINT"):
        xpnet.fit(net, X, Y, batch_size=20, callbacks=[CtrlC(), calls], early_stopping=True)
    assert calls.seen == [1, 2, 3, 4, 5]
    assert calls.names[-1] == "train_end"
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    steps = regressor()
    xpnet.fit(
        steps, X, Y, batch_size=20,
        callbacks=[Calls(lambda training: training.state.step == 5 and training.stop("5 steps"))],
    )  # fmt: skip
    np.testing.assert_array_equal(parameters(net), parameters(steps))
