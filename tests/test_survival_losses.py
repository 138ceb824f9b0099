"""Losses of times to an event: many digits, finite differences, and other ways to write them."""

import pickle

import mpmath
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats
from sklearn.base import clone

from sklearn_vectorflow import losses
from sklearn_vectorflow.losses import (
    CompetingRisks,
    CoxPH,
    DiscreteTime,
    ExponentialSurvival,
    LogLogisticAFT,
    LogNormalAFT,
    PiecewiseExponential,
    WeibullAFT,
)
from sklearn_vectorflow.targets.times import parse

EDGES = np.array([0.6, 1.5, 4.0])
PARAMETRIC = [
    ExponentialSurvival(),
    ExponentialSurvival(log_unit=1.3),
    WeibullAFT(),
    WeibullAFT(shape="linear", log_unit=-0.4),
    LogNormalAFT(),
    LogLogisticAFT(log_unit=0.7),
]
INTERVALS = [
    PiecewiseExponential(EDGES),
    PiecewiseExponential(EDGES, "linear", log_unit=0.5),
    DiscreteTime(EDGES),
    DiscreteTime(EDGES, "linear"),
    CompetingRisks(EDGES, n_causes=2),
    CompetingRisks(EDGES, "linear", n_causes=3, log_unit=0.5),
]
COX = [CoxPH(), CoxPH("breslow")]
LOSSES = PARAMETRIC + INTERVALS + COX


def right_censored(rng, n_rows):
    # rounding makes ties, and times at breakpoints
    return {"event": rng.random(n_rows) < 0.6, "time": np.round(rng.exponential(2.0, n_rows), 1) + 0.1}


def late(rng, n_rows):
    y = right_censored(rng, n_rows)
    return {**y, "entry": np.where(rng.random(n_rows) < 0.7, y["time"] * rng.random(n_rows), 0.0)}


def intervals(rng, n_rows):
    lower = rng.exponential(2.0, n_rows)
    upper = lower + rng.choice([0.0, 0.01, 1.0, np.inf], n_rows)
    lower[::5] = 0.0
    upper[::5] = rng.exponential(1.0, len(lower[::5]))
    return {"lower": lower, "upper": upper}


def late_intervals(rng, n_rows):
    y = intervals(rng, n_rows)
    return {**y, "entry": y["lower"] * rng.random(n_rows) * (y["lower"] > 0)}


KINDS = [right_censored, late, intervals, late_intervals]
CASES = (
    [(loss, kind) for loss in PARAMETRIC for kind in KINDS]
    + [(loss, kind) for loss in INTERVALS for kind in (right_censored, late)]
    + [(loss, kind) for loss in COX for kind in (right_censored, late)]
)


def name_of(value):
    return value.__name__ if callable(value) and not isinstance(value, losses.Loss) else str(value)


def block(loss, kind, n_rows=40, seed=0):
    rng = np.random.default_rng(seed)
    y = kind(rng, n_rows)
    if loss.takes_causes:
        y["event"] = y["event"] * rng.integers(1, loss.n_causes + 1, n_rows)
    times = parse(y, causes=loss.takes_causes)
    raw = rng.normal(scale=0.7, size=(n_rows, loss.n_outputs))
    return times, loss.encode(times), raw, rng.uniform(0.1, 3.0, n_rows)


@pytest.mark.parametrize("loss, kind", CASES, ids=name_of)
def test_gradient_is_the_central_difference(loss, kind):
    _, y, raw, weight = block(loss, kind)
    value, gradient = loss(y, raw, weight)
    step = 1e-5
    for place in np.ndindex(raw.shape):
        up, down = raw.copy(), raw.copy()
        up[place] += step
        down[place] -= step
        difference = (loss(y, up, weight)[0] - loss(y, down, weight)[0]) / (2 * step)
        assert gradient[place] == pytest.approx(difference, rel=1e-6, abs=1e-15 * abs(value) / step + 1e-7), place


@pytest.mark.parametrize("loss, kind", [case for case in CASES if case[0].separates], ids=name_of)
def test_a_block_is_the_weighted_sum_of_its_rows(loss, kind):
    _, y, raw, weight = block(loss, kind)
    value, gradient = loss(y, raw, weight)
    rows = [loss(y[k : k + 1], raw[k : k + 1]) for k in range(len(raw))]
    assert value == pytest.approx(np.dot(weight, [row for row, _ in rows]), rel=1e-13)
    assert_allclose(gradient, weight[:, None] * np.vstack([row for _, row in rows]), rtol=1e-13, atol=1e-300)


@pytest.mark.parametrize("loss, kind", CASES, ids=name_of)
def test_nan_shows_in_the_sum(loss, kind):
    times, y, raw, weight = block(loss, kind)
    raw[np.argmax(times.kind != 0), :] = np.nan
    assert np.isnan(loss(y, raw, weight)[0])


# ---- the families, in many digits ---------------------------------------------------


def survival(loss, z):
    """Of the standardised logarithm of time."""
    if isinstance(loss, LogLogisticAFT):
        return 1 / (1 + mpmath.exp(z))
    if isinstance(loss, LogNormalAFT):
        return mpmath.erfc(z / mpmath.sqrt(2)) / 2
    return mpmath.exp(-mpmath.exp(z))


def exact(loss, y, raw):
    """Negative log-likelihood of an encoded row."""
    kind, log_time, log_upper, log_entry = (mpmath.mpf(value) for value in y)
    if isinstance(loss, ExponentialSurvival):
        mu, shape = -mpmath.mpf(raw[0]), mpmath.mpf(1)
    else:
        sign = -1 if isinstance(loss, LogNormalAFT) else 1
        mu, shape = mpmath.mpf(raw[0]), mpmath.exp(sign * mpmath.mpf(raw[1]))

    def log_survival(log_t):
        return mpmath.log(survival(loss, shape * (log_t - mu)))

    out = 0 if mpmath.isinf(log_entry) else log_survival(log_entry)
    if kind == 0:
        return out - log_survival(log_time)
    if kind == 1:
        density = -mpmath.diff(lambda log_t: survival(loss, shape * (log_t - mu)), log_time)
        return out + log_time - mpmath.log(density)
    low = 1 if mpmath.isinf(log_time) else survival(loss, shape * (log_time - mu))
    return out - mpmath.log(low - survival(loss, shape * (log_upper - mu)))


NEVER = -np.inf
ROWS = [
    (0.0, 0.3, 0.3, NEVER),
    (1.0, 0.3, 0.3, NEVER),
    (0.0, 0.3, 0.3, -1.0),
    (1.0, 0.3, 0.3, 0.2999),
    (2.0, 0.3, 0.9, NEVER),
    (2.0, NEVER, 0.3, NEVER),
    (2.0, 0.3, 0.3001, 0.1),
    (2.0, -30.0, 0.3, NEVER),
]
OUTPUTS = [
    (0.0, 0.0),
    (1.2, 0.5),
    (-1.0, -0.7),
    (-3.0, 0.6),
    (9.0, 0.4),
    (30.0, 0.0),
    (-5.5, 0.0),
    (-30.0, -1.5),
    (2.0, -2.0),
]


@pytest.mark.parametrize("loss", [ExponentialSurvival(), WeibullAFT(), LogNormalAFT(), LogLogisticAFT()], ids=name_of)
def test_likelihoods_near_and_far_from_the_centre(loss):
    with mpmath.workdps(250):
        for row in ROWS:
            for output in OUTPUTS:
                raw = np.array(output[: loss.n_outputs])
                if isinstance(loss, ExponentialSurvival) and raw[0] > 8:
                    continue
                true = exact(loss, row, raw)
                got = loss([row], [raw])[0]
                # 1e-8: S(a) - S(b) of near a and b
                assert abs(got - float(true)) <= 1e-8 * max(1.0, abs(float(true))), (row, output, got, float(true))


@pytest.mark.parametrize("z", [-40.0, -8.0, -1.0, 0.0, 3.0, 24.999, 25.0, 25.001, 37.0, 60.0, 1e4])
def test_the_normal_tail(z):
    value, gradient = LogNormalAFT()([[0.0, z]], [[0.0, 0.0]])
    assert value == pytest.approx(-stats.norm.logsf(z), rel=1e-12, abs=1e-300)
    with mpmath.workdps(30):
        survival = mpmath.erfc(z / mpmath.sqrt(2)) / 2
        hazard = mpmath.npdf(z) / survival if z < 100 else mpmath.mpf(z) + mpmath.mpf(1) / z
    assert -gradient[0, 0] == pytest.approx(float(hazard), rel=1e-11)


@pytest.mark.parametrize("loss", [WeibullAFT(), LogNormalAFT(), LogLogisticAFT()], ids=name_of)
@pytest.mark.parametrize("mu", [-40.0, 40.0])
@pytest.mark.parametrize("row", ROWS, ids=str)
def test_gradients_are_finite_in_the_tails(loss, mu, row):
    value, gradient = loss([row], [[mu, 0.0]])
    if np.isfinite(value):
        assert np.all(np.isfinite(gradient))


def test_two_and_four_targets_are_the_same_rows():
    for loss in PARAMETRIC:
        _, y, raw, weight = block(loss, right_censored)
        wide = np.column_stack([y, y[:, 1], np.full(len(y), -np.inf)])
        value, gradient = loss(y, raw, weight)
        wide_value, wide_gradient = loss(wide, raw, weight)
        assert value == pytest.approx(wide_value, rel=1e-13)
        assert_allclose(gradient, wide_gradient, rtol=1e-12, atol=1e-14)


# ---- intervals ------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [right_censored, late])
def test_piecewise_exponential_is_poisson_of_pieces_of_rows(kind):
    loss = PiecewiseExponential(EDGES, log_unit=0.4)
    times, y, raw, weight = block(loss, kind)
    entry = np.zeros(len(times)) if times.entry is None else times.entry
    total, starts, ends = 0.0, [0.0, *EDGES], [*EDGES, np.inf]
    for j, (start, end) in enumerate(zip(starts, ends)):
        exposure = np.clip(np.minimum(times.time, end) - np.maximum(entry, start), 0, None)
        event = times.event & (start < times.time) & (times.time <= end)
        log_hazard = raw[:, 0] + raw[:, 1 + j] - 0.4
        total += weight @ (np.exp(log_hazard) * exposure - event * log_hazard)
    assert loss(y, raw, weight)[0] == pytest.approx(total, rel=1e-12)


def test_one_interval_is_the_exponential():
    one, other = PiecewiseExponential([], "linear", log_unit=0.2), ExponentialSurvival(log_unit=0.2)
    times, y, raw, weight = block(one, late)
    assert one(y, raw, weight)[0] == pytest.approx(other(other.encode(times), raw, weight)[0], rel=1e-12)


def test_discrete_is_logistic_regression_of_intervals_reached():
    loss = DiscreteTime(EDGES)
    times, y, raw, weight = block(loss, late)
    total = 0.0
    for row, (time, event, entry) in enumerate(zip(times.time, times.event, times.entry)):
        for j, end in enumerate(EDGES):
            start = EDGES[j - 1] if j else 0.0
            happens = event and start < time <= end
            if entry < end and (end <= time or happens):
                p = 1 / (1 + np.exp(-raw[row, 0] - raw[row, 1 + j]))
                total -= weight[row] * np.log(p if happens else 1 - p)
    assert loss(y, raw, weight)[0] == pytest.approx(total, rel=1e-12)


@pytest.mark.parametrize(
    "loss", [PiecewiseExponential(4), DiscreteTime(4), PiecewiseExponential(), DiscreteTime()], ids=name_of
)
def test_breakpoints_cut_events_into_equal_parts(loss):
    event, time = np.arange(400) % 2 == 0, np.arange(1.0, 401.0)
    prepared = loss.prepared(parse((event, time)))
    edges = np.concatenate([[0.0], prepared.breakpoints, [np.inf]])
    counts = np.histogram(time[event], edges)[0]
    n = loss.breakpoints or 10
    assert prepared.n_intervals == n
    assert np.all(np.abs(counts[:n] - 200 / n) <= 1)


# ---- Cox --------------------------------------------------------------------------------


def partial_likelihood(times, raw, weight, efron):
    """Row by row, as the formula stands."""
    total, entry = 0.0, np.zeros(len(times)) if times.entry is None else times.entry
    for t in np.unique(times.time[times.event]):
        dying = np.flatnonzero(times.event & (times.time == t))
        risk = np.sum((weight * np.exp(raw))[(times.time >= t) & (entry < t)])
        tied = np.sum((weight * np.exp(raw))[dying])
        total -= weight[dying] @ raw[dying]
        for k in range(len(dying)):
            share = k / len(dying) if efron else 0.0
            total += weight[dying].mean() * np.log(risk - share * tied)
    return total


def late_ties(rng, n_rows):
    """Late entry, also just when others have their event."""
    y = right_censored(rng, n_rows)
    return {**y, "entry": np.where(y["time"] > 1.0, np.ceil(y["time"]) - 1.0, 0.0)}


@pytest.mark.parametrize("kind", [right_censored, late, late_ties])
@pytest.mark.parametrize("loss", COX, ids=name_of)
def test_partial_likelihood(loss, kind):
    times, y, raw, weight = block(loss, kind, n_rows=80)
    assert len(np.unique(times.time[times.event])) < times.event.sum() - 5  # ties
    value, _ = loss(y, raw, weight)
    assert value == pytest.approx(partial_likelihood(times, raw[:, 0], weight, loss.ties == "efron"), rel=1e-12)


@pytest.mark.parametrize("loss", COX, ids=name_of)
def test_partial_likelihood_does_not_overflow_or_see_a_shift(loss):
    _, y, raw, weight = block(loss, right_censored)
    value, gradient = loss(y, raw, weight)
    for shift in (-1e4, 1e4):
        shifted, same = loss(y, raw + shift, weight)
        assert shifted == pytest.approx(value, rel=1e-9)
        assert_allclose(same, gradient, rtol=1e-9, atol=1e-10)
    assert gradient.sum() == pytest.approx(0.0, abs=1e-12)


def test_rows_of_weight_zero_are_not_there():
    loss = CoxPH()
    _, y, raw, weight = block(loss, right_censored)
    weight[::3] = 0.0
    kept = weight > 0
    value, gradient = loss(y, raw, weight)
    expected, expected_gradient = loss(y[kept], raw[kept], weight[kept])
    assert value == pytest.approx(expected, rel=1e-12)
    assert_allclose(gradient[kept], expected_gradient, rtol=1e-11, atol=1e-14)
    assert_array_equal(gradient[~kept], 0.0)


# ---- what a distribution is worth after the fit -------------------------------------------


def fitted(loss):
    """The loss with a baseline, and raw outputs."""
    _, y, raw, _ = block(loss, right_censored)
    loss = clone(loss)
    loss.finish(y, raw, None)
    return loss, raw


@pytest.mark.parametrize("loss", LOSSES, ids=name_of)
def test_curves_fall_from_one(loss):
    loss, raw = fitted(loss)
    times = np.concatenate([[0.0], np.geomspace(1e-3, 1e3, 200)])
    curves = loss.survival(times, raw)
    assert_array_equal(curves[:, 0], 1.0)
    assert np.all((curves >= 0) & (curves <= 1)) and np.all(np.diff(curves, axis=1) <= 0)
    assert_allclose(curves, np.exp(-loss.cumulative_hazard(times, raw)), rtol=1e-12)


@pytest.mark.parametrize("q", [0.01, 0.5, 0.97])
@pytest.mark.parametrize("loss", LOSSES, ids=name_of)
def test_quantiles_invert_curves(loss, q):
    loss, raw = fitted(loss)
    for row, time in enumerate(loss.quantile(q, raw)):
        own = raw[row : row + 1]
        if isinstance(loss, (DiscreteTime, CoxPH)):
            steps = loss.breakpoints if isinstance(loss, DiscreteTime) else loss.baseline_times_
            reached = loss.survival(steps, own)[0] <= 1 - q + 1e-12
            assert time == (steps[np.argmax(reached)] if reached.any() else np.inf)
        else:
            assert loss.survival([time], own)[0, 0] == pytest.approx(1 - q, rel=1e-9)


@pytest.mark.parametrize("loss", LOSSES, ids=name_of)
def test_expectation_is_the_area_below_the_curve(loss):
    loss, raw = fitted(loss)
    raw = raw[:8].copy()
    if isinstance(loss, LogLogisticAFT):
        raw[:, 1] = np.abs(raw[:, 1]) + 0.7  # a finite mean
    last = {DiscreteTime: EDGES[-1], CoxPH: getattr(loss, "baseline_times_", [0])[-1]}.get(type(loss))
    edges = np.geomspace(1e-9, 1e9, 400_001) if last is None else np.linspace(0, last, 200_001)
    values = loss.survival(edges, raw)
    area = edges[0] + ((values[:, 1:] + values[:, :-1]) / 2) @ np.diff(edges)
    assert_allclose(loss.expectation(raw), area, rtol=3e-4)


def test_a_log_logistic_tail_too_heavy_for_a_mean():
    assert_array_equal(LogLogisticAFT().expectation(np.array([[0.0, 0.0], [1.0, -1.0]])), np.inf)


@pytest.mark.parametrize("loss", LOSSES, ids=name_of)
def test_risk_orders_as_survival_does(loss):
    if getattr(loss, "shape", None) == "linear":
        pytest.skip("curves that cross have no order")
    if loss.takes_causes:
        pytest.skip("causes have risks of their own")
    loss, raw = fitted(loss)
    raw[:, 1:] = raw[0, 1:]
    order = np.argsort(loss.risk(raw))
    assert np.all(np.diff(loss.survival([1.5], raw)[order, 0]) <= 1e-15)


# ---- the constant model ---------------------------------------------------------------------


@pytest.mark.parametrize("loss, kind", [case for case in CASES if case[0].separates], ids=name_of)
def test_starts_from_the_best_constant(loss, kind):
    _, y, _, weight = block(loss, kind, n_rows=300)
    start = loss.initial_raw(y, weight)
    assert start.shape == (loss.n_outputs,)
    _, gradient = loss(y, np.tile(start, (len(y), 1)), weight)
    assert_allclose(gradient.sum(axis=0), 0.0, atol=1e-3 * weight.sum())


# ---- objects ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "loss, parameter",
    [
        (WeibullAFT(shape="free"), "shape"),
        (LogNormalAFT(log_unit="day"), "log_unit"),
        (PiecewiseExponential([2.0, 1.0]), "breakpoints"),
        (PiecewiseExponential([0.0, 1.0]), "breakpoints"),
        (PiecewiseExponential(0), "breakpoints"),
        (DiscreteTime("all"), "breakpoints"),
        (DiscreteTime(shape=None), "shape"),
        (CoxPH("exact"), "ties"),
    ],
    ids=name_of,
)
def test_parameters_outside_their_range_are_refused(loss, parameter):
    with pytest.raises((ValueError, TypeError), match=parameter):
        loss.check_parameters()


@pytest.mark.parametrize("loss", LOSSES, ids=name_of)
@pytest.mark.parametrize("remade", [clone, lambda loss: pickle.loads(pickle.dumps(loss))], ids=["clone", "pickle"])
def test_copies_are_the_same_loss(loss, remade):
    _, y, raw, weight = block(loss, right_censored)
    assert remade(loss)(y, raw, weight)[0] == loss(y, raw, weight)[0]


def test_blocks_that_do_not_fit_together_are_refused():
    for y, raw in [(np.zeros((3, 3)), np.zeros((3, 2))), (np.zeros((3, 2)), np.zeros((3, 1)))]:
        with pytest.raises(ValueError, match="must have"):
            WeibullAFT()(y, raw)


@pytest.mark.parametrize(
    "loss, kind, what",
    [
        (type("Punctual", (CoxPH,), {"takes_entry": False})(), late, "late entry"),
        (CoxPH(), intervals, "interval"),
        (PiecewiseExponential(3), intervals, "interval"),
        (DiscreteTime(3), intervals, "interval"),
    ],
    ids=name_of,
)
def test_rows_without_a_likelihood_are_refused(loss, kind, what):
    with pytest.raises(ValueError, match=what):
        loss.check_times(parse(kind(np.random.default_rng(0), 30)))


def test_every_exported_survival_loss_is_tested():
    kinds = [kind for kind in map(losses.__dict__.get, losses.__all__) if isinstance(kind, type)]
    exported = {kind for kind in kinds if issubclass(kind, losses.SurvivalLoss)}
    assert {type(loss) for loss in LOSSES} == exported - {losses.SurvivalLoss} == set(losses.DISTRIBUTIONS.values())
