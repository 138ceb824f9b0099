"""solver="exact" of survival models: coefficients and standard errors of lifelines."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.optimize import approx_fprime

from sklearn_vectorflow import VectorFlowSurvivalEstimator
from sklearn_vectorflow.losses import CoxPH
from sklearn_vectorflow.targets.times import parse

from datasets import load, needs_data

FAMILIES = ["exponential", "weibull", "lognormal", "loglogistic", "piecewise_exponential", "discrete", "cox"]
FITTERS = {"weibull": "WeibullAFTFitter", "lognormal": "LogNormalAFTFitter", "loglogistic": "LogLogisticAFTFitter"}
LOCATIONS = {"weibull": "lambda_", "lognormal": "mu_", "loglogistic": "alpha_"}
REAL_SETS = ["surv_rossi", "surv_gbsg2", "surv_rotterdam", "surv_flchain"]
METHODS = {"BFGS": {"gtol": 1e-8}, "SLSQP": {"ftol": 1e-14, "maxiter": 1_000}}  # the defaults of lifelines end earlier


def made(n=400, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 4)) * (rng.random((n, 4)) < 0.7)
    time = np.exp(1.0 + X @ [0.5, -0.3, 0.0, 0.2] + 0.7 * np.log(rng.exponential(size=n)))
    censored = rng.exponential(6.0, size=n)
    return X, {"event": time < censored, "time": np.ceil(20 * np.minimum(time, censored)) / 20}


def exact(distribution, alpha=0.0, **params):
    return VectorFlowSurvivalEstimator(distribution, solver="exact", alpha=alpha, random_state=0, **params)


def frame(X, y):
    pd = pytest.importorskip("pandas")
    return pd.DataFrame({**{f"x{k}": X[:, k] for k in range(X.shape[1])}, "time": y["time"], "event": y["event"]})


def fitted_by_lifelines(family, X, y):
    """Fit by the first method that converges."""
    lifelines = pytest.importorskip("lifelines")
    for method, options in METHODS.items():
        other = getattr(lifelines, FITTERS[family])()
        other._scipy_fit_method = method
        try:
            with np.errstate(all="ignore"):
                return other.fit(frame(X, y), "time", "event", fit_options=options)
        except lifelines.exceptions.ConvergenceError:
            continue
    raise AssertionError(f"lifelines does not converge for {family}")


def real(name):
    """Rows of a set, columns that others make up left out."""
    data = load(name)
    X, kept = data["X"].toarray().astype(float), []
    for column in range(X.shape[1]):
        some = np.column_stack([np.ones(len(X)), X[:, [*kept, column]]])
        if np.linalg.matrix_rank(some) == some.shape[1]:
            kept.append(column)
    return X[:, kept], {"event": data["event"].astype(bool), "time": np.maximum(data["time"].astype(float), 0.5)}


@pytest.mark.parametrize("shape", ["constant", "linear"])
@pytest.mark.parametrize("distribution", FAMILIES)
def test_the_gradient_is_zero(distribution, shape):
    if shape == "linear" and distribution in ("exponential", "cox"):
        pytest.skip("it has no shape")
    X, y = made()
    kind = {} if distribution in ("exponential", "cox") else {"shape": shape}
    model = exact(distribution, alpha=1e-3, **kind).fit(X, y)
    targets = model.loss_.encode(parse(y, len(X)))
    weights = model.network_.weights()[0].astype(float)
    constant = np.concatenate(model.network_.intercepts()).astype(float)

    def mean_loss(change):
        moved = weights + change[: weights.size].reshape(weights.shape)
        raw = np.tile(constant + change[weights.size :], (len(X), 1))
        raw[:, : weights.shape[1]] += X @ moved
        total, _ = model.loss_(targets, raw)
        return total / len(X) + 0.5e-3 * np.sum(moved**2)

    slope = approx_fprime(np.zeros(weights.size + model.loss_.n_outputs), mean_loss, 1e-6)
    assert np.abs(slope).max() < 3e-6
    assert model.optimality_ < 1e-8


@pytest.mark.parametrize("ties", ["efron", "breslow"])
def test_cox_of_all_rows(ties):
    """Blocks of 256 rows would see random parts of the sets at risk."""
    X, y = made(1_500)
    model = exact(CoxPH(ties)).fit(X, y)
    targets = model.loss_.encode(parse(y, len(X)))
    raw = X @ model.coef_.astype(float)
    _, slopes = model.loss_(targets, raw[:, None])
    assert np.abs(X.T @ slopes[:, 0]).max() / len(X) < 1e-6
    assert model.intercept_.tolist() == [0.0]


def test_cox_and_its_errors_against_lifelines():
    lifelines = pytest.importorskip("lifelines")
    X, y = made()
    model = exact("cox").fit(X, y)
    other = lifelines.CoxPHFitter().fit(frame(X, y), "time", "event", fit_options={"precision": 1e-12})
    assert_allclose(model.coef_, other.params_, rtol=1e-5)
    found = model.inference(X, y)
    assert_allclose(found.std_errors(), other.standard_errors_, rtol=1e-5)
    assert_allclose(found.log_likelihood, other.log_likelihood_, rtol=1e-8)
    assert_allclose(found.aic, other.AIC_partial_, rtol=1e-8)


@pytest.mark.parametrize("family", FITTERS)
def test_families_and_their_errors_against_lifelines(family):
    X, y = made()
    model, other = exact(family).fit(X, y), fitted_by_lifelines(family, X, y)
    names = [f"x{k}" for k in range(X.shape[1])]
    assert_allclose(model.coef_, other.params_[LOCATIONS[family]][names], rtol=1e-3, atol=1e-4)
    found = model.inference(X, y)
    assert_allclose(found.std_errors(names), other.standard_errors_[LOCATIONS[family]][names], rtol=1e-3)
    assert_allclose([found.log_likelihood, found.aic], [other.log_likelihood_, other.AIC_], rtol=1e-8)
    table = found.summary()
    assert list(table["name"]) == ["intercept", *names, "log_shape"]
    assert_allclose(table["coef"].iloc[0], model.intercept_[0])
    assert_allclose(np.exp(table["coef"].iloc[-1]), model.shape_)


def test_rows_without_weight_come_first():
    """What the first rows are does not say how a loss couples its outputs."""
    X, y = made(900)
    weight, rows = (np.arange(900) >= 600).astype(float), {key: value[600:] for key, value in y.items()}
    model, other = exact("weibull").fit(X, y, weight), exact("weibull").fit(X[600:], rows)
    assert_allclose(model.coef_, other.coef_, rtol=1e-5)
    errors = model.inference(X, y, weight).std_errors()
    assert_allclose(errors, other.inference(X[600:], rows).std_errors(), rtol=1e-5)


def test_an_interval_without_events_has_no_error():
    X, y = made()
    model = exact("discrete", alpha=1e-3).fit(X, y)
    early = np.where(y["time"] > np.quantile(y["time"], 0.5), 0.0, 1.0)
    with pytest.warns(UserWarning, match="standard errors from the optimum"):
        errors = model.inference(X, y, early).std_errors()
    assert np.all(errors[:4] > 0) and np.isnan(errors[-1])


@needs_data
@pytest.mark.parametrize("name", REAL_SETS)
def test_cox_on_real_sets(name):
    """Coefficients are those of scikit-survival, errors those of statsmodels; lifelines does not converge on all."""
    pytest.importorskip("sksurv")
    from sksurv.linear_model import CoxPHSurvivalAnalysis
    from statsmodels.duration.hazard_regression import PHReg

    X, y = real(name)
    times = np.array(list(zip(y["event"], y["time"])), dtype=[("event", bool), ("time", float)])
    model, other = exact("cox").fit(X, y), CoxPHSurvivalAnalysis(ties="efron", tol=1e-13).fit(X, times)
    found = model.inference(X, y).std_errors()
    assert np.abs((model.coef_ - other.coef_) / found).max() < 1e-4
    errors = PHReg(y["time"], X, y["event"], ties="efron").fit(start_params=other.coef_).bse
    assert_allclose(found, errors, rtol=1e-4)
    assert model.optimality_ < 1e-8


@needs_data
@pytest.mark.parametrize("family", FITTERS)
@pytest.mark.parametrize("name", REAL_SETS)
def test_families_on_real_sets_against_lifelines(name, family):
    X, y = real(name)
    model, other = exact(family).fit(X, y), fitted_by_lifelines(family, X, y)
    names = [f"x{k}" for k in range(X.shape[1])]
    expected, errors = (table[LOCATIONS[family]][names] for table in (other.params_, other.standard_errors_))
    assert np.abs((model.coef_ - expected) / errors).max() < 1e-4
    found = model.inference(X, y)
    assert_allclose(found.std_errors(names), errors, rtol=1e-4)
    assert_allclose(found.log_likelihood, other.log_likelihood_, rtol=1e-8)


@needs_data
@pytest.mark.parametrize("name", REAL_SETS)
def test_hazards_by_interval_on_real_sets_are_a_poisson_regression(name):
    """On rows that are split at the breakpoints; lifelines has no model with the same effects in all intervals."""
    sm = pytest.importorskip("statsmodels.api")
    X, y = real(name)
    model = exact("piecewise_exponential").fit(X, y)
    edges = np.array([0.0, *model.loss_.breakpoints, np.inf])
    spent = np.clip(np.minimum(y["time"][:, None], edges[1:]) - edges[:-1], 0.0, None)
    row, interval = np.nonzero(spent)
    ends = y["event"][row] & (y["time"][row] <= edges[interval + 1])
    split = np.hstack([X[row], np.eye(len(edges) - 1)[interval]])
    other = sm.GLM(ends.astype(float), split, sm.families.Poisson(), offset=np.log(spent[row, interval])).fit(tol=1e-12)
    names = [f"x{k}" for k in range(X.shape[1])]
    expected, errors = other.params[: len(names)], other.bse[: len(names)]
    assert np.abs((model.coef_ - expected) / errors).max() < 1e-4
    assert_allclose(model.inference(X, y).std_errors(names), errors, rtol=1e-4)


@pytest.mark.parametrize("distribution", ["weibull", "piecewise_exponential"])
def test_l1_of_models_with_constants(distribution):
    X, y = made()
    X = np.hstack([X, np.random.default_rng(5).normal(size=(len(X), 20))])
    model = exact(distribution, alpha=0.03, l1_ratio=1.0).fit(X, y)
    assert 0 < np.count_nonzero(model.coef_) < 20
    assert model.optimality_ < 1e-8


def test_l1_of_cox():
    X, y = made()
    X = np.hstack([X, np.random.default_rng(5).normal(size=(len(X), 20))])
    model = exact("cox", alpha=0.03, l1_ratio=1.0, exact_tol=1e-6).fit(X, y)
    targets = model.loss_.encode(parse(y, len(X)))
    coef = model.coef_.astype(float)
    gradient = X.T @ model.loss_(targets, (X @ coef)[:, None])[1][:, 0] / len(X)
    assert 0 < np.count_nonzero(coef) < 20
    assert_allclose(gradient[coef != 0], -0.03 * np.sign(coef[coef != 0]), atol=1e-5)
    assert np.abs(gradient[coef == 0]).max() < 0.03 + 1e-5


def test_the_sandwich_is_refused_for_cox():
    X, y = made(100)
    with pytest.raises(ValueError, match="covariance='sandwich' needs losses of single rows"):
        exact("cox").fit(X, y).inference(X, y, covariance="sandwich")
