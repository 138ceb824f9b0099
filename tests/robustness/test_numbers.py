"""Numbers that would be wrong without a word: beyond the follow-up, overflown gains, units and weights at the ends."""

import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sksurv.util import Surv

from sklearn_vectorflow import (
    VectorFlowClassifier,
    VectorFlowRanker,
    VectorFlowRegressor,
    VectorFlowSurvivalEstimator,
)
from sklearn_vectorflow.io import BatchSource
from sklearn_vectorflow.losses import LambdaRank
from sklearn_vectorflow.metrics import (
    brier_score,
    calibration_by_quantile,
    concordance_index,
    concordance_index_ipcw,
    integrated_brier_score,
    kaplan_meier,
    mean_ndcg,
)
from sklearn_vectorflow.optimizers import FTRL, SGD, AdaGrad
from sklearn_vectorflow.penalties import L2

N_ROWS, N_FEATURES = 600, 40


@pytest.fixture(scope="module")
def rows():
    """Rows of about unit length, and scores of about unit size, with some noise, that follow them."""
    rng = np.random.default_rng(0)
    X = sparse.random_array((N_ROWS, N_FEATURES), density=0.25, rng=rng, format="csr", data_sampler=rng.standard_normal)
    X = sparse.csr_matrix(X) / np.sqrt(10)
    score = X @ rng.normal(size=N_FEATURES)
    return X, score / score.std() + 0.3 * rng.normal(size=N_ROWS)


@pytest.fixture(scope="module")
def times():
    rng = np.random.default_rng(0)
    time, event = rng.exponential(3.0, 200) + 0.05, rng.random(200) < 0.6
    event[time.argmax()] = False
    return Surv.from_arrays(event, time)


# ---- beyond the follow-up ------------------------------------------------------------------------


def test_brier_scores_beyond_the_follow_up_are_refused(times):
    """Where nobody is known to be uncensored, weights of 1 / 0 would be 0, and any prediction perfect."""
    end = times["time"].max()
    survival = np.full((200, 1), 0.3)
    for time in (end, 2 * end):
        with pytest.raises(ValueError, match=r"times must be within the follow-up.*in \[0, 18\.2232.*\), got"):
            brier_score(times, times, survival, [time])
    shorter = times.copy()
    shorter["time"] /= 2
    for train, test in ((times, shorter), (shorter, times)):
        with pytest.raises(ValueError, match=r"in \[0, 9\.1116"):
            brier_score(train, test, survival, [0.6 * end])
    with pytest.raises(ValueError, match="times must be within"):
        integrated_brier_score(times, times, np.full((200, 2), 0.3), [1.0, end])
    assert 0.0 < brier_score(times, times, survival, [0.9 * end])[0]


def test_concordance_beyond_the_training_follow_up_is_refused(times):
    """The last training row had its event, so the curve of censoring would go on as if it were known."""
    train, test = times.copy(), times.copy()
    train["event"][train["time"].argmax()] = True
    test["time"] *= 3
    risk = np.linspace(0, 1, 200)
    for tau in (None, 1e300):
        with pytest.raises(ValueError, match=r"tau must be smaller, at most 18\.2233: y_test has events up to"):
            concordance_index_ipcw(train, test, risk, tau)
    assert 0.0 < concordance_index_ipcw(train, test, risk, 18.0) < 1.0


def test_calibration_beyond_the_follow_up_is_refused(times):
    with pytest.raises(ValueError, match=r"time must be at most 18\.2233, the last time of y, got 1e\+09"):
        calibration_by_quantile(times, np.full(200, 0.3), 1e9)
    early = (np.repeat([False, True], 10), np.append(np.full(10, 1.0), np.linspace(2, 3, 10)))
    with pytest.warns(UserWarning, match="In 1 of 2 groups no row was followed up to time=2.5"):
        calibration_by_quantile(early, np.repeat([0.9, 0.1], 10), 2.5, n_bins=2)


@pytest.mark.parametrize("value", [7.0, -0.1, 1.01])
def test_survival_must_be_probabilities(times, value):
    with pytest.raises(ValueError, match=r"survival must be probabilities in \[0, 1\], got"):
        brier_score(times, times, np.full((200, 1), value), [1.0])
    with pytest.raises(ValueError, match=r"survival must be probabilities in \[0, 1\], got"):
        calibration_by_quantile(times, np.full(200, value), 1.0)


@pytest.mark.parametrize("unit", [1e-290, 1e-170, 1e200, 1e300])
def test_products_of_weights_stay_in_range(times, unit):
    weight = np.random.default_rng(1).random(200)
    risk = np.random.default_rng(2).random(200)
    assert concordance_index(times, risk, weight * unit) == pytest.approx(concordance_index(times, risk, weight))
    assert_allclose(kaplan_meier(times, weight * unit), kaplan_meier(times, weight))


# ---- gains of rankings ---------------------------------------------------------------------------


def test_ndcg_of_any_relevance():
    """Only the differences of large relevances count: 2**y would overflow from 1,024 on."""
    score, qid = [0.3, 0.9, 0.1, 0.5], [0, 0, 0, 0]
    small, large = (mean_ndcg(np.array([40.0, 42.0, 41.0, 44.0]) + base, score, qid) for base in (0, 2000))
    assert large == pytest.approx(small, rel=1e-9)
    assert mean_ndcg([1e300, 0.0], [1.0, 0.0], [0, 0]) == 1.0
    assert mean_ndcg([1e300, 0.0], [0.0, 1.0], [0, 0]) == pytest.approx(1 / np.log2(3))
    tiny = mean_ndcg([1e-18, 2e-18], [1.0, 0.0], [0, 0])
    assert tiny == pytest.approx((1 + 2 / np.log2(3)) / (2 + 1 / np.log2(3)))


def test_ndcg_of_nothing_and_of_infinity_is_refused():
    with pytest.raises(ValueError, match="y must be finite relevances"):
        mean_ndcg([np.inf, 0.0], [1.0, 0.0], [0, 0])
    with pytest.raises(ValueError, match="at least one row"):
        mean_ndcg([], [], [])


def test_a_ranker_scores_any_relevance(rows):
    X, score = rows
    y, group = np.where(score > 0, 5000.0, 4998.0), np.full(20, 30)
    model = VectorFlowRanker(loss="pairwise_logistic", random_state=0).fit(X, y, group=group)
    assert 0.9 < model.score(X, y, group=group) <= 1.0


def test_gains_of_lambdarank_stay_finite():
    y, raw = np.array([0.0, 2.0, 1.0, 4.0]), np.array([0.2, -0.1, 0.4, 0.0])
    (small, gradient), (large, of_large) = (LambdaRank()(y + base, raw) for base in (40.0, 3000.0))
    assert large == pytest.approx(small, rel=1e-9) and large > 0
    assert_allclose(of_large, gradient, rtol=1e-9)


# ---- units ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("optimizer", ["auto", "adagrad"])
@pytest.mark.parametrize("unit", [2.0**-33, 2.0**-14, 2.0**33])
def test_linear_models_with_intercepts_follow_the_units_of_rows(rows, unit, optimizer):
    X, score = rows
    labels = score > 0.3
    model = VectorFlowClassifier(optimizer=optimizer, random_state=0).fit(X * unit, labels)
    assert model.score(X * unit, labels) > 0.88
    model = VectorFlowRegressor(optimizer=optimizer, random_state=0).fit(X * unit, score + 3)
    assert model.score(X * unit, score + 3) > 0.88
    y = np.ones(N_ROWS, dtype=bool), np.exp(score)
    model = VectorFlowSurvivalEstimator("weibull", optimizer=optimizer, random_state=0).fit(X * unit, y)
    assert model.score(X * unit, y) > 0.85


@pytest.mark.parametrize("optimizer", ["auto", "adagrad"])
@pytest.mark.parametrize("unit", [2.0**-33, 2.0**33])
def test_linear_models_follow_the_units_of_targets(rows, unit, optimizer):
    X, score = rows
    assert VectorFlowRegressor(optimizer=optimizer, random_state=0).fit(X, score * unit).score(X, score * unit) > 0.88


@pytest.mark.parametrize("hidden_layer_sizes, spread", [((), r"1\.1e-30"), ((4,), "1e-30")])  # nets hold out some rows
def test_units_beyond_single_precision_are_refused(rows, hidden_layer_sizes, spread):
    X, score = rows
    model = VectorFlowRegressor(hidden_layer_sizes, random_state=0)
    for x_unit, y_unit, message in (
        (1e20, 1.0, r"^X is outside the range .* median length of its rows is about .*e\+(19|20)"),
        (1e-40, 1.0, "^X is outside the range"),
        (1.0, 1e-30, rf"^y is outside the range .* standard deviation is about {spread}, .* Multiply y by a constant"),
        (1.0, 1e-300, "^y is outside the range"),
        (1.0, 1e30, "^y is outside the range"),
        (1e10, 1e10, "^X and y together are outside the range"),
        (1.0, 0.0, "^y is outside the range of .* values are about 1e.30"),
    ):
        with pytest.raises(ValueError, match=message):
            model.fit(X * x_unit, score * y_unit if y_unit else np.full(N_ROWS, 1e30))
    assert not hasattr(model, "network_")


@pytest.mark.parametrize(
    "x_unit, y_unit, message",
    [(1e10, 1.0, "suit X of"), (1e-5, 1.0, "suit X of"), (1.0, 1e-5, "suit y of"), (1.0, 1e10, "suit y of")],
)
def test_nets_warn_of_units_they_do_not_start_from(rows, x_unit, y_unit, message):
    X, score = rows
    with warnings.catch_warnings(), pytest.warns(UserWarning, match=message):
        warnings.simplefilter("ignore", ConvergenceWarning)
        VectorFlowRegressor((4,), random_state=0, max_iter=2).fit(X * x_unit, score * y_unit)


@pytest.mark.parametrize("loss", ["poisson", "gamma", "tweedie"])
@pytest.mark.parametrize("unit", [2.0**-45, 2.0**40])
def test_losses_of_rates_follow_their_unit(rows, loss, unit):
    """A mean below 1e-10 was taken for zero."""
    X, score = rows
    one, other = (VectorFlowRegressor(loss=loss, random_state=0).fit(X, np.exp(score) * k) for k in (1.0, unit))
    assert_allclose(other.predict(X), one.predict(X) * unit, rtol=1e-3)


def test_a_single_event_is_fitted_without_a_warning_of_arithmetic():
    model = VectorFlowSurvivalEstimator("weibull", max_iter=1).fit(np.ones((1, 3)), ([True], [2.0]))
    assert model.predict_median(np.ones((1, 3)))[0] == pytest.approx(2.0, rel=0.1)


def test_targets_far_from_zero_are_told(rows):
    X, score = rows
    with warnings.catch_warnings(), pytest.warns(UserWarning, match="y is about 1e.08 but varies by 1.*subtract"):
        warnings.simplefilter("ignore", ConvergenceWarning)
        VectorFlowRegressor(random_state=0).partial_fit(X, score + 1e8)
    for far in (1e5, 1e8):
        assert VectorFlowRegressor(random_state=0).fit(X, score + far).score(X, score + far) > 0.88


def test_constant_targets_have_no_unit(rows):
    for value in (0.0, 1e-300, -5.0, 1e5):
        model = VectorFlowRegressor(random_state=0).fit(rows[0], np.full(N_ROWS, value))
        assert_allclose(model.predict(rows[0]), value, rtol=1e-6, atol=1e-6)


# ---- weights -------------------------------------------------------------------------------------


def fitted(kind, X, score, weight, **options):
    if kind is VectorFlowRanker:
        return kind(random_state=0, **options).fit(X, score > 0, weight, group=np.full(20, 30))
    if kind is VectorFlowSurvivalEstimator:
        return kind(random_state=0, **options).fit(X, (score < 1, np.exp(score)), weight)
    return kind(random_state=0, **options).fit(X, score if kind is VectorFlowRegressor else score > 0, weight)


KINDS = [VectorFlowClassifier, VectorFlowRegressor, VectorFlowRanker, VectorFlowSurvivalEstimator]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("exponent", [-990, 990])
def test_only_ratios_of_weights_count(rows, kind, exponent):
    X, score = rows
    weight = np.random.default_rng(0).integers(1, 4, N_ROWS) / 2
    plain, scaled = (fitted(kind, X, score, unit * weight) for unit in (1.0, 2.0**exponent))
    assert_allclose(scaled.coef_, plain.coef_, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_weights_that_lost_their_digits_are_refused(rows, kind):
    with pytest.raises(
        ValueError, match=r"sample_weight is too small for double precision, at most 1e-310: multiply all"
    ):
        fitted(kind, *rows, np.full(N_ROWS, 1e-310))


def test_balanced_classes_count_weights_as_scikit_learn_does(rows):
    X, score = rows
    labels = score > 0.5
    weight = np.where(labels, 1.0, np.random.default_rng(0).integers(0, 5, N_ROWS))
    factors = (weight.sum() / (2 * weight[labels == label].sum()) for label in (False, True))
    options = {"random_state": 0, "max_iter": 2}
    balanced = VectorFlowClassifier(class_weight="balanced", **options).fit(X, labels, weight)
    given = VectorFlowClassifier(class_weight=dict(zip((False, True), factors)), **options).fit(X, labels, weight)
    assert_allclose(balanced.coef_, given.coef_, rtol=1e-6)
    theirs = LogisticRegression(class_weight="balanced").fit(X, labels, weight)
    same = VectorFlowClassifier(class_weight="balanced", random_state=0).fit(X, labels, weight)
    assert np.corrcoef(theirs.decision_function(X), same.decision_function(X))[0, 1] > 0.95
    assert same.predict(X).mean() == pytest.approx(theirs.predict(X).mean(), abs=0.05)


# ---- fits that end badly -------------------------------------------------------------------------


def test_one_long_row_does_not_spoil_a_fit_without_a_word():
    rng = np.random.default_rng(0)
    n_rows, n_features = 500, 5_000
    columns = rng.integers(0, 200, (n_rows, 5)).ravel()
    X = sparse.csr_matrix((np.ones(columns.size), columns, np.arange(0, columns.size + 1, 5)), (n_rows, n_features))
    weights = np.append(rng.normal(size=200), np.zeros(n_features - 200))
    X = sparse.vstack([X, np.ones((1, n_features))]).tocsr()
    y = X @ weights
    with pytest.warns(ConvergenceWarning, match="ended worse than it began: the training loss is .* Rows or"):
        VectorFlowRegressor(solver="sgd", random_state=0).fit(X, y)
    assert VectorFlowRegressor(random_state=0).fit(X, y).score(X, y) > 0.7


@pytest.mark.parametrize("early_stopping", [False, True])
def test_steps_that_are_too_large_are_told(rows, early_stopping):
    X, score = rows
    model = VectorFlowClassifier(optimizer=SGD(500.0), early_stopping=early_stopping, random_state=0)
    where = "validation" if early_stopping else "training"
    with pytest.warns(ConvergenceWarning, match=f"ended worse than it began: the {where} loss"):
        model.fit(X, score + np.random.default_rng(0).normal(size=N_ROWS) > 0)


WAYS_TO_TRAIN = {
    "tol=None": lambda model, X, y: model.set_params(tol=None, max_iter=3).fit(X, y),
    "few epochs": lambda model, X, y: model.set_params(max_iter=2).fit(X, y),
    "an epoch": lambda model, X, y: model.set_params(max_iter=1).fit(X, y),
    "a step": lambda model, X, y: model.set_params(max_iter=1, alpha=0.0, batch_size=50).fit(X[:50], y[:50]),
    "partial_fit": lambda model, X, y: model.partial_fit(X, y, **_classes(model)),
    "partial_fit of a step": lambda model, X, y: model.partial_fit(X[:50], y[:50], **_classes(model)),
    "partial_fit again": lambda model, X, y: _calm(model, X, y).partial_fit(X, y),
    "a stream": lambda model, X, y: model.set_params(tol=None, max_iter=2, alpha=0.0).fit(
        BatchSource(lambda: [(X[:200], y[:200]), (X[200:], y[200:])], buffer_bytes=100)
    ),
}


def _classes(model):
    return {"classes": [False, True]} if isinstance(model, VectorFlowClassifier) else {}


def _calm(model, X, y):
    rate = model.learning_rate
    return model.set_params(learning_rate=1e-3).partial_fit(X, y, **_classes(model)).set_params(learning_rate=rate)


@pytest.mark.parametrize("way", WAYS_TO_TRAIN)
@pytest.mark.parametrize("optimizer, classes", [("sgd", True), ("adagrad", True), ("adagrad", False)])
def test_huge_but_finite_weights_are_told_however_one_trains(rows, way, optimizer, classes):
    X, score = rows
    y = score > np.median(score) if classes else score
    options = {"optimizer": optimizer, "learning_rate": 1e15, "random_state": 0}
    model = (VectorFlowClassifier if classes else VectorFlowRegressor)(**options)
    with pytest.warns(ConvergenceWarning, match="ended worse than it began"):
        WAYS_TO_TRAIN[way](model, X, y)
    assert all(np.isfinite(coef).all() for coef in model.coefs_)


def test_other_rows_than_before_are_no_blow_up(rows):
    X, score = rows
    model = VectorFlowRegressor(random_state=0)
    for shift in (0.0, 5.0, -5.0):
        for start in range(20):
            model.partial_fit(X[start : start + 1], score[start : start + 1] + shift * score.std())


def test_a_loss_that_still_falls_at_max_iter_is_told(rows):
    X, score = rows
    slow = {"optimizer": AdaGrad(0.05), "random_state": 0}
    with pytest.warns(ConvergenceWarning, match="still falling by more than tol when .* max_iter=4"):
        VectorFlowRegressor(max_iter=4, **slow).fit(X, score)
    for quiet in (
        {"tol": None, "max_iter": 4},
        {"max_iter": 1},
        {"max_iter": 2},
        {"max_iter": 4, "n_iter_no_change": 4},
    ):
        VectorFlowRegressor(**quiet, **slow).fit(X, score)  # asked for so many epochs
    model = VectorFlowRegressor(**slow)
    for _ in range(4):
        model.partial_fit(X, score)


def test_a_fit_that_stops_by_itself_is_silent(rows):
    X, score = rows
    noise = np.random.default_rng(0).normal(size=N_ROWS)
    for y in (score, score + noise, noise):
        assert VectorFlowRegressor(random_state=0).fit(X, y).n_iter_ < 20
        assert VectorFlowClassifier(random_state=0).fit(X, y > 0).n_iter_ < 20


@pytest.mark.parametrize("rate", [1e300, 1e39])
def test_numbers_that_single_precision_does_not_hold_are_refused(rows, rate):
    X, score = rows
    for options, name in (
        ({"learning_rate": rate}, "VectorFlowRegressor: learning_rate"),
        ({"optimizer": AdaGrad(rate)}, "AdaGrad: learning_rate"),
        ({"optimizer": AdaGrad(epsilon=rate)}, "AdaGrad: epsilon"),
        ({"optimizer": SGD(rate)}, "SGD: learning_rate"),
        ({"optimizer": FTRL(1.0, beta=rate)}, "FTRL: beta"),
    ):
        with pytest.raises(ValueError, match=rf"{name} must be in \(0, 1e\+38\], got 1e"):
            VectorFlowRegressor(**options).fit(X, score)
    with pytest.raises(ValueError, match=r"alpha must be in \[0, 1e\+38\]"):
        VectorFlowRegressor(alpha=rate).fit(X, score)
    with pytest.raises(ValueError, match=r"L2: strength must be in \[0, 1e\+38\]"):
        VectorFlowRegressor(penalty=L2(rate)).fit(X, score)


# ---- times and events ----------------------------------------------------------------------------


def test_events_may_be_floats(rows):
    X, score = rows
    event, time = score < 1, np.exp(score)
    models = [
        VectorFlowSurvivalEstimator(max_iter=2, random_state=0).fit(X, (kind(event), time))
        for kind in (np.array, np.float64)
    ]
    assert_array_equal(models[0].coef_, models[1].coef_)
