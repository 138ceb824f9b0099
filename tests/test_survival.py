"""The survival estimator: against independent fits, and what must hold of its predictions."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression, PoissonRegressor
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler

from sklearn_vectorflow import VectorFlowSurvivalEstimator, threads
from sklearn_vectorflow.io import BatchSource
from sklearn_vectorflow.losses import DISTRIBUTIONS, CoxPH, DiscreteTime, PiecewiseExponential, WeibullAFT
from sklearn_vectorflow.metrics import concordance_index

lifelines = pytest.importorskip("lifelines")
datasets = pytest.importorskip("lifelines.datasets")
pd = pytest.importorskip("pandas")
peer = pytest.importorskip("sksurv.metrics")
CoxPHSurvivalAnalysis = pytest.importorskip("sksurv.linear_model").CoxPHSurvivalAnalysis
Surv = pytest.importorskip("sksurv.util").Surv

AFT = ("weibull", "lognormal", "loglogistic")
LIFELINES = {"weibull": ("lambda_", "rho_"), "lognormal": ("mu_", "sigma_"), "loglogistic": ("alpha_", "beta_")}
CONVERGED = {"alpha": 0.0, "tol": None, "batch_size": 10_000}


def rossi():
    frame = datasets.load_rossi()
    columns = frame.drop(columns=["week", "arrest"]).astype(float)
    return columns, frame["arrest"].to_numpy(bool), frame["week"].to_numpy(float)


def gbsg2():
    frame = datasets.load_gbsg2()
    X = pd.get_dummies(frame.drop(columns=["time", "cens"]), drop_first=True).astype(float)
    return X, frame["cens"].to_numpy(bool), frame["time"].to_numpy(float)


def standardised(X):
    return ((X - X.mean()) / X.std(ddof=0)).to_numpy()


def converged(distribution, X, y, max_iter=2500, sample_weight=None, **params):
    """Full batches until nothing changes; weights and intercept for columns as they are."""
    model = VectorFlowSurvivalEstimator(distribution, max_iter=max_iter, **CONVERGED, **params)
    return model.fit(standardised(X), y, sample_weight)


def unscaled(model, X):
    coef = model.coef_ / X.std(ddof=0).to_numpy()
    return coef, model.intercept_[0] - coef @ X.mean().to_numpy()


def simulated(n_rows=400, n_features=30, seed=0):
    rng = np.random.default_rng(seed)
    X = sparse.random_array((n_rows, n_features), density=0.2, rng=rng, format="csr", dtype=np.float32)
    time = 20 * rng.weibull(1.5, n_rows) * np.exp(-(X @ rng.normal(size=n_features)))
    censored = rng.exponential(30.0, n_rows)
    return X, Surv.from_arrays(time <= censored, np.minimum(time, censored))


X, Y = simulated()
EVERY = {
    **{name: {"distribution": name} for name in DISTRIBUTIONS},
    **{
        f"{name} linear": {"distribution": name, "shape": "linear"}
        for name in (*AFT, "piecewise_exponential", "discrete")
    },
    "net": {"distribution": "weibull", "hidden_layer_sizes": (8,), "activation": "tanh"},
    "cox net": {"distribution": "cox", "hidden_layer_sizes": (8,)},
}


def model_of(name, **params):
    return VectorFlowSurvivalEstimator(**EVERY[name], random_state=0, **params)


@pytest.fixture(scope="module")
def fitted():
    return {name: model_of(name).fit(X, Y) for name in EVERY}


# ---- independent fits -----------------------------------------------------------------


@pytest.mark.parametrize(
    "fitter, name",
    list(zip((lifelines.WeibullAFTFitter, lifelines.LogNormalAFTFitter, lifelines.LogLogisticAFTFitter), AFT)),
)
def test_accelerated_failure_times_on_rossi_are_lifelines(fitter, name):
    columns, event, time = rossi()
    exactly = {"ftol": 1e-14, "gtol": 1e-7}
    expected = fitter().fit(columns.assign(event=event, time=time), "time", "event", fit_options=exactly)
    of_location, of_shape = (expected.params_[part] for part in LIFELINES[name])
    model = converged(name, columns, (event, time))
    coef, intercept = unscaled(model, columns)
    assert_allclose(coef, of_location[columns.columns], atol=5e-4)
    assert intercept == pytest.approx(of_location["Intercept"], abs=2e-3)
    assert np.log(model.shape_) == pytest.approx(of_shape["Intercept"], abs=5e-4)
    assert -model.loss_curve_[-1] * len(columns) == pytest.approx(expected.log_likelihood_, abs=1e-3)


def test_late_entry_on_rossi_is_lifelines():
    columns, event, time = rossi()
    entry = np.where(np.arange(len(time)) % 3 == 0, time / 2, 0.0)
    frame = columns.assign(event=event, time=time, entry=entry)
    expected = lifelines.WeibullAFTFitter().fit(frame, "time", "event", entry_col="entry")
    model = converged("weibull", columns, {"event": event, "time": time, "entry": entry})
    assert_allclose(unscaled(model, columns)[0], expected.params_["lambda_"][columns.columns], atol=1e-3)
    assert -model.loss_curve_[-1] * len(columns) == pytest.approx(expected.log_likelihood_, abs=1e-3)


def test_intervals_on_rossi_are_lifelines():
    columns, event, time = rossi()
    lower, upper = np.where(event, time - 1, time), np.where(event, time + 3, np.inf)
    frame = columns.assign(lower=lower, upper=upper)
    expected = lifelines.WeibullAFTFitter().fit_interval_censoring(frame, "lower", "upper")
    model = converged("weibull", columns, {"lower": lower, "upper": upper})
    assert_allclose(unscaled(model, columns)[0], expected.params_["lambda_"][columns.columns], atol=1e-3)
    assert -model.loss_curve_[-1] * len(columns) == pytest.approx(expected.log_likelihood_, abs=1e-3)


@pytest.mark.parametrize("ties", ["efron", "breslow"])
@pytest.mark.parametrize("data", [rossi, gbsg2])
def test_cox_in_one_block_is_scikit_survivals(data, ties):
    columns, event, time = data()
    y = Surv.from_arrays(event, time)
    expected = CoxPHSurvivalAnalysis(ties=ties, n_iter=200, tol=1e-12).fit(columns, y)
    model = converged(CoxPH(ties), columns, y, 1500)
    assert_allclose(unscaled(model, columns)[0], expected.coef_, rtol=1e-3, atol=1e-6)
    curves = expected.predict_survival_function(columns[:20], return_array=True)
    got = model.predict_survival_function(standardised(columns)[:20], return_array=True, times=expected.unique_times_)
    assert_allclose(got, curves, atol=1e-4)


def test_cox_with_late_entry_is_lifelines():
    columns, event, time = rossi()
    entry = np.where(np.arange(len(time)) % 3 == 0, time / 2, 0.0).round()
    frame = columns.assign(event=event, time=time, entry=entry)
    expected = lifelines.CoxPHFitter().fit(frame, "time", "event", entry_col="entry")
    model = converged("cox", columns, {"event": event, "time": time, "entry": entry}, 1500)
    assert_allclose(unscaled(model, columns)[0], expected.params_[columns.columns], rtol=1e-3, atol=1e-6)

    # lifelines' baseline forgets who had not entered yet
    risk = np.exp(model.predict(standardised(columns)))
    times = np.unique(time[event])
    at_risk = np.array([risk[(entry < t) & (t <= time)].sum() for t in times])
    events = np.array([np.count_nonzero(event & (time == t)) for t in times])
    assert_array_equal(model.loss_.baseline_times_, times)
    assert_allclose(model.loss_.baseline_hazard_, np.cumsum(events / at_risk), rtol=1e-9)


def test_exponential_is_poisson_regression_with_offset():
    columns, event, time = gbsg2()
    poisson = PoissonRegressor(alpha=0, tol=1e-10, max_iter=1000)
    rates = poisson.fit(standardised(columns), event / time, sample_weight=time)
    model = converged("exponential", columns, (event, time))
    assert_allclose(model.coef_, rates.coef_, atol=5e-4)
    assert model.intercept_[0] == pytest.approx(rates.intercept_, abs=5e-4)


def test_times_of_many_rows_are_some_of_theirs(monkeypatch):
    monkeypatch.setattr("sklearn_vectorflow.estimators.survival.SEEN", 50)
    times = model_of("exponential", max_iter=1).fit(X, Y).unique_times_
    assert 50 <= len(times) <= 60
    assert np.all(np.diff(times) > 0)
    assert_array_equal(times[[0, -1]], [Y["time"].min(), Y["time"].max()])


@pytest.mark.parametrize("shape", ["constant", "linear"])
def test_piecewise_exponential_is_poisson_regression_with_offset(shape):
    columns, event, time = gbsg2()
    Z, edges = standardised(columns)[:, :4], np.array([400.0, 900.0])
    entry = np.where(np.arange(len(time)) % 4 == 0, time / 2, 0.0)
    pieces = []
    for j, (start, end) in enumerate(zip([0.0, *edges], [*edges, np.inf])):
        exposure = np.minimum(time, end) - np.maximum(entry, start)
        at_risk = exposure > 0
        design = np.zeros((at_risk.sum(), 3 + (4 if shape == "constant" else 12)))
        design[:, j] = 1
        first = 3 if shape == "constant" else 3 + 4 * j
        design[:, first : first + 4] = Z[at_risk]
        pieces.append((design, (event & (start < time) & (time <= end))[at_risk], exposure[at_risk]))
    design, happens, exposure = (np.concatenate(part) for part in zip(*pieces))
    expected = PoissonRegressor(alpha=0, fit_intercept=False, tol=1e-10, max_iter=1000)
    expected.fit(design, happens / (exposure / 1000), sample_weight=exposure / 1000)
    model = VectorFlowSurvivalEstimator("piecewise_exponential", edges, shape, max_iter=2500, **CONVERGED).fit(
        Z, {"event": event, "time": time, "entry": entry}
    )
    assert_allclose(model.coef_.ravel(), expected.coef_[3:], atol=1e-3)
    assert_allclose(model.intercept_ + np.log(1000), expected.coef_[:3], atol=1e-3)


def test_discrete_time_is_logistic_regression_of_intervals():
    columns, event, time = gbsg2()
    Z, edges = standardised(columns)[:, :4], np.array([300.0, 700.0, 1200.0])
    pieces = []
    for j, (start, end) in enumerate(zip([0.0, *edges], edges)):
        happens = event & (start < time) & (time <= end)
        at_risk = happens | (time >= end)
        design = np.hstack([np.eye(3)[np.full(at_risk.sum(), j)], Z[at_risk]])
        pieces.append((design, happens[at_risk]))
    design, happens = (np.concatenate(part) for part in zip(*pieces))
    expected = LogisticRegression(C=1e10, fit_intercept=False, tol=1e-10, max_iter=1000).fit(design, happens)
    model = VectorFlowSurvivalEstimator(DiscreteTime(edges), max_iter=2500, **CONVERGED).fit(Z, (event, time))
    assert_allclose(model.coef_, expected.coef_[0, 3:], atol=1e-3)
    assert_allclose(model.intercept_, expected.coef_[0, :3], atol=1e-3)


def test_a_linear_shape_finds_what_made_the_times():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(5000, 2))
    shape = np.exp(0.5 + 0.4 * features[:, 1])
    time = np.exp(1.0 - 0.8 * features[:, 0]) * rng.weibull(shape)
    model = VectorFlowSurvivalEstimator("weibull", shape="linear", max_iter=300, **CONVERGED)
    model.fit(features, (np.ones(5000, dtype=bool), time))
    assert_allclose(model.coef_, [[-0.8, 0.0], [0.0, 0.4]], atol=0.04)
    assert_allclose(model.intercept_, [1.0, 0.5], atol=0.04)
    with pytest.raises(AttributeError, match="shape_"):
        model.shape_


# ---- predictions -------------------------------------------------------------------------


@pytest.mark.parametrize("name", EVERY)
def test_curves(fitted, name):
    model = fitted[name]
    times = np.concatenate([[0.0], model.unique_times_, [1e3 * Y["time"].max()]])
    survival = model.predict_survival_function(X, return_array=True, times=times)
    assert survival.shape == (len(Y), len(times))
    assert_array_equal(survival[:, 0], 1.0)
    assert np.all((survival >= 0) & (survival <= 1)) and np.all(np.diff(survival, axis=1) <= 0)
    hazard = model.predict_cumulative_hazard_function(X, return_array=True, times=times)
    assert_allclose(np.exp(-hazard), survival, rtol=1e-12)
    curves = model.predict_survival_function(X[:5])
    assert_allclose([curve(times) for curve in curves], survival[:5], rtol=1e-12)
    assert_allclose(curves[0].y, survival[0, 1:-1], rtol=1e-12)
    assert curves[0](times[3]) == pickle.loads(pickle.dumps(curves[0]))(times[3]) == pytest.approx(survival[0, 3])


@pytest.mark.parametrize("name", EVERY)
def test_quantiles_and_risks(fitted, name):
    model = fitted[name]
    median = model.predict_median(X)
    assert_array_equal(median, model.predict_quantile(X, 0.5))
    if EVERY[name]["distribution"] not in ("discrete", "cox"):
        at_median = [curve(time) for curve, time in zip(model.predict_survival_function(X), median)]
        assert_allclose(at_median, 0.5, rtol=1e-9)
    assert np.all(model.predict_quantile(X, 0.1) <= median)
    assert np.all(model.predict_expectation(X) > 0)
    risk = model.predict(X)
    assert model.score(X, Y) == concordance_index(Y, risk) > 0.6
    assert model.score(X, Y) == pytest.approx(peer.concordance_index_censored(Y["event"], Y["time"], risk)[0])


@pytest.mark.parametrize("name", EVERY)
def test_a_change_of_unit_changes_nothing_but_the_unit(name):
    params = EVERY[name]
    days = model_of(name, max_iter=3).fit(X, Y)
    years = model_of(name, max_iter=3).fit(X, (Y["event"], Y["time"] / 365.25))
    assert_allclose(years.coefs_[0], days.coefs_[0], rtol=1e-4, atol=1e-6)
    assert_allclose(years.predict_median(X) * 365.25, days.predict_median(X), rtol=1e-4)
    times = np.array([5.0, 20.0, 60.0])
    assert_allclose(
        years.predict_survival_function(X, True, times=times / 365.25),
        days.predict_survival_function(X, True, times=times),
        atol=1e-5,
    )
    if params["distribution"] not in ("discrete", "cox"):
        density = np.mean(Y["event"]) * np.log(365.25)
        assert_allclose(np.array(years.loss_curve_), np.array(days.loss_curve_) - density, atol=1e-5)


@pytest.mark.parametrize("name", [name for name in EVERY if not name.startswith("cox")])
def test_a_weight_of_two_is_a_row_twice(name):
    some = slice(0, 30)  # a handful of rows is one batch
    if "breakpoints" in VectorFlowSurvivalEstimator(**EVERY[name])._distribution().get_params():
        given = {"breakpoints": [5.0, 15.0]}
    else:
        given = {}
    weight = np.where(np.arange(30) % 3 == 0, 2.0, 1.0)
    repeated = np.repeat(np.arange(30), weight.astype(int))
    given = {"max_iter": 30, "alpha": 1e-3, "learning_rate": 0.1, **given}  # alpha is else chosen on parts of the rows
    weighted = model_of(name, **given).fit(X[some], Y[some], weight)
    twice = model_of(name, **given).fit(X[repeated], Y[repeated])
    assert_allclose(weighted.predict_median(X), twice.predict_median(X), rtol=2e-3)


def test_breslow_weights_are_repeated_rows():
    weight = np.where(np.arange(100) % 3 == 0, 2.0, 1.0)
    repeated = np.repeat(np.arange(100), weight.astype(int))
    options = {"optimizer": "adagrad", "learning_rate": 0.3, "alpha": 1e-6, "max_iter": 50}
    model = VectorFlowSurvivalEstimator(CoxPH("breslow"), **options)
    weighted, twice = clone(model).fit(X[:100], Y[:100], weight), clone(model).fit(X[repeated], Y[repeated])
    assert_allclose(weighted.coef_, twice.coef_, atol=1e-3)
    times = weighted.unique_times_
    assert_allclose(
        weighted.predict_survival_function(X, True, times=times),
        twice.predict_survival_function(X, True, times=times),
        atol=1e-3,
    )


def test_small_blocks_of_cox_lead_to_the_same_weights():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(4000, 3))
    time = rng.exponential(np.exp(-features @ [0.7, -0.5, 0.0]))
    y = (time < 2.0, np.minimum(time, 2.0))
    model = VectorFlowSurvivalEstimator("cox", batch_size=32, max_iter=20, tol=None, average=True, random_state=0)
    assert_allclose(model.fit(features, y).coef_, [0.7, -0.5, 0.0], atol=0.08)


# ---- as an estimator of scikit-learn --------------------------------------------------------


@pytest.mark.parametrize("name", EVERY)
def test_clones_and_pickles(fitted, name):
    model = fitted[name]
    copy = pickle.loads(pickle.dumps(model))
    assert_array_equal(copy.predict(X), model.predict(X))
    assert_array_equal(copy.predict_median(X), model.predict_median(X))
    assert clone(model).get_params() == model.get_params()
    assert_allclose(clone(model).fit(X, Y).predict(X), model.predict(X))


@pytest.mark.parametrize("name", EVERY)
def test_threads(monkeypatch, name):
    monkeypatch.setattr(threads, "WORTHWHILE", 1)
    monkeypatch.setattr(threads, "_pool_limit", lambda: 8)
    model = model_of(name, n_jobs=4, max_iter=3).fit(X, Y)
    assert model.score(X, Y) > 0.55
    one = clone(model).set_params(n_jobs=1)
    vars(one).update({key: value for key, value in vars(model).items() if key.endswith("_")})
    assert_array_equal(one.predict_survival_function(X, True), model.predict_survival_function(X, True))


@pytest.mark.parametrize("name", [name for name in EVERY if not name.startswith("cox")])
def test_partial_fit_goes_on(name):
    model = model_of(name)
    for _ in range(6):
        model.partial_fit(X[:200], Y[:200]).partial_fit(X[200:], Y[200:])
    assert model.score(X, Y) > 0.6
    assert model.n_iter_ == len(model.loss_curve_) == 12


def test_cox_has_no_partial_fit():
    assert not hasattr(VectorFlowSurvivalEstimator("cox"), "partial_fit")
    assert not hasattr(VectorFlowSurvivalEstimator(CoxPH()), "partial_fit")
    assert hasattr(VectorFlowSurvivalEstimator(WeibullAFT()), "partial_fit")


@pytest.mark.parametrize(
    "params",
    [
        {"optimizer": "adam", "learning_rate": 0.01},
        {"optimizer": "ftrl"},
        {"optimizer": "sgd"},
        {"average": True},
        {"alpha": 1e-3, "l1_ratio": 1.0},
        {"early_stopping": True},
        {"warm_start": True},
        {"fit_intercept": False},
        {"batch_size": 16},
        {"input_dropout": 0.2},
    ],
    ids=str,
)
@pytest.mark.parametrize("name", ["weibull", "cox", "piecewise_exponential"])
def test_parameters_of_training(name, params):
    model = model_of(name, **params).fit(X, Y)
    assert model.fit(X, Y).score(X, Y) > 0.6


def test_outputs_that_are_one_number():
    model = model_of("weibull", alpha=0.1).fit(X, Y)
    assert [weights.shape for weights in model.coefs_] == [(30, 1), (0, 1)]
    assert model.coef_.shape == (30,) and model.intercept_.shape == (1,)
    assert np.exp(model.intercepts_[1][0]) == pytest.approx(model.shape_)
    before = model.predict_median(X)
    model.sparsify()
    assert_allclose(model.predict_median(X), before, rtol=1e-6)
    shape = model.shape_
    assert model.partial_fit(X, Y).densify().shape_ != shape
    assert model_of("weibull", fit_intercept=False).fit(X, Y).intercepts_[0][0] == 0.0


def test_early_stopping_reports_likelihoods():
    train, held = slice(0, 300), slice(300, None)
    model = model_of("lognormal", early_stopping=True, max_iter=4)
    model.fit(X[train], Y[train], X_val=X[held], y_val=Y[held])
    expected = 0.0
    for (event, time), curve in zip(Y[held], model.predict_cumulative_hazard_function(X[held])):
        step = 1e-5 * time
        hazard = (curve(time + step) - curve(time - step)) / (2 * step)
        expected += (np.log(hazard) if event else 0.0) - curve(time)
    assert max(model.validation_scores_) == pytest.approx(expected / 100, abs=1e-4)


def test_searches_and_pipelines():
    search = GridSearchCV(
        make_pipeline(MaxAbsScaler(), VectorFlowSurvivalEstimator(random_state=0)),
        {"vectorflowsurvivalestimator__distribution": ["exponential", "cox", WeibullAFT()]},
        cv=3,
    ).fit(X, Y)
    assert search.best_score_ > 0.6
    frame = pd.DataFrame({"event": Y["event"], "time": Y["time"]})
    scores = cross_val_score(VectorFlowSurvivalEstimator("weibull"), X, frame, cv=KFold(3))
    assert np.all(scores > 0.6)


@pytest.mark.parametrize("name", ["weibull", "cox", "discrete"])
def test_scikit_survivals_scorers(name):
    times = np.quantile(Y["time"], [0.2, 0.4, 0.6])
    for wrapped in (
        peer.as_concordance_index_ipcw_scorer(model_of(name), tau=times[-1]),
        peer.as_cumulative_dynamic_auc_scorer(model_of(name), times=times),
        peer.as_integrated_brier_score_scorer(model_of(name), times=times),
    ):
        assert np.isfinite(wrapped.fit(X, Y).score(X, Y))


def test_names_of_columns_are_kept():
    columns, event, time = rossi()
    model = VectorFlowSurvivalEstimator(max_iter=1).fit(columns, (event, time))
    assert list(model.feature_names_in_) == list(columns.columns)
    with pytest.raises(ValueError, match="feature names"):
        model.predict(columns.rename(columns={"fin": "other"}))
    assert "VectorFlowSurvivalEstimator" in model._repr_html_()


@pytest.mark.parametrize(
    "params, message",
    [
        ({"distribution": "gamma"}, "distribution must be one of"),
        ({"distribution": 3}, "distribution must be one of"),
        ({"distribution": "cox", "breakpoints": [1.0]}, "has no breakpoints"),
        ({"distribution": "exponential", "shape": "linear"}, "has no shape"),
        ({"distribution": "weibull", "shape": "free"}, "shape must be"),
        ({"distribution": "discrete", "breakpoints": [2.0, 1.0]}, "breakpoints must be"),
        ({"distribution": CoxPH("exact")}, "ties must be"),
        ({"batch_size": 0}, "batch_size"),
        ({"distribution": "cox", "batch_size": 1}, "batch_size must be at least 2"),
    ],
)
def test_bad_parameters_are_named(params, message):
    with pytest.raises((ValueError, TypeError), match=message):
        VectorFlowSurvivalEstimator(**params).fit(X, Y)


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda model: model.predict_quantile(X, 1.0), "q must be in"),
        (lambda model: model.predict_survival_function(X, times=[-1.0]), "times must be finite and >= 0"),
        (lambda model: model.predict_survival_function(X, times=[2.0, 1.0]), "times must be increasing"),
        (lambda model: model.predict_survival_function(X)[0](np.nan), "times must be finite"),
        (lambda model: model.score(X, Y[:-1]), "inconsistent|risk must have shape"),
    ],
)
def test_bad_calls_are_named(fitted, call, message):
    with pytest.raises(ValueError, match=message):
        call(fitted["weibull"])


def test_breakpoints_from_quantiles_and_given():
    model = VectorFlowSurvivalEstimator(PiecewiseExponential(5)).fit(X, Y)
    assert model.loss_.n_intervals == len(model.intercept_) == 5
    assert model.distribution.breakpoints == 5
    given = VectorFlowSurvivalEstimator("discrete", breakpoints=[5, 10, 20]).fit(X, Y)
    assert_array_equal(given.loss_.breakpoints, [5, 10, 20])


def test_a_source_of_blocks_is_refused_where_rows_are_compared():
    blocks = BatchSource(lambda: iter([(np.eye(3), [True, False, True])]))
    with pytest.raises(TypeError, match="X must be an array.*distribution='cox'.*got the source BatchSource"):
        VectorFlowSurvivalEstimator("cox").fit(blocks)
