"""Times to an event from sources and in blocks: the fits of the same rows in memory."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import clone

from sklearn_vectorflow import VectorFlowSurvivalEstimator
from sklearn_vectorflow.io import ArrowSource, BatchSource, CSRSource, ParquetSource
from sklearn_vectorflow.losses import CompetingRisks, CoxPH

SEPARATING = [
    "exponential",
    "weibull",
    "lognormal",
    "loglogistic",
    "piecewise_exponential",
    "discrete",
    "competing_risks",
]


def made(n_rows=1000, seed=0):
    rng = np.random.default_rng(seed)
    X = sparse.random_array((n_rows, 30), density=0.2, rng=rng, format="csr", dtype=np.float32)
    time = rng.weibull(1.5, n_rows) * np.exp(-(X @ np.linspace(-2, 2, 30)))
    seen = rng.exponential(2.0, n_rows)
    y = {"event": time <= seen, "time": np.minimum(time, seen)}
    return X, {**y, "entry": np.where(np.arange(n_rows) >= n_rows // 2, y["time"] / 3, 0.0)}


X, Y = made()
CAUSES = {**Y, "event": Y["event"] * (1 + np.arange(1000) % 2)}


def targets(name):
    return CAUSES if name == "competing_risks" else Y


def blocks(y, n_blocks=8):
    for rows in np.array_split(np.arange(len(Y["time"])), n_blocks):
        yield X[rows], {name: values[rows] for name, values in y.items()}


def source_of(y, **params):
    return BatchSource(lambda: blocks(y), **params)


def model_of(name, **params):
    return VectorFlowSurvivalEstimator(name, random_state=0, **params)


# a buffer of one byte streams, the other one holds all rows
@pytest.mark.parametrize("buffer_bytes", [1, 2**28])
@pytest.mark.parametrize("name", SEPARATING)
def test_a_source_is_fitted_as_rows_in_memory(name, buffer_bytes):
    y = targets(name)
    params = {"alpha": 1e-3, "shuffle": False, "max_iter": 3}
    here = model_of(name, **params).fit(X, y)
    there = model_of(name, **params).fit(source_of(y, buffer_bytes=buffer_bytes))
    assert_array_equal(there.unique_times_, here.unique_times_)
    if hasattr(here.loss_, "breakpoints"):
        assert_array_equal(there.loss_.breakpoints, here.loss_.breakpoints)
    assert_allclose(there.coef_, here.coef_, atol=2e-2 if buffer_bytes == 1 else 1e-7)
    assert there.score(source_of(y)) == pytest.approx(there.score(X, y), rel=1e-9)


@pytest.mark.parametrize("name", ["weibull", "piecewise_exponential", "competing_risks"])
def test_the_optimum_over_a_source_is_that_of_rows_in_memory(name):
    here = model_of(name, solver="exact", alpha=1e-3).fit(X, targets(name))
    there = model_of(name, solver="exact", alpha=1e-3).fit(source_of(targets(name), buffer_bytes=1))
    assert_allclose(there.coef_, here.coef_, atol=1e-5)
    assert_allclose(there.intercept_, here.intercept_, atol=1e-5)


@pytest.mark.parametrize("name", ["exponential", "weibull", "discrete", "competing_risks"])
def test_blocks_one_by_one_may_differ_in_what_they_know(name):
    y = targets(name)
    model = model_of(name)
    for some, of_some in blocks(y, 10):
        if not of_some["entry"].any():
            del of_some["entry"]
        model.partial_fit(some, of_some)
    assert model.score(X, y) > 0.6
    again = model_of(name).partial_fit(source_of(y))
    assert again.score(X, y) > 0.6


@pytest.mark.parametrize("buffer_bytes", [1, 2**28])
def test_blocks_of_a_source_have_the_same_fields(buffer_bytes):
    parts = [(X[:500], {name: Y[name][:500] for name in ("event", "time")})]
    parts.append((X[500:], {name: values[500:] for name, values in Y.items()}))
    with pytest.raises(
        TypeError, match=r"the same fields in all blocks, got .'event', 'time'. and .'event', 'time', 'entry'."
    ):
        model_of("weibull").fit(BatchSource(lambda: parts, buffer_bytes=buffer_bytes))


def test_intervals_in_late_blocks():
    lower, upper = Y["time"].copy(), np.where(Y["event"], Y["time"], np.inf)
    upper[750:] = lower[750:] + 0.1
    model = model_of("weibull", alpha=1e-3, shuffle=False)
    there = clone(model).fit(source_of({"lower": lower, "upper": upper}, buffer_bytes=1))
    assert_allclose(there.coef_, clone(model).fit(X, {"lower": lower, "upper": upper}).coef_, atol=0.05)


def test_validation_rows_from_a_source():
    model = model_of("weibull", early_stopping=True, max_iter=4)
    held = {name: values[:500] for name, values in Y.items()}
    here = clone(model).fit(source_of(Y), X_val=X[:500], y_val=held)
    there = clone(model).fit(source_of(Y), X_val=BatchSource(lambda: [(X[:500], held)]))
    assert here.validation_scores_ == there.validation_scores_


def test_curves_for_a_source():
    model = model_of("weibull").fit(X, Y)
    source = source_of(Y)
    assert_array_equal(model.predict_median(source), model.predict_median(X))
    assert_array_equal(model.predict_survival_function(source, True), model.predict_survival_function(X, True))


@pytest.mark.parametrize("cache", [None, "memory", "folder"])
def test_columns_of_parquet(tmp_path, cache):
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    dense = X.toarray()
    table = pa.table({f"x{k}": dense[:, k] for k in range(30)} | {"left": Y["event"], "months": Y["time"]})
    pq.write_table(table, tmp_path / "rows.parquet", row_group_size=250)
    names = {"event": "left", "time": "months"}
    folder = tmp_path / "cache" if cache == "folder" else cache
    here = model_of("weibull", max_iter=2).fit(dense, {"event": Y["event"], "time": Y["time"]})
    for source in (
        ParquetSource(tmp_path / "rows.parquet", y=names, cache=folder),
        ArrowSource(table, y=names),
    ):
        assert_allclose(model_of("weibull", max_iter=2).fit(source).coef_, here.coef_, atol=1e-5)


def test_a_structured_array_beside_mapped_rows():
    structured = np.rec.fromarrays([Y["event"], Y["time"]], names=["event", "time"])
    here = model_of("weibull", max_iter=2).fit(X, structured)
    there = model_of("weibull", max_iter=2).fit(CSRSource(X, y=structured))
    assert_array_equal(there.coef_, here.coef_)


@pytest.mark.parametrize(
    "y, message",
    [
        ({"event": Y["event"][:-1], "time": Y["time"]}, "event in y must be an array of 1000 numbers"),
        ({"event": Y["event"]}, "needs event and time"),
        ({**Y, "time": -Y["time"]}, "time must not be negative"),
        ({**Y, "event": Y["event"] & False}, "all samples are censored"),
        (Y["time"], "y must be a structured array"),
        (None, "y"),
    ],
)
@pytest.mark.parametrize("buffer_bytes", [1, 2**28])
def test_bad_times_are_named(y, message, buffer_bytes):
    with pytest.raises((TypeError, ValueError), match=message):
        model_of("weibull").fit(BatchSource(lambda: [(X, y)], buffer_bytes=buffer_bytes))


def test_causes_beyond_those_announced():
    with pytest.raises(ValueError, match=r"events must be 0 \.\.\. 1, the number of causes, got 2"):
        model_of(CompetingRisks(n_causes=1)).fit(source_of(CAUSES, buffer_bytes=1))


def test_partial_likelihoods_need_all_rows():
    for distribution in ("cox", CoxPH("breslow")):
        with pytest.raises(TypeError, match="compares rows with each other, got the source BatchSource"):
            model_of(distribution).fit(source_of(Y))
