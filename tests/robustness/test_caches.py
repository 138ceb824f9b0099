"""Caches on disk that are damaged, replaced, shared, or in the way of something."""

import hashlib
import json
import os
import pickle
import warnings

import numpy as np
import pytest

from sklearn_vectorflow import VectorFlowRegressor
from sklearn_vectorflow.io import BatchSource, CSRSource, cache_writer, folder, write_cache

N_ROWS = 1000
RNG = np.random.default_rng(0)
X = RNG.normal(size=(N_ROWS, 8)).astype(np.float32)
Y = X @ RNG.normal(size=8)
ARRAYS = ("data", "indices", "indptr", "y")


class Rows(BatchSource):
    """Rows in blocks of 100, of a version."""

    def __init__(self, cache=None, X=X, version=1):
        self.n_passes = 0
        self.version = version

        def batches():
            self.n_passes += 1
            return ((X[k : k + 100], Y[k : k + 100]) for k in range(0, len(X), 100))

        super().__init__(batches, cache=cache, buffer_bytes=2000)

    def fingerprint(self):
        """Return the version."""
        return str(self.version)


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    monkeypatch.setattr(cache_writer, "PART", 2000)


def model():
    return VectorFlowRegressor(random_state=0, max_iter=2, tol=None, shuffle=False, n_jobs=1)


def fit(source):
    return model().fit(source).coef_


EXPECTED = fit(Rows())


def rows_of(cache):
    (rows,) = cache.glob("rows-*")
    return rows


def change(file, at=None, n=40):
    """Change bytes of a file, as a power cut may."""
    content = bytearray(file.read_bytes())
    at = len(content) // 2 if at is None else at
    content[at : at + n] = bytes(255 - byte for byte in content[at : at + n])
    file.write_bytes(content)


def assert_whole(cache):
    """A cache is nothing but a header, a lock and the arrays of the header."""
    assert sorted(os.listdir(cache)) == ["header.json", "lock", folder.read_header(cache).folder]


@pytest.mark.parametrize("name", ARRAYS)
def test_changed_bytes_are_found_and_the_cache_is_written_anew(tmp_path, name):
    cache = tmp_path / "cache"
    write_cache(Rows(), cache)
    change(rows_of(cache) / f"{name}.npy")
    with pytest.raises(ValueError, match=rf"cache .*cache is damaged: rows from \d+ of {name}.npy do not match"):
        fit(CSRSource.open(cache, buffer_bytes=2000))
    source = Rows(cache)
    with pytest.warns(UserWarning, match=rf"{name}.npy do not match their checksum. It is written again"):
        np.testing.assert_array_equal(fit(source), EXPECTED)
    assert source.n_passes == 1
    assert_whole(cache)
    np.testing.assert_array_equal(fit(CSRSource.open(cache, buffer_bytes=2000)), EXPECTED)


@pytest.mark.parametrize("predict", [False, True])
def test_a_cache_that_changes_after_its_first_pass_is_found_too(tmp_path, predict):
    cache = tmp_path / "cache"
    write_cache(Rows(), cache)
    opened, source = CSRSource.open(cache), Rows(cache)
    for rows in (opened, source):
        fitted = model().fit(rows)
    change(rows_of(cache) / "data.npy", 200)
    use = fitted.predict if predict else fit
    with pytest.raises(ValueError, match="damaged"):
        use(opened)
    with pytest.warns(UserWarning, match="damaged"):
        found = use(source)
    np.testing.assert_array_equal(found, fitted.predict(X) if predict else EXPECTED)


def test_the_end_of_a_file_that_is_open_is_an_error_and_no_crash(tmp_path):
    cache = tmp_path / "cache"
    write_cache(Rows(), cache)
    opened = CSRSource.open(cache)
    os.truncate(rows_of(cache) / "data.npy", 1000)
    with pytest.raises(ValueError, match=r"data.npy has been truncated: it has 1000 bytes"):
        fit(opened)


def test_damage_that_the_source_cannot_mend_is_an_error(tmp_path):
    cache = tmp_path / "cache"
    write_cache(Rows(), cache)
    change(rows_of(cache) / "data.npy")
    with pytest.warns(UserWarning, match="damaged"), pytest.raises(ValueError, match="with other rows: call fit again"):
        fit(Rows(cache, X[:500]))
    np.testing.assert_array_equal(fit(Rows(cache, X[:500])), fit(Rows(None, X[:500])))


def test_who_has_a_cache_open_keeps_it(tmp_path):
    cache = tmp_path / "cache"
    source = Rows(cache)
    fit(source)
    opened = CSRSource.open(cache)
    write_cache(Rows(X=X[:200]), cache)
    np.testing.assert_array_equal(fit(opened), EXPECTED)
    assert_whole(cache)
    np.testing.assert_array_equal(fit(CSRSource.open(cache)), fit(Rows(X=X[:200])))


@pytest.mark.skipif(os.name == "nt", reason="needs symbolic links")
@pytest.mark.parametrize("dangling", [False, True])
def test_a_cache_behind_a_link_is_renewed(tmp_path, dangling):
    cache, real = tmp_path / "cache", tmp_path / "real"
    if not dangling:
        write_cache(Rows(X=X[:200], version=0), real)
    cache.symlink_to(real, target_is_directory=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        np.testing.assert_array_equal(fit(Rows(cache)), EXPECTED)
    assert cache.is_symlink()
    assert_whole(real)


def test_what_killed_processes_left_is_removed_and_files_of_others_stay(tmp_path):
    cache = tmp_path / "cache"
    cache.mkdir()  # killed after its first call
    fit(Rows(cache))
    (cache / "rows-00000000000000aa").mkdir()
    (cache / "rows-00000000000000aa" / "data.npy").touch()
    (cache / "header.00000000000000aa.new").touch()
    CSRSource.open(cache)
    assert_whole(cache)
    for name in ("notes", "rows-mine"):
        (cache / name).touch()
    write_cache(Rows(), cache)
    assert len(os.listdir(cache)) == 5
    (cache / folder.HEADER).write_text("{}")  # of something else than a cache, for all we know
    with pytest.raises(ValueError, match="has other files than"):
        fit(Rows(cache))
    with pytest.raises(ValueError, match="exists and is not a cache of rows"):
        write_cache(Rows(), tmp_path / "cache" / "notes")


def test_without_locks_only_what_is_old_is_removed(tmp_path, monkeypatch):
    from sklearn_vectorflow.io import turns

    def no_locks(file):
        raise OSError(95, "not supported")

    monkeypatch.setattr(turns, "_lock", no_locks)
    cache = tmp_path / "cache"
    fit(Rows(cache))
    left = cache / "rows-00000000000000aa"
    left.mkdir()
    CSRSource.open(cache)
    assert left.exists()
    os.utime(left, (0, 0))
    CSRSource.open(cache)
    assert_whole(cache)


def forge(cache, **changes):
    """Write a header with a right checksum."""
    body = json.loads((cache / folder.HEADER).read_text().partition("\n")[2])
    for name, value in changes.items():
        body[name] = value(body[name])
    body = json.dumps(body)
    (cache / folder.HEADER).write_text(f"{hashlib.sha256(body.encode()).hexdigest()}\n{body}")


@pytest.mark.parametrize(
    "changes",
    [
        {"arrays": lambda arrays: {**arrays, "../../secret": arrays["data"]}},
        {"arrays": lambda arrays: {**arrays, "n_jobs": arrays["data"]}},
        {"arrays": lambda arrays: {"data": arrays["data"]}},
        {"arrays": lambda arrays: list(arrays)},
        {"arrays": lambda arrays: {**arrays, "data": {**arrays["data"], "dtype": "|O"}}},
        {"arrays": lambda arrays: {**arrays, "data": {**arrays["data"], "dtype": "<f2"}}},
        {"arrays": lambda arrays: {**arrays, "indices": {**arrays["indices"], "shape": [2]}}},
        {"arrays": lambda arrays: {**arrays, "y": {**arrays["y"], "checksums": []}}},
        {"folder": lambda name: "../" + name},
        {"folder": lambda name: [name]},
        {"n_features": lambda n: "8"},
        {"labels": lambda labels: [1, 2]},
        {"rows": lambda rows: rows[::-1]},
        {"rows": lambda rows: [0, 10**30]},
        {"nonzeros": lambda starts: [-5, *starts[1:]]},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_a_header_is_not_trusted(tmp_path, changes):
    cache = tmp_path / "cache"
    write_cache(Rows(), cache)
    forge(cache, **changes)
    with pytest.raises(ValueError, match="its header makes no sense"):
        CSRSource.open(cache)
    forge(cache, version=lambda version: 99)
    with pytest.raises(ValueError, match="version 99"):
        CSRSource.open(cache)


def test_a_cache_with_fewer_columns_than_its_rows_is_refused(tmp_path):
    cache = tmp_path / "cache"
    write_cache(Rows(), cache)
    forge(cache, n_features=lambda n: 3)
    with pytest.raises(ValueError, match="a column index is outside"):
        fit(CSRSource.open(cache))


def test_codes_of_no_label_are_refused(tmp_path):
    cache = tmp_path / "cache"
    write_cache([(X, np.where(Y > 0, "yes", "no"))], cache)
    forge(cache, labels=lambda labels: labels[:1])
    with pytest.raises(ValueError, match="codes of no label"):
        list(CSRSource.open(cache))


def test_an_open_cache_is_pickled_by_its_path(tmp_path):
    write_cache(Rows(), tmp_path / "cache")
    opened = CSRSource.open(tmp_path / "cache")
    content = pickle.dumps(opened)
    assert len(content) < X.nbytes / 3
    np.testing.assert_array_equal(fit(pickle.loads(content)), EXPECTED)


def test_a_cache_in_memory_is_of_its_own(tmp_path):
    given = X.copy()
    source = BatchSource(lambda: [(given, Y)], cache="memory")
    fitted = model().fit(source)
    expected = fitted.predict(source)
    given[:] = np.nan
    np.testing.assert_array_equal(fitted.predict(source), expected)


def test_an_error_of_the_disk_names_the_cache_and_leaves_the_old_one(tmp_path, monkeypatch):
    cache = tmp_path / "cache"
    fit(Rows(cache))

    def full(file):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(cache_writer.os, "fsync", full)
    with pytest.warns(UserWarning, match="stale"), pytest.raises(OSError, match="No space left.*cache"):
        fit(Rows(cache, version=2))
    assert_whole(cache)
    np.testing.assert_array_equal(fit(Rows(cache)), EXPECTED)
