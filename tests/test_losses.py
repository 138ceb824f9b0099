"""Loss objects: values and gradients against many digits, links, domains, starts, pickles."""

import pickle

import mpmath
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn import metrics
from sklearn.base import clone

from sklearn_vectorflow import losses
from sklearn_vectorflow.losses import (
    AbsoluteError,
    EpsilonInsensitive,
    GammaLoss,
    Hinge,
    HuberLoss,
    LogLoss,
    ModifiedHuber,
    MultinomialLoss,
    OneVsRestLogLoss,
    PoissonLoss,
    QuantileLoss,
    SquaredEpsilonInsensitive,
    SquaredError,
    SquaredHinge,
    TweedieLoss,
)

MODERATE = (-20.0, -3.7, -1.2, -0.3, 1e-300, 0.0, 0.4, 0.9, 1.6, 5.5, 20.0)
EXTREME = (-1000.0, -745.5, -700.0, -40.0, -1e-300, 1e-12, 40.0, 700.0, 745.5, 1000.0)
RAWS = MODERATE + EXTREME
LARGEST = np.finfo(np.float64).max
CLASSES = (0.0, 1.0)
REALS = (-1000.0, -2.3, 0.0, 1e-300, 0.7, 4.0, 1e6)
COUNTS = (0.0, 1e-300, 0.5, 1.0, 7.0, 1e6)
AMOUNTS = (1e-3, 0.5, 1.0, 7.0, 1e6)


# ---- the formulas, for one row and one output ------------------------------------


def sign(y):
    return 1 if y == 1 else -1


def log_loss(y, f):
    return mpmath.log1p(mpmath.exp(-sign(y) * f))


def hinge(y, f):
    return max(mpmath.mpf(0), 1 - sign(y) * f)


def squared_hinge(y, f):
    return hinge(y, f) ** 2


def modified_huber(y, f):
    return squared_hinge(y, f) if sign(y) * f >= -1 else -4 * sign(y) * f


def squared_error(y, f):
    return (y - f) ** 2 / 2


def absolute_error(y, f):
    return abs(y - f)


def huber(delta):
    def formula(y, f):
        error = abs(y - f)
        return error**2 / 2 if error <= delta else delta * (error - mpmath.mpf(delta) / 2)

    return formula


def epsilon_insensitive(epsilon, power=1):
    return lambda y, f: max(mpmath.mpf(0), abs(y - f) - mpmath.mpf(epsilon)) ** power


def quantile(q):
    return lambda y, f: q * max(mpmath.mpf(0), y - f) + (1 - mpmath.mpf(q)) * max(mpmath.mpf(0), f - y)


def poisson(y, f):
    return mpmath.exp(f) - y * f


def gamma(y, f):
    return f + y * mpmath.exp(-f)


def tweedie(power):
    p = mpmath.mpf(power)
    return lambda y, f: mpmath.exp((2 - p) * f) / (2 - p) - y * mpmath.exp((1 - p) * f) / (1 - p)


SCALAR = [
    (LogLoss(), CLASSES, log_loss),
    (OneVsRestLogLoss(), CLASSES, log_loss),
    (Hinge(), CLASSES, hinge),
    (SquaredHinge(), CLASSES, squared_hinge),
    (ModifiedHuber(), CLASSES, modified_huber),
    (SquaredError(), REALS, squared_error),
    (AbsoluteError(), REALS, absolute_error),
    (HuberLoss(), REALS, huber(1.0)),
    (HuberLoss(delta=0.25), REALS, huber(0.25)),
    (EpsilonInsensitive(), REALS, epsilon_insensitive(0.1)),
    (EpsilonInsensitive(epsilon=0.0), REALS, absolute_error),
    (SquaredEpsilonInsensitive(), REALS, epsilon_insensitive(0.1, 2)),
    (SquaredEpsilonInsensitive(epsilon=0.6), REALS, epsilon_insensitive(0.6, 2)),
    (QuantileLoss(), REALS, quantile(0.5)),
    (QuantileLoss(quantile=0.9), REALS, quantile(0.9)),
    (PoissonLoss(), COUNTS, poisson),
    (GammaLoss(), AMOUNTS, gamma),
    (TweedieLoss(power=0), REALS, tweedie(0)),
    (TweedieLoss(power=1), COUNTS, poisson),
    (TweedieLoss(power=1.1), COUNTS, tweedie(1.1)),
    (TweedieLoss(), COUNTS, tweedie(1.5)),
    (TweedieLoss(power=1.9), COUNTS, tweedie(1.9)),
    (TweedieLoss(power=2), AMOUNTS, gamma),
    (TweedieLoss(power=3), AMOUNTS, tweedie(3)),
]
LOSSES = [loss for loss, _, _ in SCALAR] + [MultinomialLoss()]
KINKS = {  # raw outputs, for y, at which the loss has no derivative
    Hinge: lambda y: [2 * y - 1],
    AbsoluteError: lambda y: [y],
    QuantileLoss: lambda y: [y],
    EpsilonInsensitive: lambda y: [y - 0.1, y, y + 0.1],
}


def name_of(value):
    return str(value) if isinstance(value, losses.Loss) else ""


def classifying(loss):
    return isinstance(loss, losses.ClassificationLoss)


def grid(loss, targets):
    """All pairs of a target and a raw output; kinks have tests of their own."""
    kinks = KINKS.get(type(loss), lambda y: [])
    return [(y, f) for y in targets for f in RAWS if f not in kinks(y)]


def assert_close(got, true, scale, what):
    """Relative accuracy, up to roundings of the terms the value is a sum of."""
    if abs(true) > LARGEST:
        assert not np.isfinite(got), what
    else:
        assert abs(mpmath.mpf(got) - true) <= 1e-13 * abs(true) + 4e-16 * scale, (what, got, float(true))


@pytest.fixture
def many_digits():
    # enough that 1 + exp(-1000) is not 1
    with mpmath.workdps(500):
        yield


@pytest.mark.parametrize("loss, targets, formula", SCALAR, ids=name_of)
def test_value_and_gradient_at_moderate_and_extreme_outputs(loss, targets, formula, many_digits):
    for y, f in grid(loss, targets):
        value, gradient = loss([y], [f])
        exact_y, exact_f = mpmath.mpf(y), mpmath.mpf(f)
        slope = mpmath.diff(lambda x: formula(exact_y, x), exact_f)
        scale = max(1.0, abs(f), abs(y), abs(y * f))
        assert_close(value, formula(exact_y, exact_f), scale, (y, f))
        assert_close(gradient[0, 0], slope, max(1.0, abs(y)), (y, f))


@pytest.mark.parametrize("y", [0, 1, 2])
@pytest.mark.parametrize(
    "raw", [(0, 0, 0), (1e-300, -1e-300, 0), (0.3, -1, 2), (1000, -1000, 0), (-1000, -1000, -1000.5), (1000, 999, 40)]
)
def test_multinomial_value_and_gradient(y, raw, many_digits):
    value, gradient = MultinomialLoss()([y], [raw])
    exact = [mpmath.mpf(f) for f in raw]
    total = sum(mpmath.exp(f) for f in exact)
    assert_close(value, mpmath.log(total) - exact[y], max(1.0, max(map(abs, raw))), raw)
    for c, f in enumerate(exact):
        assert_close(gradient[0, c], mpmath.exp(f) / total - (c == y), 1.0, (raw, c))


def many_raw(n_outputs, width):
    """Raw outputs of all sizes up to a width, of either sign."""
    rng = np.random.default_rng(n_outputs)
    return width * rng.uniform(-1, 1, n_outputs) ** 3


@pytest.mark.parametrize("width", [1e-3, 1.0, 50.0, 1500.0])
@pytest.mark.parametrize("n_outputs", [4, 5, 20, 67])
def test_multinomial_of_many_outputs(n_outputs, width, many_digits):
    raw, y = many_raw(n_outputs, width), n_outputs - 2
    value, gradient = MultinomialLoss()([y], [raw])
    exact = [mpmath.mpf(float(f)) for f in raw]
    total = sum(mpmath.exp(f) for f in exact)
    assert_close(value, mpmath.log(total) - exact[y], max(4.0, width), raw)
    for c, f in enumerate(exact):
        assert_close(gradient[0, c], mpmath.exp(f) / total - (c == y), 1.0, (raw, c))


@pytest.mark.parametrize("indicators", [False, True])
@pytest.mark.parametrize("width", [1e-3, 1.0, 50.0, 1500.0])
@pytest.mark.parametrize("n_outputs", [4, 5, 20, 67])
def test_log_loss_of_many_outputs(n_outputs, width, indicators, many_digits):
    raw, weight = many_raw(n_outputs, width), 0.7
    positive = {1, 2, n_outputs - 1} if indicators else {n_outputs - 2}
    y = [float(c in positive) for c in range(n_outputs)] if indicators else min(positive)
    value, gradient = OneVsRestLogLoss()([y], [raw], [weight])
    exact = [mpmath.mpf(float(f)) for f in raw]
    terms = [log_loss(float(c in positive), f) for c, f in enumerate(exact)]
    assert_close(value, mpmath.mpf(weight) * sum(terms), n_outputs * max(1.0, width), raw)
    for c, f in enumerate(exact):
        slope = mpmath.mpf(weight) * (1 / (1 + mpmath.exp(-f)) - (c in positive))
        assert_close(gradient[0, c], slope, 1.0, (raw, c))


@pytest.mark.parametrize("loss", [MultinomialLoss(), OneVsRestLogLoss()], ids=name_of)
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_many_outputs_that_are_not_finite_show_in_the_loss(loss, bad):
    raw = np.zeros(20)
    raw[13] = bad
    assert not np.isfinite(loss([2], [raw])[0])


def deviance(metric, **options):
    """Differences of half a deviance; what depends on y alone drops out."""

    def mean(y, f):
        prediction = np.exp(f)
        base = metric(y, np.ones_like(y), **options)
        return (metric(y, prediction, **options) - base) / 2

    return mean


@pytest.mark.parametrize(
    "loss, metric",
    [
        (SquaredError(), lambda y, f: metrics.mean_squared_error(y, f) / 2),
        (AbsoluteError(), metrics.mean_absolute_error),
        (QuantileLoss(quantile=0.2), lambda y, f: metrics.mean_pinball_loss(y, f, alpha=0.2)),
        (PoissonLoss(), deviance(metrics.mean_poisson_deviance)),
        (GammaLoss(), deviance(metrics.mean_gamma_deviance)),
        (TweedieLoss(power=1.3), deviance(metrics.mean_tweedie_deviance, power=1.3)),
        (TweedieLoss(power=2.5), deviance(metrics.mean_tweedie_deviance, power=2.5)),
    ],
    ids=name_of,
)
def test_differences_of_regression_losses_are_those_of_scikit_learns_metrics(loss, metric):
    rng = np.random.default_rng(0)
    y, f = rng.gamma(2.0, size=50) + 0.1, rng.normal(size=50)
    at_zero = np.zeros(50)
    difference = (loss(y, f)[0] - loss(y, at_zero)[0]) / 50
    assert_allclose(difference, metric(y, f) - metric(y, at_zero), rtol=1e-10)


def test_classification_losses_are_scikit_learns_metrics():
    rng = np.random.default_rng(0)
    y, f = rng.integers(0, 2, 50), rng.normal(size=50)
    several, raw = rng.integers(0, 4, 50), rng.normal(size=(50, 4))
    assert_allclose(LogLoss()(y, f)[0] / 50, metrics.log_loss(y, LogLoss().predict_proba(f[:, None])), rtol=1e-12)
    assert_allclose(Hinge()(y, f)[0] / 50, metrics.hinge_loss(y, f), rtol=1e-12)
    proba = MultinomialLoss().predict_proba(raw)
    assert_allclose(MultinomialLoss()(several, raw)[0] / 50, metrics.log_loss(several, proba), rtol=1e-12)


# ---- blocks ----------------------------------------------------------------------


def random_block(loss, n_rows=12, seed=0):
    """Targets, raw outputs and weights; no raw output is near a kink."""
    rng = np.random.default_rng(seed)
    raw = rng.uniform(0.1, 0.9, (n_rows, 3)) * rng.choice([-1, 1], (n_rows, 3))
    if isinstance(loss, MultinomialLoss):
        y = rng.integers(0, 3, (n_rows, 1))
    elif classifying(loss):
        y = rng.integers(0, 2, (n_rows, 3))
    else:
        y = rng.integers(1, 5, (n_rows, 3))  # a distance of 0.1 from every raw output
        raw[::3] += 5.0
    return y.astype(np.float64), raw, rng.uniform(0.1, 3.0, n_rows)


@pytest.mark.parametrize("loss", LOSSES, ids=name_of)
def test_gradient_is_the_central_difference(loss):
    y, raw, weight = random_block(loss)
    _, gradient = loss(y, raw, weight)
    step = 1e-6
    for place in np.ndindex(raw.shape):
        up, down = raw.copy(), raw.copy()
        up[place] += step
        down[place] -= step
        difference = (loss(y, up, weight)[0] - loss(y, down, weight)[0]) / (2 * step)
        rounding = 1e-15 * abs(loss(y, raw, weight)[0]) / step
        assert gradient[place] == pytest.approx(difference, rel=1e-6, abs=1e-6 + rounding), place


@pytest.mark.parametrize("loss", LOSSES, ids=name_of)
def test_a_block_is_the_sum_of_its_rows(loss):
    y, raw, weight = random_block(loss)
    value, gradient = loss(y, raw, weight)
    rows = [loss(y[k : k + 1], raw[k : k + 1], weight[k : k + 1]) for k in range(len(raw))]
    assert value == pytest.approx(sum(row for row, _ in rows), rel=1e-13)
    assert_array_equal(gradient, np.vstack([row for _, row in rows]))


@pytest.mark.parametrize("loss", LOSSES, ids=name_of)
def test_weights_multiply(loss):
    y, raw, weight = random_block(loss)
    value, gradient = loss(y, raw, weight)
    _, plain = loss(y, raw)
    assert_allclose(gradient, weight[:, None] * plain, rtol=1e-13)
    each = [loss(y[k : k + 1], raw[k : k + 1])[0] for k in range(len(raw))]
    assert value == pytest.approx(np.dot(weight, each), rel=1e-13)


@pytest.mark.parametrize("loss", [loss for loss in LOSSES if not isinstance(loss, MultinomialLoss)], ids=name_of)
def test_outputs_add_up(loss):
    y, raw, weight = random_block(loss)
    value, gradient = loss(y, raw, weight)
    columns = [loss(y[:, k], raw[:, k], weight) for k in range(raw.shape[1])]
    assert value == pytest.approx(sum(column for column, _ in columns), rel=1e-13)
    assert_array_equal(gradient, np.hstack([column for _, column in columns]))


@pytest.mark.parametrize("loss", [LogLoss(), OneVsRestLogLoss(), Hinge(), SquaredHinge(), ModifiedHuber()], ids=name_of)
def test_a_class_is_an_indicator_of_it(loss):
    rng = np.random.default_rng(0)
    classes, raw = rng.integers(0, 4, 20), rng.normal(size=(20, 4))
    value, gradient = loss(classes, raw)
    expected, expected_gradient = loss(np.eye(4)[classes], raw)
    assert value == expected
    assert_array_equal(gradient, expected_gradient)


@pytest.mark.parametrize("loss", LOSSES, ids=name_of)
def test_nan_shows_in_the_sum(loss):
    y, raw, weight = random_block(loss)
    raw[4, 1] = np.nan
    assert np.isnan(loss(y, raw, weight)[0])


@pytest.mark.parametrize("loss", LOSSES, ids=name_of)
def test_no_rows_lose_nothing(loss):
    y, raw, _ = random_block(loss)
    value, gradient = loss(y[:0], raw[:0])
    assert value == 0.0
    assert gradient.shape == (0, 3)


@pytest.mark.parametrize(
    "loss, y, raw, gradient",
    [
        (Hinge(), 1, 1.0, 0.0),
        (Hinge(), 0, -1.0, 0.0),
        (SquaredHinge(), 1, 1.0, 0.0),
        (ModifiedHuber(), 1, 1.0, 0.0),
        (ModifiedHuber(), 1, -1.0, -4.0),
        (ModifiedHuber(), 0, 1.0, 4.0),
        (AbsoluteError(), 2.5, 2.5, 0.0),
        (QuantileLoss(quantile=0.9), 2.5, 2.5, 0.0),
        (HuberLoss(delta=0.5), 2.0, 2.5, 0.5),
        (HuberLoss(delta=0.5), 2.0, 1.5, -0.5),
    ],
    ids=name_of,
)
def test_gradient_at_kinks_is_the_documented_one(loss, y, raw, gradient):
    assert loss([y], [raw])[1][0, 0] == gradient


@pytest.mark.parametrize(
    "loss, y, raw",
    [
        (SquaredError(), np.zeros((3, 1)), np.zeros((3, 2))),
        (PoissonLoss(), np.zeros((3, 2)), np.zeros((3, 1))),
        (LogLoss(), np.zeros((3, 2)), np.zeros((3, 4))),
        (MultinomialLoss(), np.zeros((3, 3)), np.zeros((3, 3))),
        (MultinomialLoss(), [0, 1, 3], np.zeros((3, 3))),
        (MultinomialLoss(), [0, 1, -1], np.zeros((3, 3))),
        (MultinomialLoss(), [0, 1, np.nan], np.zeros((3, 3))),
        (SquaredError(), np.zeros(2), np.zeros(3)),
        (LogLoss(), np.zeros((3, 1, 1)), np.zeros(3)),
    ],
    ids=name_of,
)
def test_blocks_that_do_not_fit_together_are_refused(loss, y, raw):
    with pytest.raises(ValueError, match="y "):
        loss(y, raw)


def test_weights_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="weight"):
        SquaredError()(np.zeros(3), np.zeros(3), np.ones(2))


# ---- links -----------------------------------------------------------------------


@pytest.mark.parametrize("loss", [LogLoss(), OneVsRestLogLoss()], ids=name_of)
def test_inverse_logit(loss, many_digits):
    raw = np.array([RAWS]).T
    exact = [float(1 / (1 + mpmath.exp(-mpmath.mpf(f)))) for f in RAWS]
    assert_allclose(loss.inverse_link(raw)[:, 0], exact, rtol=1e-13, atol=5e-324)


@pytest.mark.parametrize("loss", [PoissonLoss(), GammaLoss(), TweedieLoss()], ids=name_of)
def test_inverse_log(loss):
    raw = np.array([-1000.0, -1.0, 0.0, 2.5, 700.0])
    exact = [float(mpmath.exp(f)) for f in raw]
    assert_allclose(loss.inverse_link(raw), exact, rtol=1e-13)


@pytest.mark.parametrize(
    "loss", [SquaredError(), AbsoluteError(), HuberLoss(), QuantileLoss(), Hinge(), SquaredHinge()], ids=name_of
)
def test_identity_link(loss):
    raw = np.array([[-3.0], [1000.0]])
    assert_array_equal(loss.inverse_link(raw), raw)


def test_modified_huber_link():
    raw = np.array([-1000.0, -1.0, 0.0, 0.5, 1.0, 2.0])
    assert_array_equal(ModifiedHuber().inverse_link(raw), [0, 0, 0.5, 0.75, 1, 1])


def test_probabilities_of_modified_huber_are_those_of_its_link():
    assert_array_equal(ModifiedHuber().predict_proba(np.array([[-2.0], [0.5]])), [[1, 0], [0.25, 0.75]])
    several = ModifiedHuber().predict_proba(np.array([[-2.0, 1.0, 0.0], [-1.0, -1.0, -3.0]]))
    assert_allclose(several, [[0, 2 / 3, 1 / 3], [1 / 3, 1 / 3, 1 / 3]])


@pytest.mark.parametrize("loss", [loss for loss in LOSSES if hasattr(loss, "predict_proba")], ids=name_of)
@pytest.mark.parametrize("n_outputs", [1, 2, 5])
def test_probabilities_sum_to_one(loss, n_outputs):
    if n_outputs == 1 and isinstance(loss, MultinomialLoss):
        n_outputs = 3
    raw = np.random.default_rng(0).choice(RAWS, (200, n_outputs))
    raw[0], raw[1] = -1000.0, 1000.0
    proba = loss.predict_proba(raw)
    assert proba.shape == (200, max(2, n_outputs))
    assert np.all((proba >= 0) & (proba <= 1))
    assert_allclose(proba.sum(axis=1), 1.0, rtol=1e-12)
    if n_outputs > 1:
        assert_array_equal(np.take_along_axis(proba, raw.argmax(1)[:, None], 1)[:, 0], proba.max(axis=1))


def test_losses_without_probabilities_do_not_pretend():
    assert not hasattr(Hinge(), "predict_proba")
    assert not hasattr(SquaredHinge(), "predict_proba")


@pytest.mark.parametrize("loss", LOSSES, ids=name_of)
def test_inverse_link_does_not_change_the_raw_outputs(loss):
    raw = np.linspace(-3, 3, 12).reshape(4, 3)
    loss.inverse_link(raw)
    assert_array_equal(raw, np.linspace(-3, 3, 12).reshape(4, 3))


# ---- domains ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "loss, bad",
    [
        (PoissonLoss(), -1e-9),
        (GammaLoss(), 0.0),
        (GammaLoss(), -1.0),
        (TweedieLoss(power=1), -1.0),
        (TweedieLoss(power=1.5), -1.0),
        (TweedieLoss(power=2), 0.0),
        (TweedieLoss(power=3), 0.0),
    ],
    ids=name_of,
)
def test_targets_outside_the_domain_are_refused(loss, bad):
    with pytest.raises(ValueError, match=rf"y must be .* for loss {type(loss).__name__}"):
        loss.check_y(np.array([[1.0], [bad]]))


@pytest.mark.parametrize(
    "loss, good",
    [
        (PoissonLoss(), 0.0),
        (GammaLoss(), 1e-300),
        (TweedieLoss(power=0), -5.0),
        (TweedieLoss(power=1.5), 0.0),
        (SquaredError(), -1e300),
        (QuantileLoss(), -1e300),
    ],
    ids=name_of,
)
def test_targets_at_the_edge_of_the_domain_are_taken(loss, good):
    loss.check_y(np.array([[1.0], [good]]))


@pytest.mark.parametrize(
    "loss, parameter, error",
    [
        (HuberLoss(delta=0), "delta", ValueError),
        (HuberLoss(delta=np.nan), "delta", ValueError),
        (HuberLoss(delta="wide"), "delta", TypeError),
        (QuantileLoss(quantile=0.0), "quantile", ValueError),
        (QuantileLoss(quantile=1.0), "quantile", ValueError),
        (QuantileLoss(quantile=None), "quantile", TypeError),
        (TweedieLoss(power=0.5), "power", ValueError),
        (TweedieLoss(power=-1), "power", ValueError),
        (TweedieLoss(power=np.inf), "power", ValueError),
        (TweedieLoss(power="high"), "power", TypeError),
    ],
    ids=name_of,
)
def test_parameters_outside_their_range_are_refused(loss, parameter, error):
    with pytest.raises(error, match=parameter):
        loss.check_parameters()


# ---- the model that has seen the targets alone -------------------------------------


def total_at(loss, y, weight, constant):
    raw = np.tile(np.atleast_1d(constant).astype(np.float64), (len(y), 1))
    return loss(y, raw, weight)


def assert_best_constant(loss, y, weight, constant):
    """No constant around it is better, which is enough where the loss is convex."""
    value, gradient = total_at(loss, y, weight, constant)
    for column in range(len(constant)):
        for step in (-1.0, -0.1, -1e-3, 1e-3, 0.1, 1.0):
            moved = constant.copy()
            moved[column] += step
            assert value <= total_at(loss, y, weight, moved)[0] * (1 + 1e-12) + 1e-12, (column, step)
    if type(loss) not in KINKS:
        assert_allclose(gradient.sum(axis=0), 0.0, atol=1e-9 * np.abs(gradient).sum())


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("loss", [loss for loss in LOSSES if not classifying(loss)], ids=name_of)
def test_regression_starts_from_the_best_constant(loss, weighted):
    rng = np.random.default_rng(0)
    y = rng.gamma(0.7, 3.0, (101, 2)) + 0.01
    weight = rng.uniform(0.1, 3.0, 101) if weighted else None
    constant = loss.initial_raw(y, weight)
    assert constant.shape == (2,)
    assert_best_constant(loss, y, weight, constant)


@pytest.mark.parametrize("n_classes", [2, 4])
@pytest.mark.parametrize("loss", [loss for loss in LOSSES if classifying(loss)], ids=name_of)
def test_classification_starts_from_the_best_constant(loss, n_classes):
    rng = np.random.default_rng(0)
    y, weight = rng.integers(0, n_classes, 101), rng.uniform(0.1, 3.0, 101)
    prior = np.bincount(y, weights=weight) / weight.sum()
    n_outputs = loss.n_outputs(n_classes)
    constant = np.asarray(loss.initial_raw(prior[1:] if n_outputs == 1 else prior))
    assert constant.shape == (n_outputs,)
    assert_best_constant(loss, y, weight, constant)


@pytest.mark.parametrize("loss", [loss for loss in LOSSES if classifying(loss)], ids=name_of)
def test_a_label_that_never_occurs_gives_a_finite_start(loss):
    assert np.all(np.isfinite(loss.initial_raw(np.array([0.0, 0.3, 1.0]))))


@pytest.mark.parametrize("loss", [PoissonLoss(), TweedieLoss()], ids=name_of)
def test_targets_of_zeros_give_a_finite_start(loss):
    assert np.all(np.isfinite(loss.initial_raw(np.zeros((5, 1)), None)))


# ---- objects ---------------------------------------------------------------------


@pytest.mark.parametrize("loss", LOSSES, ids=name_of)
@pytest.mark.parametrize("remade", [clone, lambda loss: pickle.loads(pickle.dumps(loss))], ids=["clone", "pickle"])
def test_copies_are_the_same_loss(loss, remade):
    other = remade(loss)
    assert type(other) is type(loss)
    assert other.get_params() == loss.get_params()
    y, raw, weight = random_block(loss)
    value, gradient = loss(y, raw, weight)
    other_value, other_gradient = other(y, raw, weight)
    assert value == other_value
    assert_array_equal(gradient, other_gradient)


@pytest.mark.parametrize(
    "loss, parameter", [(HuberLoss(), "delta"), (QuantileLoss(), "quantile"), (TweedieLoss(), "power")], ids=name_of
)
def test_parameters_can_be_set(loss, parameter):
    y, raw, _ = random_block(loss)
    before = loss(y, raw)[0]
    changed = clone(loss).set_params(**{parameter: 0.3 if parameter != "power" else 1.3})
    assert list(changed.get_params()) == [parameter]
    assert changed(y, raw)[0] != before


def test_every_exported_loss_is_tested():
    bases = {losses.Loss, losses.ClassificationLoss, losses.RegressionLoss, losses.MixtureDensity}
    sampled = {losses.SampledLogLoss, losses.SampledSoftmaxLoss}  # test_sparse_outputs.py
    elsewhere = losses.RankingLoss, losses.SurvivalLoss  # tested in files of their own
    exported = {getattr(losses, name) for name in losses.__all__ if isinstance(getattr(losses, name), type)}
    exported = {loss for loss in exported - bases if not issubclass(loss, elsewhere)}
    assert {type(loss) for loss in LOSSES} == exported - sampled
    assert set(losses.CLASSIFICATION_LOSSES.values()) | set(losses.REGRESSION_LOSSES.values()) == exported | {
        losses.MixtureDensity
    }
