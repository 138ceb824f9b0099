"""Read files with bytes flipped, cut, inserted and zeroed: svmlight, VW, gzip of them, Parquet, arrays and caches.

Each must give an error that names the file, or a fit that is right for what another reader finds in the file.

    python tools/robustness/file_mutants.py [--mutants 100000] [--kinds svmlight vw ...]
"""

import argparse
import gzip
import io
import os
import random
import sys
import tempfile
from pathlib import Path

import children
import numpy as np
from readers import read_svmlight, read_vw
from scipy import sparse

from sklearn_vectorflow import VectorFlowRegressor
from sklearn_vectorflow.io import BatchSource, CSRSource, ParquetSource, SVMLightSource, VWSource, text, write_cache

BATCH = 100  # mutants of one process
TOLERATED = (ValueError, TypeError)
N_ROWS, N_FEATURES, BITS = 24, 16, 4
RNG = np.random.default_rng(0)
X = sparse.random(N_ROWS, N_FEATURES, 0.3, format="csr", dtype=np.float32, random_state=0)
X.data = np.round(X.data, 3)
Y = RNG.integers(0, 5, N_ROWS).astype(np.float64)


def svmlight_text():
    lines = [
        f"{y:g} " + " ".join(f"{j}:{v:g}" for j, v in zip(row.indices, row.data))
        for y, row in zip(Y, map(X.getrow, range(N_ROWS)))
    ]
    return ("\n".join(["# rows", *lines]) + "\n").encode()


def vw_text():
    lines = [
        f"{y:g} 't|a " + " ".join(f"f{j}:{v:g}" for j, v in zip(row.indices, row.data)) + " |b x y:2"
        for y, row in zip(Y, map(X.getrow, range(N_ROWS)))
    ]
    return ("\n".join(lines) + "\r\n").encode()


def parquet_bytes(lists, compression):
    import pyarrow as pa
    import pyarrow.parquet as pq

    if lists:
        indices, values = (pa.ListArray.from_arrays(X.indptr, part) for part in (X.indices, X.data))
        table = pa.table({"indices": indices, "values": values, "y": Y})
    else:
        dense = X.toarray()
        table = pa.table({**{f"f{j}": dense[:, j] for j in range(4)}, "y": Y})
    out = io.BytesIO()
    pq.write_table(table, out, row_group_size=10, compression=compression)
    return out.getvalue()


def mutant(content, draw):
    """Return bytes with one or a few faults."""
    content = bytearray(content)
    for _ in range(draw.choice([1, 1, 1, 2, 4])):
        at = draw.randrange(len(content) + 1)
        span = min(draw.choice([1, 1, 2, 8, 64, 400]), len(content) - at)
        what = draw.randrange(7)
        if what == 0 and span:
            content[at] ^= 1 << draw.randrange(8)
        elif what == 1:
            content[at : at + span] = bytes(span)
        elif what == 2:
            content[at:at] = draw.randbytes(span)
        elif what == 3:
            del content[at : at + span]
        elif what == 4:
            del content[at:]
        elif what == 5:
            content[at : at + 1] = bytes(
                draw.choices(b"0123456789:. \n\t-+eE#qid,|xnaf\x00\xff\r'\x0b\x0c", k=draw.randint(1, 3))
            )
        else:
            content[at:at] = content[draw.randrange(at + 1) : at]
    return bytes(content)


class Kind:
    """Files of a kind: their bytes, what reads them, and what else does."""

    def __init__(self, content, source_of, oracle, suffix=""):
        self.content = content() if callable(content) else content
        self.source_of = source_of
        self.oracle = oracle
        self.suffix = suffix

    def try_one(self, folder, draw):
        """Return (outcome, None) or (outcome, what is wrong)."""
        path = Path(folder, f"rows{self.suffix}")
        content = mutant(self.content, draw)
        path.write_bytes(content)
        return attempt(lambda: self.source_of(path), lambda: self.oracle(content), str(path), content, draw)


def attempt(source_of, oracle, name, content, draw):
    """Read with the source; compare with what the oracle says."""
    try:
        mine = rows_of(source_of())
    except TOLERATED as error:
        return ("error", None) if name in str(error) else ("error without the file's name", repr(error))
    except Exception as error:
        return "another error", (repr(error), content)
    try:
        theirs = oracle()
    except UnicodeDecodeError:
        return "read, with names that are no text", None
    except Exception as error:
        return "read what the other reader refuses", (repr(error), content)
    if not same(mine, theirs):
        return "other rows than the other reader's", content
    if draw.random() < 0.1:
        return fitted(source_of, theirs, content)
    return "right", None


def fitted(source_of, theirs, content):
    """Fit on the source and on the rows in memory."""
    X, y = theirs
    if not np.all(np.abs(y) < 1e6) or not np.all(np.abs(X.data) < 1e6) or y.std() == 0:
        return "right", None  # a fit may diverge
    model = VectorFlowRegressor(max_iter=1, tol=None, shuffle=False, random_state=0, n_jobs=1)
    mine = model.fit(source_of()).predict(X)
    same = np.array_equal(mine, model.fit(X, y).predict(X))
    return ("right, fitted", None) if same else ("another fit", content)


def rows_of(source):
    """Return the rows of a source as (X, y)."""
    with source.checked() as blocks:
        blocks = list(blocks)
        if any(block.y is None for block in blocks):
            raise ValueError(f"{source}: rows without targets")
        parts = [(sparse.csr_matrix(block.matrix.values), np.asarray(block.y, dtype=np.float64)) for block in blocks]
    return sparse.vstack([X for X, _ in parts], format="csr"), np.concatenate([y for _, y in parts])


def same(mine, theirs):
    a, b = mine[0].toarray(), theirs[0].toarray()
    return a.shape == b.shape and np.array_equal(a, b) and np.array_equal(mine[1], theirs[1])


def decompressed(read):
    def oracle(content):
        return read(gzip.decompress(content))

    return oracle


def parquet_oracle(lists):
    def read(content):
        import pyarrow.parquet as pq

        table = pq.ParquetFile(io.BytesIO(content)).read(use_threads=False)
        if any(table.column(name).null_count for name in table.column_names):
            raise ValueError("missing")
        y = table.column("y").to_numpy().astype(np.float64)
        if not lists:
            names = [name for name in table.column_names if name != "y"]
            columns = np.column_stack([table.column(name).to_numpy() for name in names])
            return sparse.csr_matrix(columns), y
        indices, values = table.column("indices").to_pylist(), table.column("values").to_pylist()
        if [len(row) for row in indices] != [len(row) for row in values]:
            raise ValueError("lengths")
        columns = np.array([j for row in indices for j in row], dtype=np.int64)
        if np.any(columns < 0) or np.any(columns >= N_FEATURES):
            raise ValueError("index")
        indptr = np.cumsum([0] + [len(row) for row in indices])
        values = np.array([v for row in values for v in row], dtype=np.float32)
        return sparse.csr_matrix((values, columns, indptr), (len(y), N_FEATURES)), y

    return read


class CacheKind:
    """A cache one of whose files is a mutant: opened by itself, or renewed from its source."""

    def __init__(self, renewed):
        self.renewed = renewed

    def try_one(self, folder, draw):
        path = Path(folder, "cache")
        half = N_ROWS // 2
        blocks = [(X[:half], Y[:half]), (X[half:], Y[half:])]
        if not path.exists():
            write_cache(blocks, path)
        files = sorted([*path.glob("rows-*/*.npy"), path / "header.json"])
        file = draw.choice(files)
        content = file.read_bytes()
        changed = mutant(content, draw)
        file.write_bytes(changed)
        if self.renewed:
            result = attempt(
                lambda: BatchSource(lambda: blocks, cache=path), lambda: (X, Y), "", (file.name, changed), draw
            )
            if result[0] == "error":
                result = "error in place of a new cache", (file.name, changed)
            return self.tell_apart(result, path, file, changed)
        result = attempt(lambda: CSRSource.open(path), lambda: (X, Y), str(path), (file.name, changed), draw)
        file.write_bytes(content)
        return result

    def tell_apart(self, result, path, file, changed):
        if result[1] is None and len(list(path.iterdir())) != 3:
            return "leftovers", (file.name, changed)
        return result


class ArraysKind:
    """A triplet of ``.npy`` files, one of which is a mutant."""

    def try_one(self, folder, draw):
        arrays = {"data": X.data, "indices": X.indices, "indptr": X.indptr, "y": Y}
        paths = {name: Path(folder, f"{name}.npy") for name in arrays}
        for name, array in arrays.items():
            np.save(paths[name], array)
        name = draw.choice(list(arrays))
        content = mutant(paths[name].read_bytes(), draw)
        paths[name].write_bytes(content)

        def oracle():
            data, indices, indptr, y = (np.load(path) for path in paths.values())
            indptr = indptr.astype(np.int64)
            if np.any(np.diff(indptr) < 0) or indptr[0] < 0 or indptr[-1] > len(indices) or len(data) != len(indices):
                raise ValueError("indptr")
            indices = indices[indptr[0] : indptr[-1]].astype(np.int64)
            if np.any(indices < 0) or np.any(indices >= N_FEATURES):
                raise ValueError("indices")
            data = data[indptr[0] : indptr[-1]]
            if not np.all(np.isfinite(data.astype(np.float32))):
                raise ValueError("data")
            return sparse.csr_matrix((data, indices, indptr - indptr[0]), (len(indptr) - 1, N_FEATURES)), y

        return attempt(lambda: CSRSource(**paths, n_features=N_FEATURES), oracle, "", (name, content), draw)


def svmlight_source(path):
    return SVMLightSource(path, n_features=N_FEATURES, zero_based=True, n_jobs=1)


def vw_source(path):
    return VWSource(path, n_bits=BITS, importance=True, n_jobs=1)


LISTS = {"indices": "indices", "values": "values", "n_features": N_FEATURES}
KINDS = {
    "svmlight": lambda: Kind(svmlight_text, svmlight_source, lambda content: read_svmlight(content, N_FEATURES)),
    "svmlight.gz": lambda: Kind(
        gzip.compress(svmlight_text(), mtime=0),
        svmlight_source,
        decompressed(lambda content: read_svmlight(content, N_FEATURES)),
        ".gz",
    ),
    "vw": lambda: Kind(vw_text, vw_source, lambda content: read_vw(content, BITS)),
    "vw.gz": lambda: Kind(
        gzip.compress(vw_text(), mtime=0), vw_source, decompressed(lambda content: read_vw(content, BITS)), ".gz"
    ),
    "parquet of lists": lambda: Kind(
        parquet_bytes(True, "snappy"), lambda path: ParquetSource(path, "y", n_jobs=1, **LISTS), parquet_oracle(True)
    ),
    "parquet of columns": lambda: Kind(
        parquet_bytes(False, "none"), lambda path: ParquetSource(path, "y", n_jobs=1), parquet_oracle(False)
    ),
    "cache": lambda: CacheKind(False),
    "renewed cache": lambda: CacheKind(True),
    "arrays": ArraysKind,
}


def batch(name, first):
    """Try some mutants; return how they went."""
    kind, counts = KINDS[name](), children.Counts()
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(first, first + BATCH):
            Path(folder, "seed").write_text(str(seed))
            draw = random.Random(f"{name} {seed}")
            text.PIECE = draw.choice([64, 2**22])
            outcome, wrong = kind.try_one(folder, draw)
            if wrong is None:
                counts.add(outcome)
            else:
                counts.fail(outcome, (seed, wrong))
    return counts


def one(name, seed):
    """Try a single mutant."""
    global BATCH
    BATCH = 1
    return batch(name, seed)


def search(name, first):
    """Find the mutants of a batch that end the process."""
    counts = children.Counts()
    for seed in range(first, first + BATCH):
        outcome, result = children.run(one, name, seed, seconds=60)
        if outcome == "done":
            counts.merge(result)
        else:
            counts.fail(outcome, (seed, result))
    return counts


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--mutants", type=int, default=100_000, help="in all")
    parser.add_argument("--kinds", nargs="+", default=list(KINDS), choices=list(KINDS))
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    parser.add_argument("--first", type=int, default=0, help="seed of the first mutant")
    arguments = parser.parse_args()
    n_batches, passed = -(-arguments.mutants // len(arguments.kinds) // BATCH), True
    for name in arguments.kinds:
        counts = children.Counts()
        firsts = [arguments.first + k * BATCH for k in range(n_batches)]
        for start in range(0, n_batches, arguments.processes):
            some = firsts[start : start + arguments.processes]
            running = [children.start(batch, name, first) for first in some]
            for first, (outcome, result) in zip(some, map(children.finish, running)):
                if outcome == "done":
                    counts.merge(result)
                else:
                    counts.merge(search(name, first))
        passed &= counts.report(f"{name}, {n_batches * BATCH:,} mutants")
    sys.exit(not passed)


if __name__ == "__main__":
    main()
