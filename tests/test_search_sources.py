"""Searches over sources: one pass feeds all candidates, each of which takes the steps of a fit alone."""

import _thread
import contextlib
import gc
import threading
import weakref

import numpy as np
import pytest
from scipy import sparse
from sklearn.exceptions import FitFailedWarning

from sklearn_vectorflow import VectorFlowClassifier, VectorFlowRanker, VectorFlowRegressor, VectorFlowSurvivalEstimator
from sklearn_vectorflow.io import BatchSource, Source
from sklearn_vectorflow.io.blocks import Block
from sklearn_vectorflow.search import VectorFlowSearchCV
from sklearn_vectorflow.search.fits import candidate
from sklearn_vectorflow.threads import n_allowed
from sklearn_vectorflow.training.source_windows import Rows

RNG = np.random.default_rng(0)
X = sparse.random(1200, 80, density=0.08, format="csr", random_state=0, dtype=np.float32)
Y = (X @ RNG.normal(size=80) + 0.1 * RNG.normal(size=1200)).astype(np.float32)
WEIGHT = RNG.uniform(0.5, 2.0, size=1200)
OFFSET = 0.3 * RNG.normal(size=1200)
N_BLOCKS = 12
SMALL = 4 * 8 * X.nnz // N_BLOCKS  # bytes of about four blocks
GRID = {"alpha": [1e-6, 1e-3, 1.0], "learning_rate": [0.03, 0.3, 1.0]}
ROUNDS = [(9, 1), (3, 3), (1, 9)]
N_PASSES = 9 + len(ROUNDS)  # epochs, and a survey before each round


@pytest.fixture(autouse=True)
def several_windows(monkeypatch):
    monkeypatch.setattr("sklearn_vectorflow.training.plan.SLICE", X.nnz // 8)


def blocks(y=Y, weight=None, offset=None):
    parts = np.array_split(np.arange(1200), N_BLOCKS)
    return [(X[some], y[some], *(None if one is None else one[some] for one in (weight, offset))) for some in parts]


class Parts(Source):
    """Blocks as parts that are read in any order, which counts how often they are."""

    def __init__(self, given, **options):
        super().__init__(**{"buffer_bytes": SMALL, "n_jobs": 2, **options})
        self.given = given
        self.n_parts = len(given)
        self.n_reads = 0
        self.lock = threading.Lock()

    def read(self, piece):
        with self.lock:
            self.n_reads += 1
        return [Block.of(self.given[piece], f"block {piece}")]


def in_order(given, **options):
    return BatchSource(lambda: iter(given), **{"buffer_bytes": SMALL, **options})


def recorded(log):
    """A scoring that notes the weights of each candidate after each round."""

    def scoring(model, X, y=None):
        log.setdefault((model.alpha, model.learning_rate), []).append([coef.copy() for coef in model.coefs_])
        return model.score(X, y)

    return scoring


def assert_equal_to_fits_alone(estimator, source, log):
    for (alpha, learning_rate), rounds in log.items():
        alone, before = candidate(estimator, {"alpha": alpha, "learning_rate": learning_rate}), 0
        for (_, n_epochs), coefs in zip(ROUNDS, rounds):
            alone.set_params(max_iter=n_epochs - before).fit(source)
            before = n_epochs
            for mine, theirs in zip(coefs, alone.coefs_):
                np.testing.assert_array_equal(mine, theirs)


@pytest.mark.parametrize("n_jobs", [1, 2])
@pytest.mark.parametrize(
    "estimator, given, kind",
    [
        (VectorFlowRegressor(random_state=0), blocks(), Parts),
        (VectorFlowRegressor(random_state=0), blocks(), in_order),
        (VectorFlowRegressor(random_state=0, shuffle=False), blocks(), Parts),
        (VectorFlowRegressor(4, random_state=0, batch_size=7), blocks(), Parts),
        (VectorFlowRegressor(random_state=np.random.RandomState(5)), blocks(weight=WEIGHT, offset=OFFSET), Parts),
        (VectorFlowClassifier(random_state=0, class_weight="balanced"), blocks(Y > 0.4), Parts),
        (VectorFlowRegressor(random_state=0), blocks(Y, WEIGHT), lambda given: Parts(given, survey=False)),
        (VectorFlowRegressor(random_state=0), blocks(), lambda given: Parts(given, buffer_bytes=2**20)),
    ],
)
def test_candidates_take_the_steps_of_fits_alone(estimator, given, kind, n_jobs):
    log = {}
    search = VectorFlowSearchCV(estimator, GRID, max_epochs=9, scoring=recorded(log), n_jobs=n_jobs)
    search.fit(kind(given), X_val=X, y_val=Y > 0.4 if isinstance(estimator, VectorFlowClassifier) else Y)
    assert search.rounds_ == ROUNDS
    assert sorted(map(len, log.values())) == [1] * 6 + [2] * 2 + [3]
    assert_equal_to_fits_alone(estimator, kind(given), log)


def test_targets_that_are_sorted():
    order = np.argsort(Y)
    given = [(X[some], Y[some]) for some in np.array_split(order, N_BLOCKS)]
    log, estimator = {}, VectorFlowRegressor(random_state=0)
    with pytest.warns(UserWarning, match="have similar targets"):
        VectorFlowSearchCV(estimator, GRID, max_epochs=9, scoring=recorded(log)).fit(Parts(given), X_val=X, y_val=Y)
    with pytest.warns(UserWarning, match="have similar targets"):
        assert_equal_to_fits_alone(estimator, Parts(given), log)


@pytest.mark.parametrize("random_state", [None, 0])
@pytest.mark.parametrize("n_jobs", [None, 2])
def test_a_pass_is_read_once_for_all_candidates(random_state, n_jobs):
    train, test = Parts(blocks()), Parts(blocks())
    search = VectorFlowSearchCV(VectorFlowRegressor(random_state=random_state), GRID, max_epochs=9, n_jobs=n_jobs)
    search.fit(train, X_val=test)
    assert search.rounds_ == ROUNDS
    assert train.n_reads == N_PASSES * N_BLOCKS
    # the pass that begins with the search is the one of the first round
    assert test.n_reads == len(ROUNDS) * N_BLOCKS


def test_rows_that_fit_in_the_buffer_are_read_once():
    train, test = (Parts(blocks(), buffer_bytes=2**20) for _ in range(2))
    VectorFlowSearchCV(VectorFlowRegressor(random_state=0), GRID, max_epochs=9).fit(train, X_val=test)
    assert train.n_reads == test.n_reads == N_BLOCKS
    kept = Parts(blocks(), cache="memory")
    VectorFlowSearchCV(VectorFlowRegressor(random_state=0), GRID, max_epochs=9).fit(kept, X_val=X, y_val=Y)
    assert kept.n_reads == N_BLOCKS


def test_candidates_whose_orders_differ_read_passes_of_their_own():
    train = Parts(blocks())
    search = VectorFlowSearchCV(VectorFlowRegressor(), {"random_state": [0, 1]}, min_epochs=2, max_epochs=2)
    search.fit(train, X_val=X, y_val=Y)
    assert train.n_reads == (1 + 2 * 2) * N_BLOCKS


def test_nets_of_different_shapes_share_passes():
    train = Parts(blocks())
    grid = {"hidden_layer_sizes": [(), (3,), (5,)]}
    search = VectorFlowSearchCV(VectorFlowRegressor(random_state=0), grid, min_epochs=2, max_epochs=2)
    search.fit(train, X_val=X, y_val=Y)
    assert train.n_reads == (1 + 2) * N_BLOCKS


def test_few_blocks_are_held_at_a_time():
    n_alive, most = 0, {}

    def gone():
        nonlocal n_alive
        n_alive -= 1

    def many():
        nonlocal n_alive
        for block, y, *_ in 4 * blocks():
            values = block.data.copy()
            n_alive += 1
            weakref.finalize(values, gone)
            most[n] = max(most.get(n, 0), n_alive)
            yield sparse.csr_matrix((values, block.indices, block.indptr), block.shape), y

    for n in (1, 12):
        gc.collect()
        grid = {"alpha": np.logspace(-6, -3, n).tolist()}
        search = VectorFlowSearchCV(VectorFlowRegressor(random_state=0), grid, min_epochs=2, max_epochs=2)
        search.fit(BatchSource(many, buffer_bytes=SMALL), X_val=X, y_val=Y)
    assert most[12] <= most[1] + 2 < 20


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_windows_are_in_memory_once_for_each_job(n_jobs, monkeypatch):
    joined, windows, most = Rows.joined, weakref.WeakSet(), 0

    def watched(parts):
        nonlocal most
        window = joined(parts)
        windows.add(window)
        most = max(most, len(windows))
        return window

    monkeypatch.setattr(Rows, "joined", watched)
    monkeypatch.setattr(Rows, "__hash__", object.__hash__)
    search = VectorFlowSearchCV(VectorFlowRegressor(random_state=0), GRID, max_epochs=1, n_jobs=n_jobs)
    search.fit(Parts(blocks()), X_val=X, y_val=Y)
    assert 1 <= most <= n_jobs


# ---- what goes wrong -----------------------------------------------------------------------------


def test_candidates_that_diverge_leave_the_others_alone():
    class Diverging(VectorFlowRegressor):
        def _epoch(self, trainer):
            loss = super()._epoch(trainer)
            self._raise_if_diverged(self.alpha < 1.0)
            return loss

    log, train = {}, Parts(blocks())
    search = VectorFlowSearchCV(Diverging(random_state=0), GRID, max_epochs=9, scoring=recorded(log))
    with pytest.warns(FitFailedWarning, match="Training diverged"):
        search.fit(train, X_val=X, y_val=Y)
    assert len(log) == 6
    assert train.n_reads == N_PASSES * N_BLOCKS
    assert_equal_to_fits_alone(VectorFlowRegressor(random_state=0), Parts(blocks()), log)
    with pytest.raises(ValueError, match="Training diverged"):
        search.set_params(error_score="raise").fit(train, X_val=X, y_val=Y)


class Broken(Parts):
    """Does something after so many reads, and is slow from then on."""

    pause = 0.0

    def __init__(self, given, n_good, act):
        super().__init__(given)
        self.n_good, self.act = n_good, [act]

    def read(self, piece):
        if self.n_reads >= self.n_good:
            with contextlib.suppress(IndexError):  # another thread, which reads too, has done it
                self.act.pop()()
        if self.n_reads >= self.n_good:
            threading.Event().wait(self.pause)
        return super().read(piece)


@pytest.mark.parametrize("n_good", [2, 9, 20, 50])
def test_an_error_of_the_source_ends_the_search(n_good):
    def fail():
        raise OSError("The disk is gone.")

    search = VectorFlowSearchCV(VectorFlowRegressor(random_state=0), GRID, max_epochs=9, n_jobs=2)
    with pytest.raises(OSError, match="The disk is gone"):
        search.fit(Broken(blocks(), n_good, fail), X_val=X, y_val=Y)


@pytest.mark.usefixtures("sigint_raises")
def test_an_interrupt_leaves_the_search_as_it_was():
    search = VectorFlowSearchCV(VectorFlowRegressor(random_state=0), GRID, max_epochs=3).fit(X, Y)
    before = dict(vars(search))
    source = Broken(blocks(), 30, _thread.interrupt_main)  # in the round that has 60 reads at its end
    source.pause = 0.05
    with pytest.raises(KeyboardInterrupt):
        search.fit(source, X_val=X, y_val=Y)
    assert vars(search) == before
    threading.Event().wait(1.0)
    assert source.n_reads < 55
    search.fit(Parts(blocks()), X_val=X, y_val=Y)


def test_rows_that_can_be_read_once_are_refused():
    search = VectorFlowSearchCV(VectorFlowRegressor(random_state=0), GRID, max_epochs=3)
    with pytest.raises(ValueError, match="^X can be read once, but every epoch of a search reads it"):
        search.fit(iter(blocks()), X_val=X, y_val=Y)
    with pytest.raises(ValueError, match="^X_val can be read once"):
        search.fit(Parts(blocks()), X_val=iter(blocks()))


def test_estimators_that_take_no_sources():
    search = VectorFlowSearchCV(VectorFlowRanker(), {"alpha": [1e-3]})
    with pytest.raises(ValueError, match="got the source list: fit of VectorFlowRanker.* does not accept sources"):
        search.fit(blocks(), X_val=X, y_val=Y)
    y = {"event": np.ones(100, dtype=bool), "time": np.arange(1.0, 101.0)}
    search = VectorFlowSearchCV(VectorFlowSurvivalEstimator("cox"), {"alpha": [1e-3]}, error_score="raise")
    for buffer_bytes in (1, 2**20):
        source = Parts([(X[:100], y)] * 2, buffer_bytes=buffer_bytes)
        with pytest.raises(TypeError, match="got the source Parts"):
            search.fit(source, X_val=X[:100], y_val=y)


# ---- threads -------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_jobs, n_inside", [(1, 2), (2, 1)])
def test_no_more_threads_work_than_jobs(n_jobs, n_inside):
    n_working, most, inside, lock = 0, 0, set(), threading.Lock()

    class Watched(VectorFlowRegressor):
        def _check_parameters(self):  # before anything is read
            self._work()
            return super()._check_parameters()

        def _encode(self, y, n_rows, *, reset):  # beside each block
            self._work()
            return super()._encode(y, n_rows, reset=reset)

        def _work(self):
            nonlocal n_working, most
            with lock:
                n_working += 1
                most = max(most, n_working)
            inside.add(n_allowed(2))
            threading.Event().wait(0.002)
            with lock:
                n_working -= 1

    search = VectorFlowSearchCV(Watched(random_state=0), GRID, max_epochs=1, n_jobs=n_jobs)
    search.fit(Parts(blocks()), X_val=X, y_val=Y)
    assert most == n_jobs
    assert inside == {n_inside}
