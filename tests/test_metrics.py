"""Metrics against scikit-survival's, and against all pairs."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from sklearn_vectorflow.metrics import (
    brier_score,
    calibration_by_quantile,
    concordance_index,
    concordance_index_ipcw,
    cumulative_dynamic_auc,
    integrated_brier_score,
    kaplan_meier,
)

peer = pytest.importorskip("sksurv.metrics")
Surv = pytest.importorskip("sksurv.util").Surv
kaplan_meier_estimator = pytest.importorskip("sksurv.nonparametric").kaplan_meier_estimator


def rows(seed, n_rows=200, tied=True):
    """Times with ties among them, events and censored rows together, and tied risks."""
    rng = np.random.default_rng(seed)
    time, event, risk = rng.exponential(3.0, n_rows) + 0.05, rng.random(n_rows) < 0.6, rng.normal(size=n_rows)
    if tied:
        time, risk = np.round(time, 1) + 0.1, np.round(risk, 1)
    return Surv.from_arrays(event, time), risk


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_concordance_is_scikit_survivals(seed, tied):
    y, risk = rows(seed, tied=tied)
    expected = peer.concordance_index_censored(y["event"], y["time"], risk)[0]
    assert concordance_index(y, risk) == pytest.approx(expected, rel=1e-12)
    assert concordance_index(y, -risk) == pytest.approx(1 - expected, rel=1e-12)


def test_risks_within_rounding_are_tied():
    y = ([True, True, False], [1.0, 2.0, 3.0])
    assert concordance_index(y, [1.0, 1.0 + 1e-9, 1.0 - 1e-9]) == 0.5


@pytest.mark.parametrize("seed", range(3))
def test_weights_are_repeated_rows(seed):
    y, risk = rows(seed, 60)
    weight = np.random.default_rng(seed).integers(0, 4, len(y))
    repeated = np.repeat(np.arange(len(y)), weight)
    # a row and its copies are censored or have their event together: never comparable
    assert concordance_index(y, risk, weight) == pytest.approx(concordance_index(y[repeated], risk[repeated]))


def test_intervals_are_compared_to_those_who_outlive_them():
    rng = np.random.default_rng(0)
    lower, risk = rng.integers(1, 9, 60).astype(float), np.round(rng.normal(size=60), 1)
    upper = lower + rng.choice([0.0, 1.0, 3.0, np.inf], 60)
    right = pairs = 0.0
    for i in range(60):
        for j in range(60):
            exact = lower[j] == upper[j]
            if np.isfinite(upper[i]) and (lower[j] > upper[i] or (lower[j] == upper[i] and not exact)):
                pairs += 1
                right += 1.0 if risk[i] > risk[j] else 0.5 * (risk[i] == risk[j])
    assert concordance_index({"lower": lower, "upper": upper}, risk) == pytest.approx(right / pairs)


@pytest.mark.parametrize("tau", [None, 2.0, 4.0])
@pytest.mark.parametrize("seed", range(3))
def test_ipcw_concordance_is_scikit_survivals(seed, tau):
    train, _ = rows(seed, 300)
    test, risk = rows(seed + 10)
    test = test.copy()
    test["time"] = np.minimum(test["time"], 0.9 * train["time"].max())
    expected = peer.concordance_index_ipcw(train, test, risk, tau)[0]
    assert concordance_index_ipcw(train, test, risk, tau) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("tied", [False, True])
def test_brier_scores_are_scikit_survivals(tied):
    train, _ = rows(0, 300, tied)
    test, risk = rows(1, tied=tied)
    test["time"] = np.minimum(test["time"], 0.9 * train["time"].max())
    times = np.linspace(0.5, 0.8 * test["time"].max(), 12)
    survival = np.exp(-np.exp(risk)[:, None] * times / 4)
    _, expected = peer.brier_score(train, test, survival, times)
    assert_allclose(brier_score(train, test, survival, times), expected, rtol=1e-12)
    expected = peer.integrated_brier_score(train, test, survival, times)
    assert integrated_brier_score(train, test, survival, times) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_dynamic_auc_is_scikit_survivals(seed, tied):
    train, _ = rows(seed, 300, tied)
    test, risk = rows(seed + 10, tied=tied)
    test["time"] = np.minimum(test["time"], 0.9 * train["time"].max())
    times = np.linspace(0.5, 0.8 * test["time"].max(), 12)
    changing = risk[:, None] * np.cos(times) + np.random.default_rng(seed).normal(size=(len(test), 12)).round(1)
    for estimate in (risk, changing):
        expected, expected_mean = peer.cumulative_dynamic_auc(train, test, estimate, times)
        auc, mean = cumulative_dynamic_auc(train, test, estimate, times)
        assert_allclose(auc, expected, rtol=1e-10)
        assert mean == pytest.approx(expected_mean, rel=1e-10)
    one, same = cumulative_dynamic_auc(train, test, risk, times[3:4])
    assert one[0] == same == pytest.approx(peer.cumulative_dynamic_auc(train, test, risk, times[3:4])[1], rel=1e-10)


def test_without_censoring_the_brier_score_is_the_squared_error():
    time = np.arange(1.0, 9.0)
    y, survival = (np.ones(8, dtype=bool), time), np.linspace(0.1, 0.9, 8)[:, None]
    expected = np.mean((survival[:, 0] - (time > 4.5)) ** 2)
    assert brier_score(y, y, survival, [4.5])[0] == pytest.approx(expected)


def test_kaplan_meier_is_scikit_survivals():
    y, _ = rows(3)
    for mine, expected in zip(kaplan_meier(y), kaplan_meier_estimator(y["event"], y["time"])):
        assert_allclose(mine, expected, rtol=1e-12)
    weight = np.random.default_rng(0).integers(1, 4, len(y))
    for mine, expected in zip(kaplan_meier(y, weight), kaplan_meier(np.repeat(y, weight))):
        assert_allclose(mine, expected, rtol=1e-12)


def test_calibration_of_the_truth():
    rng = np.random.default_rng(0)
    rate = rng.uniform(0.1, 2.0, 20_000)
    time, censored = rng.exponential(1 / rate), rng.exponential(2.0, len(rate))
    y = (time <= censored, np.minimum(time, censored))
    predicted, observed = calibration_by_quantile(y, np.exp(-rate), 1.0)
    assert len(predicted) == 10 and np.all(np.diff(predicted) > 0)
    assert_allclose(predicted, observed, atol=0.04)
    _, wrong = calibration_by_quantile(y, np.exp(-rate), 0.5)
    assert np.abs(predicted - wrong).max() > 0.1
    assert [len(part) for part in calibration_by_quantile(y, np.full(len(rate), 0.5), 1.0)] == [1, 1]


def test_large_numbers_of_rows():
    y, risk = rows(0, 200_000, tied=False)
    assert concordance_index(y, -y["time"]) == pytest.approx(1.0, abs=1e-6)
    assert concordance_index(y, risk) == pytest.approx(0.5, abs=0.01)


Y, RISK = rows(0, 20)
LATE = {"event": Y["event"], "time": Y["time"], "entry": Y["time"] / 2}


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: concordance_index(Y, RISK[:-1]), r"risk must have shape \(20,\)"),
        (lambda: concordance_index(Y, np.where(RISK > 0, np.nan, RISK)), "risk.*NaN"),
        (lambda: concordance_index((Y["event"] & False, Y["time"]), RISK), "no comparable pairs"),
        (lambda: concordance_index(Y, RISK, -np.ones(20)), "sample_weight must not be negative"),
        (lambda: concordance_index_ipcw(LATE, Y, RISK), "y_train: this metric"),
        (lambda: concordance_index_ipcw(Y, Y, RISK, tau=0), "tau must be in"),
        (lambda: cumulative_dynamic_auc(LATE, Y, RISK, [1.0]), "y_train: this metric"),
        (lambda: cumulative_dynamic_auc(Y, Y, RISK[:-1], [1.0]), r"estimate must have shape \(n_test,\) = \(20,\)"),
        (lambda: cumulative_dynamic_auc(Y, Y, np.zeros((20, 3)), [1.0, 2.0]), r"\(n_test, n_times\) = \(20, 2\), got"),
        (lambda: cumulative_dynamic_auc(Y, Y, np.full(20, np.nan), [1.0]), "estimate.*NaN"),
        (lambda: cumulative_dynamic_auc(Y, Y, RISK, [2.0, 1.0]), "times must be increasing"),
        (lambda: cumulative_dynamic_auc(Y, Y, RISK, [1.0, 1e3]), "times must be within the follow-up"),
        (lambda: cumulative_dynamic_auc(Y, Y, RISK, [0.0, 1.0]), "times must not be before the first event"),
        (lambda: brier_score(Y, Y, np.zeros((20, 3)), [1.0, 2.0]), "survival must have shape"),
        (lambda: brier_score(Y, Y, np.zeros((20, 2)), [2.0, 1.0]), "times must be increasing"),
        (lambda: integrated_brier_score(Y, Y, np.zeros((20, 1)), [1.0]), "at least two"),
        (lambda: calibration_by_quantile(Y, np.zeros(20), -1.0), "time must be in"),
        (lambda: calibration_by_quantile(Y, np.zeros(20), 1.0, 0), "n_bins must be at least 1"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
