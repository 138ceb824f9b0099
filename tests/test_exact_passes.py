"""Full passes, second derivatives and steps of models: the parts that solver="exact" is made of."""

import contextlib
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse

from sklearn_vectorflow.exact import compact
from sklearn_vectorflow.exact.compact import CompactStore
from sklearn_vectorflow.exact.curvature import curvature_of, structure_of
from sklearn_vectorflow.exact.design import Design
from sklearn_vectorflow.exact.losses import Losses
from sklearn_vectorflow.exact.newton import Model
from sklearn_vectorflow.exact.objective import Objective
from sklearn_vectorflow.exact.preconditioner import Preconditioner
from sklearn_vectorflow.exact.stores import RowStore, TwoWayStore
from sklearn_vectorflow.exact.streamed import StreamedStore
from sklearn_vectorflow.exact.terms import Terms
from sklearn_vectorflow.io.matrix import Matrix
from sklearn_vectorflow.losses import (
    CoxPH,
    GammaLoss,
    HuberLoss,
    LogLoss,
    ModifiedHuber,
    MultinomialLoss,
    PoissonLoss,
    SquaredError,
    SquaredHinge,
    TweedieLoss,
    WeibullAFT,
)
from sklearn_vectorflow.losses.doors import kernel_of, second_derivatives_of
from sklearn_vectorflow.threads import ALONE, Crew

N, P = 700, 40
DENSE = np.random.default_rng(0).normal(size=(N, P)) * (np.random.default_rng(1).random((N, P)) < 0.2)
DENSE[:, 7] = 0.0  # no row has the column
ROWS = sparse.csr_array(DENSE)
ARRAYS = ROWS.data, ROWS.indices, ROWS.indptr


def compact_store(arrays, n_columns, crew):
    """Return a store whose columns all have the places that they have."""
    counts = np.bincount(arrays[1], minlength=n_columns).astype(np.int32)
    store = CompactStore(arrays, np.arange(n_columns, dtype=np.int32), counts, crew)
    store.by_frequency = False
    return store


@pytest.fixture(params=[RowStore, TwoWayStore, compact_store])
def store(request, monkeypatch):
    monkeypatch.setattr(compact, "COMMON", 11)
    return request.param(ARRAYS, P, ALONE)


@pytest.mark.parametrize("width", [1, 3])
def test_products(store, width):
    rng = np.random.default_rng(0)
    factors, values = rng.normal(size=(P, width)), rng.normal(size=(N, width))
    assert_allclose(store.times(factors), DENSE @ factors, atol=1e-12)
    assert_allclose(store.turned_times(values), DENSE.T @ values, atol=1e-12)
    assert_allclose(store.turned_times(values, squares=True), DENSE.T**2 @ values, atol=1e-12)
    for found, expected in zip(store.turned_pair(values, values**2), (DENSE.T @ values, DENSE.T**2 @ values**2)):
        assert_allclose(found, expected, atol=1e-12)


def curved(store, factors, shift, weight):
    """Return all that a store's method of this name finds; it writes to memory that holds anything."""
    out = np.full(store.n_columns, np.nan)
    return out, *store.curved(factors, shift, weight, out)


def test_products_with_curvature(store):
    rng = np.random.default_rng(0)
    factors, weight = rng.normal(size=P), rng.random(N)
    change = weight * (DENSE @ factors + 0.5)
    found, total, unweighted = curved(store, factors, 0.5, weight)
    assert_allclose(found, DENSE.T @ change, atol=1e-12)
    assert_allclose(unweighted, DENSE @ factors + 0.5, atol=1e-12)
    assert_allclose(total, change.sum())


@pytest.mark.parametrize("intercept", [True, False])
def test_products_of_pairs(store, intercept):
    design = Design(store, intercept)
    whole = np.column_stack([np.ones(N), DENSE]) if intercept else DENSE
    weight, columns = np.random.default_rng(0).random(N), design.hottest(10)[0]
    some = whole[:, columns]
    assert_allclose(design.gram(weight, columns), (some.T * weight) @ some, atol=1e-10)
    assert (columns[0] == 0) == intercept
    assert np.all(np.diff(np.count_nonzero(some, axis=0)) <= 0)
    about = design.gram(np.ones(N), columns, 0.5)
    assert_allclose(np.diag(about), np.sum(some**2, axis=0), rtol=0.5)


def test_some_columns_alone(store):
    design = Design(store, True)
    mask = np.zeros(P + 1, dtype=bool)
    mask[[0, 3, 8, 20]] = True
    factors = np.random.default_rng(0).normal(size=(4, 2))
    some = np.column_stack([np.ones(N), DENSE])[:, mask]
    assert_allclose(design.restricted(mask).forward(factors), some @ factors, atol=1e-12)
    values, rows, starts = design.by_columns(mask)
    assert_allclose(sparse.csc_array((values, rows, starts), shape=some.shape).toarray(), some)
    assert_allclose(design.share(mask), np.count_nonzero(some[:, 1:]) / ROWS.nnz)
    assert design.n_passes == 2


@pytest.mark.parametrize("kind", [RowStore, TwoWayStore, compact_store])
def test_bits_of_sums_do_not_depend_on_threads(kind, monkeypatch):
    monkeypatch.setattr(compact, "COMMON", 60)
    rows = sparse.random_array((60_000, 500), density=0.02, rng=0, format="csr")
    values, factors = np.random.default_rng(0).normal(size=(60_000, 1)), np.random.default_rng(1).normal(size=(500, 1))
    found = []
    for n_workers in (1, 2, 3, 4):
        with Crew(n_workers) as crew:
            store = kind((rows.data, rows.indices, rows.indptr), 500, crew)
            design = Design(store, True)
            columns = design.hottest(50)[0]
            found.append(
                (
                    store.times(factors),
                    store.turned_times(values),
                    *curved(store, factors[:, 0], 0.1, np.abs(values[:, 0])),
                    *store.turned_pair(values, np.abs(values)),
                    design.gram(np.abs(values[:, 0]), columns),
                )
            )
    for other in found[1:]:
        for one, same in zip(found[0], other):
            assert_array_equal(one, same)


def test_values_that_are_all_one_are_not_stored(monkeypatch):
    monkeypatch.setattr(compact, "COMMON", 11)
    ones = np.ones(ROWS.nnz, dtype=np.float32), *ARRAYS[1:]
    store, rows = compact_store(ones, P, ALONE), RowStore(ones, P, ALONE)
    assert all(block.common[0].size + block.rare[2].size <= 2 + block.rare[1].size for block in store.blocks)
    rng = np.random.default_rng(0)
    factors, values, weight = rng.normal(size=(P, 1)), rng.normal(size=(N, 1)), rng.random(N)
    place = np.where(np.arange(P) < 6, np.arange(P), -1).astype(np.int32)
    for found, expected in (
        (store.times(factors), rows.times(factors)),
        (store.turned_times(values, True), rows.turned_times(values, True)),
        *zip(store.turned_pair(values, values), rows.turned_pair(values, values)),
        *zip(curved(store, factors[:, 0], 0.5, weight), curved(rows, factors[:, 0], 0.5, weight)),
        (store.gram(weight, place, 0, 6, 1.0), rows.gram(weight, place, 0, 6, 1.0)),
    ):
        assert_allclose(found, expected, atol=1e-12)


def test_columns_of_many_rows_are_sorted():
    """More columns than two bytes have numbers, and rows than a block has, against sums by scipy."""
    rows = sparse.random_array((70_000, 300_000), density=5e-5, rng=0, format="csr")
    design = Design.of(Matrix(rows), 1, True, ALONE)
    assert isinstance(design.rows, CompactStore) and len(design.rows.blocks[-1].rare[1]) > 0
    factors, values = (
        np.random.default_rng(0).normal(size=(300_000, 1)),
        np.random.default_rng(1).normal(size=(70_000, 1)),
    )
    assert_allclose(design.forward(design.gathered(factors, 0.0)), rows @ factors, atol=1e-12)
    one, other = design.backward_pair(values, values**2)
    assert_allclose(design.scattered(one, 300_000), rows.T @ values, atol=1e-12)
    assert_allclose(design.scattered(other, 300_000), rows.power(2).T @ values**2, atol=1e-12)
    assert_array_equal(design.hottest(20)[1][1:], np.sort(np.diff(rows.tocsc().indptr))[::-1][:20])


@pytest.mark.parametrize("kind", [LogLoss, PoissonLoss])
def test_losses_tell_their_second_derivatives(kind):
    loss, raw = kind(), np.linspace(-30.0, 8.0, 50)[:, None]
    y, h = np.ones_like(raw), 1e-4
    ups, downs = loss(y, raw + h)[1], loss(y, raw - h)[1]
    assert_allclose(loss.second_derivatives(y, raw), (ups - downs) / (2 * h), rtol=1e-5, atol=1e-9)
    assert second_derivatives_of(loss) == loss.second_derivatives


def test_another_function_has_other_second_derivatives():
    class Weighted(LogLoss):
        kernel = PoissonLoss.kernel

    assert second_derivatives_of(Weighted()) is None


class Blocks:
    """Rows in blocks, as a source gives them."""

    matrix = ROWS

    @contextlib.contextmanager
    def blocks(self, _):
        parts = [ROWS[start : start + 150] for start in range(0, N, 150)]
        yield (
            SimpleNamespace(matrix=SimpleNamespace(values=one, rows=SimpleNamespace(canonical=True))) for one in parts
        )


@pytest.mark.parametrize("share", [1.0, 0.5, 0.1])
def test_products_of_rows_in_blocks(share):
    streamed, store = StreamedStore(Blocks(), N, ALONE), RowStore(ARRAYS, P, ALONE)
    rng = np.random.default_rng(0)
    factors, values, weight = rng.normal(size=(P, 2)), rng.normal(size=(N, 2)), rng.random(N)
    assert_allclose(streamed.times(factors), store.times(factors), atol=1e-12)
    assert_allclose(streamed.turned_times(values), store.turned_times(values), atol=1e-12)
    for found, expected in zip(streamed.turned_pair(values, values**2), store.turned_pair(values, values**2)):
        assert_allclose(found, expected, atol=1e-12)
    column = factors[:, 0].copy()
    for found, expected in zip(curved(streamed, column, 0.5, weight), curved(store, column, 0.5, weight)):
        assert_allclose(found, expected, atol=1e-12)
    whole, about = (
        Design(one, True).gram(weight, np.arange(P + 1), some) for one, some in ((store, 1.0), (streamed, share))
    )
    assert_allclose(np.trace(about), np.trace(whole), rtol=1e-12 if share == 1.0 else 0.2)


LOSSES = {
    "log": (LogLoss(), np.random.default_rng(0).integers(0, 2, (N, 1)), 1, "diagonal"),
    "labels": (LogLoss(), np.random.default_rng(0).integers(0, 2, (N, 3)), 3, "diagonal"),
    "squared hinge": (SquaredHinge(), np.random.default_rng(0).integers(0, 2, (N, 1)), 1, "diagonal"),
    "modified huber": (ModifiedHuber(), np.random.default_rng(0).integers(0, 2, (N, 1)), 1, "diagonal"),
    "multinomial": (MultinomialLoss(), np.random.default_rng(0).integers(0, 4, (N, 1)), 4, "softmax"),
    "squared": (SquaredError(), np.random.default_rng(0).normal(size=(N, 2)), 2, "diagonal"),
    "huber": (HuberLoss(1.0), np.random.default_rng(0).normal(size=(N, 1)), 1, "diagonal"),
    "poisson": (PoissonLoss(), np.random.default_rng(0).poisson(2.0, (N, 1)), 1, "diagonal"),
    "gamma": (GammaLoss(), np.random.default_rng(0).gamma(2.0, size=(N, 1)), 1, "diagonal"),
    "tweedie": (TweedieLoss(1.5), np.random.default_rng(0).poisson(2.0, (N, 1)), 1, "diagonal"),
    "weibull": (
        WeibullAFT(),
        np.column_stack([np.random.default_rng(0).integers(0, 2, N), np.random.default_rng(1).normal(size=N)]),
        2,
        "full",
    ),
}


def losses_of(name):
    loss, y, n_outputs, structure = LOSSES[name]
    weight = np.random.default_rng(9).uniform(0.5, 2.0, N)
    spans = [(0, 300), (300, N)]
    return (
        Losses(kernel_of(loss), np.ascontiguousarray(y, dtype=float), weight, 1.0, spans, ALONE),
        n_outputs,
        structure,
    )


@pytest.mark.parametrize("name", LOSSES)
def test_curvature_is_the_change_of_the_gradient(name):
    losses, n_outputs, structure = losses_of(name)
    rng = np.random.default_rng(3)
    raw, change = rng.normal(size=(N, n_outputs)), rng.normal(size=(N, n_outputs))
    assert structure_of(losses, raw) == structure
    curvature = curvature_of(losses, raw, structure, losses.gradient(raw))
    expected = (losses.gradient(raw + 1e-6 * change) - losses.gradient(raw - 1e-6 * change)) / 2e-6
    fine = np.abs(expected - curvature.times(change.copy())) < 1e-5 * (1 + np.abs(expected))
    assert fine.mean() > 0.999  # a step may cross a kink of the gradient
    for one in range(n_outputs):
        assert_allclose(curvature.between(one, one), curvature.diagonal()[:, one])


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("ties", ["efron", "breslow"])
def test_partial_likelihood_of_rows_sorted_once(ties, late):
    """The kernel sorts rows in any order; for full passes they are sorted before, and take their places again."""
    rng = np.random.default_rng(0)
    time = rng.integers(2, 60, N)
    y = np.column_stack([rng.integers(0, 2, N), time, *([rng.integers(0, time)] if late else [])]).astype(float)
    raw, weight, kernel = rng.normal(size=(N, 1)), rng.uniform(0.5, 2.0, N), kernel_of(CoxPH(ties))
    expected = np.empty_like(raw)
    value = kernel.block(y, raw, weight, None, expected).evaluate()
    losses = Losses(kernel, y, weight, 1.0, [(0, N)], ALONE)
    found, gradient = losses.value_and_gradient(raw)
    assert_allclose(found, value, rtol=1e-12)
    assert_allclose(gradient, expected, atol=1e-12)
    bound = curvature_of(losses, raw, structure_of(losses, raw), gradient).diagonal()
    assert_allclose(bound, np.maximum(gradient + (weight * y[:, 0])[:, None], 0.0))


@pytest.mark.parametrize("name", LOSSES)
def test_gradient_and_second_derivatives_of_the_objective(name):
    losses, n_outputs, _ = losses_of(name)
    design = Design(RowStore(ARRAYS, P, ALONE), True)
    n_constant = 1 if name == "weibull" else 0
    n_linear = n_outputs - n_constant
    center = np.random.default_rng(4).normal(size=(P, n_linear)).astype(np.float32)
    terms = Terms({"l2": 0.1, "center": center}, design, n_linear)
    objective = Objective(design, losses, terms)
    rng = np.random.default_rng(5)
    weights, constants = 0.3 * rng.normal(size=(P + 1, n_linear)), 0.1 * rng.normal(size=n_constant)
    step, of_constants = rng.normal(size=weights.shape), rng.normal(size=n_constant)
    h = 1e-5
    up, down = (objective.at(weights + sign * h * step, constants + sign * h * of_constants) for sign in (1, -1))
    point = objective.at(weights, constants)
    gradient = objective.gradient(point)
    slope = np.vdot(gradient[0], step) + gradient[1] @ of_constants
    assert_allclose(slope, (up.value - down.value) / (2 * h), rtol=1e-6, atol=1e-8)
    hessian = objective.hessian(point)
    product = hessian.times(step, of_constants)
    change = [(a - b) / (2 * h) for a, b in zip(objective.gradient(up), objective.gradient(down))]
    for found, expected in zip(product, change):
        assert_allclose(found, expected, rtol=1e-2, atol=2e-3)
    full = hessian.block(design, terms.l2, np.arange(P + 1), list(range(n_linear)), True)
    flat = np.append(step.T.ravel(), of_constants)
    assert_allclose(full @ flat, np.append(product[0].T.ravel(), product[1]), rtol=1e-6, atol=1e-9)
    assert_allclose(np.diag(full), np.append(hessian.diagonal()[0].T.ravel(), hessian.diagonal()[1]), rtol=1e-8)


def test_factors_stay_while_curvature_hardly_changes():
    losses, _, _ = losses_of("log")
    design = Design(RowStore(ARRAYS, P, ALONE), True)
    objective = Objective(design, losses, Terms({"l2": 1e-3}, design, 1))
    moves = np.ones((P + 1, 1), dtype=bool)

    def preconditioner(size, design=design, before=None):
        point = objective.at(np.full((P + 1, 1), size), np.empty(0))
        _, hessian, diagonal = objective.derivatives(point)
        return Preconditioner(hessian, design, objective.terms.l2, diagonal, moves, before)

    first = preconditioner(0.0)
    near, far = preconditioner(0.01, before=first), preconditioner(3.0, before=first)
    assert near.factors is first.factors and not np.array_equal(near.inverse, first.inverse)
    assert far.factors is not first.factors
    others = Design(RowStore(ARRAYS, P, ALONE), True)  # other columns, perhaps
    assert preconditioner(0.01, others, first).factors is not first.factors


def test_conjugate_gradients_solve():
    losses, _, _ = losses_of("log")
    design = Design(RowStore(ARRAYS, P, ALONE), True)
    objective = Objective(design, losses, Terms({"l2": 1e-3}, design, 1))
    point = objective.at(np.zeros((P + 1, 1)), np.empty(0))
    hessian, moves = objective.hessian(point), np.ones((P + 1, 1), dtype=bool)
    slope = objective.gradient(point)
    model = Model(objective, hessian, slope, hessian.diagonal(), moves)
    found = model.direction(1e-10)[0][:, 0]
    full = hessian.block(design, objective.terms.l2, np.arange(P + 1), [0], True)
    assert_allclose(found, -np.linalg.solve(full, slope[0][:, 0]), rtol=1e-6, atol=1e-9)
