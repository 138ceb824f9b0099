"""Crosses on the fly and written down, against a plain definition; factorization machines."""

import subprocess
import sys
from itertools import combinations, product

import numpy as np
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.preprocessing import OneHotEncoder

from sklearn_vectorflow import VectorFlowClassifier, VectorFlowRegressor
from sklearn_vectorflow.layers import Add, Crosses, FactorizationMachine, Input, Linear, factorization_machine
from sklearn_vectorflow.optimizers import FTRL, SGD, AdaGrad
from sklearn_vectorflow.preprocessing import FeatureCrosser

GROUPS = {"a": slice(0, 6), "b": [6, 8, 10, 12], "c": range(13, 20)}  # 7, 9 and 11: of no group
CROSSES = [("a", "b"), ("a", "a"), ("c", "b", "a"), ("c", "c", "b"), ("b",)]


def _rows(n_rows=60, seed=0):
    return sparse.random(n_rows, 20, 0.4, format="csr", dtype=np.float32, random_state=seed)


def _choices(row, cross):
    """All choices of columns for a cross, as sets, and the products of their values."""
    bags = []
    for group in sorted(set(cross)):
        columns = (
            [k for k in np.arange(20)[GROUPS[group]] if row[k] != 0]
            if isinstance(GROUPS[group], slice)
            else [k for k in GROUPS[group] if row[k] != 0]
        )
        bags.append(list(combinations(columns, cross.count(group))))
    for choice in product(*bags):
        columns = frozenset(sum(choice, ()))
        yield columns, np.prod([row[k] for k in columns])


def test_crosses_are_all_choices_of_one_column_from_each_group():
    X = _rows()
    crossed = FeatureCrosser(CROSSES, GROUPS, n_features=2**30).fit_transform(X)
    number_of = {}
    for row, got in zip(X.toarray(), crossed):
        expected = dict(pair for cross in CROSSES for pair in _choices(row, cross))
        assert got.nnz == len(expected)
        np.testing.assert_allclose(sorted(got.data), sorted(expected.values()), rtol=1e-6)
        # the same columns have the same number in every row
        values = {round(float(v), 12): k for k, v in zip(got.indices, got.data)}
        assert len(values) == got.nnz
        for columns, value in expected.items():
            nearest = min(values, key=lambda v: abs(v - value))
            assert number_of.setdefault(columns, values[nearest]) == values[nearest]
    assert len(set(number_of.values())) == len(number_of), "in 2**30 numbers, some hundred do not meet"


def test_hashes_spread():
    X = sparse.csr_matrix(np.ones((1, 600), dtype=np.float32))
    groups = {"a": slice(0, 300), "b": slice(300, 600)}
    crossed = FeatureCrosser([("a", "b")], groups, n_features=2**20).fit_transform(X)
    expected = 2**20 * -np.expm1(90_000 * np.log1p(-(2.0**-20)))
    assert abs(crossed.nnz - expected) < 300, "collisions as at random"
    counts = np.bincount(crossed.indices >> 12, minlength=256)
    assert counts.min() > 200 and counts.max() < 500
    assert crossed.sum() == 90_000, "features that meet are added"


@pytest.mark.parametrize("order", [0, 1])
def test_neither_the_order_of_columns_nor_of_groups_matters(order):
    X = _rows()
    shuffled = X.copy()
    for start, end in zip(X.indptr, X.indptr[1:]):
        shuffled.indices[start:end] = X.indices[start:end][::-1]
        shuffled.data[start:end] = X.data[start:end][::-1]
    crosser = FeatureCrosser(CROSSES, GROUPS, n_features=5000).fit(X)
    other = FeatureCrosser([cross[::-1] for cross in CROSSES], GROUPS, n_features=5000).fit(X)
    expected = crosser.transform(X).toarray()
    np.testing.assert_array_equal(crosser.transform(shuffled).toarray(), expected)
    np.testing.assert_allclose(other.transform(X).toarray(), expected, rtol=1e-6)


def test_groups_of_an_array_and_of_a_column_transformer():
    X = _rows()
    of_column = np.full(20, "none", dtype=object)
    for name, columns in GROUPS.items():
        of_column[columns] = name
    expected = FeatureCrosser(CROSSES, GROUPS, n_features=999).fit_transform(X).toarray()
    got = FeatureCrosser(CROSSES, of_column.astype(str), n_features=999).fit_transform(X).toarray()
    np.testing.assert_array_equal(got, expected)
    table = np.array([["x", "u"], ["y", "v"], ["x", "v"]])
    encoder = ColumnTransformer([("first", OneHotEncoder(), [0]), ("second", OneHotEncoder(), [1])])
    encoded = sparse.csr_matrix(encoder.fit_transform(table))
    groups = {name: encoder.output_indices_[name] for name in ("first", "second")}
    crossed = FeatureCrosser([("first", "second")], groups, n_features=2**20).fit_transform(encoded)
    assert crossed.nnz == 3 and len(set(crossed.indices)) == 3


@pytest.mark.parametrize("batch_size", [1, 7])
@pytest.mark.parametrize("hidden", [None, 3])
@pytest.mark.parametrize("optimizer", ["adagrad", "adam", "ftrl", "sgd"])
@pytest.mark.parametrize("n_features", [64, 4096])
def test_crosses_on_the_fly_are_those_written_down(n_features, optimizer, hidden, batch_size):
    X = _rows(200)
    y = np.random.RandomState(0).randint(0, 2, 200)
    written = FeatureCrosser(CROSSES, GROUPS, n_features=n_features).fit_transform(X)

    def net(x):
        # initial weights follow X, and the crossed X is another
        return Linear()(x) if hidden is None else Linear()(Linear(hidden, init=0.1)(x))

    rule = FTRL(0.05, beta=1.0) if optimizer == "ftrl" else optimizer  # defaults follow X, and the crossed X is another
    options = dict(
        optimizer=rule, learning_rate=0.05, alpha=1e-6, max_iter=2, tol=None, random_state=0, batch_size=batch_size
    )
    one = VectorFlowClassifier(network=net(Crosses(CROSSES, GROUPS, n_features)(Input())), **options).fit(X, y)
    other = VectorFlowClassifier(network=net(Input()), **options).fit(written, y)
    for a, b in zip(one.coefs_ + one.intercepts_, other.coefs_ + other.intercepts_):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(one.decision_function(X), other.decision_function(written))


MEASURE = """
import resource
import sys
from itertools import combinations
import numpy as np
from scipy import sparse
from sklearn_vectorflow import VectorFlowClassifier
from sklearn_vectorflow.layers import Crosses, Input, Linear

n, rng = 50_000, np.random.RandomState(0)
columns = np.column_stack([1000 * g + rng.randint(0, 1000, n) for g in range(8)]).astype(np.int32)
X = sparse.csr_matrix((np.ones(8 * n, np.float32), columns.ravel(), np.arange(0, 8 * n + 1, 8)), shape=(n, 8000))
groups = {g: slice(1000 * g, 1000 * g + 1000) for g in range(8)}
peaks = []
for n_crosses in (1, 1, 28):
    crosses = Crosses(list(combinations(groups, 2))[:n_crosses], groups, 2**16)
    VectorFlowClassifier(network=Linear()(crosses(Input())), max_iter=1, tol=None).fit(X, np.arange(n) % 2)
    peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
print(peaks[2] - peaks[1])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak of memory in kilobytes")
def test_memory_does_not_grow_with_the_number_of_crosses():
    process = subprocess.run([sys.executable, "-P", "-c", MEASURE], capture_output=True, text=True)
    assert process.returncode == 0, process.stderr
    assert int(process.stdout) < 2_000, "27 more crosses written down would take 11,000 kilobytes"


def test_crosses_sum_repeated_columns_first():
    once = sparse.csr_matrix(([3.0, 2.0], [0, 6], [0, 2]), shape=(1, 20))
    twice = sparse.csr_matrix(([1.0, 2.0, 2.0], [0, 6, 0], [0, 3]), shape=(1, 20))
    twice.data[2] = 2.0
    crosser = FeatureCrosser([("a", "b"), ("a", "a")], GROUPS, n_features=2**20).fit(once)
    np.testing.assert_array_equal(crosser.transform(twice).toarray(), crosser.transform(once).toarray())
    assert crosser.transform(once).data.tolist() == [6.0]


def test_the_crosser_is_a_transformer():
    X = _rows()
    crosser = FeatureCrosser(CROSSES, GROUPS, n_features=100)
    assert clone(crosser).fit(X).get_feature_names_out()[99] == "cross99"
    with pytest.raises(ValueError, match="FeatureCrosser: .* crosses 'd', which is not among the groups"):
        FeatureCrosser([("a", "d")], GROUPS).fit(X)
    with pytest.raises(ValueError, match="features"):
        crosser.fit(X).transform(X[:, :5])


# ---- factorization machines ----------------------------------------------------------------


class DenseMachine:
    """Rendle's equations (1), (4) and (5) in dense float64, trained by plain SGD or AdaGrad."""

    def __init__(self, w0, w, V):
        self.parts = [np.array(w0, dtype=float), np.array(w, dtype=float), np.array(V, dtype=float)]

    def predict(self, x):
        w0, w, V = self.parts
        total = w0 + w @ x
        for i in range(len(x)):
            for j in range(i + 1, len(x)):
                total += V[i] @ V[j] * x[i] * x[j]
        return total

    def gradient(self, x):
        V = self.parts[2]
        return [1.0, x, x[:, None] * (V.T @ x)[None, :] - V * (x**2)[:, None]]

    def fit(self, X, y, n_epochs, rate, adaptive, epsilon=1e-8):
        sums = [np.zeros_like(part) + epsilon for part in self.parts]
        for _ in range(n_epochs):
            for x, target in zip(X, y):
                error = self.predict(x) - target
                for k, of_part in enumerate(self.gradient(x)):
                    g = error * of_part
                    sums[k] = sums[k] + g**2
                    self.parts[k] = self.parts[k] - rate * g / (np.sqrt(sums[k]) if adaptive else 1.0)
        return self


@pytest.mark.parametrize("adaptive", [False, True])
@pytest.mark.parametrize("rank", [1, 3, 8])
def test_factorization_machine_against_rendles_equations(rank, adaptive):
    rng = np.random.RandomState(0)
    X = sparse.random(80, 12, 0.3, format="csr", dtype=np.float32, random_state=rng)
    y = rng.normal(size=80)
    rate = 0.05
    optimizer = AdaGrad(rate, rowwise=False) if adaptive else SGD(rate, schedule="constant")
    options = dict(alpha=0.0, shuffle=False, batch_size=1, tol=None, random_state=0, warm_start=True)
    V = rng.normal(scale=0.3, size=(12, rank)).astype(np.float32)
    x = Input()
    network = Add()([Linear(init="zeros")(x), FactorizationMachine(rank, init=V)(x)])
    model = VectorFlowRegressor(network=network, optimizer=optimizer, max_iter=4, **options).fit(X, y)
    dense = DenseMachine(y.mean(), np.zeros(12), V).fit(X.toarray().astype(float), y, 4, rate, adaptive)
    expected = [dense.predict(row) for row in X.toarray()]
    np.testing.assert_allclose(model.predict(X), expected, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(model.coefs_[1], dense.parts[2], rtol=1e-4, atol=1e-4)


def test_a_machine_finds_interactions_that_a_linear_model_cannot():
    rng = np.random.RandomState(0)
    users, items = rng.randint(0, 40, 6000), rng.randint(0, 30, 6000)
    U, V = rng.normal(size=(40, 2)), rng.normal(size=(30, 2))
    y = np.einsum("rk,rk->r", U[users], V[items]) + 0.1 * rng.normal(size=6000)
    columns = np.column_stack([users, 40 + items]).ravel()
    X = sparse.csr_matrix((np.ones(12000, np.float32), columns, np.arange(0, 12001, 2)), shape=(6000, 70))
    train, test = slice(0, 5000), slice(5000, None)
    options = dict(max_iter=30, tol=None, random_state=0)
    linear = VectorFlowRegressor(**options).fit(X[train], y[train])
    machine = VectorFlowRegressor(network=factorization_machine(4), **options).fit(X[train], y[train])
    assert linear.score(X[test], y[test]) < 0.1
    assert machine.score(X[test], y[test]) > 0.9


def test_repeated_columns_are_summed_before_pairs_are_taken():
    once = sparse.csr_matrix(([3.0, 2.0], [0, 1], [0, 2]), shape=(1, 4))
    twice = sparse.csr_matrix(([1.0, 2.0, 2.0], [0, 1, 0], [0, 3]), shape=(1, 4))
    X = sparse.vstack([once] * 8)
    model = VectorFlowRegressor(network=factorization_machine(2), max_iter=3, tol=None, random_state=0)
    model.fit(X, np.arange(8.0))
    assert model.predict(twice) == pytest.approx(model.predict(once), rel=1e-6)
