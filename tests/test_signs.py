"""Signs of weights: given for each feature, for stochastic steps and the exact solver."""

import functools

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from scipy.optimize import lsq_linear, minimize

import sklearn_vectorflow
from sklearn_vectorflow import VectorFlowClassifier, VectorFlowRegressor, VectorFlowSurvivalEstimator
from sklearn_vectorflow.io import BatchSource
from sklearn_vectorflow.optimizers import FTRL, SGD, AdaGrad, Adam
from sklearn_vectorflow.penalties import L1, L2, ElasticNet, NonNegative, Signs

N_FEATURES = 40
SIGNS = np.arange(N_FEATURES) % 3 - 1


def made(n_rows=600, n_targets=1, seed=0):
    rng = np.random.default_rng(seed)
    X = sparse.random_array((n_rows, N_FEATURES), density=0.3, rng=rng, format="csr")
    Y = X @ rng.normal(size=(N_FEATURES, n_targets)) + 0.3 * rng.normal(size=(n_rows, n_targets))
    return X, Y[:, 0] if n_targets == 1 else Y


X, Y = made()
LABEL = Y > np.median(Y)
BOUNDS = np.where(SIGNS > 0, 0.0, -np.inf), np.where(SIGNS < 0, 0.0, np.inf)


def kept(coef):
    """Whether all signs are those asked for, with weights of each kind, some at zero."""
    return np.all(coef * SIGNS >= 0) and np.all(coef[..., SIGNS == 0] != 0) and np.any(coef[..., SIGNS != 0] == 0)


def exact(kind, penalty, **params):
    return kind(solver="exact", penalty=penalty, random_state=0, **params)


# ---- the optimum --------------------------------------------------------------------------------


def test_the_optimum_is_that_of_bounded_least_squares():
    model = exact(VectorFlowRegressor, Signs(SIGNS), fit_intercept=False).fit(X, Y)
    expected = lsq_linear(X.toarray(), Y, BOUNDS, tol=1e-14)
    assert_allclose(model.coef_, expected.x, atol=1e-5)
    assert kept(model.coef_)


@pytest.mark.parametrize("n_targets", [1, 3])
def test_the_optimum_with_l1_and_l2_and_several_targets(n_targets):
    rows, y = made(n_targets=n_targets)
    model = exact(VectorFlowRegressor, [ElasticNet(0.02, 0.4), Signs(SIGNS)], fit_intercept=False).fit(rows, y)
    dense = rows.toarray()

    def value(w, target):
        residual = dense @ w - target
        slope = dense.T @ residual / len(dense) + 0.02 * (0.4 * np.sign(w) + 0.6 * w)
        penalty = 0.02 * (0.4 * np.abs(w).sum() + 0.3 * w @ w)
        return residual @ residual / (2 * len(dense)) + penalty, slope

    for target, coef in zip(np.atleast_2d(y.T), np.atleast_2d(model.coef_)):
        assert np.all(coef * SIGNS >= 0)
        free = coef != 0
        assert_allclose(value(coef.astype(float), target)[1][free], 0.0, atol=1e-6)  # a stationary point
        at_zero = dense.T @ (dense @ coef - target) / len(dense)
        held = np.where(SIGNS == 0, np.abs(at_zero) <= 0.008 + 1e-6, -SIGNS * at_zero <= 0.008 + 1e-6)
        assert np.all(held[~free])


def test_the_optimum_of_logistic_regression():
    model = exact(VectorFlowClassifier, [L2(0.01), Signs(SIGNS)]).fit(X, LABEL)
    dense, sign = X.toarray(), np.where(LABEL, 1.0, -1.0)

    def value(parameters):
        w, b = parameters[:-1], parameters[-1]
        margin = sign * (dense @ w + b)
        slope = -sign / (1 + np.exp(margin)) / len(dense)
        total = np.logaddexp(0, -margin).mean() + 0.005 * w @ w
        return total, np.append(dense.T @ slope + 0.01 * w, slope.sum())

    box = [(None if low == -np.inf else low, None if high == np.inf else high) for low, high in zip(*BOUNDS)]
    found = minimize(
        value,
        np.zeros(41),
        jac=True,
        method="L-BFGS-B",
        bounds=[*box, (None, None)],
        options={"gtol": 1e-10, "ftol": 0},
    )
    assert_allclose(model.coef_.ravel(), found.x[:-1], atol=2e-5)
    assert kept(model.coef_)


@pytest.mark.parametrize("distribution", ["cox", "weibull", "competing_risks"])
def test_survival_models(distribution):
    rng = np.random.default_rng(0)
    time = np.exp(-Y) * rng.exponential(size=len(Y)) + 1e-3
    event = rng.integers(0, 3 if distribution == "competing_risks" else 2, len(Y))
    model = exact(VectorFlowSurvivalEstimator, [L2(0.01), Signs(SIGNS)], distribution=distribution)
    coef = model.fit(X, (event, time)).coef_
    assert np.all(coef * SIGNS >= 0) and np.any(coef[..., SIGNS > 0] > 0) and np.any(coef[..., SIGNS < 0] < 0)


def test_a_source_has_the_same_optimum():
    here = exact(VectorFlowRegressor, [L2(0.01), Signs(SIGNS)]).fit(X, Y)
    source = BatchSource(lambda: [(X[:300], Y[:300]), (X[300:], Y[300:])], buffer_bytes=1)
    assert_allclose(exact(VectorFlowRegressor, [L2(0.01), Signs(SIGNS)]).fit(source).coef_, here.coef_, atol=1e-5)


def test_a_bound_is_no_estimate():
    model = exact(VectorFlowRegressor, Signs(SIGNS)).fit(X, Y)
    errors = model.inference(X, Y).std_errors()  # the intercept's first
    assert_array_equal(np.isnan(errors[1:]), model.coef_ == 0)


# ---- stochastic steps -------------------------------------------------------------------------------

OPTIMIZERS = [FTRL(), AdaGrad(), AdaGrad(rowwise=True), Adam(0.01), Adam(0.01, rowwise=True), SGD(0.2)]


EXTRA = {"alone": [], "l2": [L2(1e-3)], "l1": [L1(1e-4)]}


@functools.cache
def best_score(extra, n_targets):
    rows, y = made(n_targets=n_targets)
    return exact(VectorFlowRegressor, [*EXTRA[extra], Signs(SIGNS)]).fit(rows, y).score(rows, y)


@pytest.mark.parametrize("extra", EXTRA)
@pytest.mark.parametrize("n_targets", [1, 3, 9])
@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=str)
def test_steps_of_all_rules_keep_signs(optimizer, n_targets, extra):
    rows, y = made(n_targets=n_targets)
    model = VectorFlowRegressor(
        optimizer=optimizer, penalty=[*EXTRA[extra], Signs(SIGNS)], max_iter=10, tol=None, random_state=0, solver="sgd"
    ).fit(rows, y)
    assert np.all(model.coef_ * SIGNS >= 0) and np.any(model.coef_[..., SIGNS < 0] < 0)
    assert np.any(model.coef_[..., SIGNS == 0] > 0) and np.any(model.coef_[..., SIGNS == 0] < 0)
    assert model.score(rows, y) > best_score(extra, n_targets) - 0.05


@pytest.mark.parametrize("n_targets", [1, 3])
@pytest.mark.parametrize("n_jobs", [1, 2])
@pytest.mark.parametrize("params", [{}, {"average": True}, {"batch_size": 16}, {"optimizer": "adagrad"}], ids=str)
def test_kinds_of_steps(params, n_jobs, n_targets, monkeypatch):
    monkeypatch.setattr("sklearn_vectorflow.threads.WORTHWHILE", 1)
    rows, y = made(n_targets=n_targets)
    model = VectorFlowRegressor(penalty=[L2(1e-3), Signs(SIGNS)], n_jobs=n_jobs, random_state=0, solver="sgd", **params)
    coef = model.fit(rows, y).coef_
    assert np.all(coef * SIGNS >= 0) and np.any(coef[..., SIGNS < 0] < 0) and model.score(rows, y) > 0.3
    assert np.all(model.partial_fit(rows[:100], y[:100]).coef_ * SIGNS >= 0)


def test_means_are_those_of_steps_one_by_one():
    """Rested weights are summed up in closed form: a feature that no later row has, and a centre beyond its bound."""
    rows = np.zeros((200, 2))
    rows[:20, 0], rows[20:, 1] = 1.0, 1.0
    y = np.concatenate([np.ones(20), np.zeros(180)])
    penalties = [L2(0.5, center=[[-1.0, 0.0]]), Signs([1, 0])]
    params = {"optimizer": SGD(0.1, schedule="constant"), "shuffle": False, "fit_intercept": False, "tol": None}
    model = VectorFlowRegressor(penalty=penalties, average=1, max_iter=1, random_state=0, solver="sgd", **params)
    weight, total, steps = 0.0, 0.0, 0
    for row, target in zip(rows, y):
        gradient = (row[0] * weight - target) * row[0] if row[0] else 0.0
        weight = (weight - 0.1 * gradient + 0.1 * 0.5 * -1.0) / (1 + 0.1 * 0.5)
        weight = max(weight, 0.0)
        steps += 1
        total += weight
    found = model.fit(sparse.csr_matrix(rows), y).coef_[0]
    assert found == pytest.approx(total / steps, rel=0.1)


def test_features_that_never_occur_and_a_centre_of_the_wrong_sign():
    wide = sparse.hstack([X, sparse.csr_matrix((600, 2))], format="csr")
    signs, center = np.append(SIGNS, [1, -1]), np.append(np.zeros(N_FEATURES), [-2.0, -2.0])
    for solver in ("sgd", "exact"):
        model = VectorFlowRegressor(penalty=[L2(0.1, center=center), Signs(signs)], solver=solver, random_state=0)
        assert_allclose(model.fit(wide, Y).coef_[-2:], [0.0, -2.0])


def test_first_layers_of_nets():
    net = VectorFlowRegressor(hidden_layer_sizes=(4,), penalty=Signs(SIGNS), random_state=0, max_iter=3).fit(X, Y)
    weights = net.coefs_[0]
    assert np.all(weights * SIGNS[:, None] >= 0) and np.any(weights[SIGNS < 0] < 0) and np.any(net.coefs_[1] < 0)


# ---- by name, and what makes no sense -----------------------------------------------------------------


def test_signs_by_name(tmp_path):
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(X.toarray(), columns=[f"x{k}" for k in range(N_FEATURES)])
    named = {f"x{k}": int(sign) for k, sign in enumerate(SIGNS) if sign}
    by_name = exact(VectorFlowRegressor, [L2(0.01), Signs(named)]).fit(frame, Y)
    by_array = exact(VectorFlowRegressor, [L2(0.01), Signs(SIGNS)]).fit(frame, Y)
    assert_array_equal(by_name.coef_, by_array.coef_)
    by_name.save(tmp_path / "model")
    assert_array_equal(sklearn_vectorflow.load(tmp_path / "model").predict(frame), by_name.predict(frame))
    with pytest.raises(ValueError, match=r"X has no columns named \['income'\]"):
        VectorFlowRegressor(penalty=Signs({"income": 1})).fit(frame, Y)
    with pytest.raises(ValueError, match="need a data frame X with column names"):
        VectorFlowRegressor(penalty=Signs(named)).fit(X, Y)


@pytest.mark.parametrize(
    "penalty, message",
    [
        (Signs(2), "1-D array"),
        (Signs("positive"), "1-D array"),
        (Signs([["a"]]), "1-D array"),
        (Signs(np.full(N_FEATURES, 2)), "must be -1, 0 or 1, got"),
        (Signs({"a": 0.5}), "must be -1, 0 or 1, got"),
        (Signs([1, 0, -1]), r"signs must be of shape \(40,\), got shape \(3,\)"),
        ([Signs(SIGNS), Signs(SIGNS)], "two penalties set 'sign'"),
        ([NonNegative(0.1), Signs(SIGNS)], "NonNegative requires positive weights where Signs forbids them"),
    ],
)
def test_signs_that_make_no_sense(penalty, message):
    with pytest.raises((TypeError, ValueError), match=message):
        VectorFlowRegressor(penalty=penalty).fit(X, Y)


def test_signs_of_several_classes_at_the_optimum():
    classes = np.digitize(Y, np.quantile(Y, [0.3, 0.7]))
    model = VectorFlowClassifier(solver="exact", penalty=[Signs(SIGNS), L2(1e-3)], random_state=0).fit(X, classes)
    assert np.all(model.coef_ * SIGNS >= 0)
    assert model.score(X, classes) > 0.6
