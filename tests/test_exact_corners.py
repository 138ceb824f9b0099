"""Steps of solver="exact" where L1 or bounds make corners."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from scipy.special import expit

from sklearn_vectorflow import VectorFlowClassifier
from sklearn_vectorflow.exact.corners import Corners
from sklearn_vectorflow.exact.curvature import SoftmaxCurvature
from sklearn_vectorflow.exact.dense_descent import DenseCornerModel
from sklearn_vectorflow.exact.descent import CornerModel
from sklearn_vectorflow.exact.design import Design
from sklearn_vectorflow.exact.losses import Losses
from sklearn_vectorflow.exact.newton import Measure, filled, minimise, moving
from sklearn_vectorflow.exact.objective import Objective
from sklearn_vectorflow.exact.preconditioner import factor
from sklearn_vectorflow.exact.stores import RowStore, TwoWayStore
from sklearn_vectorflow.exact.terms import Terms
from sklearn_vectorflow.losses import LogLoss, MultinomialLoss, WeibullAFT
from sklearn_vectorflow.losses.doors import kernel_of
from sklearn_vectorflow.threads import ALONE

from datasets import load, needs_data

N, P = 600, 30
ROWS = sparse.random_array((N, P), density=0.3, rng=0, format="csr", data_sampler=np.random.default_rng(0).normal)
TWICE = sparse.csr_array(sparse.hstack([ROWS, ROWS[:, :5]]))  # the matrix of second derivatives is singular
TIMES = np.column_stack([np.random.default_rng(0).integers(0, 2, N), np.random.default_rng(1).normal(size=N)])
TARGETS = {
    "log": (LogLoss(), np.random.default_rng(0).integers(0, 2, (N, 1)), 1, 0),
    "multinomial": (MultinomialLoss(), np.random.default_rng(0).integers(0, 3, (N, 1)), 3, 0),
    "weibull": (WeibullAFT(), TIMES, 1, 1),
}
PENALTIES = {
    "l1": {"l1": 0.01},
    "elastic net": {"l1": 0.01, "l2": 0.02},
    "bounds": {"lower": -0.05, "sign": np.arange(P) % 3 - 1.0, "l1": 0.003},
}


def objective_of(name, fields, rows=ROWS, kind=RowStore):
    loss, y, n_linear, n_constant = TARGETS[name]
    store = kind((rows.data, rows.indices.astype(np.int32), rows.indptr), rows.shape[1], ALONE)
    design = Design(store, True)
    losses = Losses(kernel_of(loss), np.ascontiguousarray(y, dtype=float), np.ones(N), 1.0, [(0, N)], ALONE)
    objective = Objective(design, losses, Terms(fields, design, n_linear))
    return objective, objective.at(np.zeros((design.n, n_linear)), np.zeros(n_constant))


@pytest.mark.parametrize("rows", [ROWS, TWICE], ids=["plain", "collinear"])
@pytest.mark.parametrize("penalty", PENALTIES)
@pytest.mark.parametrize("name", TARGETS)
def test_the_step_is_the_minimum_of_the_model(name, penalty, rows):
    """The model's projected gradient is zero there, and raw outputs change by what the step makes of them."""
    fields = dict(PENALTIES[penalty])
    if "sign" in fields:
        fields["sign"] = np.resize(fields["sign"], rows.shape[1])
    objective, point = objective_of(name, fields, rows)
    gradient, hessian = objective.gradient(point), objective.hessian(point)
    terms = objective.terms
    slope = terms.pseudo_gradient(point.weights, gradient[0]), gradient[1]
    diagonal, moves = hessian.diagonal(), moving(terms, point, slope[0])
    assert not np.all(moves)
    step, of_constants, change = DenseCornerModel(objective, hessian, point, gradient, diagonal, moves).minimise(1e-7)
    product, by_constants = hessian.times(step, of_constants)
    left = terms.pseudo_gradient(point.weights + step, gradient[0] + product)
    assert np.abs(left[moves]).max() < 1e-7 * np.abs(slope[0]).max()
    assert np.all(np.abs(gradient[1] + by_constants) < 1e-7)
    assert_array_equal(step[~moves], 0.0)
    assert_allclose(change, objective.change(step, of_constants))


@pytest.mark.parametrize("kind", [RowStore, TwoWayStore])
@pytest.mark.parametrize("penalty", PENALTIES)
@pytest.mark.parametrize("name", TARGETS)
def test_both_models_lead_to_the_same_point(name, penalty, kind, monkeypatch):
    found = []
    for model in (DenseCornerModel, CornerModel):
        objective, point = objective_of(name, PENALTIES[penalty], kind=kind)
        ones = tuple(np.ones_like(one) for one in (point.weights, point.constants))
        monkeypatch.setattr(Corners, "model", lambda self, *some, model=model: model(self.objective, *some))
        monkeypatch.setattr(Corners, "note", lambda *_: None)
        moved, report = minimise(objective, point, Measure(1.0, ones), 1e-9, 100, lambda *_: None)
        assert report.converged
        found.append(moved)
    one, other = found
    assert_allclose(one.value, other.value, rtol=1e-12)
    if name != "multinomial":  # whose weights may all move by the same
        assert_array_equal(one.weights == 0.0, other.weights == 0.0)
        assert_allclose(one.weights, other.weights, atol=1e-7)


def test_a_column_whose_rows_are_sure_of_themselves_is_not_at_its_optimum():
    """Its curvature is zero to the last bit, but L1 pulls at its weight."""
    rng = np.random.default_rng(0)
    rows = sparse.random_array((N, P), density=0.3, rng=rng, format="lil")
    rows[:50] = 0.0
    rows[:50, 2] = 1.0  # these have no other column, and no other rows have it
    rows[50:, 2] = 0.0
    rows, y = rows.tocsr(), rng.integers(0, 2, N).astype(float)
    y[:50] = 1.0
    losses = Losses(kernel_of(LogLoss()), y[:, None], np.ones(N), 1.0, [(0, N)], ALONE)
    design = Design(RowStore((rows.data, rows.indices.astype(np.int32), rows.indptr), P, ALONE), False)
    objective = Objective(design, losses, Terms({"l1": 1e-4}, design, 1))
    bare = objective.at(np.zeros((P, 1)), np.empty(0))
    measure = Measure(1.0, objective.hessian(bare).diagonal())
    best, _ = minimise(objective, bare, measure, 1e-9, 200, lambda *_: None)
    far = objective.at(np.where(np.arange(P)[:, None] == 2, 1e4, best.weights), np.empty(0))
    assert objective.hessian(far).diagonal()[0][2] == 0.0
    found, report = minimise(objective, far, measure, 1e-9, 200, lambda *_: None)
    assert report.converged and report.n_iter > 0
    assert_allclose(found.weights, best.weights, atol=1e-6)


def test_a_coordinate_without_curvature_steps_as_far_as_to_zero():
    _, point = objective_of("weibull", {"l1": 0.01})
    point.weights[:3, 0] = 2.0, -4.0, 0.0
    slope = np.full(point.weights.shape, 0.5), np.ones(1)
    own = np.full(point.weights.shape, 7.0)
    own[:3] = 0.0
    by_weights, by_constants = filled((own, np.zeros(1)), slope, point)
    assert_allclose(by_weights[:4, 0], [0.25, 0.125, 1.0, 7.0])
    assert_allclose(by_constants, 1.0)


@needs_data
@pytest.mark.parametrize("name", ["a9a", "phishing", "rcv1_small", "news20"])
def test_l1_on_real_sets(name):
    """No weight's slope is off; counts of words are up to thousands, so that some rows are sure from the start."""
    data = load(name)
    rows, y, alpha = data["X"], data["y"] == np.unique(data["y"])[-1], 1e-3
    models = [
        VectorFlowClassifier(
            solver="exact", alpha=alpha, l1_ratio=1.0, fit_intercept=False, n_jobs=n_jobs, random_state=0
        ).fit(rows, y)
        for n_jobs in (1, 2)
    ]
    assert_array_equal(models[0].coef_, models[1].coef_)
    coef = models[0].coef_.ravel().astype(float)
    slope = rows.T @ (expit(rows @ coef) - y) / len(y)
    size = np.sqrt(np.asarray(rows.multiply(rows).mean(axis=0)).ravel()) + 1e-30  # units of a column
    left = np.where(coef != 0, slope + alpha * np.sign(coef), np.sign(slope) * np.maximum(np.abs(slope) - alpha, 0.0))
    assert np.abs(left / np.maximum(size, 1.0)).max() < 1e-6


def model_of(objective, point):
    gradient, hessian = objective.gradient(point), objective.hessian(point)
    slope = objective.terms.pseudo_gradient(point.weights, gradient[0]), gradient[1]
    moves = moving(objective.terms, point, slope[0])
    return DenseCornerModel(objective, hessian, point, gradient, hessian.diagonal(), moves)


@pytest.mark.parametrize("penalty", PENALTIES)
def test_a_model_that_rounding_leaves_without_a_minimum_ends_at_finite_weights(penalty):
    """Cycles ran away along the direction that goes down without end, until numbers overflowed."""
    objective, point = objective_of("log", PENALTIES[penalty])
    model = model_of(objective, point)
    model.l1[:], model.lower[:], model.upper[:] = 0.0, -np.inf, np.inf
    model.matrix[1, 2] = model.matrix[2, 1] = -1.5 * np.sqrt(model.matrix[1, 1] * model.matrix[2, 2])
    before = model._optimality()
    weights, constants, change = model.minimise(1e-3)
    assert np.all(np.isfinite(weights)) and np.all(np.isfinite(constants)) and np.all(np.isfinite(change))
    assert model._optimality() <= 1e-3 * before


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_not_finite_have_a_factor(number):
    """No more of a diagonal gives them one, and asking for it never ended."""
    matrix = np.eye(3) * 4.0
    matrix[0, 1] = matrix[1, 0] = matrix[2, 2] = number
    found, lower = factor(matrix)
    assert lower
    assert_array_equal(found, np.diag([2.0, 2.0, 1.0]))


@pytest.mark.parametrize("ahead", [5.0, 30.0, 36.0, 60.0])
def test_second_derivatives_of_a_sure_class_are_no_rounding(ahead):
    """One less a probability near one is rounding, by which the matrix would not curve up."""
    losses = type("Losses", (), {"weight": np.ones(1)})()
    raw = np.array([[ahead, 1.0, 0.0]])
    curvature, rest = SoftmaxCurvature(losses, raw), np.exp(raw[0, 1:] - ahead).sum()
    assert_allclose(curvature.diagonal()[0, 0], rest / (1.0 + rest) ** 2, rtol=1e-14)
    assert_array_equal(curvature.between(0, 0), curvature.diagonal()[:, 0])
    assert_allclose(curvature.between(0, 0), -curvature.between(0, 1) - curvature.between(0, 2), rtol=1e-14)


@pytest.mark.parametrize("penalty", PENALTIES)
def test_a_model_ends_once_rounds_gain_nothing(penalty, monkeypatch):
    """On columns of very different scales a hundred rounds, each with equations, came no nearer."""
    solve, rounds = DenseCornerModel._solve, []
    monkeypatch.setattr(DenseCornerModel, "_solve", lambda self: [rounds.append(1), solve(self)])
    model = model_of(*objective_of("log", PENALTIES[penalty], TWICE if penalty != "bounds" else ROWS))
    before = model._optimality()
    model.minimise(0.0)
    assert 1 < len(rounds) < 50
    assert model._optimality() < 1e-12 * before
