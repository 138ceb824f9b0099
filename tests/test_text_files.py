"""Where text comes from: open files, compressed files, folders and patterns; and what is wrong with some."""

import bz2
import copy
import gc
import gzip
import io
import itertools
import lzma
import os
import pickle
import re
import threading
import traceback
import warnings

import numpy as np
import pytest
from scipy import sparse
from sklearn.datasets import load_svmlight_file

from sklearn_vectorflow import VectorFlowRegressor
from sklearn_vectorflow.io import ParquetSource, SVMLightSource, VWSource, load_svmlight, text

N_ROWS = 300
SVM = b"".join(b"%d 1:0.%d 2:0.5\n" % (k % 3, k) for k in range(N_ROWS))
VW = b"".join(b"%d |a x:0.%d y\n" % (k % 3, k) for k in range(N_ROWS))
WITHOUT_END = SVM[:-1]
READERS = {"svm": (SVMLightSource, SVM), "vw": (VWSource, VW)}
FORMATS = {"gz": gzip, "bz2": bz2, "xz": lzma}
KNOWN = {"n_features": 2, "zero_based": False}


@pytest.fixture(autouse=True)
def short_pieces(monkeypatch):
    monkeypatch.setattr(text, "PIECE", 256)


def rows(source):
    blocks = list(source)
    assert len(blocks) > 10
    return sparse.vstack([block.X for block in blocks], format="csr"), np.concatenate([block.y for block in blocks])


def same(mine, theirs):
    assert mine[0].shape == theirs[0].shape and (mine[0] != theirs[0]).nnz == 0
    np.testing.assert_array_equal(mine[1], theirs[1])


class Plain:
    """What has a method read, and nothing else."""

    def __init__(self, content, longest=100):
        self._file, self._longest = io.BytesIO(content), longest

    def read(self, size):
        return self._file.read(min(size, self._longest))


def opened(folder, content):
    """Open files of a content in every way, and how each is closed."""
    path = folder / "rows"
    path.write_bytes(content)
    yield path.open("rb")
    yield path.open(newline="\n")
    yield path.open("rb", buffering=0)
    yield io.BytesIO(content)
    yield io.StringIO(content.decode())
    for suffix, module in FORMATS.items():
        packed = folder / f"rows.{suffix}"
        packed.write_bytes(module.compress(content))
        yield module.open(packed)
        yield module.open(packed, "rt")


@pytest.mark.parametrize("kind", READERS)
def test_open_files_are_read_as_files(tmp_path, kind):
    reader, content = READERS[kind]
    (tmp_path / "rows").write_bytes(content)
    expected = rows(reader(tmp_path / "rows"))
    for file in opened(tmp_path, content):
        with file:
            source = reader(file)
            assert source.n_parts is None and not source.once
            for _ in range(2):
                same(rows(source), expected)
            assert not file.closed


def test_open_files_give_the_matrix_that_scikit_learn_reads(tmp_path):
    for content in (SVM, WITHOUT_END, SVM.replace(b"\n", b"\r\n"), b"# a\n\n" + SVM):
        expected = load_svmlight_file(io.BytesIO(content), dtype=np.float32)
        for file in opened(tmp_path, content):
            with file:
                same(load_svmlight(file), expected)
    same(load_svmlight([io.BytesIO(SVM), tmp_path / "rows.gz"]), load_svmlight([tmp_path / "rows"] * 2))


def test_files_are_read_from_where_they_are(tmp_path):
    for file in opened(tmp_path, SVM):
        with file:
            file.readline()
            source = SVMLightSource(file)
            for _ in range(2):
                same(rows(source), (load_svmlight(io.BytesIO(SVM))[0][1:], np.arange(1, N_ROWS) % 3))


def test_passes_over_an_open_file_do_not_disturb_each_other(tmp_path):
    for file in opened(tmp_path, SVM):
        with file:
            source = SVMLightSource(file, **KNOWN)
            for one, other in itertools.islice(zip(source, source, strict=True), 3):
                same((one.X, one.y), (other.X, other.y))
            same(rows(source), load_svmlight(io.BytesIO(SVM)))
            first = next(iter(source))
            assert first.y[0] == 0 and first.where.startswith(str(getattr(file, "name", "<")))


def test_open_files_train_as_the_matrix_in_memory():
    X, y = load_svmlight(io.BytesIO(SVM))
    options = {"random_state": 0, "shuffle": False, "max_iter": 3, "tol": None}
    expected = VectorFlowRegressor(**options).fit(X, y)
    source = SVMLightSource(io.BytesIO(SVM), buffer_bytes=1000)
    np.testing.assert_array_equal(VectorFlowRegressor(**options).fit(source).coef_, expected.coef_)
    for copied in (copy.deepcopy(source), pickle.loads(pickle.dumps(source))):
        np.testing.assert_array_equal(expected.predict(copied), expected.predict(X))


def test_what_cannot_be_sought_is_read_once():
    read_end, write_end = os.pipe()
    writer = threading.Thread(target=lambda: (os.write(write_end, SVM), os.close(write_end)))
    with open(read_end, "rb") as pipe:
        writer.start()
        source = SVMLightSource(pipe, buffer_bytes=1000, **KNOWN)
        assert source.once
        model = VectorFlowRegressor(random_state=0, max_iter=2, tol=None, shuffle=False)
        with pytest.warns(UserWarning, match="can be read once"):
            model.fit(source)
        writer.join()
        with pytest.raises(ValueError, match="gave no rows"):
            model.predict(source)
    for options in ({}, {"n_features": 2}, {"zero_based": True}, {**KNOWN, "multilabel": True}):
        with pytest.raises(ValueError, match="<Plain> can be read once: give n_features"):
            SVMLightSource(Plain(SVM), **options)
    same(load_svmlight(Plain(SVM)), load_svmlight(io.BytesIO(SVM)))
    assert VWSource(Plain(VW)).once


class Failing(Plain):
    """A file that fails after some reads."""

    def __init__(self, content, what):
        super().__init__(content)
        self._what, self._n_left = what, 5

    def read(self, size):
        self._n_left -= 1
        if self._n_left:
            return super().read(size)
        if isinstance(self._what, BaseException):
            raise self._what
        return self._what


@pytest.mark.parametrize("kind", READERS)
@pytest.mark.parametrize(
    "what, error, match",
    [
        (ConnectionError("gone"), ConnectionError, "gone"),
        (OSError("gone"), OSError, "gone"),
        (KeyError("gone"), KeyError, "gone"),
        (EOFError("gone"), ValueError, r"<Failing> is damaged, after line \d+: gone"),
        (StopIteration("gone"), RuntimeError, "StopIteration"),
        (None, TypeError, "must return bytes or str, got None"),
        (3, TypeError, "must return bytes or str, got 3"),
        ([b"1 1:1"], TypeError, "must return bytes or str"),
        ("\udcff", UnicodeEncodeError, "surrogates"),
    ],
)
def test_a_file_object_that_fails_is_named(kind, what, error, match):
    reader, content = READERS[kind]
    options = KNOWN if kind == "svm" else {"n_bits": 4}
    for read in (list, VectorFlowRegressor(max_iter=1, tol=None).fit):
        with pytest.raises(error, match=match) as caught:
            read(reader(Failing(content, what), **options))
        assert "<Failing>" in "".join(traceback.format_exception(caught.value))


def test_what_is_no_file_is_refused(tmp_path):
    with io.BytesIO(SVM) as closed:
        source = SVMLightSource(closed)
    for reader in (SVMLightSource, VWSource, load_svmlight):
        with pytest.raises(ValueError, match="which is closed"):
            reader(closed)
        for wrong in (3, None, [3], b"rows.svm"):
            with pytest.raises(TypeError, match="files must be paths or objects with a method read"):
                reader(wrong)
        (tmp_path / "rows.svm.zst").touch()
        with pytest.raises(ValueError, match=r"rows.svm.zst: open it with a library for .zst files"):
            reader(tmp_path / "rows.svm.zst")
    with pytest.raises(ValueError, match="closed file") as caught:
        list(source)
    assert "This happened while reading <BytesIO>, after line 0." in caught.value.__notes__


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("kind", READERS)
def test_compressed_files_are_read_in_order(tmp_path, suffix, kind):
    reader, content = READERS[kind]
    plain, packed = tmp_path / "rows", tmp_path / f"rows.{suffix}"
    plain.write_bytes(content)
    packed.write_bytes(FORMATS[suffix].compress(content[:2000]) + FORMATS[suffix].compress(content[2000:]))
    same(rows(reader(packed)), rows(reader(plain)))


def damaged(how, module):
    content = bytearray(module.compress(SVM))
    if how == "truncated":
        del content[-20:]
    elif how == "changed":
        middle = len(content) // 2
        content[middle : middle + 20] = b"\xff" * 20
    return SVM if how == "not compressed" else content


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("how", ["truncated", "changed", "not compressed"])
def test_damaged_compressed_text_is_named(tmp_path, suffix, how):
    path = tmp_path / f"rows.{suffix}"
    path.write_bytes(damaged(how, FORMATS[suffix]))
    name = {"bz2": "bzip2", "gz": "gzip", "xz": "xz"}[suffix]
    fit = VectorFlowRegressor(max_iter=1, tol=None).fit
    with pytest.raises(ValueError, match=rf"rows\.{suffix}( is a damaged {name} file, after line \d+: |, line \d+: )"):
        fit(SVMLightSource(path, **KNOWN))
    with FORMATS[suffix].open(path) as file, pytest.raises((ValueError, OSError)) as caught:
        fit(SVMLightSource(file, **KNOWN))
    said = "".join(traceback.format_exception_only(caught.value))
    assert re.search(r"line \d+", said) and re.search(rf"rows\.{suffix}|<(BZ2|LZMA)File>", said)


@pytest.mark.parametrize("name", ["rows.svm", "rows.svm.gz", "rows.svm.bz2", "rows.svm.xz"])
@pytest.mark.parametrize("read", [load_svmlight, lambda path: list(SVMLightSource(path, **KNOWN)),
                                  lambda path: VectorFlowRegressor().fit(SVMLightSource(path, **KNOWN))])  # fmt: skip
def test_files_are_closed_after_a_bad_line(tmp_path, name, read):
    path, content = tmp_path / name, SVM[:3000].rpartition(b"\n")[0] + b"\n1 x:1\n" + SVM
    path.write_bytes(FORMATS.get(path.suffix[1:], gzip).compress(content) if path.suffix != ".svm" else content)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ResourceWarning)
        with pytest.raises(ValueError, match=f"{name}, line") as error:
            read(path)
        if os.path.isdir("/proc/self/fd"):  # while the error, which has the frames, is alive
            assert not any(os.path.realpath(f"/proc/self/fd/{fd}") == str(path) for fd in os.listdir("/proc/self/fd"))
        del error
        gc.collect()
    assert not caught


def parts(folder, names, content=SVM):
    lines = content.splitlines(keepends=True)
    size = len(lines) // len(names)
    for k, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"".join(lines[k * size : (k + 1) * size]))


@pytest.mark.parametrize("kind", READERS)
def test_folders_and_patterns_are_read_in_the_order_of_names(tmp_path, monkeypatch, kind):
    reader, content = READERS[kind]
    (tmp_path / "whole").write_bytes(content)
    expected = rows(reader(tmp_path / "whole"))
    data = tmp_path / "data"
    parts(data, ["day=1/a.svm", "day=1/b.svm", "day=2/a.svm"], content)
    (data / "day=3" / "empty").mkdir(parents=True)
    for hidden in ("_SUCCESS", ".a.crc", ".tmp/a.svm", "_temporary/a.svm", "day=1/_a.svm"):
        (data / hidden).parent.mkdir(exist_ok=True)
        (data / hidden).write_bytes(b"no rows")
    listed = [f"{data}/day=1/?.svm", data / "day=2"]
    for files in (data, str(data), f"{data}/day=?/[ab].svm", f"{data}/day=*", f"{data}/day*/**/?.svm", listed):
        same(rows(reader(files)), expected)
    monkeypatch.chdir(data)
    same(rows(reader("day=*/?.svm")), expected)
    assert str(reader("day=*/?.svm")) == f"{reader.__name__} of {os.path.join('day=1', 'a.svm')} and 2 more"


def test_a_name_with_wildcards_that_exists_is_no_pattern(tmp_path):
    parts(tmp_path, ["a[1].svm", "a1.svm"])
    same(
        load_svmlight(tmp_path / "a[1].svm"),
        load_svmlight(io.BytesIO(SVM[: len((tmp_path / "a[1].svm").read_bytes())])),
    )
    with pytest.raises(FileNotFoundError, match=r"files='.*b\[1\].svm' matches no file"):
        load_svmlight(tmp_path / "b[1].svm")
    with pytest.raises(FileNotFoundError, match="b1.svm"):
        load_svmlight(tmp_path / "b1.svm")


def test_patterns_of_parquet_files(tmp_path):
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    for k in range(3):
        folder = tmp_path / f"day={k}"
        folder.mkdir()
        pq.write_table(pa.table({"a": [10.0 * k, 10.0 * k + 1], "y": [k, k]}), folder / "rows.parquet")
    pattern = f"{tmp_path}/day=[01]/*.parquet"
    for files, n_days in ((pattern, 2), ([pattern, tmp_path / "day=2"], 3), (tmp_path, 3)):
        found = list(ParquetSource(files, "y", columns=["a", "day"]))
        expected = [[10.0 * k + j, k] for k in range(n_days) for j in range(2)]
        np.testing.assert_array_equal(np.vstack([block.X for block in found]), expected)
    with pytest.raises(FileNotFoundError, match=r"none-\*.parquet' matches no file"):
        ParquetSource(f"{tmp_path}/none-*.parquet", "y")


@pytest.mark.parametrize("source", [SVMLightSource, VWSource])
def test_an_empty_name_is_not_the_current_folder(source):
    with pytest.raises(ValueError, match="files has an empty path"):
        source("")
