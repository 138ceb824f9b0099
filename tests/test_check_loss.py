"""The checker of losses: every built-in loss passes, and every kind of fault is found."""

import sys

import numpy as np
import pytest

from sklearn_vectorflow import losses
from sklearn_vectorflow.losses import RegressionLoss, check_loss
from sklearn_vectorflow.losses.checker import CHECKS

import user_losses

CODES = np.arange(20) % 3
LABELS = np.random.default_rng(0).integers(0, 2, size=(12, 4)).astype(float)


@pytest.mark.parametrize(
    "name",
    [
        name
        for name in losses.__all__
        if isinstance(getattr(losses, name), type) and hasattr(getattr(losses, name), "kernel")
    ],
)
def test_built_in_losses_pass(name):
    check_loss(getattr(losses, name)())


@pytest.mark.parametrize(
    "loss, y",
    [
        (losses.HuberLoss(0.3), None),
        (losses.QuantileLoss(0.05), None),
        (losses.TweedieLoss(0), None),
        (losses.TweedieLoss(1.9), None),
        (losses.TweedieLoss(3), None),
        (losses.LambdaRank(truncation=2), None),
        (losses.SquaredError(), np.linspace(-1, 1, 24).reshape(8, 3)),
        (losses.PoissonLoss(), np.arange(24.0).reshape(8, 3)),
        (losses.MultinomialLoss(), CODES),
        (losses.OneVsRestLogLoss(), CODES),
        (losses.Hinge(), CODES),
        (losses.WeibullAFT(), {"event": CODES > 0, "time": CODES + 0.5, "entry": CODES * 0.1}),
        (losses.ExponentialSurvival(), np.column_stack([CODES > 0, np.log(CODES + 0.5)])),
        (losses.DiscreteTime(4, shape="linear"), (CODES > 0, CODES + 0.5)),
        (losses.CoxPH("breslow"), None),
    ],
    ids=str,
)
def test_other_parameters_and_shapes_pass(loss, y):
    check_loss(loss, y)


def test_labels_pass():
    check_loss(losses.LogLoss(), LABELS, n_outputs=4)


def test_python_losses_pass():
    check_loss(user_losses.PinballPython(0.7))
    check_loss(user_losses.LogisticPython())
    check_loss(user_losses.ExponentialPython(), np.column_stack([np.linspace(0.1, 3, 20), np.arange(20) % 2]))


def test_numba_losses_pass():
    pytest.importorskip("numba")
    check_loss(user_losses.PinballNumba(0.7))
    check_loss(user_losses.PairwiseNumba())


class Faulty(RegressionLoss):
    """Half the squared error, with a fault."""

    fault = None

    def __call__(self, y, raw, sample_weight=None):
        error = raw - y
        loss, gradient = 0.5 * error**2, error
        if self.fault == "sign":
            gradient = -gradient
        if self.fault == "unweighted":
            return loss.sum(), gradient
        if self.fault == "mean":
            return np.average(loss, weights=sample_weight), sample_weight * gradient / sample_weight.sum()
        if self.fault == "kink":
            slope = np.where(error >= 0, 1.0, -1.0)
            return np.sum(sample_weight * np.abs(error)), sample_weight * np.where(error == 0, 3.0, slope)
        if self.fault == "overflow":
            return np.sum(sample_weight * loss), sample_weight * gradient * np.where(np.abs(raw) > 99, np.nan, 1.0)
        if self.fault == "hides NaN":
            return np.nansum(sample_weight * loss), np.nan_to_num(sample_weight * gradient)
        if self.fault == "changes y":
            y *= 0.5
        if self.fault == "random":
            loss = loss + np.random.default_rng().uniform()
        return np.sum(sample_weight * loss), sample_weight * gradient


class NotClonable(Faulty):
    def __init__(self, scale=1.0):
        self.scale = 2 * scale


class BadStart(Faulty):
    def initial_raw(self, y, sample_weight):
        return np.full(y.shape[1], 100.0)


class WrongStart(Faulty):
    def initial_raw(self, y, sample_weight):
        return np.zeros(7)


class NoDomain(Faulty):
    y_low = 0.0

    def check_y(self, y):
        pass


class BadLink(Faulty):
    def inverse_link(self, raw):
        return raw.sum()


class NotPicklable(Faulty):
    def __init__(self, function=None):
        self.function = function


def faulty(fault):
    return type("Faulty", (Faulty,), {"fault": fault})()


@pytest.mark.parametrize(
    "loss, message",
    [
        (faulty("sign"), r"gradient is the slope: at row 0 \(y=.*finite differences give"),
        (faulty("kink"), r"at kinks and far out: at row 0 .*raw = y \+0.*: the gradient is"),
        (faulty("unweighted"), "weights multiply: weights of 3 make a loss of"),
        (faulty("mean"), "block is the sum of its parts: the block's loss is"),
        (faulty("overflow"), "large outputs give no NaN: .*NaN in the gradient of row 0|NaN at raw"),
        (faulty("hides NaN"), r"NaN shows in the loss: a raw output of NaN at row 0 \("),
        (faulty("changes y"), "read-only|were changed"),
        (faulty("random"), "two calls with the same rows differ"),
        (NotClonable(), "clone is the same: "),
        (BadStart(), "start is no worse than zero: the loss is"),
        (WrongStart(), r"initial_raw must return 1 finite number"),
        (NoDomain(), "y=-1 is below y_low=0 and was not refused"),
        (BadLink(), "inverse_link must return finite predictions of 20 rows"),
        (NotPicklable(lambda: 0), "pickle is the same: define the loss, and functions it holds, at the top"),
    ],
)
def test_faults_are_found_and_told(loss, message, capsys):
    with pytest.raises(AssertionError, match=message):
        check_loss(loss)
    assert f"of {len(CHECKS)} checks:" in capsys.readouterr().out


@pytest.mark.skipif(not getattr(sys, "_is_gil_enabled", lambda: True)(), reason="there is no GIL to wait for")
def test_a_loss_that_takes_the_gil_is_found():
    from sklearn_vectorflow.engine.losses.python import Bridge, capsule_of_bridge

    bridge = Bridge(lambda y, raw, weight, gradient, starts: 0.0)
    loss = type("Slow", (RegressionLoss,), {"kernel": capsule_of_bridge(bridge)})()
    with pytest.raises(AssertionError, match="runs without the GIL: it waited"):
        check_loss(loss)
