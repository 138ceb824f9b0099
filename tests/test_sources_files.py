"""Sources that read files and tables, and the cache on disk."""

import os
import signal
import subprocess
import sys
import weakref
from types import SimpleNamespace

import numpy as np
import pytest
from scipy import sparse
from sklearn.feature_extraction import FeatureHasher
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils import murmurhash3_32

from sklearn_vectorflow import VectorFlowClassifier
from sklearn_vectorflow.io import (
    ArrowSource,
    BatchSource,
    CSRSource,
    ParquetSource,
    VWSource,
    folder,
    text,
    write_cache,
)
from sklearn_vectorflow.io import parquet as parquet_module
from sklearn_vectorflow.io.turns import LOCK

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

N_ROWS, N_FEATURES = 1000, 300
RNG = np.random.default_rng(0)
X = sparse.random(N_ROWS, N_FEATURES, 0.03, format="csr", dtype=np.float32, random_state=0)
Y = (X @ RNG.normal(size=N_FEATURES) > 0).astype(np.int8)
WEIGHT = RNG.uniform(0.5, 2.0, N_ROWS)
COLORS = RNG.choice(["red", "green", "blue"], N_ROWS)
SIZES = RNG.normal(size=N_ROWS)


def model(**options):
    return VectorFlowClassifier(random_state=0, max_iter=3, shuffle=False, **options)


EXPECTED = model().fit(X, Y)


def lists(indptr_type=np.int32):
    offsets = X.indptr.astype(indptr_type)
    kind = pa.ListArray if indptr_type is np.int32 else pa.LargeListArray
    return pa.table(
        {
            "columns": kind.from_arrays(offsets, X.indices),
            "values": kind.from_arrays(offsets, X.data),
            "y": Y,
            "w": WEIGHT,
            "day": np.repeat([1, 2], N_ROWS // 2),
        }
    )


def hashed(frame):
    """Rows of two columns hashed as FeatureHasher does it."""
    pairs = zip(*(np.asarray(frame[name]) for name in ("color", "size")))
    return FeatureHasher(64, dtype=np.float32).transform(
        [{f"color={color}": 1.0, "size": float(size)} for color, size in pairs]
    )


@pytest.fixture
def parquet(tmp_path):
    path = tmp_path / "rows.parquet"
    pq.write_table(lists(), path, row_group_size=70)
    return path


LISTS = {"indices": "columns", "values": "values", "n_features": N_FEATURES}


def test_lists_in_parquet_train_as_the_matrix(parquet):
    source = ParquetSource(parquet, "y", **LISTS)
    assert source.n_rows == N_ROWS and source.n_parts == 15
    fitted = model().fit(source)
    np.testing.assert_array_equal(fitted.coef_, EXPECTED.coef_)
    np.testing.assert_array_equal(fitted.predict(source), EXPECTED.predict(X))
    weighted = model().fit(ParquetSource([parquet], "y", sample_weight="w", **LISTS))
    np.testing.assert_array_equal(weighted.coef_, model().fit(X, Y, WEIGHT).coef_)
    ones = model().fit(ParquetSource(parquet, "y", indices="columns", n_features=N_FEATURES))
    np.testing.assert_array_equal(ones.coef_, model().fit(X.sign(), Y).coef_)


def blocks(source):
    return [block for piece in source.pieces() for block in source.read(piece)]


@pytest.mark.parametrize("options", [LISTS, {"columns": ["w", "day"]}], ids=["lists", "numbers"])
def test_rows_are_the_same_read_batch_by_batch_or_by_a_scanner(tmp_path, monkeypatch, options):
    monkeypatch.setattr(parquet_module, "ROWS", 64)
    monkeypatch.setattr(parquet_module, "DECODED", 16)
    path = tmp_path / "rows.parquet"
    pq.write_table(lists(), path, row_group_size=150)
    source, scanned = (ParquetSource(path, "y", filters=some, **options) for some in (None, [("day", ">", 0)]))
    for block, other in zip(blocks(source), blocks(scanned), strict=True):
        X, expected = (one.X.toarray() if sparse.issparse(one.X) else one.X for one in (block, other))
        np.testing.assert_array_equal(X, expected)
        np.testing.assert_array_equal(block.y, other.y)


def test_columns_that_files_store_in_other_types_are_read_as_the_first_file_has_them(tmp_path):
    for name, kind in (("a", pa.float64()), ("b", pa.float32())):
        table = pa.table({"x": pa.array(SIZES.astype(np.float32), kind), "y": Y})
        pq.write_table(table, tmp_path / f"{name}.parquet")
    first, second = blocks(ParquetSource([tmp_path / "a.parquet", tmp_path / "b.parquet"], "y"))
    assert first.X.dtype == second.X.dtype == np.float64
    np.testing.assert_array_equal(first.X, second.X)


def test_a_row_group_is_not_decoded_as_a_whole(tmp_path, monkeypatch):
    n_rows, each = 40_000, 64
    indices = np.tile(np.arange(each, dtype=np.int32), n_rows)
    starts = np.arange(0, n_rows * each + 1, each, dtype=np.int32)
    table = pa.table({"columns": pa.ListArray.from_arrays(starts, indices), "y": np.zeros(n_rows)})
    pq.write_table(table, tmp_path / "rows.parquet")
    monkeypatch.setattr(parquet_module, "ROWS", 2_000)
    monkeypatch.setattr(parquet_module, "DECODED", 1_000)
    source = ParquetSource(tmp_path / "rows.parquet", "y", indices="columns", n_features=each)
    pool, before = pa.proxy_memory_pool(pa.default_memory_pool()), pa.default_memory_pool()
    pa.set_memory_pool(pool)
    try:
        read = source.read(0)
        next(read)
        read.close()
    finally:
        pa.set_memory_pool(before)
    assert 0 < pool.max_memory() < indices.nbytes


def test_a_table_is_let_go_when_its_rows_are_made(parquet, monkeypatch):
    source, tables = ParquetSource(parquet, "y", **LISTS), []
    make = source._columns.block

    def noting(table, where):
        tables.append(weakref.ref(table))
        return make(table, where)

    monkeypatch.setattr(source._columns, "block", noting)
    rows = source.read(0)
    next(rows)
    assert len(tables) == 1 and tables[0]() is None
    rows.close()


def test_what_arrow_keeps_for_the_next_rows_is_released(parquet, monkeypatch):
    source, released = ParquetSource(parquet, "y", **LISTS), []
    pool = SimpleNamespace(release_unused=lambda: released.append(True))
    monkeypatch.setattr(source, "_arrow", SimpleNamespace(default_memory_pool=lambda: pool))
    source.release()
    assert released


def test_folders_partitions_and_filters(tmp_path):
    pq.write_to_dataset(lists(np.int64), tmp_path / "rows", partition_cols=["day"])
    second = slice(N_ROWS // 2, None)
    source = ParquetSource(tmp_path / "rows", "y", filters=[("day", "=", 2)], **LISTS)
    np.testing.assert_array_equal(model().fit(source).coef_, model().fit(X[second], Y[second]).coef_)
    heavy = WEIGHT > 1.5
    source = ParquetSource(tmp_path / "rows", "y", filters=[("w", ">", 1.5)], **LISTS)
    np.testing.assert_array_equal(model().fit(source).coef_, model().fit(X[heavy], Y[heavy]).coef_)
    with pytest.raises(ValueError, match="There are no rows"):
        ParquetSource(tmp_path / "rows", "y", filters=[("day", "=", 9)], **LISTS)


@pytest.mark.parametrize("frame", ["arrow", "pandas"])
def test_an_encoder_makes_rows_of_raw_columns(tmp_path, frame):
    table = pa.table({"color": COLORS, "size": SIZES, "y": np.where(Y, "yes", "no")})
    pq.write_table(table, tmp_path / "raw.parquet", row_group_size=300)
    source = ParquetSource(tmp_path / "raw.parquet", "y", encoder=FunctionTransformer(hashed), frame=frame)
    expected = model().fit(hashed(table.to_pandas()), np.where(Y, "yes", "no"))
    fitted = model().fit(source)
    np.testing.assert_array_equal(fitted.coef_, expected.coef_)
    np.testing.assert_array_equal(fitted.classes_, ["no", "yes"])


def test_tables_of_other_libraries():
    polars, pandas = pytest.importorskip("polars"), pytest.importorskip("pandas")
    dense = np.column_stack([SIZES, SIZES**2]).astype(np.float32)
    expected = model().fit(dense, Y)
    columns = {"a": dense[:, 0], "b": dense[:, 1], "y": Y}
    for table in (polars.DataFrame(columns), pandas.DataFrame(columns), pa.table(columns)):
        source = ArrowSource(table, "y")
        assert source.n_rows == N_ROWS
        np.testing.assert_array_equal(model().fit(source).coef_, expected.coef_)
    reader = pa.table(columns).to_reader(max_chunksize=100)
    np.testing.assert_array_equal(model().fit(ArrowSource(reader, "y")).coef_, expected.coef_)


def test_names_that_arrow_cannot_pass_on_are_refused():
    polars = pytest.importorskip("polars")
    with pytest.raises(ValueError, match=r"data has a column named 'a\\x00'"):
        ArrowSource(polars.DataFrame({"a\0": [1.0], "y": [0]}), "y")


def test_queries_of_duckdb_run_anew_for_each_pass():
    duckdb = pytest.importorskip("duckdb")
    relation = duckdb.sql("select (i % 7)::double as a, (i % 3 = 0)::int as y from range(5000) r(i)")
    fitted = model().fit(ArrowSource(relation, "y", buffer_bytes=1000))
    assert fitted.n_iter_ > 1


@pytest.mark.parametrize(
    "options, match",
    [
        ({"columns": ["nope"]}, r"no columns \['nope'\]"),
        ({"values": "values"}, "needs indices"),
        ({"indices": "columns"}, "needs n_features"),
        ({"encoder": 3}, "encoder must have a method transform"),
        ({**LISTS, "columns": ["w"]}, "got both"),
        ({"frame": "polars"}, "frame must be one of"),
        ({"cache": 3}, "cache must be"),
        ({"n_jobs": 0}, "n_jobs must be"),
    ],
)
def test_bad_options_of_parquet_are_refused(parquet, options, match):
    with pytest.raises((TypeError, ValueError), match=match):
        ParquetSource(parquet, "y", **options)


def test_errors_while_reading_name_file_and_row(parquet, tmp_path):
    width = N_FEATURES - 10
    bad = [row for row in range(140) if X[row].indices.max(initial=0) >= width]
    rows = bad[0], next(row for row in bad if row >= 70) - 70
    # groups are decoded side by side: either error may come first
    place = "|".join(
        rf"rows.parquet, row group {group}, rows from 0: a column index is outside.*in row {row} of X"
        for group, row in enumerate(rows)
    )
    with pytest.raises(ValueError, match=place):
        model().fit(ParquetSource(parquet, "y", **{**LISTS, "n_features": width}))
    missing = pa.table({"a": [1.0, None, 3.0], "y": [0, 1, 0]})
    with pytest.raises(ValueError, match="Table, rows from 0: column 'a' is missing in row 1"):
        model().fit(ArrowSource(missing, "y"))
    with pytest.raises(TypeError, match="must hold lists, got double"):
        model().fit(ParquetSource(parquet, "y", indices="w", n_features=3))
    content = bytearray(parquet.read_bytes())
    content[1000:3000] = bytes(2000)
    parquet.write_bytes(content)
    with pytest.raises(ValueError, match=r"rows.parquet, row group \d+, rows from"):
        model().fit(ParquetSource(parquet, "y", **LISTS))


VW = "1 2.0 'tag|user age:2 male |item:3 x y:0.5\n-1 |user age:-1\n\n1 1 0.5 |item z\n"


def test_vowpal_wabbit_text_becomes_groups_of_columns(tmp_path):
    path = tmp_path / "rows.vw"
    path.write_text(VW)
    (block,) = VWSource(path, n_bits=6, namespaces=["user", "item"], importance=True)
    source = VWSource(path, n_bits=6, namespaces=["user", "item"], importance=True)
    expected = np.zeros((3, 128))
    for row, space, name, value in (
        (0, "user", "age", 2),
        (0, "user", "male", 1),
        (0, "item", "x", 3),
        (0, "item", "y", 1.5),
        (1, "user", "age", -1),
        (2, "item", "z", 1),
    ):
        seed = murmurhash3_32(space, 0, positive=True)
        expected[row, source.groups[space].start + murmurhash3_32(name, seed, positive=True) % 64] += value
    np.testing.assert_array_equal(block.X.toarray(), expected)
    np.testing.assert_array_equal(block.y, [1, -1, 1])
    np.testing.assert_array_equal(block.sample_weight, [2, 1, 1])
    (shared,) = VWSource(path, n_bits=6, importance=True)
    np.testing.assert_array_equal(shared.X.toarray(), expected[:, :64] + expected[:, 64:])


@pytest.mark.parametrize(
    "line, match",
    [
        ("x |user a", "the label"),
        ("1 -2 |user a", "the importance"),
        ("1 user a", "the importance"),
        ("1", "no '|'"),
        ("1 |else a", "the namespace"),
        ("1 |user a:1x", "what follows ':'"),
        ("1 |user a:1e40", "what follows ':'"),
        ("1 1 1 tag more|user a", "neither a label"),
    ],
)
def test_bad_lines_of_vowpal_wabbit_are_named(tmp_path, monkeypatch, line, match):
    monkeypatch.setattr(text, "PIECE", 64)
    path = tmp_path / "rows.vw"
    path.write_text("1 |user a b\n" * 20 + line + "\n")
    with pytest.raises(ValueError, match=rf"rows.vw, line 21: .*{match}"):
        list(VWSource(path, n_bits=6, namespaces=["user"], importance=True))


def batches():
    for start in range(0, N_ROWS, 90):
        yield X[start : start + 90], Y[start : start + 90], WEIGHT[start : start + 90]


def test_the_cache_on_disk_is_written_once_and_read_again(tmp_path):
    passes = []

    def counted():
        passes.append(1)
        return batches()

    expected = model().fit(X, Y, WEIGHT)
    for _ in range(2):
        fitted = model().fit(BatchSource(counted, cache=tmp_path / "cache"))
        np.testing.assert_array_equal(fitted.coef_, expected.coef_)
    assert len(passes) == 1
    assert os.listdir(tmp_path) == ["cache"]
    opened = CSRSource.open(tmp_path / "cache", buffer_bytes=1000)
    assert isinstance(opened.data, np.memmap) and (opened.n_rows, opened.n_features) == X.shape
    np.testing.assert_array_equal(model().fit(opened).coef_, expected.coef_)


def test_a_stale_cache_is_written_anew(parquet, tmp_path):
    cache = tmp_path / "cache"
    model().fit(ParquetSource(parquet, "y", cache=cache, **LISTS))
    model().fit(ParquetSource(parquet, "y", cache=cache, **LISTS))
    pq.write_table(lists().slice(100), parquet)
    with pytest.warns(UserWarning, match="cache is stale.*written again"):
        fitted = model().fit(ParquetSource(parquet, "y", cache=cache, **LISTS))
    np.testing.assert_array_equal(fitted.coef_, model().fit(X[100:], Y[100:]).coef_)


def rows_of_cache(cache):
    (rows,) = cache.glob("rows-*")
    return rows


def test_damaged_caches_are_refused(tmp_path):
    cache = tmp_path / "cache"
    source = BatchSource(batches)
    header = cache / folder.HEADER

    def refused(match):
        with pytest.raises(ValueError, match=match):
            CSRSource.open(cache)

    refused("is not a cache")
    write_cache(source, cache)
    data = rows_of_cache(cache) / "data.npy"
    whole = data.read_bytes()
    data.write_bytes(whole[:-4])
    refused("truncated")
    data.write_bytes(whole)
    content = header.read_text()
    header.write_text(content.replace('"n_features": 300', '"n_features": 301'))
    refused("checksum")
    header.write_text(content)
    (rows_of_cache(cache) / "indices.npy").unlink()
    refused("truncated")
    with pytest.warns(UserWarning, match="truncated"):
        model().fit(BatchSource(batches, cache=cache))
    CSRSource.open(cache)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "work").touch()
    with pytest.raises(ValueError, match="mine exists and is not a cache"):
        model().fit(BatchSource(batches, cache=tmp_path / "mine"))
    with pytest.raises(ValueError, match="is not a cache"):
        write_cache(source, tmp_path / "mine")


def test_a_failed_write_leaves_nothing_and_labels_come_back(tmp_path):
    def failing():
        yield from batches()
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        write_cache(BatchSource(failing), tmp_path / "cache")
    assert os.listdir(tmp_path / "cache") == [LOCK]
    names = np.array(["b", "a", "ccc"])[np.arange(N_ROWS) % 3]
    write_cache([(X[:500], names[:500]), (X[500:], names[500:])], tmp_path / "cache")
    np.testing.assert_array_equal(np.concatenate([block.y for block in CSRSource.open(tmp_path / "cache")]), names)


KILLED = """
import sys, time
import numpy as np
from scipy import sparse
from sklearn_vectorflow.io import BatchSource, write_cache
def batches():
    X = sparse.csr_matrix(np.eye(1000, dtype=np.float32))
    for k in range(10**9):
        yield X, np.ones(1000)
        if k == 20:
            print("writing", flush=True)
write_cache(BatchSource(batches), sys.argv[1])
"""


@pytest.mark.skipif(os.name == "nt", reason="needs SIGKILL")
def test_a_killed_process_leaves_no_cache(tmp_path):
    cache = tmp_path / "cache"
    process = subprocess.Popen([sys.executable, "-P", "-c", KILLED, str(cache)], stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"writing\n"
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    with pytest.raises(ValueError, match="not a cache"):
        CSRSource.open(cache)
    assert list(cache.glob("rows-*"))
    fitted = model().fit(BatchSource(batches, cache=cache))
    np.testing.assert_array_equal(fitted.coef_, model().fit(X, Y, WEIGHT).coef_)
    assert len(list(cache.iterdir())) == 3 and len(list(tmp_path.iterdir())) == 1
