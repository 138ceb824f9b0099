"""Rows that enter late, start-stop rows, and predictions for rows that have survived for a time."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from sklearn_vectorflow import VectorFlowSurvivalEstimator
from sklearn_vectorflow.losses import DISTRIBUTIONS, CoxPH

lifelines = pytest.importorskip("lifelines")
pd = pytest.importorskip("pandas")
linear_model = pytest.importorskip("sksurv.linear_model")
Surv = pytest.importorskip("sksurv.util").Surv

SEPARATING = sorted(set(DISTRIBUTIONS) - {"cox"})
SMOOTH = sorted(set(DISTRIBUTIONS) - {"cox", "discrete"})


def made(n_rows=500, seed=0, ties=True):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_rows, 3))
    time = rng.weibull(1.3, n_rows) * np.exp(-(X @ [0.6, -0.4, 0.0])) * 10
    seen = rng.exponential(15.0, n_rows)
    last = np.minimum(time, seen)
    last = np.ceil(last * 4) / 4 if ties else last
    return X, {"event": time <= seen, "time": last}


X, Y = made()
ENTRY = np.where(np.arange(500) % 3 == 0, Y["time"] / 2, 0.0).round(1)


def exact(distribution, **params):
    return VectorFlowSurvivalEstimator(distribution, solver="exact", alpha=0.0, random_state=0, **params)


def frame(X, **columns):
    return pd.DataFrame({**{f"x{k}": X[:, k] for k in range(X.shape[1])}, **columns})


# ---- late entry and start-stop rows ------------------------------------------------------------


def test_cox_with_late_entry_has_the_optimum_of_lifelines():
    y = {**Y, "entry": ENTRY}
    model = exact("cox").fit(X, y)
    expected = lifelines.CoxPHFitter().fit(frame(X, **y), "time", "event", entry_col="entry")
    assert_allclose(model.coef_, expected.params_, atol=1e-5)
    assert_allclose(model.inference(X, y).std_errors(), expected.standard_errors_, rtol=1e-4)
    assert np.abs(model.coef_ - exact("cox").fit(X, Y).coef_).max() > 1e-3  # entries matter


def start_stop():
    """Rows cut where a feature sets in."""
    onset = np.random.default_rng(1).exponential(5.0, len(X)).round(1) + 0.1
    switched = onset < Y["time"]
    rows = np.concatenate([np.arange(len(X)), np.flatnonzero(switched)])
    later = np.arange(len(rows)) >= len(X)
    cut = switched[rows] & ~later
    y = {
        "event": Y["event"][rows] & ~cut,
        "time": np.where(cut, onset[rows], Y["time"][rows]),
        "entry": np.where(later, onset[rows], 0.0),
    }
    return np.column_stack([X[rows], later]), y, rows


def test_features_that_change_have_the_optimum_of_lifelines():
    Z, y, rows = start_stop()
    model = exact("cox").fit(Z, y)
    table = frame(Z, id=rows, start=y["entry"], stop=y["time"], event=y["event"])
    fitter = lifelines.CoxTimeVaryingFitter()
    expected = fitter.fit(table, event_col="event", start_col="start", stop_col="stop", id_col="id")
    assert_allclose(model.coef_, expected.params_, atol=1e-5)


@pytest.mark.parametrize("name", [*SEPARATING, "cox"])
def test_a_row_cut_in_two_says_what_the_whole_row_does(name):
    params = {"breakpoints": [2.0, 5.0, 9.0]} if "breakpoints" in DISTRIBUTIONS[name]().get_params() else {}
    cut = np.where(np.arange(len(X)) % 2, 5.0, 2.0)  # at breakpoints: discrete times know no others
    long = Y["time"] > cut
    rows = np.concatenate([np.arange(len(X)), np.flatnonzero(long)])
    later = np.arange(len(rows)) >= len(X)
    first = long[rows] & ~later
    y = {
        "event": Y["event"][rows] & ~first,
        "time": np.where(first, cut[rows], Y["time"][rows]),
        "entry": np.where(later, cut[rows], 0.0),
    }
    whole, pieces = exact(name, **params).fit(X, Y), exact(name, **params).fit(X[rows], y)
    assert_allclose(pieces.coef_, whole.coef_, atol=2e-5)
    assert_allclose(
        pieces.predict_survival_function(X[:5], True), whole.predict_survival_function(X[:5], True), atol=1e-5
    )


# ---- baselines ------------------------------------------------------------------------------------


def test_baselines_are_those_of_scikit_survival():
    peer = linear_model.CoxPHSurvivalAnalysis(tol=1e-12, n_iter=200).fit(X, Surv.from_arrays(Y["event"], Y["time"]))
    model = exact(CoxPH(ties="breslow")).fit(X, Y)
    assert_array_equal(model.unique_times_, peer.unique_times_)
    for name in ("cum_baseline_hazard_", "baseline_survival_"):
        mine, expected = getattr(model, name), getattr(peer, name)
        assert_array_equal(mine.x, expected.x)
        assert_allclose(mine.y, expected.y, rtol=1e-5)
        assert_allclose(mine(7.3), expected(7.3), rtol=1e-5)


def test_only_cox_has_a_baseline():
    model = VectorFlowSurvivalEstimator("weibull", max_iter=1).fit(X, Y)
    with pytest.raises(AttributeError, match="no baseline but for 'cox', got distribution='weibull'"):
        model.baseline_survival_
    assert not hasattr(VectorFlowSurvivalEstimator("cox"), "cum_baseline_hazard_")


# ---- rows that have survived for a time ------------------------------------------------------------


@pytest.fixture(scope="module")
def fitted():
    return {name: VectorFlowSurvivalEstimator(name, random_state=0).fit(X, Y) for name in DISTRIBUTIONS}


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_survival_from_then_on_is_a_ratio(fitted, name):
    model, times, after = fitted[name], np.array([0.0, 1.0, 4.0, 30.0]), np.linspace(0.0, 9.0, 500)
    found = model.predict_survival_function(X, True, times=times, conditional_after=after)
    hazard = model.predict_cumulative_hazard_function(X, True, times=times, conditional_after=after)
    assert_allclose(found, np.exp(-hazard), rtol=1e-12)
    assert_array_equal(found[:, 0], 1.0)
    assert_allclose(found[0], model.predict_survival_function(X[:1], True, times=times)[0], rtol=1e-12)
    curves = model.predict_survival_function(X[:9])
    for curve, since, row in zip(curves, after, found):
        assert_allclose(row, curve(since + times) / curve(since), rtol=1e-9)
    conditional = model.predict_survival_function(X[:9], conditional_after=after[:9])
    assert_allclose([curve(times) for curve in conditional], found[:9], rtol=1e-12)
    one = model.predict_survival_function(X, True, times=times, conditional_after=after[7])
    assert_allclose(one[7], found[7], rtol=1e-12)


@pytest.mark.parametrize("q", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_quantiles_from_then_on_invert_curves(fitted, name, q):
    model, after = fitted[name], np.linspace(0.0, 9.0, 500)
    quantile = model.predict_quantile(X, q, conditional_after=after)
    curves = model.predict_survival_function(X[:50], conditional_after=after[:50])
    for curve, time in zip(curves, quantile):
        if name in SMOOTH:
            assert curve(time) == pytest.approx(1 - q, rel=1e-9)
        elif np.isfinite(time):
            assert curve(time) <= 1 - q + 1e-9 < curve(max(time - 1e-6, 0.0)) + 1e-8
        else:
            assert curve(1e9) > 1 - q
    assert_array_equal(
        model.predict_median(X, conditional_after=after), model.predict_quantile(X, 0.5, conditional_after=after)
    )
    assert_allclose(model.predict_quantile(X, q, conditional_after=0.0), model.predict_quantile(X, q), rtol=1e-12)


@pytest.mark.parametrize("name", SMOOTH)
def test_quantiles_hold_far_out(fitted, name):
    """Where so few survive that their share of all is rounded away."""
    model = fitted[name]
    after = model.predict_quantile(X[:20], 0.5) * {"lognormal": 1e6, "loglogistic": 1e9}.get(name, 100.0)
    median = model.predict_median(X[:20], conditional_after=after)
    survival = model.predict_survival_function(X[:20], conditional_after=after)
    assert_allclose([curve(time) for curve, time in zip(survival, median)], 0.5, rtol=1e-6)


def test_conditional_predictions_are_those_of_lifelines():
    table, after = frame(X, **Y), np.linspace(0.5, 9.0, 500).round()
    times = np.array([1.0, 3.0, 8.0])
    known = np.unique(Y["time"])  # between them lifelines draws lines, where a baseline has steps
    rows = np.isin(after, known) & np.isin(after[:, None] + times, known).all(axis=1)
    assert rows.sum() > 200
    exactly = {"ftol": 1e-14, "gtol": 1e-8}
    for model, fitter in (
        (exact("weibull").fit(X, Y), lifelines.WeibullAFTFitter().fit(table, "time", "event", fit_options=exactly)),
        (exact("cox").fit(X, Y), lifelines.CoxPHFitter().fit(table, "time", "event")),
    ):
        expected = fitter.predict_survival_function(table, times=times, conditional_after=after)
        found = model.predict_survival_function(X, True, times=times, conditional_after=after)
        assert_allclose(found[rows], expected.T.to_numpy()[rows], atol=2e-4)


@pytest.mark.parametrize(
    "after, message",
    [
        (-1.0, "conditional_after must be finite and >= 0"),
        (np.nan, "conditional_after must be finite and >= 0"),
        (np.ones(3), r"conditional_after must be a number or have shape \(500,\), got shape \(3,\)"),
        ("long", "conditional_after"),
    ],
)
def test_times_survived_are_checked(fitted, after, message):
    for method in ("predict_survival_function", "predict_cumulative_hazard_function", "predict_median"):
        with pytest.raises(ValueError, match=message):
            getattr(fitted["weibull"], method)(X, conditional_after=after)
