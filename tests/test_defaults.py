"""What parameters that are None or "auto" stand for, and that defaults have no units."""

import math

import numpy as np
import pytest
from scipy import sparse
from sklearn.linear_model import Ridge
from sklearn.metrics import log_loss

from sklearn_vectorflow import VectorFlowClassifier, VectorFlowRegressor, VectorFlowSurvivalEstimator
from sklearn_vectorflow.defaults.columns import unlike_columns
from sklearn_vectorflow.defaults.evidence import likely_prior, mean_strength
from sklearn_vectorflow.defaults.laplace import Model
from sklearn_vectorflow.defaults.scales import CLEAR_SIGNAL, FEW_TELL, PRIOR, SMALLEST_SHARE
from sklearn_vectorflow.optimizers import FTRL, AdaGrad
from sklearn_vectorflow.training.stopping import Stopping

from datasets import load, needs_data

N_ROWS, N_FEATURES = 900, 60  # few enough for all rows to be the sample

OPTIONS = {"random_state": 0, "max_iter": 3, "tol": None}


@pytest.fixture(scope="module")
def rows():
    """Unit rows of clear signal, and their scores."""
    rng = np.random.default_rng(0)
    X = sparse.random_array((N_ROWS, N_FEATURES), density=0.1, rng=rng, format="csr", dtype=np.float64)
    X.data += 0.5
    return sparse.csr_matrix(X, dtype=np.float32), X @ rng.normal(size=N_FEATURES)


def median_length(X):
    lengths = np.sqrt(np.asarray(X.multiply(X).sum(axis=1)).ravel())
    lengths = np.sort(lengths[lengths > 0])
    return lengths[(len(lengths) + 1) // 2 - 1]


def assert_same_weights(model, expected, rtol=1e-5):
    np.testing.assert_allclose(model.coef_, expected.coef_, rtol=rtol, atol=1e-6 * np.abs(expected.coef_).max())
    np.testing.assert_allclose(model.intercept_, expected.intercept_, rtol=rtol, atol=1e-6)


def prior_of(gradient, curvature, weight):
    """The guide's formula."""
    telling = np.abs(gradient).mean() ** 2 / np.mean(gradient**2) * N_ROWS
    return max(PRIOR, 1 / (1 + telling / FEW_TELL)) * np.mean(gradient**2) / curvature / weight**2


def test_defaults_of_least_squares_are_those_of_the_guide(rows):
    X, score = rows
    y = 10 * score + np.random.default_rng(1).normal(size=N_ROWS)
    rate = y.std() / median_length(X)
    prior = prior_of(y.mean() - y, 1, rate)
    expected = VectorFlowRegressor(optimizer=FTRL(rate, beta=rate * prior), alpha=prior / N_ROWS, **OPTIONS).fit(X, y)
    assert_same_weights(VectorFlowRegressor(**OPTIONS).fit(X, y), expected)


def test_defaults_of_classification_are_those_of_the_guide(rows):
    X, score = rows
    y = (score > 0.5).astype(int)
    share = y.mean()
    log_odds = np.log(share / (1 - share))
    above, below = (1 / (1 + np.exp(-log_odds - step)) for step in (1, -1))
    rate = 1 / median_length(X)
    prior = prior_of(share - y, (above - below) / 2, rate)
    expected = VectorFlowClassifier(optimizer=FTRL(rate, beta=rate * prior), alpha=prior / N_ROWS, **OPTIONS).fit(X, y)
    assert_same_weights(VectorFlowClassifier(**OPTIONS).fit(X, y), expected)


def test_noise_makes_weights_small(rows):
    X, score = rows
    rng = np.random.default_rng(1)
    clear, vague = (VectorFlowRegressor(max_iter=1).fit(X, y).network_.scales for y in (score, rng.normal(size=N_ROWS)))
    assert vague.weight * score.std() / clear.weight == pytest.approx(SMALLEST_SHARE, rel=0.1)
    held = [one.prior / max(PRIOR, 1 / (1 + one.telling / FEW_TELL)) for one in (clear, vague)]
    assert held[1] == pytest.approx(held[0] / SMALLEST_SHARE**2)


@pytest.mark.parametrize("strength", [1.0, 100.0])
@pytest.mark.parametrize("unit", [1.0, 1000.0])
def test_few_rows_tell_the_strength_that_they_come_from(strength, unit):
    found = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        X = rng.normal(size=(150, 30))
        y = unit * (5.0 + X @ rng.normal(scale=strength**-0.5, size=30) + rng.normal(size=150))[:, None]
        rows, weight = sparse.csr_matrix(X), np.ones(150)
        found.append(np.log(likely_prior(rows, y - y.mean(), weight, 10.0, True) / strength))
        doubled = likely_prior(sparse.vstack([rows, rows]), np.tile(y, (2, 1)), np.repeat([1.0, 0.0], 150), 10.0, True)
        assert np.log(doubled / strength) == pytest.approx(
            found[-1], abs=1e-3
        )  # the mean and rows of no weight tell none
    assert abs(np.mean(found)) < 0.4


def normal_rows(n_rows):
    """Rows, targets of them, and squared errors as `laplace_prior` gets them."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n_rows, 4))
    y = X @ rng.normal(size=4) + rng.normal(size=n_rows)

    def evaluate(shift):
        return 0.5 * np.sum((y - shift) ** 2), shift - y, np.ones(n_rows)

    return X, y, evaluate


def test_the_likelihood_of_normal_targets_is_exact():
    X, y, evaluate = normal_rows(12)
    found, expected = [], []
    for strength in (0.1, 1.0, 10.0):
        covariance = X @ X.T / strength
        found.append(Model(evaluate, covariance, True).log_likelihood())
        precision = np.linalg.inv(covariance + np.eye(12))
        of_intercept = precision.sum(axis=0)
        free = precision - np.outer(of_intercept, of_intercept) / of_intercept.sum()
        expected.append(0.5 * np.linalg.slogdet(precision)[1] - 0.5 * np.log(of_intercept.sum()) - 0.5 * y @ free @ y)
    np.testing.assert_allclose(found, expected, rtol=1e-9)


@pytest.mark.parametrize("fit_intercept", [True, False])
def test_rows_that_are_left_out_are_predicted_from_the_others(fit_intercept):
    X, y, evaluate = normal_rows(12)
    model = Model(evaluate, X @ X.T / 2.0, fit_intercept)
    model.log_likelihood()
    expected = 0.0
    for row in range(12):
        others = np.arange(12) != row
        ridge = Ridge(2.0, fit_intercept=fit_intercept).fit(X[others], y[others])
        expected += 0.5 * (y[row] - ridge.predict(X[[row]])[0]) ** 2
    assert model.left_out(np.ones(12)) == pytest.approx(expected, rel=1e-9)


def test_strengths_are_averaged_by_what_they_leave_of_a_model():
    spread, strengths = np.array([1.0, 3.0]), np.log([0.01, 0.1, 1.0, 10.0])
    nowhere = np.full(4, -math.inf)
    one = np.where(np.arange(4) == 1, 0.0, nowhere)
    assert mean_strength(2.0, 2.5, strengths, one, -math.inf, spread) == pytest.approx(0.2, rel=1e-5)
    with_constant = mean_strength(2.0, 2.5, strengths, one, 0.0, spread)
    assert with_constant > 1.0  # since a constant model leaves nothing
    assert mean_strength(2.0, 2.5, strengths, one, 0.0, spread, is_worse=np.isfinite(one)) > 1e1


@pytest.mark.parametrize("signal", [0.0, 4.0])
def test_weights_of_few_rows_below_one_leave_their_signal(signal):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 3))
    y = (signal * X[:, 0] + rng.logistic(size=60) > 1.0).astype(int)
    strengths = [
        np.log(VectorFlowClassifier(class_weight=weight, random_state=0).fit(X, y).network_.scales.prior)
        for weight in (None, "balanced")
    ]
    assert strengths[1] == pytest.approx(strengths[0], abs=1.0)


def test_copies_of_few_rows_are_as_likely_as_weights():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(20, 3)), np.arange(20) % 2
    weight = np.where(np.arange(20) < 10, 2.0, 1.0)
    copied = np.r_[np.arange(20), np.arange(10)]
    by_weight = VectorFlowClassifier(random_state=0).fit(X, y, weight).network_.scales.prior
    by_copies = VectorFlowClassifier(random_state=0).fit(X[copied], y[copied]).network_.scales.prior
    assert by_weight == pytest.approx(by_copies, rel=0.02)


def test_which_columns_are_unlike():
    rng = np.random.default_rng(0)
    ones = (rng.random((1000, 40)) < rng.uniform(0.001, 0.999, 40)).astype(float)
    numbers = rng.normal(size=(1000, 3))
    assert unlike_columns(sparse.csr_matrix(ones)) is None
    assert unlike_columns(sparse.csr_matrix(np.hstack([ones, numbers]))) is None
    assert unlike_columns(sparse.csr_matrix((1000, 3))) is None
    assert unlike_columns(sparse.csr_matrix(np.hstack([np.tile(ones, 20), 1000 * numbers]))) is None  # of many columns
    np.testing.assert_allclose(unlike_columns(sparse.csr_matrix(numbers + 30.0)), numbers.std(axis=0), rtol=1e-6)
    few = np.hstack([ones[:, :1] * 0.0, (rng.random((1000, 1)) < 0.1), 1000 * numbers[:, :1]])
    none, rare, large = unlike_columns(sparse.csr_matrix(few))
    assert 0.9 < rare < 1.0 < none < large == pytest.approx(1000, rel=0.1)


def test_the_signal_is_that_of_the_model_rows_come_from():
    """Scores of standard deviation one under noise of standard deviation one."""
    rng = np.random.default_rng(0)
    X = sparse.random_array((4000, 500), density=0.04, rng=rng, format="csr", data_sampler=rng.standard_normal)
    score = X @ rng.normal(size=500)
    y = score / score.std() + rng.normal(size=4000)
    share = VectorFlowRegressor(max_iter=1).fit(X, y).network_.scales.weight * median_length(X) / y.std()
    assert share == pytest.approx(1 / CLEAR_SIGNAL, rel=0.25)


@pytest.mark.parametrize("optimizer", ["auto", "adagrad"])
def test_units_of_rows_and_targets_do_not_matter(rows, optimizer):
    X, score = rows
    options = {"optimizer": optimizer, "random_state": 0, "fit_intercept": False}
    one = VectorFlowRegressor(**options).fit(X, score)
    other = VectorFlowRegressor(**options).fit(X * np.float32(2**10), score * 2**5)
    assert one.n_iter_ == other.n_iter_ < 20
    np.testing.assert_allclose(other.coef_ * 2**5, one.coef_, rtol=1e-5, atol=1e-6)
    labels = score > 0.5
    one = VectorFlowClassifier(**options).fit(X, labels)
    other = VectorFlowClassifier(**options).fit(X * np.float32(2**10), labels)
    np.testing.assert_allclose(other.coef_ * 2**10, one.coef_, rtol=1e-5, atol=1e-6)


def test_batches_are_damped_as_rows_are(rows):
    X, score = rows
    steps = VectorFlowRegressor(batch_size=30, **OPTIONS).fit(X, score)
    scales = steps.network_.scales
    optimizer = FTRL(scales.weight, beta=scales.weight * scales.prior / 30)
    expected = VectorFlowRegressor(batch_size=30, optimizer=optimizer, alpha=scales.prior / N_ROWS, **OPTIONS)
    assert_same_weights(steps, expected.fit(X, score), rtol=1e-6)


def test_auto_is_ftrl_for_linear_models_alone(rows):
    X, score = rows
    y = score > 0.5

    def same(one, other, **options):
        first, second = (VectorFlowClassifier(optimizer=name, **options, **OPTIONS).fit(X, y) for name in (one, other))
        return all(np.array_equal(a, b) for a, b in zip(first.coefs_, second.coefs_))

    assert same("auto", "ftrl")
    assert same("auto", "adagrad", average=True)
    assert same("auto", "adagrad", hidden_layer_sizes=(4,))
    assert not same("auto", "adagrad")


def test_more_rows_may_follow_in_partial_fit(rows):
    """The prior is one for all rows, and a block says nothing of how many there will be."""
    X, score = rows
    plain, none = (VectorFlowRegressor(alpha=alpha, random_state=0).partial_fit(X, score) for alpha in (None, 0.0))
    np.testing.assert_array_equal(plain.coef_, none.coef_)


def test_nets_have_ten_times_the_prior_over_their_outputs(rows):
    X, score = rows
    for y, n_outputs in ((score, 1), (np.column_stack([score, -score]), 2)):
        plain = VectorFlowRegressor((4,), **OPTIONS).fit(X, y)
        alpha = 10 / n_outputs * plain.network_.scales.prior / X.shape[0]
        given = VectorFlowRegressor((4,), alpha=alpha, **OPTIONS).fit(X, y)
        for one, other in zip(plain.coefs_, given.coefs_):
            np.testing.assert_array_equal(one, other)


def test_weights_of_rows_are_repetitions_in_the_units():
    rng = np.random.default_rng(0)
    X, y, times = rng.normal(size=(40, 3)), rng.normal(size=40), rng.integers(0, 3, 40)
    weighted = VectorFlowRegressor(max_iter=1).fit(X, y, sample_weight=times).network_.scales
    repeated = VectorFlowRegressor(max_iter=1).fit(np.repeat(X, times, 0), np.repeat(y, times)).network_.scales
    for name in ("weight", "loss", "prior"):
        assert getattr(weighted, name) == pytest.approx(getattr(repeated, name))


def test_stopping_counts_in_typical_losses():
    patient, eager = Stopping(0.01, 1, 1.0), Stopping(0.01, 1, 100.0)
    assert not patient.should_stop(10.0) and not eager.should_stop(10.0)
    assert not patient.should_stop(9.5)
    assert eager.should_stop(9.5)


def test_stopping_counts_in_what_is_left_of_a_small_loss():
    near = Stopping(0.01, 1, 1.0)  # 0.01 of five times 0.02 is 0.001
    assert not near.should_stop(0.02) and not near.should_stop(0.018)
    assert near.should_stop(0.0175)


def test_stopping_counts_in_half_of_the_loss_of_held_out_rows():
    held_out = Stopping(0.01, 1, 1.0, n_held_out=1000)  # 0.01 of half of 0.2 is 0.001
    assert not held_out.should_stop(0.2) and not held_out.should_stop(0.1985)
    assert held_out.should_stop(0.198)


def test_few_held_out_rows_are_given_an_epoch_more():
    for n_held_out, patience in ((None, 2), (1000, 2), (999, 3), (30, 3)):
        stopping = Stopping(0.01, 2, 1.0, n_held_out=n_held_out)
        stopping.should_stop(1.0)
        assert next(n for n in range(1, 100) if stopping.should_stop(1.0)) == patience


def test_losses_below_zero_are_counted_in_typical_losses():
    density = Stopping(0.01, 1, 1.0)
    assert not density.should_stop(-3.0) and not density.should_stop(-3.02)
    assert density.should_stop(-3.025)


def test_epochs_of_few_steps_are_given_more_of_them():
    for steps, patience in ((1, 64), (16, 4), (40, 2), (64, 2), (1000, 2)):
        stopping = Stopping(0.01, 2, 1.0, steps)
        stopping.should_stop(1.0)
        waited = next(n for n in range(1, 100) if stopping.should_stop(1.0))
        assert waited == patience


@needs_data
def test_defaults_are_near_the_best_of_a_grid():
    """Log losses of test rows: of scikit-learn's models over grids of strengths, by benchmarks/untuned.py."""
    for name, best in (("a9a", 0.3237), ("rcv1_small", 0.2845)):
        data = load(name)
        X, Xt = data["X"], data["Xt"]
        Xt.resize(Xt.shape[0], X.shape[1])
        model = VectorFlowClassifier(random_state=0).fit(X, data["y"])
        assert log_loss(data["yt"], model.predict_proba(Xt)) < 1.02 * best


def test_learning_rate_of_adagrad_is_in_units_of_weights(rows):
    X, score = rows
    plain = VectorFlowRegressor(optimizer="adagrad", **OPTIONS).fit(X, score)
    rate = 0.4 * plain.network_.scales.weight
    assert_same_weights(plain, VectorFlowRegressor(optimizer=AdaGrad(rate), **OPTIONS).fit(X, score))


@pytest.mark.parametrize("seed", [13, 25])
def test_rows_that_speak_for_a_constant_model_leave_a_finite_strength(seed):
    X, y = np.random.default_rng(seed).normal(size=(20, 4)), np.arange(20) < 2
    model = VectorFlowClassifier(loss="modified_huber", random_state=0).fit(X, y)
    assert np.all(np.isfinite(model.coef_))


def test_a_strength_beyond_single_precision_is_the_largest_within_it():
    rng = np.random.default_rng(0)
    X, y = 1e8 * rng.normal(size=(30, 4)), 1e-12 * rng.normal(size=30)
    assert np.all(np.isfinite(VectorFlowRegressor(loss="huber", random_state=0).fit(X, y).coef_))


def test_few_rows_with_one_of_other_units_have_a_strength():
    rng = np.random.default_rng(0)
    X, noise = rng.normal(size=(60, 4)), rng.normal(size=60)
    times = np.exp(X.sum(axis=1) + noise)
    X[0] *= 1e4
    y = np.rec.fromarrays([np.arange(60) % 2 == 0, times], names="event,time")
    model = VectorFlowSurvivalEstimator("exponential", random_state=0).fit(X, y)
    assert np.all(np.isfinite(model.coef_))
