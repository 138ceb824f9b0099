"""Losses users write: the same weights through every door, errors that help, threads, searches."""

import pickle
import subprocess
import sys
import threading
import traceback
import warnings
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

from sklearn_vectorflow import VectorFlowClassifier, VectorFlowRanker, VectorFlowRegressor, threads
from sklearn_vectorflow.losses import PairwiseLogistic, QuantileLoss, RegressionLoss

import user_losses
from user_losses import LogisticPython, PairwiseNumba, PinballNumba, PinballPython, squared_error

DOORS = [PinballPython, PinballNumba]


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(0)
    X = sparse.random_array((700, 40), density=0.2, rng=0, format="csr", dtype=np.float32)
    return X, X @ rng.normal(size=40) + rng.normal(size=700), rng.uniform(0.5, 2.0, 700)


@pytest.fixture
def two_threads(monkeypatch):
    monkeypatch.setattr(threads, "WORTHWHILE", 1)


def needs_numba(door):
    if door is PinballNumba:
        pytest.importorskip("numba")


# ---- the same through every door -----------------------------------------------------


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize(
    "parameters",
    [
        {"batch_size": 1},
        {"batch_size": 7},
        {"batch_size": 1024},
        {"batch_size": 32, "hidden_layer_sizes": (4,)},
        {"early_stopping": True},
        {"optimizer": "adam", "batch_size": 50},
    ],
    ids=str,
)
def test_pinball_is_the_same_as_built_in(rows, door, parameters):
    needs_numba(door)
    X, y, weight = rows
    built_in, own = (
        VectorFlowRegressor(loss=loss, max_iter=4, random_state=0, **parameters).fit(X, y, weight)
        for loss in (QuantileLoss(0.7), door(0.7))
    )
    for ours, theirs in zip(own.coefs_, built_in.coefs_):
        assert_allclose(ours, theirs, rtol=0, atol=1e-6)
    assert_allclose(own.loss_curve_, built_in.loss_curve_)
    assert_array_equal(own.predict(X).shape, y.shape)


def test_several_outputs(rows):
    X, y, weight = rows
    Y = np.column_stack([y, -y, y**2])
    own, built_in = (
        VectorFlowRegressor(loss=loss, batch_size=16, max_iter=3, random_state=0).fit(X, Y, weight)
        for loss in (_MultiPinball(0.7), QuantileLoss(0.7))
    )
    assert_allclose(own.coef_, built_in.coef_, atol=1e-6)


class _MultiPinball(PinballPython):
    def __call__(self, y, raw, sample_weight=None):
        return super().__call__(y, raw, sample_weight[:, None])


def test_logistic_in_python_is_the_same_as_built_in(rows):
    X, y, weight = rows
    own, built_in = (
        VectorFlowClassifier(loss=loss, batch_size=8, max_iter=3, fit_intercept=False, random_state=0).fit(
            X, y > 0, weight
        )
        for loss in (LogisticPython(), "log_loss")
    )
    assert_allclose(own.coef_, built_in.coef_, atol=1e-6)
    assert not hasattr(own, "predict_proba")


@pytest.mark.parametrize("loss", [user_losses.pairwise, PairwiseNumba()], ids=["python", "numba"])
@pytest.mark.parametrize("batch_size", [1, 40])
def test_pairs_are_the_same_through_every_door(rows, loss, batch_size):
    if not callable(loss) or isinstance(loss, PairwiseNumba):
        pytest.importorskip("numba")
    X, y, weight = rows
    relevance, qid = np.digitize(y, [-1, 0, 1]), np.arange(700) // 9
    own, built_in = (
        VectorFlowRanker(loss=loss, batch_size=batch_size, max_iter=3, random_state=0).fit(
            X, relevance, weight, qid=qid
        )
        for loss in (loss, PairwiseLogistic())
    )
    assert_allclose(own.coef_, built_in.coef_, atol=1e-6)
    assert_allclose(own.loss_curve_, built_in.loss_curve_)


def test_a_function_is_a_loss(rows):
    X, y, weight = rows
    model = VectorFlowRegressor(loss=squared_error, batch_size=8, max_iter=20, random_state=0).fit(X, y, weight)
    assert model.score(X, y) > 0.5 * VectorFlowRegressor(random_state=0).fit(X, y, weight).score(X, y)
    model.partial_fit(X, y)
    assert pickle.loads(pickle.dumps(model)).predict(X) == pytest.approx(model.predict(X))


# ---- what the function is given --------------------------------------------------------


def test_blocks_are_windows_that_stay_alive(rows):
    X, y, weight = rows
    kept = []

    def loss(y, raw, sample_weight):
        kept.append((y, raw, sample_weight, np.finfo(np.float64).smallest_subnormal * np.ones(1)))
        return squared_error(y, raw, sample_weight)

    VectorFlowRegressor(loss=loss, batch_size=100, max_iter=1, random_state=0).fit(X, y, weight)
    for block in kept:
        for values in block[:3]:
            assert values.dtype == np.float64 and values.ndim == 1 and values.shape == block[0].shape
            assert not values.flags.writeable
            assert np.all(np.isfinite(values))
        assert block[3] > 0  # denormals are flushed in the engine, not in the caller's function
    assert sum(len(block[0]) == 100 for block in kept) == 7


def test_a_loss_called_by_hand_cannot_change_what_it_is_given():
    def loss(y, raw, sample_weight):
        raw -= y
        return 0.5 * np.sum(raw**2), raw

    with pytest.raises(ValueError, match="read-only"):
        VectorFlowRegressor(loss=loss).fit(np.eye(5), np.arange(5.0))


def test_values_arrive_in_order(rows):
    X, y, weight = rows
    seen = []

    def loss(y, raw, sample_weight):
        seen.append(y.copy())
        return squared_error(y, raw, sample_weight)

    VectorFlowRegressor(loss=loss, batch_size=64, max_iter=1, shuffle=False).fit(X, y, weight)
    assert_array_equal(np.concatenate(seen[-11:]), y)


# ---- errors ------------------------------------------------------------------------------


def _raises_late(y, raw, sample_weight):
    _raises_late.calls += 1
    if _raises_late.calls > 20:
        raise _MINE
    return squared_error(y, raw, sample_weight)


_MINE = KeyError("mine")


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_an_error_inside_arrives_unchanged(rows, n_jobs, two_threads):
    X, y, weight = rows
    model = VectorFlowRegressor(max_iter=2).fit(X, y)
    before = model.coef_.copy()
    _raises_late.calls = 0
    with pytest.raises(KeyError) as caught:
        model.set_params(loss=_raises_late, batch_size=64, max_iter=20, n_jobs=n_jobs).fit(X, y, weight)
    assert caught.value is _MINE
    assert "_raises_late" in "".join(traceback.format_exception(caught.value))
    assert _raises_late.calls <= 22  # other threads stop too
    assert_array_equal(model.coef_, before)


def test_an_interrupt_inside_arrives(rows):
    X, y, weight = rows

    def interrupted(y, raw, sample_weight):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        VectorFlowRegressor(loss=interrupted).fit(X, y)


def _broken(**changes):
    def loss(y, raw, sample_weight):
        total, gradient = squared_error(y, raw, sample_weight)
        return changes.get("total", lambda *_: total)(total, y, raw, sample_weight), changes.get(
            "gradient", lambda *_: gradient
        )(gradient, y, raw, sample_weight)

    return loss


PER_ROW = {
    "total": lambda t, y, raw, w: ((raw - y) ** 2).sum(),
    "gradient": lambda g, y, raw, w: 2 * (raw - y),
}


@pytest.mark.parametrize(
    "loss, error, message",
    [
        (_broken(gradient=lambda g, y, raw, w: raw), ValueError, "its predictions in place of the gradient"),
        (_broken(gradient=lambda g, y, raw, w: g[:, None] * w), ValueError, r"of raw, \(8,\), got \(8, 8\). Multiply"),
        (_broken(gradient=lambda g, y, raw, w: g.sum()), ValueError, r"shape of raw, \(8,\), got \(\)"),
        (_broken(gradient=lambda g, y, raw, w: g.astype(str)), TypeError, "gradient of real numbers, got dtype <U"),
        (_broken(gradient=lambda g, y, raw, w: g + 1j), TypeError, "gradient of real numbers, got dtype complex"),
        (_broken(gradient=lambda g, y, raw, w: None), TypeError, "gradient of real numbers, got dtype object"),
        (
            _broken(gradient=lambda g, y, raw, w: np.where(g > 0, np.nan, g)),
            ValueError,
            "NaN in the gradient of row [0-7] of 8",
        ),
        (_broken(total=lambda t, y, raw, w: np.nan), ValueError, "returned NaN as the loss of 8"),
        (_broken(total=lambda t, y, raw, w: (raw - y) ** 2), ValueError, "sum of the losses of the block, a number"),
        (_broken(total=lambda t, y, raw, w: None), TypeError, "sum of the losses, a number, got None"),
        (_broken(**PER_ROW), ValueError, "ignores the weights"),
        (lambda y, raw, w: raw - y, TypeError, r"must return \(loss, gradient\), got ndarray of shape \(8,\)"),
        (lambda y, raw, w: (0.0, raw, raw), TypeError, r"must return \(loss, gradient\), got tuple of 3"),
    ],
)
def test_errors_users_make(rows, loss, error, message):
    with pytest.raises(error, match=message):
        VectorFlowRegressor(loss=loss, batch_size=32).fit(*rows)


def test_what_goes_wrong_later_is_told_too(rows):
    X, y, weight = rows
    late = _broken(gradient=lambda g, y, raw, w: np.full_like(g, np.nan) if len(g) == 32 else g)
    with pytest.raises(ValueError, match="loss loss returned NaN in the gradient of row 0 of 32: y="):
        VectorFlowRegressor(loss=late, batch_size=32).fit(X, y, weight)


def test_divergence_is_not_blamed_on_the_loss(rows):
    X, y, weight = rows
    with pytest.raises(ValueError, match="Training diverged"):
        VectorFlowRegressor(loss=squared_error, optimizer="sgd", learning_rate=1e30, batch_size=8).fit(X * 1e6, y)


class Overrides(QuantileLoss):
    def __call__(self, y, raw, sample_weight=None):
        return squared_error(y, raw, sample_weight)


class OverridesNumba(PinballNumba):
    def __call__(self, y, raw, sample_weight=None):
        return squared_error(y, raw, sample_weight)


class Twofold(RegressionLoss):
    kernel = QuantileLoss.kernel

    def __call__(self, y, raw, sample_weight=None):
        return squared_error(y, raw, sample_weight)


class Method(RegressionLoss):
    def block(self, y, raw, weight, gradient, parameters):
        return 0.0


class Nothing(RegressionLoss):
    pass


class NarrowStart(PinballPython):
    def initial_raw(self, y, sample_weight):
        return np.zeros(2)


@pytest.mark.parametrize(
    "loss, error, message",
    [
        (Overrides(0.3), TypeError, r"overrides __call__ of a loss whose .* is compiled \(QuantileLoss.kernel\)"),
        (OverridesNumba(0.3), TypeError, r"compiled \(PinballNumba.block\), which training would still use"),
        (Twofold(), TypeError, "Twofold must define one of __call__, block and kernel, not several"),
        (Method(), TypeError, "block must be a @staticmethod"),
        (Nothing(), TypeError, "Nothing has no function: define __call__"),
        (NarrowStart(), ValueError, "initial_raw of NarrowStart must return 1 finite number"),
        (QuantileLoss, TypeError, "instance of RegressionLoss, got <class"),
        (LogisticPython(), TypeError, "instance of RegressionLoss, got LogisticPython"),
        (3, TypeError, "loss must be one of"),
    ],
    ids=repr,
)
def test_objects_that_are_no_losses(rows, loss, error, message):
    with pytest.raises(error, match=message):
        VectorFlowRegressor(loss=loss).fit(*rows)


class RaisesNumba(PinballNumba):
    @staticmethod
    def block(y, raw, weight, gradient, parameters):
        gradient[:] = 0.0
        if y[0, 0] > 2.0:
            raise IndexError("too high")
        return 0.0


class NaNNumba(PinballNumba):
    @staticmethod
    def block(y, raw, weight, gradient, parameters):
        gradient[:] = 0.0
        return np.log(-1.0) if y[0, 0] > 2.0 else 0.0


@pytest.mark.parametrize("n_jobs", [1, 2])
@pytest.mark.parametrize(
    "loss, error, message",
    [
        (RaisesNumba(), IndexError, "too high"),
        (NaNNumba(), ValueError, r"NaNNumba returned NaN as the loss of 1 row\(s\); the first has y=[2-9]"),
    ],
)
def test_errors_of_numba_losses(rows, loss, error, message, n_jobs, two_threads):
    pytest.importorskip("numba")
    X, y, _ = rows
    y = np.where(np.arange(700) < 600, np.minimum(y, 1.9), y)
    y[650] = 4.0
    with pytest.raises(error, match=message):
        VectorFlowRegressor(loss=loss, n_jobs=n_jobs).fit(X, y)


def test_numba_is_optional():
    code = """
import sys
sys.modules["numba"] = None
import numpy as np, user_losses
from sklearn_vectorflow import VectorFlowRegressor
try:
    VectorFlowRegressor(loss=user_losses.PinballNumba()).fit(np.eye(3), np.ones(3))
except ImportError as error:
    assert "pip install 'sklearn-vectorflow[numba]'" in str(error), error
else:
    raise SystemExit("no error")
"""
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parent)


# ---- scikit-learn's tools, threads ----------------------------------------------------------


@pytest.mark.parametrize("door", DOORS)
def test_objects_stay_plain(rows, door):
    needs_numba(door)
    loss = door(0.7)
    VectorFlowRegressor(loss=loss, max_iter=1).fit(*rows)
    assert vars(loss) == {"quantile": 0.7}
    assert clone(loss).get_params() == {"quantile": 0.7}
    assert vars(pickle.loads(pickle.dumps(loss))) == {"quantile": 0.7}
    fitted = VectorFlowRegressor(loss=loss, max_iter=1).fit(*rows)
    assert_array_equal(pickle.loads(pickle.dumps(fitted)).predict(rows[0]), fitted.predict(rows[0]))


def test_search_in_processes(rows):
    X, y, _ = rows
    search = GridSearchCV(
        VectorFlowRegressor(loss=PinballPython(), batch_size=64, max_iter=2),
        {"loss__quantile": [0.3, 0.7]},
        cv=2,
        n_jobs=2,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        assert search.fit(X, y).best_params_["loss__quantile"] in (0.3, 0.7)
        search = GridSearchCV(
            VectorFlowRegressor(loss=lambda y, raw, w: squared_error(y, raw, w), batch_size=64, max_iter=2),
            {"alpha": [1e-6, 1e-3]},
            cv=2,
            n_jobs=2,
        )
        assert search.fit(X, y).best_score_ > -1.0  # joblib's processes take lambdas too


def test_a_lambda_makes_a_model_that_plain_pickle_refuses(rows):
    model = VectorFlowRegressor(loss=lambda y, raw, w: squared_error(y, raw, w), batch_size=64, max_iter=1).fit(*rows)
    with pytest.raises((pickle.PicklingError, AttributeError), match="lambda"):
        pickle.dumps(model)


@pytest.mark.parametrize("door", DOORS)
def test_two_threads_learn_the_same(rows, door, two_threads):
    needs_numba(door)
    X, y, weight = rows
    one, two = (
        VectorFlowRegressor(
            loss=door(0.6), batch_size=64, max_iter=40, average=True, n_jobs=n_jobs, random_state=0
        ).fit(X, y, weight)
        for n_jobs in (1, 2)
    )
    loss = QuantileLoss(0.6)
    best = loss(y, one.predict(X), weight)[0]
    assert loss(y, two.predict(X), weight)[0] == pytest.approx(best, rel=0.03)


def test_small_steps_in_python_stay_on_one_thread(rows, two_threads):
    X, y, _ = rows
    seen = set()

    def loss(y, raw, sample_weight):
        seen.add(threading.get_ident())
        return squared_error(y, raw, sample_weight)

    VectorFlowRegressor(loss=loss, batch_size=63, max_iter=3, n_jobs=2).fit(X, y)
    assert seen == {threading.get_ident()}


def test_a_function_is_compiled_once():
    pytest.importorskip("numba")
    from sklearn_vectorflow.losses.doors import kernel_of

    first, second = kernel_of(PinballNumba(0.2)), kernel_of(clone(PinballNumba(0.9)))
    assert first._compiled is second._compiled
