"""``deterministic=True``: the same bits for any number of threads, and the steps of windows and rounds as defined."""

import pickle
import sys
import warnings

import joblib
import numpy as np
import pytest
from scipy import sparse
from sklearn.base import clone

from sklearn_vectorflow import (
    VectorFlowClassifier,
    VectorFlowRanker,
    VectorFlowRegressor,
    VectorFlowSurvivalEstimator,
    load,
    threads,
)
from sklearn_vectorflow.engine.net.aside_rounds import AsideRounds
from sklearn_vectorflow.engine.net.net_rounds import NetRounds
from sklearn_vectorflow.engine.net.part_rounds import PartRounds
from sklearn_vectorflow.engine.net.team import Team
from sklearn_vectorflow.io import BatchSource
from sklearn_vectorflow.layers import factorization_machine, field_aware_factorization_machine, wide_and_deep
from sklearn_vectorflow.network import records
from sklearn_vectorflow.optimizers import FTRL, SGD, AdaGrad, Adam
from sklearn_vectorflow.penalties import L1, L2, ElasticNet
from sklearn_vectorflow.training import copies, rounds, trainer, windows

N_JOBS = (1, 2, 3, 4, 8)
EARLY = {
    (rounds, "GROWTH"): ((0, 1), (100, 2), (400, 4), (1000, 8)),
    (rounds, "TURN"): 4,
    (rounds, "MOST_OF_CONSTANT_STEPS"): 8,
    (rounds, "MOST_OF_NETS"): 8,
    (rounds, "TOUCHES"): 0,
    (rounds, "TOUCHES_OF_NETS"): 0,
    (copies, "N_HOT"): 24,
    (copies, "PART_STEPS_WIDE"): 8,
    (copies, "UNSEEN_SHARE"): 1.0,
    (copies, "UNSEEN_TOUCHES"): 128,
    (copies, "UNSEEN_TOUCHES_OF_CONSTANT_STEPS"): 128,
}
DEFAULTS = {(where, name): getattr(where, name) for where, name in EARLY}


@pytest.fixture(autouse=True)
def many_threads(monkeypatch):
    """Threads for small data, more than there are cores."""
    monkeypatch.setattr(threads, "WORTHWHILE", 1)
    monkeypatch.setattr(threads, "_pool_limit", lambda: 8)
    monkeypatch.setattr(threads, "n_cores", lambda: 8)


@pytest.fixture(autouse=True)
def early_rounds(monkeypatch):
    """Several workers after few steps, which merge often, and features that are not hot."""
    for (where, name), value in EARLY.items():
        monkeypatch.setattr(where, name, value)


@pytest.fixture
def only_windows(monkeypatch):
    """Nothing may train in rounds."""
    monkeypatch.setattr(trainer, "most_workers", lambda trainer: 0)


@pytest.fixture
def large_layers(monkeypatch):
    """Layers too large for copies of all features, most of which are not hot."""
    monkeypatch.setattr(records, "CACHED", 0)
    monkeypatch.setattr(copies, "BITS", 3)
    monkeypatch.setattr(copies, "WHOLE_BYTES", 0)


@pytest.fixture
def wide_windows(monkeypatch):
    """Windows of many rows early on."""
    monkeypatch.setattr(windows, "GROWTH", 1.0)
    monkeypatch.setattr(windows, "GROWTH_OF_CONSTANT_STEPS", 1.0)


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(0)
    X = sparse.random_array((700, 60), density=0.2, rng=rng, format="csr", dtype=np.float32)
    raw = X @ rng.normal(size=(60, 3))
    return X, raw + rng.normal(size=raw.shape) * 0.1


def outputs(model, X):
    return model.decision_function(X) if hasattr(model, "decision_function") else model.predict(X)


def fitted(estimator, n_jobs, X, y, **options):
    model = clone(estimator).set_params(n_jobs=n_jobs, deterministic=True, random_state=0, max_iter=3, tol=None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return model.fit(X, y, **options)


def check_bits(estimator, X, y, **options):
    first, *others = (fitted(estimator, n_jobs, X, y, **options) for n_jobs in N_JOBS)
    assert np.ptp(outputs(first, X)) > 0.0  # it learned something
    for n_jobs, other in zip(N_JOBS[1:], others):
        np.testing.assert_array_equal(outputs(other, X), outputs(first, X), err_msg=f"n_jobs={n_jobs}")
        assert other.loss_curve_ == first.loss_curve_
        assert getattr(other, "validation_scores_", None) == getattr(first, "validation_scores_", None)


RULES = {
    "ftrl": {},
    "ftrl-l1": {"penalty": L1(1e-4)},
    "adagrad": {"optimizer": "adagrad"},
    "adagrad-l1": {"optimizer": "adagrad", "penalty": ElasticNet(1e-3, 0.5)},
    "adagrad-average": {"optimizer": "adagrad", "average": True},
    "adam": {"optimizer": "adam", "penalty": L2(1e-4)},
    "adam-l1": {"optimizer": "adam", "penalty": L1(1e-4)},
    "sgd": {"optimizer": "sgd"},
    "sgd-average": {"optimizer": "sgd", "penalty": L1(1e-4), "average": True},
}
SHAPES = {
    "linear": {},
    "batches": {"batch_size": 32},
    "5 units": {"hidden_layer_sizes": (5,)},
    "16 units": {"hidden_layer_sizes": (16,)},
    "two layers": {"hidden_layer_sizes": (9, 4), "dropout": 0.2, "input_dropout": 0.1},
    "two layers, all units": {"hidden_layer_sizes": (9, 4), "input_dropout": 0.1},
    "net in batches": {"hidden_layer_sizes": (8,), "batch_size": 8},
    "wide and deep": {"network": wide_and_deep((4,))},
    "factorization machine": {"network": factorization_machine(rank=4)},
    "factorization machine in batches": {"network": factorization_machine(rank=8), "batch_size": 16},
    "field-aware machine": {"network": field_aware_factorization_machine(np.arange(60) % 3, rank=4)},
    "field-aware machine in batches": {
        "network": field_aware_factorization_machine(np.arange(60) // 25, rank=3),
        "batch_size": 16,
    },
}


@pytest.mark.usefixtures("wide_windows")
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("way", ["rounds", "large_layers", "only_windows"])
def test_bits_do_not_depend_on_threads(rows, way, rule, shape, request):
    X, y = rows
    if way != "rounds":
        request.getfixturevalue(way)
    if rule.endswith("average") and SHAPES[shape].get("network") is not None:
        pytest.skip("averages of nets are tried with hidden layers")
    check_bits(VectorFlowRegressor(solver="sgd", **RULES[rule], **SHAPES[shape]), X, y[:, 0])


@pytest.mark.usefixtures("wide_windows")
@pytest.mark.parametrize("rule", ["ftrl", "ftrl-l1"])
def test_bits_of_many_classes(rows, rule):
    X, y = rows
    check_bits(VectorFlowClassifier(**RULES[rule]), X, np.argsort(np.argsort(y[:, 0])) % 12)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("strength", [1e-3, 0.01])
def test_bits_of_features_that_are_caught_up_together(rule, strength, monkeypatch):
    """After a pass, threads catch up on what penalties do to features that have rested: each on a range of them."""
    for (where, name), value in DEFAULTS.items():
        monkeypatch.setattr(where, name, value)
    rng = np.random.default_rng(1)
    X = sparse.random_array((2000, 5003), density=0.002, rng=rng, format="csr", dtype=np.float32)
    y = X @ rng.normal(size=5003)
    options = {**RULES[rule], "penalty": ElasticNet(strength, 0.5) if "l1" in rule else L2(strength)}
    one, *others = (fitted(VectorFlowRegressor(solver="sgd", **options), n_jobs, X, y) for n_jobs in N_JOBS)
    for other in others:
        np.testing.assert_array_equal(other.coef_, one.coef_)


@pytest.mark.usefixtures("wide_windows")
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("loss", ["log_loss", "one_vs_rest"])
def test_bits_of_several_classes(rows, rule, loss):
    X, y = rows
    check_bits(VectorFlowClassifier(loss=loss, **RULES[rule]), X, np.argmax(y, axis=1))


@pytest.mark.usefixtures("wide_windows")
def test_bits_of_other_estimators_and_rows(rows):
    X, y = rows
    rng = np.random.default_rng(1)
    time, event = np.exp(0.3 * y[:, 0]), rng.random(len(y)) < 0.7
    target = np.rec.fromarrays([event, time], names="event,time")
    check_bits(VectorFlowSurvivalEstimator(), X, target)
    check_bits(VectorFlowSurvivalEstimator(distribution="cox"), X, target)
    check_bits(VectorFlowRanker(), X, (y[:, 0] > 0).astype(int), qid=np.repeat(np.arange(100), 7))
    check_bits(VectorFlowRegressor(solver="sgd"), X.toarray().astype(np.float64), y)  # dense, several targets
    check_bits(VectorFlowClassifier(), X, y[:, 0] > 0, sample_weight=rng.integers(0, 3, len(y)))
    check_bits(VectorFlowClassifier(early_stopping=True), X, y[:, 0] > 0)
    check_bits(VectorFlowClassifier(hidden_layer_sizes=(4,), early_stopping=True), X, y[:, 0] > 0)


def python_loss(y, raw, weight):
    """Squared error."""
    error = raw - y
    return float(np.sum(weight * error**2) / 2), weight * error


@pytest.mark.usefixtures("wide_windows")
def test_bits_of_a_loss_in_python(rows):
    X, y = rows
    check_bits(VectorFlowRegressor(loss=python_loss, solver="sgd"), X, y[:, 0])


def test_a_loss_in_python_is_called_for_many_rows_at_once(rows):
    X, y = rows[0][:512], rows[1][:512, 0]
    lengths = []

    def noting(y, raw, weight):
        lengths.append(len(y))
        return python_loss(y, raw, weight)

    estimator = VectorFlowRegressor(loss=noting, solver="sgd", batch_size=256)
    for n_jobs in (1, 3):
        fitted(estimator, n_jobs, X, y)
    of_steps = {length for length in lengths if 8 < length <= 256}  # others look at the function, and at all rows
    assert of_steps == {threads.WORTH_THE_GIL}


def test_bits_of_a_source_and_of_partial_fit(rows):
    X, y = rows
    y = y[:, 0] > 0

    def blocks():
        for start in range(0, X.shape[0], 100):
            yield X[start : start + 100], y[start : start + 100]

    source = BatchSource(blocks, classes=[False, True], buffer_bytes=4000)
    of_source = [fitted(VectorFlowClassifier(), n_jobs, source, None) for n_jobs in N_JOBS]
    streams = []
    for n_jobs in N_JOBS:
        model = VectorFlowClassifier(n_jobs=n_jobs, deterministic=True, random_state=0)
        for block in blocks():
            model.partial_fit(*block, classes=[False, True])
        streams.append(model)
    for models in (of_source, streams):
        for model in models[1:]:
            np.testing.assert_array_equal(outputs(model, X), outputs(models[0], X))


@pytest.mark.usefixtures("only_windows")
@pytest.mark.parametrize("shape", SHAPES)
def test_windows_of_a_row_are_serial_steps(rows, shape, monkeypatch):
    X, y = rows
    monkeypatch.setattr(windows, "MOST_ROWS", 1)
    monkeypatch.setattr(windows, "FEWEST_ROWS", 1)
    estimator = VectorFlowRegressor(solver="sgd", max_iter=2, tol=None, random_state=0, **SHAPES[shape])
    if estimator.dropout:
        estimator.set_params(dropout=0.0)  # its masks are drawn otherwise
    serial = estimator.fit(X, y[:, 0])
    divided = clone(estimator).set_params(deterministic=True, n_jobs=3).fit(X, y[:, 0])
    np.testing.assert_allclose(outputs(divided, X), outputs(serial, X), rtol=2e-4, atol=2e-4)


@pytest.mark.usefixtures("only_windows")
def test_rows_that_a_loss_compares_are_read_together(rows, monkeypatch):
    """Cox's likelihood is one of the rows of a step, however many there are."""
    X, y = rows
    monkeypatch.setattr(windows, "MOST_ROWS", 1)
    monkeypatch.setattr(windows, "FEWEST_ROWS", 1)
    target = np.rec.fromarrays([y[:, 1] < 0.5, np.exp(0.3 * y[:, 0])], names="event,time")
    estimator = VectorFlowSurvivalEstimator(
        distribution="cox", batch_size=100, max_iter=2, tol=None, random_state=0, optimizer="adagrad"
    )
    serial = estimator.fit(X, target)
    divided = clone(estimator).set_params(deterministic=True, n_jobs=3).fit(X, target)
    np.testing.assert_allclose(divided.coef_, serial.coef_, rtol=2e-4, atol=2e-5)
    np.testing.assert_allclose(divided.loss_curve_, serial.loss_curve_, rtol=1e-5)


def windows_of(n_rows, batch_size, most):
    """The steps of each window, as pairs of rows: see `Member._most_rows`."""
    steps = [(start, min(start + batch_size, n_rows)) for start in range(0, n_rows, batch_size)]
    found = []
    while steps:
        most_now = max(1, min(most, int(np.sqrt(steps[0][0]))))
        n_steps = max(1, sum(end - steps[0][0] <= most_now for _, end in steps))
        found.append(steps[:n_steps])
        del steps[:n_steps]
    return found


@pytest.mark.usefixtures("wide_windows", "only_windows")
@pytest.mark.parametrize("n_jobs", [1, 3])
@pytest.mark.parametrize(("n_rows", "batch_size"), [(700, 1), (697, 3), (609, 16)])
def test_windows_take_late_gradients_in_order(rows, n_jobs, n_rows, batch_size):
    """A dense reference: gradients of the weights at the start of a window, steps one after the other.

    The last batch may be a single row.
    """
    X, y = rows[0][:n_rows], rows[1][:n_rows, 0]
    dense, rate, w, sums = X.toarray().astype(np.float64), 0.1, np.zeros(60), np.full(60, 1e-6)
    for steps in windows_of(n_rows, batch_size, windows.MOST_ROWS):
        errors = {step: dense[slice(*step)] @ w - y[slice(*step)] for step in steps}
        for step, error in errors.items():
            gradient = error @ dense[slice(*step)] / len(error)
            sums += gradient**2
            w -= rate * gradient / np.sqrt(sums)
    model = VectorFlowRegressor(
        optimizer=AdaGrad(rate, epsilon=1e-6), alpha=0.0, fit_intercept=False, shuffle=False, max_iter=1, tol=None,
        batch_size=batch_size, solver="sgd", deterministic=True, n_jobs=n_jobs,
    )  # fmt: skip
    np.testing.assert_allclose(model.fit(X, y).coef_, w, rtol=1e-4, atol=1e-5)


def turns_of(n_rows, n_workers):
    """The rows of each worker's turn, round by round."""
    most = rounds.TURN * n_workers
    for begin in range(0, n_rows, most):
        n = min(most, n_rows - begin)
        yield [range(begin + n * k // n_workers, begin + n * (k + 1) // n_workers) for k in range(n_workers)]


@pytest.mark.parametrize("n_jobs", [1, 3])
@pytest.mark.parametrize("strength", [0.0, 0.05])
@pytest.mark.parametrize("n_hot", [0, 16])
def test_rounds_add_what_turns_gain(rows, n_jobs, strength, n_hot, monkeypatch):
    """A dense reference: turns of a few rows from the same weights; gains add up, what a penalty leaves is multiplied.

    Hot features are merged after each round, all others at the end of the pass: here of one round.
    """
    n_workers = 4
    monkeypatch.setattr(rounds, "GROWTH", ((0, n_workers),))
    monkeypatch.setattr(copies, "N_HOT", n_hot)
    monkeypatch.setattr(rounds, "TURN", 4 if n_hot else 100)
    n_rows = 700 if n_hot else 400
    X, y = rows[0][:n_rows, :16], rows[1][:n_rows, 0]
    dense, rate, w = X.toarray().astype(np.float64), 0.02, np.zeros(16)
    for turns in turns_of(len(y), n_workers):
        kept, gained = 1.0, 0.0
        for turn in turns:
            own, share = w.copy(), np.exp(-rate * strength)
            for row in turn:
                own = (own - rate * (dense[row] @ own - y[row]) * dense[row]) * share
            kept *= share ** len(turn)
            gained = gained * share ** len(turn) + own - w * share ** len(turn)
        w = w * kept + gained
    model = VectorFlowRegressor(
        optimizer=SGD(rate, schedule="constant"), alpha=strength, fit_intercept=False, shuffle=False, max_iter=1,
        tol=None, solver="sgd", deterministic=True, n_jobs=n_jobs,
    )  # fmt: skip
    np.testing.assert_allclose(model.fit(X, y).coef_, w, rtol=1e-4, atol=1e-5)


@pytest.mark.usefixtures("large_layers")
@pytest.mark.parametrize("n_jobs", [1, 3])
@pytest.mark.parametrize("strength", [0.0, 0.05])
def test_records_set_aside_for_a_turn_add_what_it_gains(rows, n_jobs, strength, monkeypatch):
    """A dense reference: all features are merged after each round.

    A turn's steps see what it gained of hot features alone. Gains of these are shrunk by the turns that are added
    later, those of others by all of the round but their own.
    """
    n_workers, used = 4, []
    monkeypatch.setattr(rounds, "GROWTH", ((0, n_workers),))
    monkeypatch.setattr(copies, "BITS", 1)
    monkeypatch.setattr(copies, "UNSEEN_TOUCHES_OF_CONSTANT_STEPS", 1e9)  # turns of one length
    monkeypatch.setattr(rounds, "AsideRounds", lambda *given: used.append(given[1]) or AsideRounds(*given))
    X, y = rows[0][:, :16], rows[1][:, 0]
    rate = 0.02
    model = VectorFlowRegressor(
        optimizer=SGD(rate, schedule="constant"), alpha=strength, fit_intercept=False, shuffle=False, max_iter=1,
        tol=None, solver="sgd", deterministic=True, n_jobs=n_jobs,
    ).fit(X, y)  # fmt: skip
    (hot,) = used
    assert 0 < len(hot.features) < 3
    is_hot = np.isin(np.arange(16), hot.features)
    dense, w, share = X.toarray().astype(np.float64), np.zeros(16), np.exp(-rate * strength)
    for turns in turns_of(len(y), n_workers):
        n_left = sum(map(len, turns))
        shrunk = share**n_left
        gained = np.zeros(16)
        for turn in turns:
            base, own = w.copy(), np.zeros(16)
            for row in turn:
                seen = base + np.where(is_hot, own, 0.0)
                own = (own - rate * (dense[row] @ seen - y[row]) * dense[row]) * share
                base *= share
            n_left -= len(turn)
            later = np.full(16, share ** (sum(map(len, turns)) - len(turn)))
            later[hot.features] = share**n_left
            gained += own * later
        w = w * shrunk + gained
    np.testing.assert_allclose(model.coef_, w, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("shape", ["16 units", "wide and deep", "factorization machine"])
@pytest.mark.parametrize("optimizer", [AdaGrad(0.003), FTRL(0.003)], ids=repr)
def test_rounds_of_nets_are_serial_steps_where_these_are_small(rows, shape, optimizer, monkeypatch):
    """Two workers that merge all they have after each step or second one are as one, a few rows late."""
    monkeypatch.setattr(rounds, "GROWTH", ((0, 2),))
    monkeypatch.setattr(rounds, "TURN", 2)
    for name in ("N_HOT", "FIRST"):
        monkeypatch.setattr(copies, name, 60)
    X, y = rows
    used = []
    monkeypatch.setattr(rounds, "NetRounds", lambda *given: used.append(len(given[2])) or NetRounds(*given))
    options = {
        "optimizer": optimizer,
        "solver": "sgd",
        "tol": None,
        "random_state": 0,
        "shuffle": False,
        **SHAPES[shape],
    }
    begun, serial, late = (
        outputs(VectorFlowRegressor(max_iter=n, deterministic=how, **options).fit(X, y[:, 0]), X)
        for n, how in ((1, False), (6, False), (6, True))
    )
    assert set(used) == {2}
    assert np.linalg.norm(late - serial) < 0.1 * np.linalg.norm(serial - begun)


class Guarded:
    """Numpy, with more zeros around arrays of them."""

    def __init__(self):
        self.rooms = []

    def __getattr__(self, name):
        return getattr(np, name)

    def zeros(self, shape, dtype=float):
        size = int(np.prod(shape))
        room = np.zeros(size + 32, dtype=dtype)
        self.rooms.append(room)
        return room[16 : 16 + size].reshape(shape)


@pytest.mark.parametrize("optimizer", ["adagrad", "adam", "sgd"])
def test_a_constant_output_has_no_clock_even_if_weights_have(rows, optimizer, monkeypatch):
    X, y = rows
    guarded = Guarded()
    monkeypatch.setattr(records, "np", guarded)
    target = np.rec.fromarrays([y[:, 1] < 0.5, np.exp(0.3 * y[:, 0])], names="event,time")
    model = VectorFlowSurvivalEstimator(distribution="weibull", optimizer=optimizer, alpha=1e-3)
    fitted(model, 1, X, target)
    assert len(guarded.rooms) >= 2
    assert not any(room[:16].any() or room[-16:].any() for room in guarded.rooms)


@pytest.mark.parametrize("way", ["rounds", "large_layers", "only_windows"])
@pytest.mark.parametrize("density", [0.2, 1.0])
@pytest.mark.parametrize("optimizer", ["ftrl", "adagrad", Adam(), SGD()])
def test_late_gradients_cost_no_quality(optimizer, density, way, monkeypatch, request):
    if way != "rounds":
        request.getfixturevalue(way)
    for (where, name), value in DEFAULTS.items():
        monkeypatch.setattr(where, name, value)
    in_windows = way == "only_windows"
    n_rows = 4000 if in_windows else 20_000  # rounds have several workers only then
    left = np.zeros(2)
    for seed in range(5 if in_windows else 2):
        rng = np.random.default_rng(seed)
        X = sparse.random_array((n_rows, 30), density=density, rng=rng, format="csr", dtype=np.float32)
        y = X @ rng.normal(size=30) + rng.normal(size=n_rows) * 0.1
        model = VectorFlowRegressor(optimizer=optimizer, solver="sgd", random_state=0)
        left += [1.0 - model.set_params(deterministic=how).fit(X, y).score(X, y) for how in (False, True)]
    assert left[0] < 0.2  # a twenty-fifth of the variance, five times
    assert left[1] < 1.2 * left[0]


@pytest.mark.skipif(sys.platform != "linux", reason="sleeping threads are woken one by one on Linux alone")
def test_threads_without_a_core_sleep_until_others_are_done(rows, monkeypatch):
    """A thread that merely offers its core to others gets it back late where the machine is busy."""
    resource = pytest.importorskip("resource")
    X, y = rows
    n_threads = 4 * joblib.cpu_count()
    monkeypatch.setattr(threads, "_pool_limit", lambda: n_threads)
    monkeypatch.setattr(threads, "n_cores", lambda: n_threads)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_nvcsw
    fitted(VectorFlowRegressor(solver="sgd"), n_threads, X, y[:, 0])
    assert resource.getrusage(resource.RUSAGE_SELF).ru_nvcsw - before > len(y)  # windows are of few rows


@pytest.mark.usefixtures("only_windows")
def test_no_more_threads_than_cores_share_windows(rows, monkeypatch):
    X, y = rows
    teams = []
    monkeypatch.setattr(threads, "n_cores", lambda: 2)
    monkeypatch.setattr(
        windows, "Team", lambda net, n_members, *sizes: teams.append(n_members) or Team(net, n_members, *sizes)
    )
    fitted(VectorFlowRegressor(solver="sgd"), 8, X, y[:, 0])
    assert set(teams) == {2}


def test_no_more_threads_than_cores_take_turns(rows, monkeypatch):
    X, y = rows
    found = []
    monkeypatch.setattr(threads, "n_cores", lambda: 2)
    monkeypatch.setattr(rounds, "PartRounds", lambda *given: found.append(given[4]) or PartRounds(*given))
    fitted(VectorFlowRegressor(solver="sgd"), 8, X, y[:, 0])
    assert set(found) == {2}


@pytest.mark.usefixtures("large_layers")
@pytest.mark.parametrize("expected", [4, 2, 1])
def test_turns_of_long_rows_are_short(rows, expected, monkeypatch):
    """Each worker has room for copies of all that a turn touches."""
    X, y = rows
    longest = np.sort(np.diff(X.indptr))[-expected:].sum()
    monkeypatch.setattr(rounds, "MOST_ASIDE", longest)
    found = set()
    monkeypatch.setattr(
        rounds, "AsideRounds", lambda *given: found.add((given[1].period, given[-1])) or AsideRounds(*given)
    )
    check_bits(VectorFlowRegressor(solver="sgd"), X, y[:, 0])
    assert found == {(expected, longest)}


@pytest.mark.parametrize(("n_empty", "most"), [(0, 8), (1000, 3), (10_000, 1)])
def test_no_more_workers_than_a_pass_pays_for(rows, n_empty, most, monkeypatch):
    """Each copies and merges all records in each pass."""
    monkeypatch.setattr(rounds, "TOUCHES", DEFAULTS[rounds, "TOUCHES"])
    X, y = rows
    X = sparse.hstack([X, sparse.csr_array((X.shape[0], n_empty), dtype=np.float32)], format="csr")
    found = {1}
    monkeypatch.setattr(rounds, "PartRounds", lambda *given: found.add(len(given[2])) or PartRounds(*given))
    fitted(VectorFlowRegressor(solver="sgd"), 2, X, y[:, 0])
    assert max(found) == most


@pytest.mark.parametrize("way", ["rounds", "large_layers", "only_windows"])
def test_a_fit_that_diverges_ends_on_all_threads(rows, way, request):
    X, y = rows
    if way != "rounds":
        request.getfixturevalue(way)
    model = fitted(VectorFlowRegressor(solver="sgd"), 4, X, y[:, 0])
    before = model.predict(X)
    with pytest.raises(ValueError, match="diverged"):
        model.set_params(optimizer=SGD(learning_rate=1e30)).fit(X, y[:, 0])
    np.testing.assert_array_equal(model.predict(X), before)


def test_an_error_of_a_loss_ends_on_all_threads(rows):
    X, y = rows

    def loss(y, raw, weight):
        if np.any(raw != 0.0):
            raise KeyError("from the loss")
        return 0.0, np.ones_like(raw)

    with pytest.raises(KeyError, match="from the loss"):
        fitted(VectorFlowRegressor(loss=loss, solver="sgd"), 4, X, y[:, 0])


def test_deterministic_is_checked_and_saved(rows, tmp_path):
    X, y = rows
    for value in (1, "yes", None):
        with pytest.raises((TypeError, ValueError), match="deterministic"):
            VectorFlowRegressor(deterministic=value).fit(X, y[:, 0])
    model = pickle.loads(pickle.dumps(fitted(VectorFlowRegressor(solver="sgd"), 2, X, y[:, 0])))
    assert model.deterministic is True
    model.save(tmp_path / "model")
    assert load(tmp_path / "model").deterministic is True
