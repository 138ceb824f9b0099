"""solver="exact" over parts: the optimum of a local fit, whoever has the rows."""

import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse

from sklearn_vectorflow import VectorFlowClassifier, VectorFlowRegressor, VectorFlowSurvivalEstimator
from sklearn_vectorflow.cluster import fit as cluster_fit
from sklearn_vectorflow.cluster.fit import Here, PartsFit
from sklearn_vectorflow.cluster.optimum.blocks import Block, Setting
from sklearn_vectorflow.cluster.optimum.problem import problem_of
from sklearn_vectorflow.cluster.optimum.sums import FAN, Sums, total
from sklearn_vectorflow.cluster.parts import Rows, SourcePart
from sklearn_vectorflow.estimators.callbacks import FitTask
from sklearn_vectorflow.estimators.exact import Diverged
from sklearn_vectorflow.exact.optimum import Layout, Problem
from sklearn_vectorflow.io import CSRSource, csr
from sklearn_vectorflow.io.matrix import Matrix
from sklearn_vectorflow.losses.doors import kernel_of
from sklearn_vectorflow.penalties import L1, L2, NonNegative
from sklearn_vectorflow.threads import ALONE
from sklearn_vectorflow.validation.errors import naming

RNG = np.random.RandomState(0)
N_ROWS, N_COLUMNS = 1200, 90
X = sparse.random(N_ROWS, N_COLUMNS, density=0.08, random_state=0, format="csr", dtype=np.float32)
X.data[:] = RNG.randn(X.nnz)
SIGNAL = X @ RNG.randn(N_COLUMNS)
NOISY = SIGNAL + RNG.randn(N_ROWS)
CLASSES = np.digitize(NOISY, [-1.0, 1.0])
COUNTS = RNG.poisson(np.exp(0.3 * SIGNAL))
WEIGHT = RNG.gamma(1.0, size=N_ROWS)
OFFSET = 0.5 * RNG.randn(N_ROWS)
TIMES = {"event": RNG.rand(N_ROWS) < 0.7, "time": np.exp(0.3 * SIGNAL) * RNG.weibull(1.5, N_ROWS) + 1e-3}
EXACT = {"solver": "exact", "random_state": 0, "exact_tol": 1e-9, "alpha": 1e-3}


def some(values, rows):
    if values is None:
        return None
    return {name: one[rows] for name, one in values.items()} if isinstance(values, dict) else values[rows]


def cut(X, y, weight=None, offset=None, n_parts=5):
    edges = np.linspace(0, X.shape[0], n_parts + 1).astype(int)
    spans = [slice(start, end) for start, end in zip(edges[:-1], edges[1:])]
    return [(X[s], some(y, s), some(weight, s), None, some(offset, s)) for s in spans]


def fitted(model, parts):
    model._check_parameters()
    PartsFit(model, parts, Here()).run(FitTask(model, model._most_epochs, {}))
    return model


def assert_same_optimum(model, local):
    assert model.optimality_ <= 1e-9
    assert_allclose(model.coef_, local.coef_, rtol=1e-6, atol=1e-6)
    assert_allclose(model.intercept_, local.intercept_, rtol=1e-6, atol=1e-6)
    assert_array_equal(model.coef_ == 0, local.coef_ == 0)


PROBLEMS = {
    "log loss": (VectorFlowClassifier, {}, NOISY > 0),
    "multinomial": (VectorFlowClassifier, {}, CLASSES),
    "one vs rest": (VectorFlowClassifier, {"loss": "one_vs_rest"}, CLASSES),
    "balanced": (VectorFlowClassifier, {"class_weight": "balanced"}, CLASSES),
    "L1": (VectorFlowClassifier, {"l1_ratio": 1.0}, NOISY > 0),
    "elastic net": (VectorFlowClassifier, {"l1_ratio": 0.5}, CLASSES),
    "bounds": (VectorFlowRegressor, {"penalty": [L2(1e-3), NonNegative()]}, NOISY),
    "L1 around a centre": (VectorFlowRegressor, {"penalty": L1(1e-2, center=np.full(N_COLUMNS, 0.5))}, NOISY),
    "no intercept": (VectorFlowClassifier, {"fit_intercept": False}, NOISY > 0),
    "squared error": (VectorFlowRegressor, {}, 100.0 + NOISY),
    "two targets": (VectorFlowRegressor, {}, np.column_stack([NOISY, 3.0 - 10.0 * SIGNAL])),
    "huber": (VectorFlowRegressor, {"loss": "huber"}, NOISY),
    "poisson": (VectorFlowRegressor, {"loss": "poisson"}, COUNTS),
    "weibull": (VectorFlowSurvivalEstimator, {"distribution": "weibull"}, TIMES),
}


def offsets_for(name):
    """Offsets; of one output in three where the same for all would change nothing."""
    shifts_all = name in ("multinomial", "balanced", "elastic net")
    return np.column_stack([OFFSET, 0.0 * OFFSET, 0.0 * OFFSET]) if shifts_all else OFFSET


@pytest.mark.parametrize("given", ["rows", "weights", "weights and offsets"])
@pytest.mark.parametrize("name", PROBLEMS)
def test_the_optimum_is_that_of_a_local_fit(name, given):
    kind, params, y = PROBLEMS[name]
    weight = WEIGHT if "weights" in given else None
    offset = offsets_for(name) if "offsets" in given else None
    local = kind(**EXACT, **params).fit(X, y, sample_weight=weight, offset=offset)
    model = fitted(kind(**EXACT, **params), cut(X, y, weight, offset))
    assert_same_optimum(model, local)


def test_columns_that_parts_lack_and_that_do_not_occur():
    wide = sparse.csr_matrix((X.data, X.indices * 1000 + 7, X.indptr), (N_ROWS, 100_000))
    first = wide[: N_ROWS // 5].tolil()
    first[:, 7:5000] = 0.0
    wide = sparse.vstack([first.tocsr(), wide[N_ROWS // 5 :]]).tocsr()
    wide.eliminate_zeros()
    local = VectorFlowClassifier(**EXACT).fit(wide, CLASSES)
    assert_same_optimum(fitted(VectorFlowClassifier(**EXACT), cut(wide, CLASSES)), local)


def test_parts_of_a_source_are_read_block_after_block(monkeypatch):
    local = VectorFlowClassifier(**EXACT).fit(X, CLASSES)
    monkeypatch.setattr(csr, "PART", 1)
    source = CSRSource(X, y=CLASSES, buffer_bytes=2**12)
    assert source.n_parts == -(-N_ROWS // 64)
    parts = [SourcePart(source, tuple(numbers)) for numbers in np.split(np.arange(source.n_parts), [1, 8])]
    assert_same_optimum(fitted(VectorFlowClassifier(**EXACT), parts), local)


def test_empty_uneven_and_many_parts():
    local = VectorFlowClassifier(**EXACT).fit(X, NOISY > 0)
    edges = [0, 0, 3, 3, 700, 701, *range(720, N_ROWS, 20), N_ROWS]
    parts = [(X[a:b], (NOISY > 0)[a:b]) for a, b in zip(edges[:-1], edges[1:])]
    assert len(parts) > FAN**1.5
    assert_same_optimum(fitted(VectorFlowClassifier(**EXACT), parts), local)


def test_the_bits_do_not_depend_on_threads():
    one, two = (fitted(VectorFlowClassifier(**EXACT, n_jobs=n_jobs), cut(X, CLASSES)) for n_jobs in (1, 2))
    assert_array_equal(one.coef_, two.coef_)


def test_standard_errors_of_a_fit_over_parts():
    local = VectorFlowRegressor(**{**EXACT, "alpha": 0.0}).fit(X, NOISY, sample_weight=WEIGHT)
    model = fitted(VectorFlowRegressor(**{**EXACT, "alpha": 0.0}), cut(X, NOISY, WEIGHT))
    expected, found = (one.inference(X, NOISY, WEIGHT).std_errors() for one in (local, model))
    assert_allclose(found, expected, rtol=1e-6)


def test_a_fit_goes_on_from_where_another_ended():
    model = fitted(VectorFlowClassifier(**EXACT, warm_start=True), cut(X, CLASSES))
    before = model.coef_.copy()
    fitted(model, cut(X, CLASSES))
    assert_allclose(model.coef_, before, rtol=1e-5, atol=1e-5)


def test_what_an_exact_fit_left_is_gone_after_another():
    model = fitted(VectorFlowClassifier(**EXACT), cut(X, CLASSES))
    assert model.n_passes_ > model.n_iter_ > 3
    model.solver = "sgd"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fitted(model, cut(X, CLASSES))
    assert not hasattr(model, "optimality_")
    assert not hasattr(model, "n_passes_")


def test_an_optimum_that_is_not_reached_is_told():
    with pytest.warns(UserWarning, match="exact_tol=1e-09.*Increase exact_max_iter"):
        model = fitted(VectorFlowClassifier(**EXACT, exact_max_iter=1), cut(X, CLASSES))
    assert model.optimality_ > 1e-9


def test_steps_that_diverge_begin_anew(monkeypatch):
    def diverging(self, task):
        raise Diverged("too far")

    local = VectorFlowClassifier(**EXACT).fit(X, CLASSES)
    monkeypatch.setattr(cluster_fit.PartsFit, "_train", diverging)
    assert_same_optimum(fitted(VectorFlowClassifier(**EXACT), cut(X, CLASSES)), local)


def test_errors_of_tasks_stay_what_they_are():
    with pytest.raises(Diverged, match="part 3: too far"), naming("part 3"):
        raise Diverged("too far")
    with pytest.raises(ValueError, match="part 3: .*utf-8"), naming("part 3"):
        b"\xff".decode()


@pytest.mark.parametrize(
    ("model", "y", "message"),
    [
        (VectorFlowSurvivalEstimator("cox", **EXACT), TIMES, "CoxPH.*compares each row with all others.*solver='sgd'"),
        (VectorFlowClassifier((4,), **EXACT), CLASSES, "solver='exact' needs linear models.*solver='sgd'"),
        (VectorFlowClassifier(loss="hinge", **EXACT), NOISY > 0, "continuous gradient"),
    ],
)
def test_what_has_no_exact_solver_is_refused(model, y, message):
    with pytest.raises(ValueError, match=message):
        fitted(model, cut(X, y))


# ---- objectives ----------------------------------------------------------------------


@pytest.mark.parametrize("name", ["elastic net", "poisson", "weibull"])
def test_derivatives_are_those_of_all_rows(name):
    kind, params, y = PROBLEMS[name]
    run = PartsFit(kind(**EXACT, **params)._draft(), cut(X, y, WEIGHT), Here())
    network, template = run.network(), run.template_here
    fields = network.penalties_of(network.graph.weighted[0])
    rows = Rows(Matrix(X), y, WEIGHT)
    kernel = kernel_of(template.estimator._loss)
    local = Problem.of_rows(network, template.data(template.estimator, rows), kernel, fields, ALONE)
    spread = problem_of(network, fields, template, run.sample_here, run.parts, Here())
    assert local.design.n == spread.design.n
    points = [problem.start() for problem in (local, spread)]
    hessians = [problem.objective.hessian(point) for problem, point in zip((local, spread), points)]
    assert points[1].value == pytest.approx(points[0].value, rel=1e-12)
    rng = np.random.default_rng(0)
    direction = rng.normal(size=points[0].weights.shape), rng.normal(size=points[0].constants.shape)
    columns, _ = local.design.hottest(12)
    outputs = list(range(hessians[0].n_linear))
    for expected, found in (
        [problem.objective.gradient(point) for problem, point in zip((local, spread), points)],
        [hessian.diagonal() for hessian in hessians],
        [hessian.times(*direction) for hessian in hessians],
        [
            [hessian.block(problem.design, problem.objective.terms.l2, columns, outputs, True)]
            for hessian, problem in zip(hessians, (local, spread))
        ],
    ):
        for one, other in zip(expected, found):
            assert_allclose(other, one, rtol=1e-6, atol=1e-10)


# ---- sums ----------------------------------------------------------------------------


def test_totals_are_sums_in_the_order_of_the_parts():
    huge, one = np.array([[1e16]]), np.array([[1.0]])
    sums = [Sums(np.array([1]), value, value[0]) for value in (one, huge, -huge)]
    found = total(Here(), 3, sums)
    assert_array_equal(found.lines[:, 0], [0.0, 0.0, 0.0])  # 1 + 1e16 - 1e16
    found = total(Here(), 3, sums[1:] + sums[:1])
    assert_array_equal(found.lines[:, 0], [0.0, 1.0, 0.0])
    padding = [Sums(None, 0.0 * one, one[0])] * (FAN - 1)
    sums = [Sums(None, value, value[0]) for value in (one, huge, -huge)]
    assert total(Here(), 1, [sums[0], *padding, sums[1], *padding, sums[2]]).lines == 0.0  # three groups
    assert total(Here(), 1, [sums[1], *padding, sums[2], *padding, sums[0]]).lines == 1.0


def test_tasks_do_not_copy_the_values_of_rows():
    run = PartsFit(VectorFlowClassifier(**EXACT)._draft(), cut(X, CLASSES), Here())
    setting = Setting(run.template_here, Layout.of(run.template_here.network, run.draft._loss))
    block = Block(setting, run.sample_here)
    assert np.shares_memory(block.arrays[0], run.sample_here.matrix.values.data)
