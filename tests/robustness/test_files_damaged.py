"""Files that are empty, damaged, changed or no files: errors that name them."""

import gzip
import os

import numpy as np
import pytest
from sklearn.preprocessing import FunctionTransformer

from sklearn_vectorflow import VectorFlowRegressor
from sklearn_vectorflow.io import BatchSource, CSRSource, ParquetSource, SVMLightSource, VWSource, load_svmlight, text
from sklearn_vectorflow.io.source import Source

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")
ds = pytest.importorskip("pyarrow.dataset")

ROWS = b"".join(b"%d 1:%d 2:0.5\n" % (k % 3, k) for k in range(3000))
VW = b"".join(b"%d |a x:%d y\n" % (k % 3, k) for k in range(3000))
READERS = {"rows.svm": SVMLightSource, "rows.vw": VWSource}
CONTENTS = {"rows.svm": ROWS, "rows.vw": VW}


def model():
    return VectorFlowRegressor(random_state=0, max_iter=1, tol=None)


FITTED = VectorFlowRegressor(random_state=0, max_iter=1).fit(np.ones((5, 2)), np.arange(5.0))


class NoParts(Source):
    """A user's source that turns out to have nothing."""

    n_parts = 0


def table(path, n_rows, **options):
    pq.write_table(
        pa.table({"a": np.arange(n_rows) % 5.0, "b": np.ones(n_rows), "y": np.ones(n_rows)}), path, **options
    )


def text_file(path, content):
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


def empty_sources(folder):
    for name, content in (("none", b""), ("comments", b"# a\n\n# b\n"), ("blank", b"\n \n\t\n")):
        for suffix in ("", ".gz"):
            path = text_file(folder / f"{name}.svm{suffix}", content)
            yield SVMLightSource(path, n_features=2, zero_based=True)
            yield SVMLightSource(path)
            if name != "comments":
                yield VWSource(text_file(folder / f"{name}.vw{suffix}", content), n_bits=1)
    yield NoParts()
    yield BatchSource(list)
    yield BatchSource(lambda: [(np.ones((0, 2)), np.ones(0))])
    yield iter(())


N_EMPTY = 2 * (3 * 2 + 2) + 4


@pytest.mark.parametrize("number", range(N_EMPTY))
@pytest.mark.parametrize("use", ["fit", "partial_fit", "predict"])
def test_a_source_without_rows_says_so(tmp_path, number, use):
    do = {"fit": model().fit, "partial_fit": model().partial_fit, "predict": FITTED.predict}[use]
    source = list(empty_sources(tmp_path))[number]
    with pytest.raises(ValueError, match="The source gave no rows") as error:
        do(source)
    if hasattr(source, "files"):
        assert str(source.files.paths[0]) in str(error.value)


def test_parquet_without_rows_says_so(tmp_path):
    path, folder = tmp_path / "rows.parquet", tmp_path / "folder"
    table(path, 0)
    with pytest.raises(ValueError, match=r"rows.parquet"):
        model().fit(ParquetSource(path, "y"))
    with pq.ParquetWriter(path, pq.read_schema(path)):
        pass
    with pytest.raises(ValueError, match=r"no rows in .*rows.parquet"):
        ParquetSource(path, "y")
    folder.mkdir()
    with pytest.raises(ValueError, match="folder"):
        ParquetSource(folder, "y")
    table(path, 10)
    with pytest.raises(ValueError, match=r"gave no rows: ParquetSource of .*rows.parquet"):
        model().fit(ParquetSource(path, "y", filters=ds.field("a") + ds.field("b") > 50))


@pytest.mark.parametrize("kind", [SVMLightSource, VWSource, load_svmlight])
def test_folders_without_files_and_patterns_without_matches_are_named(tmp_path, kind):
    (tmp_path / "empty" / ".hidden").mkdir(parents=True)
    (tmp_path / "empty" / ".hidden" / "a.svm").write_bytes(ROWS)
    (tmp_path / "empty" / "_SUCCESS").write_bytes(b"")
    with pytest.raises(ValueError, match=r"the folder .*empty, which has no files"):
        kind(tmp_path / "empty")
    with pytest.raises(FileNotFoundError, match=r"part-\*\.svm' matches no file"):
        kind(str(tmp_path / "part-*.svm"))


@pytest.mark.parametrize("name", CONTENTS)
@pytest.mark.parametrize("how", ["truncated", "checksum", "letters", "garbage behind", "no gzip"])
def test_damaged_gzip_names_file_and_line(tmp_path, monkeypatch, name, how):
    monkeypatch.setattr(text, "PIECE", 4096)
    content = bytearray(gzip.compress(CONTENTS[name]))
    if how == "truncated":
        del content[len(content) * 2 // 3 :]
    elif how == "checksum":
        content[-8:-4] = b"abcd"
    elif how == "letters":
        content[len(content) // 2 :][:64] = content[len(content) // 2 : len(content) // 2 + 64] = b"\xff" * 64
    elif how == "garbage behind":
        content += b"garbage"
    else:
        content = CONTENTS[name]
    path = tmp_path / f"{name}.gz"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=rf"{name}.gz(is a damaged gzip file, after line \d+|, line \d+)?") as error:
        model().fit(READERS[name](path))
    if "line" not in str(error.value):
        assert "damaged gzip" in str(error.value)


def test_damaged_parquet_names_the_file(tmp_path):
    path = tmp_path / "rows.parquet"
    table(path, 3000, row_group_size=1000, compression="none")
    whole = path.read_bytes()
    for content in (whole[:-100], whole[:1000], b"", b"PAR1", whole[:-8] + b"\xff\xff\xff\x7fPAR1"):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"rows.parquet"):
            model().fit(ParquetSource(path, "y"))
    path.write_bytes(whole)
    with pytest.raises(ValueError, match=r"rows.parquet: There are no columns \['z'\]"):
        ParquetSource(path, "z")
    with pytest.raises(FileNotFoundError):
        ParquetSource(tmp_path / "other.parquet", "y")


def replaced_by_a_scan(source, scanner):
    """Let the first row group be read by a scanner, as files are whose columns are of other types."""
    group = source._groups[0]

    class Group:
        row_groups, path, physical_schema = group.row_groups, group.path, pa.schema([])

    Group.scanner = staticmethod(scanner)
    source._groups[0] = Group()


@pytest.mark.parametrize("scans", [False, True])
def test_what_arrow_has_not_implemented_names_the_file(tmp_path, monkeypatch, scans):
    path = tmp_path / "rows.parquet"
    table(path, 300)
    source = ParquetSource(path, "y")

    def fail(*args, **options):
        raise pa.ArrowNotImplementedError("Unsupported encoding")

    monkeypatch.setattr(pq.ParquetFile, "iter_batches", fail)
    if scans:
        replaced_by_a_scan(source, fail)
    with pytest.raises(ValueError, match=r"rows.parquet, row group 0, rows from 0: Unsupported encoding") as error:
        model().fit(source)
    assert isinstance(error.value.__cause__, pa.ArrowNotImplementedError)


@pytest.mark.parametrize("scans", [False, True])
def test_a_row_group_with_fewer_rows_than_it_says_is_damaged(tmp_path, monkeypatch, scans):
    path = tmp_path / "rows.parquet"
    table(path, 300)
    source = ParquetSource(path, "y")
    rows = source._groups[0].to_table().slice(0, 299)
    monkeypatch.setattr(pq.ParquetFile, "iter_batches", lambda *args, **options: rows.to_batches())
    if scans:
        replaced_by_a_scan(source, lambda **options: ds.Scanner.from_batches(rows.to_batches(), schema=rows.schema))
    with pytest.raises(ValueError, match=r"row group 0 is damaged: it has 299 rows, the file's metadata say 300"):
        model().fit(source)


def test_errors_of_any_constructor_name_the_rows(tmp_path):
    def encode(frame):
        raise UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte")

    path = tmp_path / "rows.parquet"
    table(path, 300)
    with pytest.raises(ValueError, match=r"rows.parquet, row group 0, rows from 0: 'utf-8' codec"):
        model().fit(ParquetSource(path, "y", encoder=FunctionTransformer(encode)))


@pytest.mark.parametrize(
    "content",
    [b"", b"\x93NUMPY", b"\x93NUMPY\x01\x00\x76\x00{'descr': '<f4', (" + b" " * 110, b"PK\x03\x04", b"\x80\x04K\x01."],
)
def test_damaged_arrays_name_the_file(tmp_path, content):
    path = tmp_path / "data.npy"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"data.npy is not an array that can be mapped"):
        CSRSource(path, np.zeros(3, dtype=np.int32), np.arange(4), n_features=2)
    np.save(path, np.array([1, "a"], dtype=object), allow_pickle=True)
    with pytest.raises(ValueError, match="data.npy is not an array"):
        CSRSource(path, np.zeros(3, dtype=np.int32), np.arange(4), n_features=2)


def test_returns_between_features_end_them(tmp_path):
    path = tmp_path / "rows.vw"
    n = 200_000  # features of one line, which nothing but \r ends
    path.write_bytes(b"1 |a" + b"\rf" * n + b"\n2 |a g\r\n")
    (block,) = VWSource(path, n_bits=4)
    np.testing.assert_array_equal(np.diff(block.X.indptr), [n, 1])


def test_a_row_of_vowpal_wabbit_has_one_tag(tmp_path):
    path = tmp_path / "rows.vw"
    path.write_text("1 'a |n x\n1 'a 'b |n x\n")
    with pytest.raises(ValueError, match="rows.vw, line 2: what stands before"):
        list(VWSource(path))


def later(path, content):
    stat = os.stat(path)
    path.write_bytes(content)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns + 10**9))


@pytest.mark.parametrize("name", [*CONTENTS, *(f"{name}.gz" for name in CONTENTS)])
@pytest.mark.parametrize("length", [0, 100, len(ROWS), 2 * len(ROWS)])
@pytest.mark.filterwarnings("ignore:A typical row of X")
def test_a_text_file_that_changes_is_an_error(tmp_path, name, length):
    content = CONTENTS[name.removesuffix(".gz")]
    path = text_file(tmp_path / name, content)
    source = READERS[name.removesuffix(".gz")](path)
    model().fit(source)
    content = (content + content)[:length].rpartition(b"\n")[0] + b"\n"
    later(path, gzip.compress(content) if path.suffix == ".gz" else content)
    with pytest.raises(ValueError, match=rf"{name} has changed since the source was made"):
        model().fit(source)
    path.unlink()
    with pytest.raises(FileNotFoundError):
        model().fit(source)


@pytest.mark.parametrize("n_rows", [0, 10, 3000, 6000])
def test_a_parquet_file_that_changes_is_an_error(tmp_path, n_rows):
    path, other = tmp_path / "rows.parquet", tmp_path / "other"
    table(path, 3000, row_group_size=500)
    table(other, n_rows, row_group_size=500)
    source = ParquetSource(path, "y")
    model().fit(source)
    later(path, other.read_bytes())
    with pytest.raises(ValueError, match=r"rows.parquet"):
        model().fit(source)
