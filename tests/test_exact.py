"""solver="exact": the optimum of linear models, to the last digit that single precision keeps."""

import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from scipy.special import expit, softmax
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import (
    ElasticNet,
    GammaRegressor,
    LogisticRegression,
    PoissonRegressor,
    Ridge,
    TweedieRegressor,
)

from sklearn_vectorflow import VectorFlowClassifier, VectorFlowRanker, VectorFlowRegressor, threads
from sklearn_vectorflow.estimators.exact import EPOCHS
from sklearn_vectorflow.exact import compact, optimum
from sklearn_vectorflow.io import ArrowSource, BatchSource
from sklearn_vectorflow.layers import Input, Linear, ReLU
from sklearn_vectorflow.losses import HuberLoss, LogLoss, TweedieLoss
from sklearn_vectorflow.penalties import L1, L2, NonNegative
from sklearn_vectorflow.penalties import ElasticNet as ElasticNetPenalty

from datasets import load, needs_data

SINGLE = 2e-7  # of the largest weight, which single precision rounds by

DIGITS, DIGIT = load_digits(return_X_y=True)
N = len(DIGIT)
X = sparse.random_array((2_000, 300), density=0.05, rng=0, format="csr", dtype=np.float32)
WEIGHTS = np.random.default_rng(0).normal(size=300)
SIGNAL = X @ WEIGHTS
LABEL = (SIGNAL + np.random.default_rng(1).logistic(size=2_000) > 0).astype(int)
COUNT = np.random.default_rng(2).poisson(np.exp(0.3 * SIGNAL))
WEIGHT = np.random.default_rng(3).uniform(0.0, 2.0, size=2_000)


def exact(kind=VectorFlowClassifier, **params):
    return kind(solver="exact", random_state=0, **params)


def assert_same(found, expected, tolerance=SINGLE):
    """Weights agree to a share of the largest of them."""
    found, expected = np.ravel(found), np.ravel(expected)
    assert_allclose(found, expected, rtol=0, atol=tolerance * np.abs(expected).max())


def newton(X, y, alpha, weight=None, fit_intercept=True):
    """Weights and intercept of a logistic regression, by Newton's method in double precision."""
    A = np.column_stack([X, np.full(len(y), float(fit_intercept))])
    weight = np.ones(len(y)) if weight is None else weight
    penalty, w = np.append(np.full(X.shape[1], alpha), 0.0 if fit_intercept else 1.0), np.zeros(A.shape[1])
    for _ in range(20):
        p = expit(A @ w)
        gradient = A.T @ (weight * (p - y)) / weight.sum() + penalty * w
        if np.abs(gradient).max() < 1e-12:
            return w
        hessian = (A.T * (weight * p * (1 - p) / weight.sum())) @ A + np.diag(penalty + 1e-12)
        w -= np.linalg.solve(hessian, gradient)
    raise AssertionError("the reference did not converge")


def objective(model, X, y, alpha, l1_ratio=0.0):
    """The penalised mean log loss."""
    raw = X @ np.ravel(model.coef_).astype(float) + float(np.ravel(model.intercept_)[0])
    coef = np.ravel(model.coef_).astype(float)
    penalty = l1_ratio * np.abs(coef).sum() + (1 - l1_ratio) / 2 * coef @ coef
    return np.mean(np.logaddexp(0.0, raw) - y * raw) + alpha * penalty


# ---- against solvers that converge ----------------------------------------------------


def parameters_of(model, output=0):
    return np.append(np.atleast_2d(model.coef_)[output], model.intercept_[output])


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["alike", "weighted"])
def test_log_loss(weight, fit_intercept):
    model = exact(alpha=1e-3, fit_intercept=fit_intercept).fit(X, LABEL, weight)
    assert_same(parameters_of(model), newton(X.toarray(), LABEL, 1e-3, weight, fit_intercept))
    assert model.optimality_ <= 1e-8


def test_even_and_odd_digits():
    assert_same(parameters_of(exact(alpha=1e-3).fit(DIGITS, DIGIT % 2)), newton(DIGITS, DIGIT % 2, 1e-3))


@needs_data
@pytest.mark.parametrize("name", ["a9a", "phishing"])
def test_real_sets(name):
    data = load(name)
    rows, y = data["X"], data["y"] == data["y"].max()
    model = exact(alpha=1e-4).fit(rows, y)
    assert_same(parameters_of(model), newton(rows.toarray().astype(float), y, 1e-4), 1e-6)


@needs_data
@pytest.mark.parametrize("name", ["ins_bemtpl97", "ins_swmotorcycle"])
def test_frequencies_of_claims(name):
    """Rates with exposures as weights; the reference is at the optimum to a gradient of 1e-12 or so."""
    data, some = load(name), slice(None, None, 10)
    rows, exposure = data["X"][some], np.maximum(data["exposure"][some], 1e-3)
    rate = np.minimum(data["y"][some] / exposure, 100.0)
    model = exact(VectorFlowRegressor, loss="poisson", alpha=1e-3).fit(rows, rate, exposure)
    other = PoissonRegressor(alpha=1e-3, tol=1e-10, solver="newton-cholesky", max_iter=100)
    other.fit(rows.toarray().astype(float), rate, exposure)
    assert_same(parameters_of(model), np.append(other.coef_, other.intercept_), 1e-6)


def test_multinomial():
    model = exact(alpha=1e-3).fit(DIGITS, DIGIT)
    raw = DIGITS @ model.coef_.T.astype(float) + model.intercept_
    slope = softmax(raw, axis=1) - (DIGIT[:, None] == np.arange(10))
    assert np.abs(slope.T @ DIGITS / N + 1e-3 * model.coef_).max() < 1e-5  # inputs are up to 16
    assert np.abs(slope.mean(axis=0)).max() < 1e-6
    assert abs(model.intercept_.sum()) < 1e-6  # only differences count: they are centred


def test_multinomial_without_a_penalty():
    """Sums over the classes are free: they stay small, and are zero in the end."""
    rows = DIGITS[:, [10, 20, 28, 36, 42]] / 16
    for seed in range(12):
        y = np.digitize(rows.sum(axis=1) + np.random.default_rng(seed).logistic(size=N), [1.5, 3.0])
        model = exact(alpha=0.0).fit(rows, y)
        assert model.optimality_ <= 1e-8 and model.n_iter_ < 15
        assert np.abs(model.coef_.sum(axis=0)).max() < 1e-6
        slope = softmax(rows @ model.coef_.T.astype(float) + model.intercept_, axis=1) - (y[:, None] == np.arange(3))
        assert np.abs(slope.T @ rows).max() / N < 1e-6


def test_classes_one_by_one():
    model = exact(loss="one_vs_rest", alpha=1e-3).fit(DIGITS, DIGIT)
    for k in (3, 9):
        assert_same(parameters_of(model, k), newton(DIGITS, DIGIT == k, 1e-3))


def test_squared_error_of_several_targets():
    y = np.column_stack([DIGIT, DIGIT**2])
    model = exact(VectorFlowRegressor, alpha=1e-2).fit(DIGITS, y)
    other = Ridge(alpha=1e-2 * N, solver="cholesky").fit(DIGITS, y)
    assert_same(model.coef_, other.coef_)
    assert_allclose(model.intercept_, other.intercept_, rtol=1e-6)


@pytest.mark.parametrize(
    ("loss", "other", "y"),
    [
        ("poisson", PoissonRegressor(), COUNT),
        ("gamma", GammaRegressor(), COUNT + 0.5),
        (TweedieLoss(1.5), TweedieRegressor(power=1.5, link="log"), COUNT),
    ],
    ids=["poisson", "gamma", "tweedie"],
)
def test_regression_with_a_log_link(loss, other, y):
    rows = X[:, :40].toarray().astype(float)
    model = exact(VectorFlowRegressor, loss=loss, alpha=1e-2).fit(rows, y, WEIGHT)
    other.set_params(alpha=1e-2, tol=1e-6, solver="newton-cholesky").fit(rows, y, WEIGHT)
    assert_same(parameters_of(model), np.append(other.coef_, other.intercept_), 1e-4)
    coef = model.coef_.astype(float)
    _, slope = model._loss(y, rows @ coef + model.intercept_[0], WEIGHT)
    assert np.abs(rows.T @ slope.ravel() / WEIGHT.sum() + 1e-2 * coef).max() < 3e-7
    assert abs(slope.sum()) / WEIGHT.sum() < 3e-7


@pytest.mark.parametrize("alpha", [1e-2, 1e-4])
def test_l1_meets_the_conditions_of_the_optimum(alpha):
    rows, y = DIGITS / 16, DIGIT % 2
    model = exact(alpha=alpha, l1_ratio=1.0).fit(rows, y)
    coef = model.coef_[0].astype(float)
    slope = expit(rows @ coef + model.intercept_[0]) - y
    gradient, zero = rows.T @ slope / N, coef == 0
    assert 10 < zero.sum() < 60
    assert_allclose(gradient[~zero], -alpha * np.sign(coef[~zero]), atol=3e-7)
    assert np.abs(gradient[zero]).max() <= alpha + 3e-7
    assert abs(slope.mean()) < 1e-7


@needs_data
def test_l1_is_not_above_liblinear():
    data = load("rcv1_small")
    rows, y = data["X"].astype(float), (data["y"] > 0).astype(int)
    model = exact(alpha=1e-4, l1_ratio=1.0, fit_intercept=False).fit(rows, y)
    other = LogisticRegression(C=1 / (len(y) * 1e-4), l1_ratio=1, solver="liblinear", fit_intercept=False, tol=1e-9)
    other.set_params(max_iter=1_000).fit(rows, y)
    assert objective(model, rows, y, 1e-4, 1.0) <= objective(other, rows, y, 1e-4, 1.0) * (1 + 1e-7)


def test_l1_of_several_classes_is_at_its_optimum():
    alpha, rows = 1e-2, DIGITS / 16
    model = exact(alpha=alpha, l1_ratio=1.0).fit(rows, DIGIT)
    probability, target = model.predict_proba(rows).astype(float), DIGIT[:, None] == np.arange(10)
    gradient, coef = (probability - target).T @ rows / N, model.coef_
    assert 0 < np.count_nonzero(coef) < coef.size / 2
    assert_allclose(gradient[coef != 0], -alpha * np.sign(coef[coef != 0]), atol=1e-6)
    assert np.abs(gradient[coef == 0]).max() <= alpha + 1e-6


def test_elastic_net():
    model = exact(VectorFlowRegressor, alpha=0.1, l1_ratio=0.5).fit(DIGITS / 16, DIGIT)
    other = ElasticNet(alpha=0.1, l1_ratio=0.5, tol=1e-12, max_iter=100_000).fit(DIGITS / 16, DIGIT)
    assert_array_equal(model.coef_ == 0, other.coef_ == 0)
    assert_same(model.coef_, other.coef_, 1e-6)


# ---- penalties as objects ---------------------------------------------------------------


def ridge_of(rows, y, strengths, center):
    """Weights and intercept with a strength of L2 and a centre of every column, in closed form."""
    A = np.column_stack([rows, np.ones(len(rows))])
    penalty = np.diag(np.append(strengths, 0.0)) * len(rows)
    return np.linalg.solve(A.T @ A + penalty, A.T @ y + penalty @ np.append(center, 0.0))


def test_strengths_and_centres():
    rows, center = X.toarray().astype(float), np.random.default_rng(5).normal(size=300).astype(np.float32)
    strengths = np.random.default_rng(6).uniform(1e-4, 1e-2, size=300).astype(np.float32)
    y = SIGNAL + 1.0
    model = exact(VectorFlowRegressor, penalty=L2(strengths, center=center)).fit(X, y)
    expected = ridge_of(rows, y, strengths.astype(float), center)
    assert_same(np.append(model.coef_, model.intercept_), expected, 1e-6)


def test_l1_around_a_centre_reaches_it():
    center = WEIGHTS.astype(np.float32)
    model = exact(VectorFlowRegressor, penalty=L1(1e-2, center=center)).fit(X, X @ (WEIGHTS * (WEIGHTS > 0)))
    assert 10 < np.count_nonzero(model.coef_ == center) < 300


def test_columns_without_values_have_their_prior():
    wide = sparse.hstack([sparse.csr_array((2_000, 3)), X], format="csr")
    center = np.append([1.0, -2.0, 3.0], WEIGHTS)
    model = exact(VectorFlowRegressor, penalty=L2(1e-3, center=center)).fit(wide, SIGNAL)
    assert_allclose(model.coef_[:3], center[:3])
    model = exact(VectorFlowRegressor, penalty=[L2(1e-3), NonNegative(0.5)]).fit(wide, SIGNAL)
    assert_allclose(model.coef_[:3], 0.5)


def test_non_negative_weights_meet_the_conditions_of_the_optimum():
    model = exact(VectorFlowRegressor, penalty=[L2(1e-3), NonNegative()]).fit(X, SIGNAL)
    coef = model.coef_.astype(float)
    gradient = X.T @ (X @ coef + model.intercept_[0] - SIGNAL) / len(SIGNAL) + 1e-3 * coef
    assert coef.min() == 0 and 50 < np.count_nonzero(coef == 0) < 250
    assert np.abs(gradient[coef > 0]).max() < 1e-6
    assert gradient[coef == 0].min() > -1e-6


def test_elastic_net_with_strengths_of_columns():
    strengths = np.where(np.arange(300) < 150, 0.5, 1e-3)
    model = exact(penalty=ElasticNetPenalty(strengths, 0.5)).fit(X, LABEL)
    assert np.all(model.coef_[0, :150] == 0) and np.any(model.coef_[0, 150:])


def test_a_layer_brings_its_own_penalty():
    own = exact(network=Linear(penalty=L2(1e-2))(Input()), alpha=1.0).fit(X, LABEL)
    assert_array_equal(own.coef_, exact(alpha=1e-2).fit(X, LABEL).coef_)


# ---- what it does not depend on ---------------------------------------------------------


@pytest.mark.parametrize("l1_ratio", [0.0, 0.5])
@pytest.mark.parametrize("width", [300, 400_000])
def test_bits_do_not_depend_on_threads(width, l1_ratio):
    rng = np.random.default_rng(0)
    rows = sparse.random_array((20_000, width), density=60 / width, rng=rng, format="csr", dtype=np.float32)
    y = rows @ rng.normal(size=width) > 0
    models = [exact(alpha=1e-4, l1_ratio=l1_ratio, n_jobs=n_jobs).fit(rows, y) for n_jobs in (1, 2, 4)]
    for model in models[1:]:
        assert_array_equal(model.coef_, models[0].coef_)
        assert_array_equal(model.intercept_, models[0].intercept_)
        assert model.optimality_ == models[0].optimality_


def test_bits_of_the_start_do_not_depend_on_threads():
    rows = sparse.random_array((20_000, 300), density=0.2, rng=0, format="csr", dtype=np.float32)
    y = rows @ WEIGHTS > 0
    starts = [exact(alpha=1e-4, exact_tol=1.0, n_jobs=n_jobs).fit(rows, y) for n_jobs in (1, 2, 4)]
    for start in starts:
        assert start.n_iter_ == len(start.loss_curve_) == EPOCHS  # no Newton step
        assert_array_equal(start.coef_, starts[0].coef_)


def test_a_compact_copy_of_wide_rows_gives_the_same_model_with_any_number_of_threads(monkeypatch):
    rows = sparse.random_array((4_000, 60_000), density=4e-4, rng=0, format="csr", dtype=np.float32)
    y = rows @ np.random.default_rng(1).normal(size=60_000) > 0
    for name, size in (("CACHED", 1 << 12), ("COMMON", 1 << 12), ("WORTH", 1 << 14)):
        monkeypatch.setattr(compact, name, size)
    monkeypatch.setattr("sklearn_vectorflow.exact.design.CACHED", 1 << 12)
    monkeypatch.setattr(threads, "WORTHWHILE", 10_000)
    made = []
    monkeypatch.setattr(compact.CompactStore, "_groups_of_blocks", noting(made, compact.CompactStore._groups_of_blocks))
    coefs = [exact(alpha=1e-5, n_jobs=n_jobs).fit(rows, y).coef_ for n_jobs in (1, 2, 4)]
    assert made
    assert_array_equal(coefs[1], coefs[0])
    assert_array_equal(coefs[2], coefs[0])
    monkeypatch.setattr(compact, "WORTH", np.inf)
    assert_same(exact(alpha=1e-5).fit(rows, y).coef_, coefs[0], 1e-6)


def noting(calls, function):
    """Return a method that notes its calls in a list."""

    def noted(self, *args):
        calls.append(args)
        return function(self, *args)

    return noted


def test_bits_of_several_classes_do_not_depend_on_threads():
    rows, y = np.tile(DIGITS[:, 10:30], (4, 1)), np.tile(DIGIT, 4)
    coefs = [exact(alpha=1e-3, n_jobs=n_jobs).fit(rows, y).coef_ for n_jobs in (1, 2)]
    assert_array_equal(*coefs)


def test_order_of_rows_and_seeds_do_not_matter():
    order = np.random.default_rng(0).permutation(len(LABEL))
    model = exact(alpha=1e-3).fit(X, LABEL)
    for other in (
        exact(alpha=1e-3).fit(X[order], LABEL[order]),
        exact(alpha=1e-3).set_params(random_state=7).fit(X, LABEL),
    ):
        assert_same(other.coef_, model.coef_)


@pytest.mark.parametrize(
    "convert",
    [
        lambda X: X.toarray(),
        lambda X: X.toarray().astype(np.float64),
        lambda X: X.astype(np.float64),
        sparse.csc_array,
        lambda X: sparse.csr_array((X.data, X.indices.astype(np.int64), X.indptr.astype(np.int64)), X.shape),
        lambda X: sparse.hstack([X, sparse.csr_array((len(LABEL), 500_000))], format="csr"),
    ],
    ids=["dense", "dense doubles", "doubles", "columns", "wide indices", "many columns"],
)
def test_forms_of_the_matrix(convert):
    model = exact(alpha=1e-3).fit(convert(X), LABEL)
    assert_same(model.coef_[:, :300], exact(alpha=1e-3).fit(X, LABEL).coef_)


def test_repeated_columns_are_their_sum():
    doubled = sparse.csr_array(
        (np.repeat(X.data / 2, 2), np.repeat(X.indices, 2), 2 * X.indptr), shape=X.shape, dtype=np.float32
    )
    assert_same(exact(alpha=1e-3).fit(doubled, LABEL).coef_, exact(alpha=1e-3).fit(X, LABEL).coef_)


def test_double_precision_of_x_counts():
    rows = DIGITS / 16 + 1e-9 * np.random.default_rng(0).normal(size=DIGITS.shape)
    y = rows @ np.arange(64.0) + 1e3
    other = Ridge(alpha=1e-6 * N, solver="cholesky").fit(rows, y)
    assert_same(exact(VectorFlowRegressor, alpha=1e-6).fit(rows, y).coef_, other.coef_)


# ---- losses of users ------------------------------------------------------------------------


def test_a_loss_of_the_user():
    def pseudo_huber(y, raw, sample_weight):
        error = raw - y
        root = np.sqrt(1.0 + error**2)
        return np.sum(sample_weight * (root - 1.0)), sample_weight * error / root

    y = SIGNAL + np.random.default_rng(0).standard_cauchy(2_000)
    model = exact(VectorFlowRegressor, loss=pseudo_huber, alpha=1e-3).fit(X, y)
    coef = model.coef_.astype(float)
    error = X @ coef + model.intercept_[0] - y
    slope = error / np.sqrt(1.0 + error**2)
    assert np.abs(X.T @ slope / len(y) + 1e-3 * coef).max() < 1e-7
    assert abs(slope.mean()) < 1e-7


def test_a_loss_may_have_attributes_of_any_name():
    class Ordered(LogLoss):
        order = 2

    assert_same(parameters_of(exact(loss=Ordered(), alpha=1e-3).fit(X, LABEL)), newton(X.toarray(), LABEL, 1e-3))


def test_a_loss_with_kinks_in_its_gradient():
    model = exact(VectorFlowRegressor, loss=HuberLoss(0.5), alpha=1e-3).fit(X, SIGNAL + (LABEL > 0))
    error = X @ model.coef_.astype(float) + model.intercept_[0] - SIGNAL - (LABEL > 0)
    assert np.abs(X.T @ np.clip(error, -0.5, 0.5) / 2_000 + 1e-3 * model.coef_).max() < 1e-7


# ---- sources ----------------------------------------------------------------------------------


@pytest.mark.parametrize("l1_ratio", [0.0, 0.7])
def test_a_source_gives_the_model_of_rows_in_memory(l1_ratio):
    passes = []

    def blocks():
        passes.append(1)
        for start in range(0, 2_000, 300):
            yield X[start : start + 300], LABEL[start : start + 300], WEIGHT[start : start + 300]

    source = BatchSource(blocks, buffer_bytes=20_000)
    params = {"alpha": 1e-3, "l1_ratio": l1_ratio, "shuffle": False}
    streamed, kept = exact(**params).fit(source), exact(**params).fit(X, LABEL, WEIGHT)
    assert_same(streamed.coef_, kept.coef_, 1e-6)
    assert_array_equal(streamed.coef_ == 0, kept.coef_ == 0)
    assert streamed.n_passes_ <= len(passes) <= streamed.n_passes_ + 2  # and the survey of rows before


def test_a_source_that_can_be_read_once_is_refused():
    pa = pytest.importorskip("pyarrow")
    table = pa.table({"a": SIGNAL, "y": LABEL})
    reader = pa.RecordBatchReader.from_batches(table.schema, table.to_batches(max_chunksize=100))
    source = ArrowSource(reader, "y", buffer_bytes=1_000, classes=[0, 1])
    with pytest.raises(ValueError, match="solver='exact' needs a source that can be read more than once"):
        exact(max_iter=1).fit(source)


def test_a_source_of_other_rows_in_a_later_pass_is_refused():
    for n_rows, message in ((1_900, "fewer"), (2_000 + 300, "more")):
        passes = []

        def blocks():
            passes.append(1)
            many = n_rows if len(passes) > 8 else 2_000
            for start in range(0, many, 300):
                rows = np.arange(start, min(start + 300, many)) % 2_000
                yield X[rows], LABEL[rows]

        with pytest.raises(ValueError, match=f"The source gave {message} rows than in its first pass"):
            exact(alpha=1e-3).fit(BatchSource(blocks, buffer_bytes=20_000))


# ---- what is said ----------------------------------------------------------------------------


def test_what_is_said_of_convergence(capsys):
    model = exact(alpha=1e-3, verbose=1).fit(X, LABEL)
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("exact")]
    assert len(lines) == model.n_iter_ - len(model.loss_curve_) + 1
    assert model.n_passes_ > model.n_iter_
    with pytest.warns(ConvergenceWarning, match="Increase exact_max_iter"):
        short = exact(alpha=1e-6, exact_max_iter=1).fit(X, LABEL)
    assert short.optimality_ > 1e-8


PENALTIES_WITH_GAPS = {
    "L2": L2(1e-3),
    "elastic net": ElasticNetPenalty(1e-3, 0.5),
    "non-negative": [L2(1e-3), NonNegative()],
    "centred": L2(1e-3, center=0.1 * WEIGHTS[None]),
    "uneven": L2(1e-3 * np.linspace(0.1, 2.0, 300)),
}


@pytest.mark.parametrize("penalty", PENALTIES_WITH_GAPS.values(), ids=PENALTIES_WITH_GAPS)
@pytest.mark.parametrize(
    "loss", ["log_loss", "squared_hinge", "poisson", "squared_error", HuberLoss(0.5), "multinomial"]
)
def test_the_duality_gap_bounds_the_distance_from_the_minimum(loss, penalty, capsys):
    """`verbose` prints the objective of every step."""
    kind, y = (VectorFlowClassifier, LABEL) if loss in ("log_loss", "squared_hinge") else (VectorFlowRegressor, COUNT)
    if loss == "multinomial":
        kind, y = VectorFlowClassifier, np.minimum(COUNT, 2)
        if penalty is PENALTIES_WITH_GAPS["centred"]:
            penalty = L2(1e-3, center=0.1 * np.tile(WEIGHTS, (3, 1)))

    def objective_of(tol):
        loss_of_it = "log_loss" if loss == "multinomial" else loss
        model = exact(kind, loss=loss_of_it, penalty=penalty, exact_tol=tol, max_iter=1, verbose=1).fit(X, y)
        last = [line for line in capsys.readouterr().out.splitlines() if line.startswith("exact")][-1]
        return model, float(last.split("objective ")[1].split(",")[0])

    best = objective_of(1e-12)[1]
    for tol in (0.5, 1e-2):
        model, value = objective_of(tol)
        assert value - best <= model.duality_gap_ + 1e-9 * best  # ten digits are printed
        assert model.duality_gap_ <= 100 * (value - best) + 1e-8 * best
    assert model.set_params(exact_tol=1e-10).fit(X, y).duality_gap_ < 1e-12


def test_where_there_is_no_duality_gap():
    assert np.isnan(exact(alpha=1e-3, l1_ratio=1.0).fit(X, LABEL).duality_gap_)
    assert np.isnan(exact(penalty=L2(1e-3 * np.arange(300))).fit(X, LABEL).duality_gap_)  # one weight is free
    loss = TweedieLoss(2.5)  # not convex
    assert np.isnan(exact(VectorFlowRegressor, loss=loss, alpha=1e-2).fit(X, COUNT + 1.0).duality_gap_)


def test_no_minimum_is_said_to_be_none():
    y = SIGNAL > 0
    with pytest.warns(ConvergenceWarning, match="exact_tol"):
        model = exact(alpha=0.0, exact_max_iter=15).fit(X, y)
    assert np.all(np.isfinite(model.coef_))
    with pytest.warns(ConvergenceWarning, match="No step lowers the objective any more"):
        exact(VectorFlowRegressor, alpha=0.0, exact_tol=0.0).fit(X, SIGNAL + LABEL)


@pytest.mark.parametrize(("rows", "y"), [(sparse.csr_array(X.shape), LABEL), (X, np.ones(2_000))], ids=["rows", "y"])
@pytest.mark.parametrize("l1_ratio", [0.0, 1.0])
def test_nothing_to_learn_is_learnt_at_once(rows, y, l1_ratio):
    model = exact(VectorFlowRegressor, alpha=0.1, l1_ratio=l1_ratio).fit(rows, y)
    assert model.optimality_ <= 1e-8
    assert_allclose(model.predict(rows), np.full(2_000, y.mean()), rtol=1e-6)


def test_stochastic_steps_that_diverge_do_no_harm():
    params = {"optimizer": "sgd", "learning_rate": 1e30, "alpha": 1e-3}
    with pytest.raises(ValueError, match="diverged"):
        VectorFlowRegressor(random_state=0, **params).fit(X, SIGNAL)
    model = exact(VectorFlowRegressor, **params).fit(X, SIGNAL)
    assert_same(model.coef_, exact(VectorFlowRegressor, alpha=1e-3).fit(X, SIGNAL).coef_)
    assert model.loss_curve_ == []


def test_sgd_after_exact_forgets_what_was_said():
    model = exact(alpha=1e-3).fit(X, LABEL)
    model.set_params(solver="sgd").fit(X, LABEL)
    assert not any(hasattr(model, name) for name in ("optimality_", "duality_gap_", "n_passes_"))


def test_a_warm_start_is_at_the_optimum():
    model = exact(alpha=1e-3, warm_start=True).fit(X, LABEL)
    before = model.coef_.copy()
    assert_same(model.fit(X, LABEL).coef_, before)


def test_stochastic_steps_go_on_from_the_optimum():
    model = exact(alpha=1e-3).fit(X, LABEL)
    before = model.coef_.copy()
    model.partial_fit(X[:1], LABEL[:1])
    assert 0 < np.abs(model.coef_ - before).max() < 0.5


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (exact(hidden_layer_sizes=(3,)), "linear models"),
        (exact(network=Linear()(ReLU()(Linear(3)(Input())))), "linear models"),
        (exact(input_dropout=0.5), "input_dropout=0"),
        (exact(early_stopping=True), "early_stopping=False"),
        (exact(loss="hinge"), "continuous gradient"),
        (exact(loss="sampled_softmax"), "only some"),
        (exact(network=Linear(frozen=True)(Input())), "not frozen"),
        (exact(VectorFlowRegressor, loss="absolute_error"), "continuous gradient"),
        (exact(VectorFlowRegressor, loss="quantile"), "continuous gradient"),
    ],
)
def test_what_has_no_exact_optimum_is_refused(model, message):
    with pytest.raises(ValueError, match=f"solver='exact' needs .*{message}"):
        model.fit(X, LABEL)
    assert not hasattr(model, "network_")


def test_rankings_are_refused():
    with pytest.raises(ValueError, match="solver='exact' needs a loss of single rows"):
        exact(VectorFlowRanker).fit(X, LABEL, qid=np.arange(2_000) // 20)


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ({"solver": "newton"}, ValueError, "solver must be one of"),
        ({"exact_tol": -1.0}, ValueError, "exact_tol must be in"),
        ({"exact_tol": "small"}, TypeError, "exact_tol must be a number"),
        ({"exact_max_iter": 0}, ValueError, "exact_max_iter"),
    ],
)
def test_parameters_are_checked(params, error, message):
    with pytest.raises(error, match=message):
        VectorFlowClassifier(**params).fit(X, LABEL)


def test_a_start_that_is_worse_than_no_weights_is_left():
    """Weights that a fit starts from may be those of other rows."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 8))
    y = X @ rng.normal(size=8) + rng.normal(size=300) > 0
    options = {"solver": "exact", "alpha": 1e-3, "random_state": 0}
    exact = VectorFlowClassifier(**options).fit(X, y)
    network = exact.network_
    starts = []
    as_it_is = optimum.Problem.start

    def start(problem):
        weights = [-1e6 * np.ones_like(one) for one in network.weights()]
        problem.network.set_weights(weights, problem.network.intercepts())
        starts.append(as_it_is(problem))
        return starts[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(optimum.Problem, "start", start)
        again = VectorFlowClassifier(**options).fit(X, y)
    assert starts[0].value > 1e3
    assert again.n_iter_ <= exact.n_iter_ + 3
    np.testing.assert_allclose(again.coef_, exact.coef_, rtol=1e-4)


def test_dominant_columns_are_no_matter_to_exact_fits():
    rng = np.random.default_rng(0)
    X = sparse.random(300, 40, 0.1, "csr", random_state=0)
    X = sparse.hstack([X, sparse.csr_matrix(1e6 * rng.random((300, 1)))], "csr")
    y = np.arange(300) % 2
    with pytest.warns(UserWarning, match="column"):
        VectorFlowClassifier(solver="sgd", alpha=1e-3, random_state=0).fit(X, y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        VectorFlowClassifier(solver="exact", random_state=0).fit(X, y)
