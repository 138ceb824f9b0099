"""Several quantiles in one model: what single models predict, in order."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.metrics import d2_pinball_score, mean_pinball_loss
from sklearn.model_selection import cross_val_score
from sklearn.preprocessing import SplineTransformer

import sklearn_vectorflow
from sklearn_vectorflow import VectorFlowRegressor
from sklearn_vectorflow.io import BatchSource
from sklearn_vectorflow.losses import QuantileLoss, check_loss

QUANTILES = [0.05, 0.5, 0.9]


def made(n_rows=3000, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.uniform(0, 10, n_rows)
    y = np.sin(x) + 0.1 * x * rng.standard_normal(n_rows)
    return SplineTransformer(n_knots=20, sparse_output=True).fit(x[:, None]).transform(x[:, None]), y


X, Y = made()
TRAIN, TEST = slice(0, 2000), slice(2000, None)


def model(quantile=QUANTILES, **params):
    params = {"max_iter": 30, "average": True, "random_state": 0, **params}
    return VectorFlowRegressor(loss=QuantileLoss(quantile), **params)


@pytest.fixture(scope="module")
def joint():
    return model().fit(X[TRAIN], Y[TRAIN])


def test_the_loss_is_the_sum_of_single_ones():
    rng = np.random.default_rng(0)
    y, raw, weight = rng.normal(size=50), rng.normal(size=(50, 3)), rng.uniform(size=50)
    raw[0] = y[0]
    value, gradient = QuantileLoss(QUANTILES)(y, raw, weight)
    single = [QuantileLoss(q)(y, raw[:, k], weight) for k, q in enumerate(QUANTILES)]
    assert value == pytest.approx(sum(one for one, _ in single), rel=1e-13)
    assert_array_equal(gradient, np.column_stack([one for _, one in single]))
    check_loss(QuantileLoss(QUANTILES))
    check_loss(QuantileLoss([0.3]))


def test_each_is_as_good_as_a_model_of_its_own(joint):
    prediction = joint.predict(X[TEST])
    assert prediction.shape == (1000, 3)
    for k, quantile in enumerate(QUANTILES):
        single = model(quantile).fit(X[TRAIN], Y[TRAIN]).predict(X[TEST])
        own, expected = (mean_pinball_loss(Y[TEST], one, alpha=quantile) for one in (prediction[:, k], single))
        assert own < 1.03 * expected
        assert np.mean(Y[TEST] <= prediction[:, k]) == pytest.approx(quantile, abs=0.04)


def test_predictions_never_cross():
    rng = np.random.default_rng(0)
    few = sparse.random_array((200, 2000), density=0.01, rng=rng, format="csr")
    close = model([0.45, 0.5, 0.55], average=False, max_iter=3).fit(few, rng.normal(size=200))
    raw, prediction = close.predict_raw(few), close.predict(few)
    assert np.any(np.diff(raw, axis=1) < 0)  # else this shows nothing
    assert np.all(np.diff(prediction, axis=1) >= 0)
    assert_array_equal(prediction, np.sort(raw, axis=1))
    y = few @ rng.normal(size=2000)
    losses = [
        sum(mean_pinball_loss(y, one[:, k], alpha=q) for k, q in enumerate([0.45, 0.5, 0.55]))
        for one in (raw, prediction)
    ]
    assert losses[1] <= losses[0]


def test_the_score_is_the_mean_share_of_the_loss_explained(joint):
    prediction = joint.predict(X[TEST])
    weight = np.random.default_rng(0).uniform(size=1000)
    expected = [
        d2_pinball_score(Y[TEST], prediction[:, k], sample_weight=weight, alpha=q) for k, q in enumerate(QUANTILES)
    ]
    assert joint.score(X[TEST], Y[TEST], weight) == pytest.approx(np.mean(expected), rel=1e-12) and min(expected) > 0.3
    assert np.all(cross_val_score(model(max_iter=10), X, Y, cv=3) > 0.3)


def test_conventions(joint, tmp_path):
    assert joint.coef_.shape == (3, X.shape[1]) and joint.intercept_.shape == (3,)
    joint.save(tmp_path / "model")
    assert_array_equal(sklearn_vectorflow.load(tmp_path / "model").predict(X), joint.predict(X))
    assert model([0.5]).fit(X, Y).predict(X).shape == (3000,)
    assert_allclose(joint.predictor()(sparse.csr_matrix(X[:5])), joint.predict(X[:5]), rtol=1e-6)
    assert model(average=False, max_iter=5).partial_fit(X, Y).predict(X).shape == (3000, 3)
    net = model(hidden_layer_sizes=(4,), average=False).fit(X, Y)
    assert net.score(X, Y) > 0.3


def test_sources_bring_the_same_rows(joint):
    source = BatchSource(lambda: [(X[:1200], Y[:1200]), (X[1200:2000], Y[1200:2000])])
    assert_allclose(model().fit(source).predict(X[TEST]), joint.predict(X[TEST]), atol=1e-6)
    assert joint.score(BatchSource(lambda: [(X, Y)])) == pytest.approx(joint.score(X, Y))


def test_targets_far_from_zero():
    far = model().fit(X[TRAIN], 1e6 + Y[TRAIN])
    assert far.score(X[TEST], 1e6 + Y[TEST]) > 0.3
    assert far.intercept_.shape == (3,)


@pytest.mark.parametrize(
    "quantile, message",
    [
        ([], "1-D array"),
        ([[0.1, 0.9]], "1-D array"),
        ([0.1, 1.0], r"quantile must be in \(0, 1\), got 1.0"),
        ([0.9, 0.1], "must be increasing"),
        ([0.5, 0.5], "must be increasing"),
        (["low", "high"], "quantile must be a number"),
    ],
)
def test_quantiles_are_checked(quantile, message):
    with pytest.raises((TypeError, ValueError), match=message):
        model(quantile).fit(X, Y)


def test_several_targets_are_refused():
    with pytest.raises(ValueError, match="y must have one column for several quantiles of QuantileLoss, got 2"):
        model().fit(X, np.column_stack([Y, Y]))


# ---- offsets ----------------------------------------------------------------------------------


@pytest.mark.parametrize("far", [0.0, 1e6])  # from where on y is learnt in other units
@pytest.mark.parametrize("n_columns", [None, 3])
def test_quantiles_beside_an_offset_are_those_of_what_it_leaves(n_columns, far):
    shift = np.random.default_rng(1).integers(-8, 8, len(Y)) / 4
    offset = shift if n_columns is None else np.column_stack([shift] * n_columns)
    y = np.round(Y * 64) / 64 + far  # whose sums with the offset are exact
    beside = model(max_iter=3, tol=None).fit(X, y + shift, offset=offset)
    plain = model(max_iter=3, tol=None).fit(X, y)
    assert_allclose(beside.predict(X), plain.predict(X), atol=1e-4)
    assert_allclose(beside.predict(X, offset=offset), plain.predict(X) + shift[:, None], atol=1e-4)
