"""Reading speed beside scikit-learn, and training on rows that exceed memory.

    python benchmarks/sources.py svmlight
    python benchmarks/sources.py train [--rows 1000000 10000000] [--folder FOLDER] [--n-jobs 1]

`svmlight` reads one file with scikit-learn and with `load_svmlight`, on one thread and on all.
`train` writes Parquet files of rows with 10 non-zeros each, in pieces; then times an epoch
from them, the writing of the cache, and an epoch from the cache. Memory is what the process
allocates itself at most; mapped files are not counted (Linux only).
"""

import argparse
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from scipy import sparse
from sklearn.datasets import dump_svmlight_file, load_svmlight_file
from workloads import zipf

from sklearn_vectorflow import VectorFlowClassifier
from sklearn_vectorflow.io import CSRSource, ParquetSource, load_svmlight, write_cache

WIDTH, PER_ROW, GROUP = 10_000_000, 10, 100_000


class Memory:
    """Watches the memory the process allocates itself, in MB, in a thread."""

    def __init__(self):
        self.peak = 0
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self):
        status = Path("/proc/self/status")
        while status.exists():
            self.peak = max(self.peak, int(status.read_text().partition("RssAnon:")[2].split()[0]) // 1000)
            time.sleep(0.05)


def timed(function):
    """Return the seconds a call takes, and what it returns."""
    begun = time.perf_counter()
    result = function()
    return time.perf_counter() - begun, result


def compare_svmlight(folder):
    """Print reading speeds of both readers and that they give the same."""
    for digits, dtype in ((6, np.float32), (17, np.float64)):
        path = folder / f"{digits}.svm"
        X = sparse.random_array((100_000, 100_000), density=3e-4, format="csr", rng=0)
        X.data = np.round(X.data, digits)
        dump_svmlight_file(X, np.arange(100_000) % 2, str(path), zero_based=True)
        megabytes = path.stat().st_size / 1e6
        theirs, expected = timed(lambda: load_svmlight_file(str(path), dtype=dtype))
        for n_jobs in (1, -1):
            times, results = zip(*(timed(lambda: load_svmlight(path, dtype=dtype, n_jobs=n_jobs)) for _ in range(3)))
            same = all(
                np.array_equal(getattr(results[0][0], part), getattr(expected[0], part))
                for part in ("data", "indices", "indptr")
            ) and np.array_equal(results[0][1], expected[1])
            print(
                f"{digits} digits, n_jobs={n_jobs}: {min(times):.3f} s, {megabytes / min(times):.0f} MB/s, "
                f"scikit-learn {theirs:.2f} s, {theirs / min(times):.1f} times; the same: {same}"
            )


def write_parquet(path, n_rows):
    """Write rows of increasing columns with labels of a logistic model, GROUP at a time."""
    weights = np.random.default_rng(7).normal(0, 0.7, WIDTH).astype(np.float32)
    rng = np.random.default_rng(n_rows)
    schema = pa.schema({"indices": pa.list_(pa.int32()), "values": pa.list_(pa.float32()), "y": pa.int8()})
    starts = np.arange(0, GROUP * PER_ROW + 1, PER_ROW, dtype=np.int32)
    with pq.ParquetWriter(path, schema, compression="snappy") as writer:
        for _ in range(n_rows // GROUP):
            columns = np.sort(zipf(rng, GROUP * PER_ROW, WIDTH - PER_ROW).reshape(GROUP, PER_ROW), axis=1)
            columns = np.maximum.accumulate(columns - np.arange(PER_ROW), axis=1) + np.arange(PER_ROW)  # none twice
            values = (rng.integers(10, 150, columns.shape) / 100).astype(np.float32)
            score = (weights[columns] * values).sum(axis=1)
            y = (rng.random(GROUP) < 1 / (1 + np.exp(1 - score))).astype(np.int8)
            lists = [pa.ListArray.from_arrays(starts, part.ravel()) for part in (columns.astype(np.int32), values)]
            writer.write_table(pa.table([*lists, y], schema=schema), row_group_size=GROUP)


def time_training(folder, n_rows, n_jobs, memory):
    """Print times of an epoch from Parquet and from the cache."""
    path, cache = folder / f"{n_rows}.parquet", folder / f"{n_rows}.cache"
    write_parquet(path, n_rows)
    lists = {"indices": "indices", "values": "values", "n_features": WIDTH}
    model = VectorFlowClassifier(max_iter=1, tol=None, random_state=0, n_jobs=n_jobs)
    tasks = {
        "epoch from Parquet": lambda: model.fit(ParquetSource(path, "y", survey=False, **lists)),
        "cache": lambda: write_cache(ParquetSource(path, "y", **lists), cache),
        "epoch from the cache": lambda: model.fit(CSRSource.open(cache, survey=False)),
        "the same, surveyed": lambda: model.fit(CSRSource.open(cache)),
    }
    for name, task in tasks.items():
        memory.peak = 0
        seconds, _ = timed(task)
        print(
            f"{n_rows:>12,} rows, {name:22} {seconds:8.2f} s, {seconds / n_rows * 1e9:6.0f} ns a row, "
            f"{n_rows * PER_ROW * 8 / seconds / 1e6:6.0f} MB/s of CSR, own memory {memory.peak} MB",
            flush=True,
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("what", choices=["svmlight", "train"])
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000_000, 10_000_000])
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--n-jobs", type=int, default=1)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        if arguments.what == "svmlight":
            compare_svmlight(Path(folder))
            return
        memory = Memory()
        for n_rows in arguments.rows:
            time_training(Path(folder), n_rows, arguments.n_jobs, memory)


if __name__ == "__main__":
    main()
