"""Copies of hot features and inner layers that threads train, and what they merge."""

import numpy as np
import pytest
from scipy import sparse

from sklearn_vectorflow import VectorFlowClassifier, VectorFlowRegressor, threads
from sklearn_vectorflow.engine.net.replicas import Replica, most_inner
from sklearn_vectorflow.io.matrix import as_matrix
from sklearn_vectorflow.layers import (
    Add,
    Concat,
    Input,
    Linear,
    Tanh,
    factorization_machine,
    field_aware_factorization_machine,
    wide_and_deep,
)
from sklearn_vectorflow.optimizers import FTRL, SGD, AdaGrad, Adam
from sklearn_vectorflow.penalties import L1, L2
from sklearn_vectorflow.training import copies
from sklearn_vectorflow.training.trainer import Trainer

pytestmark = pytest.mark.threads  # each thread needs a core of its own

N_ROWS, N_FEATURES = 600, 40


@pytest.fixture(autouse=True)
def two_threads(monkeypatch):
    monkeypatch.setattr(threads, "_pool_limit", lambda: 2)
    monkeypatch.setattr(threads, "WORTHWHILE", 1)
    monkeypatch.setattr(copies, "N_HOT_WIDE", 15)
    monkeypatch.setattr(copies, "UNSEEN_WIDE", 64)
    monkeypatch.setattr(copies, "UNSEEN_INNER", 32)
    monkeypatch.setattr(copies, "FIRST_WIDE", 4)
    monkeypatch.setattr(copies, "WHOLE_BYTES", 0)


@pytest.fixture(params=["hot features", "all features"])
def kind(request, monkeypatch):
    """Which features have copies."""
    if request.param == "all features":
        monkeypatch.setattr(copies, "WHOLE_BYTES", 10**6)
        monkeypatch.setattr(copies, "TOUCHES", 0)
        monkeypatch.setattr(copies, "FALLING", list(RULES_OF))
        monkeypatch.setattr(copies, "PART_STEPS_WIDE", 16)
        monkeypatch.setattr(copies, "N_HOT", 15)
        monkeypatch.setattr(copies, "FIRST", 4)
    return request.param


def problem(columns=np.arange(N_FEATURES), n_classes=2, seed=0):
    """Sparse rows of some of the columns, the first most often."""
    rng = np.random.default_rng(seed)
    X = np.zeros((N_ROWS, N_FEATURES), dtype=np.float32)
    often = rng.random((N_ROWS, len(columns))) < np.linspace(0.9, 0.05, len(columns))
    X[:, columns] = often * rng.normal(size=(N_ROWS, len(columns)))
    return sparse.csr_matrix(X), np.argmax(X[:, columns] @ rng.normal(size=(len(columns), n_classes)), axis=1)


def fit(X, y, n_jobs=2, **options):
    options = {"hidden_layer_sizes": (20,), "max_iter": 1, "tol": None, "random_state": 0, "shuffle": False, **options}
    return VectorFlowClassifier(n_jobs=n_jobs, **options).fit(X, y)


def driven(monkeypatch, *steps, alone=0, records=None):
    """Make an epoch a sequence of (worker, from_row, to_row). `alone`: rows before, without copies.

    `records` gets the shared ones of layers that read rows, from before and after the steps.
    """
    used = []

    class Driven(Trainer):
        def epoch(self):
            used.append(self.team.hot.copies)
            if self.clock.step == 0:  # as in other fits, in which steps are longest then
                self.train(0, 0, alone, None)
            with self.team.hot.in_use(self.clock, self.crew):
                before = self.shared()
                for worker, start, end in steps:
                    at = worker % len(self.team.workers)
                    self.train(at, start, end, self.team.hot.copies[at])
                if records is not None:
                    records.extend(zip(before, self.shared()))
            self.network.advance()
            return 0.5

        def shared(self):
            return [one.record.copy() for one in self.network.parameters_of_rows]

        def train(self, worker, start, end, copies):
            order = np.arange(self.plan.n_chunks, dtype=np.int64)
            data = self.matrix.rows, self.targets, self.clock, order
            self.team.workers[worker].train(*data, start, end, False, 0, 0.0, 0, True, copies)

    monkeypatch.setattr("sklearn_vectorflow.training.data.Trainer", Driven)
    return used


def hot_features(X):
    """Which columns have copies in the nets of this file."""
    bits = (2 * copies.N_HOT_WIDE - 1).bit_length()
    features, *_ = copies.hottest_by_slot(as_matrix(VectorFlowClassifier(), X, reset=True), bits)
    return np.isin(np.arange(N_FEATURES), features[: copies.N_HOT_WIDE])


def arrays(model):
    return [*model.coefs_, *model.intercepts_]


def sums_of_squares(model):
    """What row-wise AdaGrad has seen, by feature."""
    parameters = model.network_.parameters[0]
    state = parameters.record[:, parameters.layout.row].astype(np.float64)
    return np.divide(1.0, state**2, out=np.zeros_like(state), where=state > 0)


FIELDS = np.arange(N_FEATURES) % 3
SHAPES = {
    "one hidden layer": {"hidden_layer_sizes": (20,), "activation": "tanh"},
    "two hidden layers": {"hidden_layer_sizes": (12, 7), "activation": "tanh"},
    "classes": {"hidden_layer_sizes": (), "n_classes": 5},
    "many classes": {"hidden_layer_sizes": (), "n_classes": 12},
    "mini-batches": {"hidden_layer_sizes": (), "batch_size": 8},
    "classes, mini-batches": {"hidden_layer_sizes": (), "n_classes": 3, "batch_size": 8},
    "a hidden layer, mini-batches": {"hidden_layer_sizes": (6,), "activation": "tanh", "batch_size": 8},
    "wide & deep": {"network": wide_and_deep((5,), activation="tanh")},
    "factorization machine": {"network": factorization_machine(rank=3)},
    "factorization machine of whole vectors": {"network": factorization_machine(rank=12)},
    "factorization machine, mini-batches": {"network": factorization_machine(rank=3), "batch_size": 8},
    "field-aware machine": {"network": field_aware_factorization_machine(FIELDS, rank=4)},
    "field-aware machine, mini-batches": {
        "network": field_aware_factorization_machine(FIELDS, rank=3),
        "batch_size": 8,
    },
    "rows beside units": {"network": Linear()(Concat()([Input(), Tanh()(Linear(4)(Input()))]))},
    "columns": {"network": Add()([Linear()(Input()), Linear()(Tanh()(Linear(4)(Input(columns=range(5, 30)))))])},
}
RULES_OF = ("sgd", "adagrad", "adagrad_rowwise", "adam", "adam_rowwise", "ftrl", "fixed")
RULES = [SGD(0.05), AdaGrad(0.1), AdaGrad(0.1, rowwise=True), Adam(1e-2), FTRL(0.1)]


MISSED = {
    "nothing": {"alpha": 0.0},
    "L2": {"alpha": 1e-3},
    "L1": {"alpha": 0.0, "penalty": L1(1e-3)},
    "means": {"alpha": 1e-3, "average": True},
    "means under L1": {"alpha": 0.0, "penalty": L1(1e-3), "average": True},
}


def trained_on(shape, rule, missed, **options):
    """The parameters of a model, its rows and their classes."""
    if isinstance(rule, FTRL) and MISSED[missed].get("average", False):
        pytest.skip("FTRL has no averages")
    options = {**SHAPES[shape], **MISSED[missed], "optimizer": rule, **options}
    return options, *problem(n_classes=options.pop("n_classes", 2))


@pytest.mark.parametrize("missed", MISSED)
@pytest.mark.parametrize("rule", RULES, ids=repr)
@pytest.mark.parametrize("shape", SHAPES)
def test_copies_of_one_worker_are_the_weights(monkeypatch, kind, shape, rule, missed):
    options, X, y = trained_on(shape, rule, missed, max_iter=2)
    alone = fit(X, y, n_jobs=1, **options)
    used = driven(monkeypatch, (0, 0, 256), (0, 256, N_ROWS))
    merged = fit(X, y, **options)
    assert all(isinstance(copy, Replica) for copy in used[0])
    for one, other in zip(arrays(alone), arrays(merged)):
        scale = max(np.abs(one).max(), 1e-3)
        np.testing.assert_allclose(other, one, rtol=2e-3, atol=2e-5 * scale)


@pytest.mark.parametrize("rule", RULES, ids=repr)
@pytest.mark.parametrize("shape", [shape for shape in SHAPES if shape not in ("columns", "rows beside units")])
def test_workers_step_their_copies_and_not_what_others_read(monkeypatch, shape, rule):
    for name in ("UNSEEN_WIDE", "UNSEEN_INNER", "UNSEEN_SHARE"):
        monkeypatch.setattr(copies, name, 10**6)
    options, X, y = trained_on(shape, rule, "nothing")
    driven(monkeypatch, (0, 0, N_ROWS // 2), records=(records := []))
    fit(X, y, **options)
    hot = hot_features(X)
    assert hot.sum() == copies.N_HOT_WIDE and records
    for before, after in records:
        np.testing.assert_array_equal(after[hot], before[hot])
    assert any((after[~hot] != before[~hot]).any() for before, after in records)


SMALL_STEPS = [SGD(0.005), AdaGrad(0.01), AdaGrad(0.01, rowwise=True), Adam(1e-3), FTRL(0.01)]


@pytest.mark.parametrize("missed", MISSED)
@pytest.mark.parametrize("rule", SMALL_STEPS, ids=repr)
@pytest.mark.parametrize("shape", SHAPES)
def test_steps_of_all_workers_count_once(monkeypatch, kind, shape, rule, missed):
    check_two_are_as_one(monkeypatch, *trained_on(shape, rule, missed))


@pytest.mark.parametrize("penalty", [L1, L2])
@pytest.mark.parametrize("rule", SMALL_STEPS, ids=repr)
def test_merges_know_the_strengths_of_features(monkeypatch, kind, rule, penalty):
    """A layer's own strength is the greatest of them, which would leave most weights nothing."""
    strengths = np.where(np.arange(N_FEATURES) % 2, np.linspace(0.0, 0.05, N_FEATURES), 0.0)
    network = Linear()(Tanh()(Linear(6, penalty=penalty(strengths))(Input())))
    monkeypatch.setattr(copies, "PART_STEPS_WIDE", 2)
    options = {"network": network, "alpha": 0.0, "optimizer": rule}
    check_two_are_as_one(monkeypatch, options, *problem(), n_hot=N_FEATURES // 2, most=0.2)


def check_two_are_as_one(monkeypatch, options, X, y, n_hot=N_FEATURES, most=0.1):
    """Where steps are small, two workers that take turns and merge at every step are: a row is late, now and then."""
    for name in ("N_HOT_WIDE", "N_HOT", "FIRST_WIDE", "FIRST"):
        monkeypatch.setattr(copies, name, n_hot)
    monkeypatch.setattr(copies, "UNSEEN_WIDE", 2)
    monkeypatch.setattr(copies, "UNSEEN_INNER", 2)
    alone = fit(X, y, n_jobs=1, **options)
    driven(monkeypatch)
    begin = fit(X, y, **options)
    driven(monkeypatch, *[(row // 24 % 2, row, row + 24) for row in range(24, N_ROWS, 24)], alone=24)
    together = fit(X, y, **options)
    zero, one, two = (np.concatenate([part.ravel() for part in arrays(model)]) for model in (begin, alone, together))
    assert np.linalg.norm(two - one) < most * np.linalg.norm(one - zero)


@pytest.mark.parametrize("batch_size", [1, 8])
@pytest.mark.parametrize("alpha", [0.0, 1e-2])
@pytest.mark.parametrize("average", [False, True])
def test_weights_and_means_are_those_of_all_steps(monkeypatch, average, alpha, batch_size):
    # the gradient of every row is -1, whatever the weights: what workers gain apart is what one gains
    for name in ("UNSEEN_WIDE", "UNSEEN_INNER", "UNSEEN_SHARE"):
        monkeypatch.setattr(copies, name, 10**6)
    X, y = sparse.csr_matrix(np.ones((N_ROWS, 3), np.float32)), np.full((N_ROWS, 2), 1e6)
    options = {
        "loss": "absolute_error",
        "optimizer": SGD(1e-3, schedule="constant"),
        "fit_intercept": False,
        "tol": None,
    }
    options |= {"alpha": alpha, "average": average, "batch_size": batch_size, "max_iter": 2, "shuffle": False}
    one = VectorFlowRegressor(n_jobs=1, random_state=0, **options).fit(X, y).coef_
    last = VectorFlowRegressor(n_jobs=1, random_state=0, **{**options, "average": False}).fit(X, y).coef_
    used = driven(monkeypatch, (0, 0, 304), (1, 304, N_ROWS))
    two = VectorFlowRegressor(n_jobs=2, random_state=0, **options).fit(X, y).coef_
    assert isinstance(used[0][0], Replica) and (not average or np.all(one < 0.9 * last))
    np.testing.assert_allclose(two, one, rtol=5e-3)


@pytest.mark.parametrize("batch_size, n_merges", [(1, N_ROWS // 32), (16, N_ROWS // 32), (128, -(-N_ROWS // 128))])
def test_hot_features_are_merged_by_rows_and_not_by_steps(monkeypatch, batch_size, n_merges):
    monkeypatch.setattr(copies, "UNSEEN_INNER", 16)
    monkeypatch.setattr(copies, "UNSEEN_SHARE", 10**6)
    used = driven(monkeypatch, (0, 0, N_ROWS))
    fit(*problem(), batch_size=batch_size)
    assert used[0][0].n_merges == n_merges


@pytest.mark.parametrize("n_numbers", [0, 1 << 16])
def test_copies_lie_near_wherever_the_records_do(monkeypatch, n_numbers):
    # allocators keep small arrays in a store of their own, far from large ones
    X, y = problem()
    X = sparse.hstack([X, sparse.csr_matrix((N_ROWS, n_numbers), dtype=np.float32)], format="csr")
    used = driven(monkeypatch, (0, 0, N_ROWS))
    monkeypatch.setattr(copies, "N_HOT_WIDE", N_FEATURES)
    fit(X, y)
    assert used[0][0].n_hot_layers == 1


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("alpha", [0.0, 1e-3])
@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_copies_that_nobody_else_changes_are_the_weights(monkeypatch, activation, alpha, n_classes):
    X, y = problem(n_classes=n_classes)
    options = {"activation": activation, "alpha": alpha}
    alone = fit(X, y, n_jobs=1, **options)
    driven(monkeypatch, (0, 0, 250), (0, 250, N_ROWS))
    merged = fit(X, y, **options)
    assert np.abs(alone.coefs_[0]).max() > 0.1
    for one, other in zip(arrays(alone), arrays(merged)):
        np.testing.assert_allclose(other, one, rtol=1e-4, atol=2e-6)


@pytest.mark.parametrize("optimizer", [SGD(0.05, schedule="constant"), AdaGrad(0.1)], ids=repr)
def test_gains_of_both_add_up(monkeypatch, optimizer):
    X, y = problem()
    half = N_ROWS // 2
    options = {"alpha": 0.0, "activation": "tanh", "optimizer": optimizer}

    def trained(*steps):
        driven(monkeypatch, *steps)
        return fit(X, y, **options)

    monkeypatch.setattr(copies, "N_HOT_WIDE", N_FEATURES)
    monkeypatch.setattr(copies, "UNSEEN_WIDE", 10**6)
    monkeypatch.setattr(copies, "UNSEEN_SHARE", 10**6)
    monkeypatch.setattr(copies, "UNSEEN_INNER", 10**6)
    start, first, second = trained((0, 0, 0)), trained((0, 0, half)), trained((1, half, N_ROWS))
    both = trained((0, 0, half), (1, half, N_ROWS))
    for zero, one, two, sum_of_both in zip(*map(arrays, (start, first, second, both))):
        hot = np.ones(len(one), bool)
        if one.ndim == 2 and len(one) == N_FEATURES:  # what finds no place in the table is shared at once
            hot = hot_features(X)
            assert hot.mean() > 0.7
        gained, gains = (sum_of_both - zero)[hot], np.stack([one - zero, two - zero])[:, hot]
        if isinstance(optimizer, SGD):
            np.testing.assert_allclose(gained, gains.sum(axis=0), rtol=1e-3, atol=1e-5)
        elif one.ndim == 2 and len(one) == N_FEATURES:  # whose is merged last is shortened by the other's gradients
            seen = sums_of_squares(first) + sums_of_squares(second)
            np.testing.assert_allclose(sums_of_squares(both)[hot], seen[hot], rtol=1e-3)
            assert np.linalg.norm(gained) < 0.98 * np.linalg.norm(gains.sum(axis=0))
            assert np.linalg.norm(gained - gains.mean(axis=0)) < np.linalg.norm(gains.mean(axis=0))


def test_rests_are_charged_once(monkeypatch):
    # worker 0 trains on the even columns, worker 1 on the odd ones, with copies older than that
    X, y = problem()
    half = N_ROWS // 2
    X = X.tolil()
    X[:half, 1::2] = 0
    X[half:, 0::2] = 0
    X = X.tocsr()
    monkeypatch.setattr(copies, "UNSEEN_WIDE", 10**6)
    monkeypatch.setattr(copies, "UNSEEN_SHARE", 10**6)
    monkeypatch.setattr(copies, "UNSEEN_INNER", 10**6)
    monkeypatch.setattr(copies, "N_HOT_WIDE", N_FEATURES)
    options = {"alpha": 0.01, "activation": "tanh"}
    driven(monkeypatch, (1, 0, 0), (0, 0, half), (1, half, N_ROWS))
    both = fit(X, y, **options).coefs_[0]
    # a serial pass has the same clocks in the even columns: rows behind do not touch them
    serial = fit(X, y, n_jobs=1, **options).coefs_[0]
    np.testing.assert_allclose(both[0::2], serial[0::2], rtol=1e-4, atol=2e-6)
    without = fit(X, y, n_jobs=1, **{**options, "alpha": 0.0}).coefs_[0]
    assert np.abs(without[0::2] - serial[0::2]).max() > 1e-2  # else rests would not show


@pytest.mark.parametrize("alpha", [0.0, 1e-4])
def test_two_threads_do_not_take_longer_steps(monkeypatch, alpha):
    # with states of their own, two threads together take steps sqrt(2) times as long
    rng = np.random.default_rng(0)
    X = rng.normal(size=(20_000, 30)).astype(np.float32)
    y = (X @ rng.normal(size=30) > 0).astype(int)
    options = {"activation": "tanh", "alpha": alpha, "shuffle": True}
    size = {n_jobs: np.linalg.norm(fit(X, y, n_jobs, **options).coefs_[0]) for n_jobs in (1, 2)}
    assert size[2] == pytest.approx(size[1], rel=0.1)


def test_a_large_inner_layer_has_the_steps_of_all_workers():
    # it has no copies, and is no worker's to take out of its records and put back
    rng = np.random.default_rng(0)
    X = sparse.random(3000, 2000, 0.01, format="csr", dtype=np.float32, random_state=0)
    y = np.argmax(X @ rng.normal(size=(2000, 120)), axis=1)
    options = {"hidden_layer_sizes": (300,), "max_iter": 3, "shuffle": True}
    alone, together = fit(X, y, n_jobs=1, **options), fit(X, y, **options)
    assert alone.coefs_[1].size * 2 > most_inner  # weights, and sums of squares
    start, gained = alone.loss_curve_[0], alone.loss_curve_[0] - alone.loss_curve_[-1]
    assert start - together.loss_curve_[-1] > 0.9 * gained
