"""Training and prediction on sources of row blocks give what the same rows in memory give."""

import io
import signal
import threading
import time
from contextlib import redirect_stdout

import numpy as np
import pytest
from scipy import sparse

from sklearn_vectorflow import VectorFlowClassifier, VectorFlowRanker, VectorFlowRegressor
from sklearn_vectorflow.io import BatchSource, CSRSource, Source
from sklearn_vectorflow.io.ahead import Ahead
from sklearn_vectorflow.layers import Input, Linear, Tanh
from sklearn_vectorflow.losses import QuantileLoss
from sklearn_vectorflow.optimizers import AdaGrad
from sklearn_vectorflow.training import plan, source_trainer
from sklearn_vectorflow.training.progress import Progress

from user_losses import LogisticPython, PinballPython, TwoTasksPython

N_ROWS, N_FEATURES = 3000, 400
RNG = np.random.default_rng(0)
X = sparse.random(N_ROWS, N_FEATURES, 0.03, format="csr", dtype=np.float32, random_state=0)
SCORE = X @ RNG.normal(size=N_FEATURES) + RNG.normal(scale=0.3, size=N_ROWS)
LABELS = np.array(["no", "yes"])[(SCORE > 0).astype(int)]
THREE = np.digitize(SCORE, [-0.5, 0.5])
WEIGHT = RNG.uniform(0.0, 2.0, N_ROWS)
WEIGHT[::7] = 0.0
CUTS = [0, 1, 100, 777, 778, 1900, N_ROWS]
SMALL = 3000  # bytes of a buffer that holds a small part of the rows


class Rows:
    """Blocks of rows between cuts, again and again; counts how often."""

    def __init__(self, X=X, y=LABELS, weight=None, cuts=CUTS):
        self.arrays = X, y, weight
        self.cuts = cuts
        self.n_passes = 0

    def __call__(self):
        self.n_passes += 1
        for start, end in zip(self.cuts[:-1], self.cuts[1:]):
            yield tuple(values[start:end] for values in self.arrays if values is not None)


@pytest.fixture(autouse=True)
def small_slices(monkeypatch):
    monkeypatch.setattr(plan, "SLICE", 1500)


@pytest.fixture
def windows(monkeypatch):
    """Numbers of rows of the windows trained on."""
    seen, run = [], source_trainer.StreamTrainer._run

    def watched(self, rows, *args):
        seen.append(rows.matrix.shape[0])
        return run(self, rows, *args)

    monkeypatch.setattr(source_trainer.StreamTrainer, "_run", watched)
    return seen


def assert_same(model, other):
    for mine, theirs in zip(model.coefs_ + model.intercepts_, other.coefs_ + other.intercepts_):
        np.testing.assert_array_equal(mine, theirs)
    assert model.loss_curve_ == other.loss_curve_
    assert model.n_iter_ == other.n_iter_


CLASSIFIERS = {
    "plain": {},
    "batches": {"batch_size": 7},
    "net": {"hidden_layer_sizes": (8,), "dropout": 0.2},
    "input dropout": {"input_dropout": 0.3, "optimizer": "adam"},
    "balanced": {"class_weight": "balanced", "optimizer": "ftrl"},
    "average": {"average": True},
    "decaying": {"optimizer": "sgd", "alpha": 1e-4, "l1_ratio": 0.5},
}


@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["unweighted", "weighted"])
@pytest.mark.parametrize("y", [LABELS, THREE, THREE == 1], ids=["two", "three", "bool"])
@pytest.mark.parametrize("options", CLASSIFIERS.values(), ids=CLASSIFIERS)
def test_classifier_gets_the_same_bits_from_blocks(windows, options, y, weight):
    model = VectorFlowClassifier(random_state=0, max_iter=3, tol=None, shuffle=False, **options)
    source = BatchSource(Rows(X, y, weight), buffer_bytes=SMALL)
    expected = VectorFlowClassifier(**model.get_params(deep=False)).fit(X, y, weight)
    model.fit(source)
    assert_same(model, expected)
    np.testing.assert_array_equal(model.classes_, expected.classes_)
    assert model.classes_.dtype == expected.classes_.dtype
    assert len(windows) > 3 * len(CUTS) and sum(windows) == 3 * N_ROWS
    assert model.score(source) == expected.score(X, y, weight)


@pytest.mark.parametrize("loss", ["squared_error", "absolute_error", QuantileLoss(0.9), PinballPython(0.9)], ids=repr)
def test_regressor_gets_the_same_bits_from_blocks(windows, loss):
    model = VectorFlowRegressor(loss=loss, random_state=0, max_iter=3, shuffle=False)
    expected = VectorFlowRegressor(**model.get_params(deep=False)).fit(X, SCORE, WEIGHT)
    source = BatchSource(Rows(X, SCORE, WEIGHT), buffer_bytes=SMALL)
    assert_same(model.fit(source), expected)
    assert len(windows) > model.n_iter_
    np.testing.assert_array_equal(model.predict(source), expected.predict(X))
    assert model.score(source) == expected.score(X, SCORE, WEIGHT)


def test_own_loss_of_classes_gets_the_same_bits_from_blocks(windows):
    model = VectorFlowClassifier(loss=LogisticPython(), random_state=0, max_iter=2, shuffle=False)
    expected = VectorFlowClassifier(**model.get_params(deep=False)).fit(X, LABELS, WEIGHT)
    assert_same(model.fit(BatchSource(Rows(weight=WEIGHT), buffer_bytes=SMALL)), expected)
    assert len(windows) > model.n_iter_


def test_own_loss_of_nodes_gets_the_same_bits_from_blocks(windows):
    hidden, y = Tanh(name="hidden")(Linear(3)(Input())), np.stack([SCORE, THREE], axis=1)
    network = [Linear(1)(hidden), Linear(1, name="count")(hidden)]
    model = VectorFlowRegressor(network=network, loss=TwoTasksPython(), random_state=0, max_iter=2, shuffle=False)
    expected = VectorFlowRegressor(**model.get_params(deep=False)).fit(X, y, WEIGHT)
    assert_same(model.fit(BatchSource(Rows(X, y, WEIGHT), buffer_bytes=SMALL)), expected)
    assert len(windows) > model.n_iter_


@pytest.mark.parametrize("buffer_bytes", [SMALL, 2**30])
def test_groups_beside_a_source_are_refused(buffer_bytes):
    source, groups = BatchSource(Rows(X, SCORE), buffer_bytes=buffer_bytes), np.arange(N_ROWS) // 10
    for train in (
        lambda: VectorFlowRegressor().fit(source, groups=groups),
        lambda: VectorFlowRegressor().partial_fit(source, groups=groups),
        lambda: VectorFlowRanker().fit(source, None, qid=groups),
    ):
        with pytest.raises(ValueError, match="X must be an array, .* where rows have groups.* source BatchSource"):
            train()


def test_labels_and_dense_and_repeating_rows_get_the_same_bits():
    indicator = np.stack([THREE == 0, SCORE > 1], axis=1).astype(int)
    twice = X.copy()
    twice.indices[twice.indptr[50] + 1] = twice.indices[twice.indptr[50]]  # a column occurs twice
    twice.has_sorted_indices = twice.has_canonical_format = False
    for rows, y in ((X, indicator), (X, sparse.csr_array(indicator)), (X.toarray(), LABELS), (twice, LABELS)):
        model = VectorFlowClassifier(random_state=0, max_iter=2, tol=None, shuffle=False, batch_size=1)
        if y is not LABELS:
            model.set_params(loss="one_vs_rest")
        expected = VectorFlowClassifier(**model.get_params(deep=False)).fit(rows, y)
        assert_same(model.fit(BatchSource(Rows(rows, y), buffer_bytes=SMALL)), expected)


@pytest.mark.parametrize("options", [{}, {"early_stopping": True}, {"input_dropout": 0.1, "batch_size": 5}], ids=repr)
def test_rows_that_fit_into_the_buffer_are_shuffled_as_in_memory(options):
    model = VectorFlowClassifier(random_state=0, max_iter=4, **options)
    expected = VectorFlowClassifier(**model.get_params(deep=False)).fit(X, LABELS, WEIGHT)
    assert_same(model.fit(BatchSource(Rows(weight=WEIGHT))), expected)


@pytest.mark.filterwarnings("ignore:Consecutive rows of the source")
def test_shuffling_mixes_parts_of_the_source_and_depends_on_the_seed(windows):
    order = np.argsort(LABELS, kind="stable")
    source = CSRSource(X[order], y=LABELS[order], buffer_bytes=20_000)
    source._step, source.n_parts = 64, -(-N_ROWS // 64)
    models = [VectorFlowClassifier(random_state=seed, max_iter=3, tol=None).fit(source) for seed in (0, 0, 1)]
    assert_same(models[0], models[1])
    assert not np.array_equal(models[0].coef_, models[2].coef_)
    in_memory = VectorFlowClassifier(random_state=0, max_iter=3, tol=None).fit(X, LABELS)
    assert models[0].loss_curve_[-1] < 1.1 * in_memory.loss_curve_[-1]
    assert len(windows) > 9


def test_a_validation_source_gives_the_scores_of_its_rows():
    options = {"random_state": 0, "max_iter": 5, "early_stopping": True, "shuffle": False}
    expected = VectorFlowClassifier(**options).fit(X[:2000], LABELS[:2000], X_val=X[2000:], y_val=LABELS[2000:])
    train = BatchSource(Rows(X[:2000], LABELS[:2000], cuts=[0, 900, 2000]), buffer_bytes=SMALL)
    model = VectorFlowClassifier(**options).fit(train, X_val=BatchSource(Rows(X[2000:], LABELS[2000:], cuts=[0, 1000])))
    assert model.validation_scores_ == expected.validation_scores_
    assert_same(model, expected)


def test_partial_fit_takes_one_block_after_the_other():
    expected = VectorFlowClassifier(random_state=0)
    for block in Rows()():
        expected.partial_fit(*block, classes=["no", "yes"])
    assert_same(VectorFlowClassifier(random_state=0).partial_fit(BatchSource(Rows(), classes=["no", "yes"])), expected)
    assert_same(VectorFlowClassifier(random_state=0).partial_fit(Rows()(), classes=["no", "yes"]), expected)


def test_prediction_equals_that_of_the_matrix():
    model = VectorFlowClassifier(random_state=0, max_iter=2).fit(X, LABELS)
    for source in (BatchSource(Rows()), list(Rows()()), Rows()(), (block[0] for block in Rows()())):
        np.testing.assert_array_equal(model.predict(source), model.predict(X))
    np.testing.assert_array_equal(model.predict_proba(Rows()()), model.predict_proba(X))


def test_a_generator_is_read_once_and_says_so(monkeypatch, windows):
    n_threads = threading.active_count()
    monkeypatch.setattr(Source.__init__, "__kwdefaults__", {**Source.__init__.__kwdefaults__, "buffer_bytes": SMALL})
    with pytest.warns(UserWarning, match="X can be read once: training makes one pass instead of max_iter=20"):
        model = VectorFlowClassifier(random_state=0).fit(Rows()())
    assert model.n_iter_ == 1 and len(windows) > 1 and sum(windows) == N_ROWS
    assert model.score(X, LABELS) > 0.7
    VectorFlowClassifier(random_state=0, max_iter=1).fit(Rows()())
    with pytest.raises(ValueError, match="needs X_val"):
        VectorFlowClassifier(max_iter=1, early_stopping=True).fit(Rows()())
    assert threading.active_count() == n_threads


def test_without_a_survey_the_source_is_read_once_an_epoch():
    rows = Rows()
    model = VectorFlowClassifier(random_state=0, max_iter=3, tol=None)
    model.fit(BatchSource(rows, buffer_bytes=SMALL, survey=False))
    assert rows.n_passes == 4  # the first pass ends with the buffer
    assert model.n_iter_ == 3 and model.score(X, LABELS) > 0.8
    order = np.argsort(LABELS, kind="stable")
    late = Rows(X[order], LABELS[order])
    with pytest.raises(ValueError, match="y must have at least two classes"):
        model.fit(BatchSource(late, buffer_bytes=SMALL, survey=False))
    model.fit(BatchSource(late, buffer_bytes=SMALL, survey=False, classes=["no", "yes"]))


@pytest.mark.parametrize("shuffle", [False, True])
def test_the_first_pass_takes_the_parts_read_before_it(monkeypatch, shuffle):
    reads, read = [], CSRSource.read
    monkeypatch.setattr(CSRSource, "read", lambda self, piece: (reads.append(piece), read(self, piece))[1])
    models = []
    for survey in (False, True):
        source = CSRSource(X, y=LABELS, buffer_bytes=20_000, survey=survey)
        source._step, source.n_parts = 64, -(-N_ROWS // 64)
        reads.clear()
        models.append(
            VectorFlowClassifier(
                random_state=0,
                max_iter=1,
                tol=None,
                optimizer=AdaGrad(0.1),
                alpha=0.0,
                fit_intercept=False,
                shuffle=shuffle,
            ).fit(source)
        )
        times = np.bincount(reads)
        assert len(times) == source.n_parts
        assert np.all(times == 2) if survey else np.all(times <= 2) and np.sum(times == 1) > source.n_parts // 2
    if not shuffle:  # windows differ, rows and steps don't
        np.testing.assert_allclose(models[0].coef_, models[1].coef_, rtol=1e-4, atol=1e-6)


def test_a_cache_in_memory_reads_the_source_once():
    rows = Rows()
    source = BatchSource(rows, cache="memory")
    model = VectorFlowClassifier(random_state=0, max_iter=3, shuffle=False).fit(source)
    model.predict(source)
    assert rows.n_passes == 1
    assert_same(model, VectorFlowClassifier(random_state=0, max_iter=3, shuffle=False).fit(X, LABELS))


@pytest.mark.parametrize(
    "give, match",
    [
        (lambda: BatchSource(lambda: iter([(X[:5], LABELS[:4])])), r"block 0 \(rows from 0\): X has 5 rows, y has 4"),
        (lambda: BatchSource(lambda: iter([(X[:5], LABELS[:5], [1.0])])), "X has 5 rows, sample_weight has 1"),
        (lambda: BatchSource(lambda: iter([(X[:5], LABELS[:5]), (X[:5, :7], LABELS[:5])])), "block 1|features"),
        (lambda: BatchSource(lambda: iter([(X[:5], LABELS[:5]), (X[:5] * np.nan, LABELS[:5])])), r"block 1 .*NaN"),
        (lambda: BatchSource(lambda: iter([(X, LABELS, 1, 2, 3)])), "got a tuple of 5"),
        (lambda: BatchSource(lambda: iter([])), "The source gave no rows"),
        (lambda: BatchSource(lambda: iter([(X[:5],)])), "y"),
        (lambda: BatchSource(Rows(weight=-WEIGHT), buffer_bytes=SMALL), "sample_weight must not be negative"),
        (lambda: BatchSource(Rows(), buffer_bytes=SMALL, classes=["no", "maybe"]), "not among"),
    ],
)
def test_bad_blocks_are_named_and_leave_the_model_as_it_was(give, match):
    model = VectorFlowClassifier(random_state=0, max_iter=2).fit(X, LABELS)
    before = model.coef_.copy()
    with pytest.raises(ValueError, match=match):
        model.fit(give())
    np.testing.assert_array_equal(model.coef_, before)


@pytest.mark.parametrize("options", [{"buffer_bytes": 0}, {"cache": 3}, {"survey": "no"}], ids=repr)
def test_bad_options_are_refused(options):
    with pytest.raises((TypeError, ValueError), match=next(iter(options))):
        BatchSource(Rows(), **options)


def test_targets_beside_a_source_and_holding_out_from_a_stream_are_refused():
    with pytest.raises(ValueError, match="y must be None for a source"):
        VectorFlowClassifier().fit(BatchSource(Rows()), LABELS)
    with pytest.raises(ValueError, match="needs X_val"):
        VectorFlowClassifier(early_stopping=True).fit(BatchSource(Rows(), buffer_bytes=SMALL))


def test_a_source_that_changes_between_passes_is_an_error():
    for last, match in ((2500, "fewer rows"), (N_ROWS, None)):
        lengths = iter([[0, 1500, N_ROWS], [0, 1500, last]])
        source = BatchSource(lambda lengths=lengths: Rows(cuts=next(lengths))(), buffer_bytes=SMALL)
        model = VectorFlowClassifier(max_iter=1, random_state=0)
        if match is None:
            model.fit(source)
            continue
        with pytest.raises(ValueError, match=match):
            model.fit(source)


def test_arrays_of_a_triplet_are_checked():
    with pytest.raises(ValueError, match="needs data, indices, indptr and n_features"):
        CSRSource(X.data, X.indices)
    with pytest.raises(ValueError, match="must agree"):
        CSRSource(X.data[1:], X.indices, X.indptr, n_features=N_FEATURES)
    with pytest.raises(ValueError, match="y must have 3000 rows"):
        CSRSource(X, y=LABELS[1:])
    with pytest.raises(ValueError, match=r"rows from 0: a column index is outside .* \(in row"):
        list(CSRSource(X.data, X.indices, X.indptr, n_features=N_FEATURES - 1))
    wild = X.indptr.astype(np.int64)
    wild[10] = 2**40
    with pytest.raises(ValueError, match="indptr"):
        list(CSRSource(X.data, X.indices, wild, n_features=N_FEATURES))


def test_work_ahead_keeps_its_order_and_its_bound():
    running, most, lock = [], [], threading.Lock()

    def work(item):
        with lock:
            running.append(item)
            most.append(len(running))
        time.sleep(0.001 * (item % 3))
        with lock:
            running.remove(item)
        return item

    with Ahead(work, range(50), n_threads=3, n_waiting=2) as results:
        time.sleep(0.1)
        assert len(most) == 5  # three threads and two that wait
        assert list(results) == list(range(50))
    assert max(most) <= 3


def test_an_error_in_a_thread_surfaces_before_slower_work_is_done():
    def work(item):
        if item == 1:
            raise OSError("disk gone")
        time.sleep(5)

    begun = threading.Event()
    with pytest.raises(OSError, match="disk gone"), Ahead(work, range(10), n_threads=2) as results:
        begun.set()
        next(results)


@pytest.mark.usefixtures("sigint_raises")
def test_an_interrupt_ends_a_fit_whose_source_hangs():
    hung = threading.Event()

    def batches():
        yield X, LABELS
        hung.wait(60)  # an interrupt that never arrives fails the test

    model = VectorFlowClassifier()
    timer = threading.Timer(0.3, signal.raise_signal, [signal.SIGINT])
    timer.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            model.fit(BatchSource(batches))
    finally:
        timer.join()
        hung.set()
    assert not hasattr(model, "network_")


def test_progress_tells_rates_and_the_time_left():
    now = iter([0.0, 1.0, 10.0])
    progress = Progress(1, 4_000_000, clock=lambda: next(now))
    out = io.StringIO()
    with redirect_stdout(out):
        progress.tell(100_000, 10**6)  # too early for a line
        progress.tell(1_000_000, 49 * 10**6)
    assert out.getvalue() == "1,000,000 of 4,000,000 rows, 0.1 M rows/s, 5 MB/s, 30 s left\n"
    progress = Progress(1, None, clock=lambda: 0.0)
    progress.n_bytes = 10**6
    assert progress.line(500_000, 2.0) == "500,000 rows, 0.25 M rows/s, 0.5 MB/s"


@pytest.mark.parametrize("n_classes", [2, 3])
def test_the_strength_of_a_source_larger_than_its_buffer_is_validated(n_classes):
    rng = np.random.default_rng(0)
    X = sparse.random_array((3_000, 20), density=0.3, rng=rng, format="csr")
    y = (X @ rng.normal(size=(20, n_classes))).argmax(axis=1)
    source = BatchSource(lambda: ((X[i : i + 500], y[i : i + 500]) for i in range(0, 3_000, 500)), buffer_bytes=10_000)
    streamed = VectorFlowClassifier(random_state=0).fit(source)
    whole = VectorFlowClassifier(random_state=0).fit(X, y)
    assert streamed.network_.scales.prior == pytest.approx(whole.network_.scales.prior, rel=1e-6)
    assert streamed.score(X, y) > 0.9
