"""Several causes: against models of one cause, known incidences, and Aalen and Johansen's estimate."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone

import sklearn_vectorflow
from sklearn_vectorflow import VectorFlowSurvivalEstimator
from sklearn_vectorflow.losses import CompetingRisks, PiecewiseExponential
from sklearn_vectorflow.metrics import concordance_index
from sklearn_vectorflow.targets.times import parse

EDGES = np.array([0.3, 0.8, 1.5])
COEF = np.array([[0.8, -0.5, 0.0], [-0.6, 0.0, 0.7]])
RATES = np.array([0.5, 0.3])


def made(n_rows=4000, seed=0):
    """Rows with hazards that are constant in time, so that cumulative incidences are known."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_rows, 3))
    hazard = RATES * np.exp(X @ COEF.T)
    ends = np.column_stack([rng.exponential(1.0, (n_rows, 2)) / hazard, rng.exponential(4.0, n_rows)])
    return X, {"event": (np.argmin(ends, axis=1) + 1) % 3, "time": ends.min(axis=1)}, hazard


def incidence(hazard, times):
    total = hazard.sum(axis=1, keepdims=True)
    return (hazard / total)[:, :, None] * -np.expm1(-total * times)[:, None, :]


def exact(distribution, **params):
    return VectorFlowSurvivalEstimator(distribution, solver="exact", alpha=0.0, random_state=0, **params)


X, Y, HAZARD = made()


@pytest.fixture(scope="module")
def model():
    return exact(CompetingRisks(EDGES)).fit(X, Y)


# ---- the likelihood ---------------------------------------------------------------------------


@pytest.mark.parametrize("shape", ["constant", "linear"])
def test_one_cause_is_the_piecewise_exponential(shape):
    one, other = CompetingRisks(EDGES, shape, 1, 0.4), PiecewiseExponential(EDGES, shape, 0.4)
    y = {"event": Y["event"] > 0, "time": Y["time"], "entry": Y["time"] / 3}
    encoded = one.encode(parse(y, causes=True))
    assert_array_equal(encoded, other.encode(parse(y)))
    assert one.n_outputs == other.n_outputs
    raw = np.random.default_rng(0).normal(size=(len(X), one.n_outputs))
    value, gradient = one(encoded, raw)
    expected, expected_gradient = other(encoded, raw)
    assert value == expected
    assert_array_equal(gradient, expected_gradient)
    times = np.array([0.0, 0.3, 0.5, 5.0])
    assert_allclose(one.cumulative_incidence(times, raw)[:, 0], 1 - other.survival(times, raw), atol=1e-13)
    fits = [VectorFlowSurvivalEstimator(loss, random_state=0, max_iter=2).fit(X, y) for loss in (one, other)]
    assert_array_equal(fits[0].coef_, fits[1].coef_)
    assert_array_equal(fits[0].predict(X), fits[1].predict(X))


@pytest.mark.parametrize("shape", ["constant", "linear"])
def test_causes_have_the_likelihoods_of_models_that_censor_the_others(shape):
    loss, of_one = CompetingRisks(EDGES, shape, 2, 0.4), PiecewiseExponential(EDGES, shape, 0.4)
    times = parse({**Y, "entry": Y["time"] / 3}, causes=True)
    raw = np.random.default_rng(0).normal(size=(len(X), loss.n_outputs))
    value, gradient = loss(loss.encode(times), raw)
    total, n_own = 0.0, 2 if shape == "constant" else 0
    for cause in range(2):
        y = np.column_stack([times.cause == cause + 1, times.time, times.entry]).astype(float)
        own = np.arange(n_own + cause * len(EDGES) + cause, n_own + (cause + 1) * (len(EDGES) + 1))
        outputs = np.concatenate([[cause][: n_own and 1], own]).astype(int)
        part, of_part = of_one(y, np.ascontiguousarray(raw[:, outputs]))
        total += part
        assert_allclose(gradient[:, outputs], of_part, rtol=1e-12, atol=1e-15)
    assert value == pytest.approx(total, rel=1e-12)


def test_the_optimum_is_that_of_one_model_for_each_cause(model):
    for cause in (1, 2):
        alone = exact(PiecewiseExponential(EDGES)).fit(X, (Y["event"] == cause, Y["time"]))
        assert_allclose(model.coef_[cause - 1], alone.coef_, atol=1e-5)
        assert_allclose(model.intercept_.reshape(2, -1)[cause - 1], alone.intercept_, atol=1e-5)
        assert_allclose(model.predict(X)[:, cause - 1], alone.predict(X), atol=1e-5)


# ---- cumulative incidences ----------------------------------------------------------------------


def test_known_incidences_are_found(model):
    times = np.array([0.2, 0.5, 1.0, 3.0])
    assert_allclose(model.coef_, COEF, atol=0.1)
    found = model.predict_cumulative_incidence(X, True, times=times)
    assert found.shape == (len(X), 2, 4)
    assert np.abs(found - incidence(HAZARD, times)).mean() < 0.01
    stochastic = clone(model).set_params(solver="sgd").fit(X, Y)
    assert np.abs(stochastic.predict_cumulative_incidence(X, True, times=times) - found).mean() < 0.02


@pytest.mark.parametrize("shape", ["constant", "linear"])
def test_incidences_are_integrals_of_hazard_and_survival(shape):
    loss = CompetingRisks(EDGES, shape, 3, 0.2)
    raw = np.random.default_rng(1).normal(size=(6, loss.n_outputs))
    grid = np.linspace(0.0, 3.0, 60_001)
    middle = (grid[1:] + grid[:-1]) / 2
    hazard = np.exp(loss.by_cause(raw) - 0.2)[:, :, np.searchsorted(EDGES, middle)]
    area = np.cumsum(hazard * loss.survival(middle, raw)[:, None, :], axis=2) * grid[1]
    found = loss.cumulative_incidence(grid, raw)
    assert_array_equal(found[:, :, 0], 0.0)
    assert_allclose(found[:, :, 1:], area, atol=1e-6)  # of the midpoint rule
    assert_allclose(found.sum(axis=1) + loss.survival(grid, raw), 1.0, rtol=1e-13)


def test_a_hazard_of_zero_has_no_incidence():
    loss = CompetingRisks([1.0], "constant", 2)
    found = loss.cumulative_incidence([0.5, 1.0, 9.0], np.array([[0.0, -800.0] + [0.0] * 4, [-800.0] * 2 + [0.0] * 4]))
    assert_allclose(found[0, 0], -np.expm1([-0.5, -1.0, -9.0]))
    assert_array_equal(found[0, 1], 0.0)
    assert_array_equal(found[1], 0.0)


def test_without_features_it_is_aalen_and_johansen():
    lifelines = pytest.importorskip("lifelines")
    rows = parse(Y, causes=True)
    loss, times = CompetingRisks(60).prepared(rows), np.linspace(0.1, 4.0, 40)
    found = loss.cumulative_incidence(times, loss.initial_raw(loss.encode(rows), None)[None, :])[0]
    for cause in (1, 2):
        other = lifelines.AalenJohansenFitter(calculate_variance=False).fit(Y["time"], Y["event"], cause)
        steps = other.cumulative_density_
        expected = steps.iloc[np.searchsorted(steps.index, times, side="right") - 1, 0]
        assert_allclose(found[cause - 1], expected, atol=4e-3)


def test_curves_are_the_values(model):
    times = np.array([0.3, 1.0])
    curves = model.predict_cumulative_incidence(X[:4])
    values = model.predict_cumulative_incidence(X[:4], True, times=times)
    assert curves.shape == (4, 2)
    assert_allclose([[curve(times) for curve in row] for row in curves], values, rtol=1e-12)
    assert_array_equal(curves[0, 1].x, model.unique_times_)
    after = np.array([0.0, 0.5, 1.0, 2.0])
    later = model.predict_cumulative_incidence(X[:4], True, times=times, conditional_after=after)
    survival = model.predict_survival_function(X[:4], True, times=times, conditional_after=after)
    assert_allclose(later.sum(axis=1) + survival, 1.0, rtol=1e-9)
    assert_allclose(later[0], values[0], rtol=1e-9)
    whole = model.predict_cumulative_incidence(X[3:4], True, times=[2.0, 3.0])[0]
    assert_allclose(later[3, :, 1], (whole[:, 1] - whole[:, 0]) / (1 - whole[:, 0].sum()), rtol=1e-9)
    curve = model.predict_cumulative_incidence(X[:4], conditional_after=after)[3, 1]
    assert curve(1.0) == pytest.approx(later[3, 1, 1])


# ---- the estimator --------------------------------------------------------------------------------


def test_by_name_and_as_an_object(model, tmp_path):
    named = exact("competing_risks", breakpoints=EDGES).fit(X, Y)
    assert_array_equal(named.coef_, model.coef_)
    assert model.loss_.n_causes == 2 and model.distribution.n_causes is None
    model.save(tmp_path / "model")
    loaded = sklearn_vectorflow.load(tmp_path / "model")
    assert_array_equal(
        loaded.predict_cumulative_incidence(X[:5], True), model.predict_cumulative_incidence(X[:5], True)
    )


def test_the_score_is_the_mean_over_causes(model):
    risk = model.predict(X)
    each = [concordance_index((Y["event"] == cause, Y["time"]), risk[:, cause - 1]) for cause in (1, 2)]
    assert model.score(X, Y) == pytest.approx(np.mean(each)) and min(each) > 0.6
    some = Y["event"] != 2
    assert model.score(X[some], {name: values[some] for name, values in Y.items()}) == concordance_index(
        (Y["event"][some] == 1, Y["time"][some]), risk[some, 0]
    )


@pytest.mark.filterwarnings("ignore:hidden_layer_sizes")  # a baseline of each row has many outputs
@pytest.mark.parametrize("shape", ["constant", "linear"])
def test_nets_share_their_hidden_layers(shape):
    net = VectorFlowSurvivalEstimator(
        CompetingRisks(3, shape), hidden_layer_sizes=4, activation="tanh", max_iter=8, random_state=0
    ).fit(X, Y)
    assert net.network_.n_outputs == (8 if shape == "constant" else 6)
    assert net.score(X, Y) > 0.6


def test_inference_names_causes(model):
    table = model.inference(X, Y).summary()
    assert {"cause 1, interval 1", "cause 2, interval 4"} <= set(table["name"])


def test_later_blocks_may_bring_causes_that_are_announced():
    first, rest = Y["event"] != 2, slice(0, 500)
    only = {name: values[first] for name, values in Y.items()}
    some = {name: values[rest] for name, values in Y.items()}
    with pytest.warns(UserWarning, match=r"no event has cause \[2\]"):
        model = VectorFlowSurvivalEstimator(CompetingRisks(n_causes=2), random_state=0).partial_fit(X[first], only)
    assert model.partial_fit(X[rest], some).predict(X).shape == (len(X), 2)
    alone = VectorFlowSurvivalEstimator(CompetingRisks(), random_state=0).partial_fit(X[first], only)
    assert alone.predict(X).shape == (len(X),)
    with pytest.raises(ValueError, match=r"events must be 0 \.\.\. 1, .* got 2. Set n_causes"):
        alone.partial_fit(X[rest], some)


@pytest.mark.parametrize("event, message", [(-1, "got -1"), (0.5, "got 0.5"), (101, "got 101"), (np.nan, "got nan")])
def test_events_that_are_no_causes_are_refused(event, message):
    events = Y["event"].astype(float)
    events[7] = event
    with pytest.raises(ValueError, match=f"event must be 0 .censored. or the number of a cause.*{message}"):
        VectorFlowSurvivalEstimator("competing_risks").fit(X, (events, Y["time"]))


def test_events_as_floats_are_the_same(model):
    again = clone(model).fit(X, {**Y, "event": Y["event"].astype(float)})
    assert_array_equal(again.coef_, model.coef_)
    with pytest.raises(ValueError, match="got dtype <U"):
        clone(model).fit(X, {**Y, "event": Y["event"].astype(str)})


def test_other_distributions_say_that_they_have_no_causes(model):
    with pytest.raises(ValueError, match="numbers of causes need distribution='competing_risks'"):
        VectorFlowSurvivalEstimator().fit(X, Y)
    with pytest.raises(AttributeError) as error:
        VectorFlowSurvivalEstimator("weibull").predict_cumulative_incidence
    assert "does not distinguish causes" in str(error.value.__cause__)
    assert hasattr(VectorFlowSurvivalEstimator("competing_risks"), "predict_cumulative_incidence")


@pytest.mark.parametrize("n_causes", [0, 1.5, "two"])
def test_numbers_of_causes_are_checked(n_causes):
    with pytest.raises((TypeError, ValueError), match="n_causes"):
        VectorFlowSurvivalEstimator(CompetingRisks(n_causes=n_causes)).fit(X, Y)


def test_incidences_of_rows_that_have_lasted_far_beyond_the_others():
    model = VectorFlowSurvivalEstimator("competing_risks", random_state=0).fit(X, Y)
    after, times = np.array([0.5, 5_000.0, 1e9]), np.array([0.1, 1.0, 5.0])
    found = model.predict_cumulative_incidence(X[:3], times=times, return_array=True, conditional_after=after)
    survival = model.predict_survival_function(X[:3], times=times, return_array=True, conditional_after=after)
    assert_allclose(found.sum(axis=1) + survival, 1.0, atol=1e-6)
    assert np.all(np.diff(found, axis=2) > 0)


def test_more_causes_than_are_told_apart_are_refused():
    with pytest.raises(ValueError, match="n_causes must be at most"):
        VectorFlowSurvivalEstimator(CompetingRisks(n_causes=10**9)).fit(X, Y)


def test_more_intervals_than_events_are_as_many_as_these():
    some = slice(0, 50)
    y = {name: values[some] for name, values in Y.items()}
    model = VectorFlowSurvivalEstimator("competing_risks", breakpoints=10**9, random_state=0).fit(X[some], y)
    assert set(model.loss_.breakpoints) <= set(y["time"][y["event"] > 0])
    with pytest.raises(ValueError, match="times: could not convert"):
        model.predict_survival_function(X[:2], times=["a"])
