"""Passes over sources whose arrays change between them, and errors that end a pass."""

import _thread
import itertools
import os
import time

import numpy as np
import pytest
from scipy import sparse

from sklearn_vectorflow import VectorFlowRegressor
from sklearn_vectorflow.io import BatchSource, CSRSource, Matrix
from sklearn_vectorflow.io.ahead import Ahead
from sklearn_vectorflow.io.blocks import Block
from sklearn_vectorflow.io.source import Source

N_ROWS, N_FEATURES, PART = 5000, 50, 1000
RNG = np.random.default_rng(0)
X = sparse.random(N_ROWS, N_FEATURES, 0.1, format="csr", dtype=np.float32, random_state=0)
Y = RNG.normal(size=N_ROWS)


def model(**options):
    return VectorFlowRegressor(random_state=0, max_iter=2, tol=None, **options)


FITTED = model().fit(X, Y)
WRONG = {
    "indices": (2**30, "a column index is outside"),
    "indptr": (2**30, "indptr decreases or points beyond"),
    "data": (np.nan, "a value is NaN|contains NaN"),
}


@pytest.fixture(params=["memory", "files", "maps"])
def used(request, tmp_path):
    """A source after a pass, and a function that changes one of its arrays."""
    arrays = {"data": X.data.copy(), "indices": X.indices.copy(), "indptr": X.indptr.copy(), "y": Y.copy()}
    given = arrays
    if request.param != "memory":
        for name, array in arrays.items():
            np.save(tmp_path / f"{name}.npy", array)
        given = {name: tmp_path / f"{name}.npy" for name in arrays}
        arrays = {name: np.load(path, mmap_mode="r+") for name, path in given.items()}
        if request.param == "maps":
            given = {name: np.load(path, mmap_mode="r") for name, path in given.items()}
    source = CSRSource(**given, n_features=N_FEATURES, buffer_bytes=20_000)
    source._step, source.n_parts = PART, N_ROWS // PART
    model().fit(source)

    def change(name, value):
        arrays[name][len(arrays[name]) // 2 :: 7] = value

    return source, change, tmp_path


@pytest.mark.parametrize("name", WRONG)
@pytest.mark.parametrize("use", ["fit", "predict"])
def test_arrays_that_change_after_a_pass_are_checked_again(used, name, use):
    source, change, _ = used
    value, match = WRONG[name]
    change(name, value)
    with pytest.raises(ValueError, match=rf"rows from [2-4]000: .*({match})"):
        model().fit(source) if use == "fit" else FITTED.predict(source)


def test_values_that_change_are_those_that_are_fitted(used):
    source, change, _ = used
    change("data", 3.0)
    changed = X.copy()
    changed.data[len(changed.data) // 2 :: 7] = 3.0
    options = {"shuffle": False, "n_jobs": 1}
    np.testing.assert_array_equal(model(**options).fit(source).coef_, model(**options).fit(changed, Y).coef_)


@pytest.mark.parametrize("name", ["data", "indices", "indptr", "y"])
def test_a_file_that_is_cut_is_an_error_and_no_crash(used, name):
    source, _, folder = used
    if not (folder / f"{name}.npy").exists():
        pytest.skip("of files")
    os.truncate(folder / f"{name}.npy", 200)
    with pytest.raises(ValueError, match=rf"{name}.npy has been truncated: it has 200 bytes"):
        model().fit(source)


def test_a_slice_of_a_map_is_a_map(tmp_path):
    np.save(tmp_path / "data.npy", np.ones(N_ROWS * 20, dtype=np.float32))
    data = np.asarray(np.load(tmp_path / "data.npy", mmap_mode="r"))[N_ROWS : 2 * N_ROWS]
    source = CSRSource(data, np.zeros(N_ROWS, dtype=np.int32), np.arange(N_ROWS + 1), Y, n_features=1)
    model().fit(source)
    os.truncate(tmp_path / "data.npy", 200)
    with pytest.raises(ValueError, match=r"data.npy has been truncated"):
        model().fit(source)


def test_other_integers_and_other_values():
    triplet = X.data, X.indices.astype(np.uint16), X.indptr.astype(np.uint32)
    expected = model(n_jobs=1).fit(CSRSource(X, y=Y)).coef_
    np.testing.assert_array_equal(model(n_jobs=1).fit(CSRSource(*triplet, Y, n_features=N_FEATURES)).coef_, expected)
    with pytest.raises(TypeError, match="data must be float32 or float64, got int64"):
        CSRSource(X.data.astype(int), *triplet[1:], n_features=N_FEATURES)
    with pytest.raises(TypeError, match="indices must be integers, got float64"):
        CSRSource(X.data, X.indices.astype(float), X.indptr, n_features=N_FEATURES)


class Parts(Source):
    """Parts of rows, one of which raises."""

    def __init__(self, error, as_generator=False):
        super().__init__(buffer_bytes=20_000)
        self.n_parts = N_ROWS // PART
        self.error = error
        self.as_generator = as_generator

    def read(self, part):
        """Return a part, or raise."""
        return self._generate(part) if self.as_generator else list(self._blocks(part))

    def _generate(self, part):
        yield from self._blocks(part)

    def _blocks(self, part):
        if part == 3:
            if not self.as_generator:
                return Raising(self.error)
            raise self.error
        rows = slice(part * PART, (part + 1) * PART)
        return [Block(X[rows], Y[rows], where=f"part {part}")]


class Raising:
    """An iterable whose iteration cannot begin."""

    def __init__(self, error):
        self.error = error

    def __iter__(self):
        raise self.error


@pytest.mark.parametrize("as_generator", [False, True])
@pytest.mark.parametrize("error", [StopIteration("over"), GeneratorExit("over"), StopAsyncIteration("over")], ids=repr)
@pytest.mark.parametrize("use", ["fit", "predict", "partial_fit"])
def test_what_ends_iterations_does_not_end_a_pass(error, as_generator, use):
    source = Parts(error, as_generator)
    do = {"fit": model().fit, "partial_fit": model().partial_fit, "predict": FITTED.predict}[use]
    with pytest.raises(RuntimeError, match=rf"Reading part 3 of Parts raised {type(error).__name__}"):
        do(source)


def test_other_errors_keep_their_type_and_say_where():
    with pytest.raises(OSError, match="disk gone") as error:
        FITTED.predict(Parts(OSError("disk gone")))
    assert error.value.__notes__ == ["This happened while reading part 3 of Parts."]
    caused = RuntimeError("of the user")
    caused.__cause__ = KeyError("k")
    with pytest.raises(RuntimeError, match="of the user"):
        FITTED.predict(Parts(caused))


def blocks(error):
    for start in range(0, N_ROWS, PART):
        yield X[start : start + PART], Y[start : start + PART]
        if start == 2 * PART:
            raise error


def raising(error):
    raise error


@pytest.mark.parametrize("error", [StopIteration("over"), GeneratorExit("over")], ids=repr)
def test_functions_and_generators_of_blocks_do_not_end_silently(error):
    for source in (BatchSource(lambda: blocks(error)), BatchSource(lambda: raising(error)), blocks(error)):
        with pytest.raises(RuntimeError, match=f"raised {type(error).__name__}"):
            FITTED.predict(source)


def test_a_function_must_return_blocks():
    with pytest.raises(TypeError, match="batches must return an iterable of blocks, got None"):
        FITTED.predict(BatchSource(lambda: None))


def test_work_ahead_without_threads_or_items_ends():
    for n_threads in (0, 1, 3):
        with Ahead(str, [], n_threads) as results:
            assert list(results) == []


def test_threads_that_cannot_all_start_leave_none(monkeypatch):
    start, started = _thread.start_new_thread, []

    def once(function, arguments):
        if started:
            raise RuntimeError("can't start new thread")
        started.extend(arguments)
        start(function, arguments)

    monkeypatch.setattr(_thread, "start_new_thread", once)
    ahead = Ahead(str, range(100), 3)
    with pytest.raises(RuntimeError, match="can't start new thread"):
        ahead.__enter__()
    assert started[0].acquire(timeout=5)  # which a thread lets go at its end


@pytest.mark.parametrize("use", ["fit", "predict", "partial_fit", "a block", "a block of a stream", "X_val"])
@pytest.mark.parametrize("name", ["indices", "indptr", "data", "dense"])
def test_a_matrix_that_changed_since_it_was_made_is_refused(use, name):
    values = X.toarray() if name == "dense" else X.copy()
    matrix, blocks = Matrix(values), BatchSource(lambda: [(matrix, Y)], buffer_bytes=100)
    uses = {
        "fit": lambda: model().fit(matrix, Y),
        "predict": lambda: FITTED.predict(matrix),
        "partial_fit": lambda: model().partial_fit(matrix, Y),
        "a block": lambda: model().fit([(matrix, Y)]),
        "a block of a stream": lambda: model().fit(blocks),
        "X_val": lambda: model().fit(X, Y, X_val=matrix, y_val=Y),
    }
    uses[use]()
    wrong, message = WRONG["data" if name == "dense" else name]
    (values if name == "dense" else getattr(values, name))[1000:2000] = wrong
    with pytest.raises(ValueError, match=message):
        uses[use]()


def test_what_is_read_ahead_for_nobody_ends():
    """As after an interrupt between a function's return and the name that it is bound to."""
    n_before, done = _thread._count(), []
    ahead = Ahead(lambda item: done.append(item), range(10**9), 3)
    assert list(itertools.islice(ahead.__enter__(), 5)) == [None] * 5
    del ahead
    until = time.monotonic() + 5
    while _thread._count() > n_before and time.monotonic() < until:
        time.sleep(0.01)
    assert _thread._count() == n_before
    assert len(done) < 20


@pytest.mark.parametrize("dtype", ["<i4", "<i8", ">i8"])
def test_row_starts_begin_at_0_when_made_and_in_every_pass(dtype):
    """Entries before the first row belong to no row, and sums over columns would count them."""
    starts = X.indptr.astype(dtype)
    source = CSRSource(X.data, X.indices, starts, Y, n_features=N_FEATURES)
    model().fit(source)
    starts[0] = 1
    with pytest.raises(ValueError, match="indptr must start at 0, got 1"):
        model().fit(source)
    with pytest.raises(ValueError, match="indptr must start at 0, got 1"):
        CSRSource(X.data, X.indices, starts, Y, n_features=N_FEATURES)
