"""Mixture densities: against SciPy, at extremes, and fitted."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats

from sklearn_vectorflow import VectorFlowRegressor
from sklearn_vectorflow.losses import MixtureDensity, check_loss


@pytest.mark.parametrize("n_components", [1, 2, 5])
def test_against_scipy(n_components):
    rng = np.random.default_rng(n_components)
    loss, y = MixtureDensity(n_components), rng.normal(size=20)
    raw, weight = rng.normal(size=(20, 3 * n_components)), rng.uniform(0.5, 2.0, 20)
    shares, means, widths = loss.components(raw)
    normal = stats.norm(means, widths)
    density = np.sum(shares * normal.pdf(y[:, None]), axis=1)
    assert loss(y, raw, weight)[0] == pytest.approx(-np.sum(weight * np.log(density)), rel=1e-12)
    assert_allclose(loss.log_density(y, raw), np.log(density))
    assert_allclose(loss.cdf(y, raw), np.sum(shares * normal.cdf(y[:, None]), axis=1))
    assert_allclose(loss.inverse_link(raw)[:, 0], np.sum(shares * means, axis=1))


@pytest.mark.parametrize("n_components", [1, 3])
def test_checker(n_components):
    check_loss(MixtureDensity(n_components))


def test_extremes_stay_finite():
    for raw in ([700.0, -700.0, 3.0, -3.0, 9.0, -9.0], [0.0, 0.0, 1e6, -1e6, 800.0, -800.0]):
        total, gradient = MixtureDensity(2)([0.5], [raw])
        assert np.isfinite(total) and np.all(np.isfinite(gradient))


def test_two_branches_are_found():
    rng = np.random.default_rng(0)
    group = rng.integers(0, 5, size=3000)
    upper = rng.uniform(size=3000) < 0.3
    y = np.where(upper, 2.0 + 0.2 * group, -1.0) + 0.2 * rng.normal(size=3000)
    X = np.eye(5)[group]
    model = VectorFlowRegressor(
        loss=MixtureDensity(2), optimizer="adam", learning_rate=0.02, batch_size=32, max_iter=20, random_state=0
    ).fit(X, y)
    raw = model.predict_raw(np.eye(5))
    shares, means, widths = model.loss.components(raw)
    high = means.argmax(axis=1), np.arange(5)
    assert_allclose(shares.T[high], 0.3, atol=0.08)
    assert_allclose(means.T[high], 2.0 + 0.2 * np.arange(5), atol=0.1)
    assert_allclose(widths, 0.2, atol=0.08)
    assert_allclose(model.predict(np.eye(5)), 0.3 * (2.0 + 0.2 * np.arange(5)) - 0.7, atol=0.3)
    assert model.coef_.shape == (6, 5)


@pytest.mark.parametrize("n_components, error", [(0, ValueError), (2.0, TypeError), (True, TypeError)])
def test_n_components_is_checked(n_components, error):
    with pytest.raises(error, match="MixtureDensity: n_components must be"):
        VectorFlowRegressor(loss=MixtureDensity(n_components)).fit(np.eye(3), np.arange(3.0))


def test_one_column_is_wanted():
    with pytest.raises(ValueError, match="y must have one column for loss MixtureDensity, got 2"):
        VectorFlowRegressor(loss="mixture_density").fit(np.eye(4), np.ones((4, 2)))
    with pytest.raises(ValueError, match=r"raw must have shape \(1, 9\)"):
        MixtureDensity()([1.0], [[0.0, 1.0, 2.0]])


def test_the_start_counts_weights_as_copies():
    rng = np.random.default_rng(0)
    y, times = rng.gamma(2.0, size=(50, 1)), rng.integers(0, 4, 50)
    weighted = MixtureDensity(3).initial_raw(y, times.astype(float))
    assert_allclose(weighted, MixtureDensity(3).initial_raw(np.repeat(y, times, axis=0), None))
