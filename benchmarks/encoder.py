"""Encoding time side by side with scikit-learn's FeatureHasher, on the same strings, in one run.

    python benchmarks/encoder.py [--rows 500000] [--repeat 5]

Ten string columns of ids that follow a Zipf law, in several kinds of frame. FeatureHasher gets
fewer rows, as dicts ready made or of a pandas frame; encoders take turns and times are medians. The
second table has the time it takes to collect the names of all features, beside that of a transform. The
third reads rows of the workload `ctr` of workloads.py from a Parquet file of 34
string columns and encodes them, decoding included.
"""

import argparse
import importlib.util
import statistics
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import workloads
from sklearn.feature_extraction import FeatureHasher

from sklearn_vectorflow.preprocessing import HashingEncoder

N_COLUMNS = 10
SHARE = 10  # FeatureHasher gets one row in as many
N_BITS = 22
ROW_GROUP = 20_000


def make_table(n_rows):
    """Return ten columns of ids, from a hundred to ten million different ones."""
    rng = np.random.default_rng(0)
    columns = {}
    for j in range(N_COLUMNS):
        ids = workloads.zipf(rng, n_rows, 10 ** (2 + j // 2))
        columns[f"column{j}"] = pa.array(np.char.mod("%x", ids.astype(np.int64) * 2654435761 % 2**36))
    return pa.table(columns)


def times_of(jobs, repeat):
    """Run named functions in turn; return each one's median of seconds."""
    seconds = {name: [] for name in jobs}
    for _ in range(repeat):
        for name, job in jobs.items():
            start = time.perf_counter()
            job()
            seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(found) for name, found in seconds.items()}


def frames_of(table):
    """Return the table as frames of several libraries and types, by name."""
    coded = pa.table({name: table[name].dictionary_encode() for name in table.column_names})
    frames = {"Arrow": table, "Arrow, dictionaries": coded}
    pandas = table.to_pandas()
    frames["pandas, string[pyarrow]"] = pandas.astype("string[pyarrow]")
    frames["pandas, categories"] = pandas.astype("category")
    frames["pandas, objects"] = pandas
    if importlib.util.find_spec("polars"):
        import polars

        frames["polars"] = polars.from_arrow(table)
    return frames


def compare(n_rows, repeat):
    """Print nanoseconds a cell, and how often as fast as FeatureHasher that is, its dicts made before or in time."""
    table = make_table(n_rows)
    some = table.slice(0, n_rows // SHARE)
    dicts, pandas = some.to_pylist(), some.to_pandas()
    hasher = FeatureHasher(2**N_BITS, dtype=np.float32)
    jobs = {
        "FeatureHasher, dicts": lambda: hasher.transform(dicts),
        "FeatureHasher, pandas": lambda: hasher.transform(pandas.to_dict("records")),
    }
    for what, frame in frames_of(table).items():
        for n_jobs in (1, 2):
            encoder = HashingEncoder(N_BITS, n_jobs=n_jobs)
            jobs[f"{what}, n_jobs={n_jobs}"] = lambda encoder=encoder, frame=frame: encoder.transform(frame)
    found = times_of(jobs, repeat)
    cells = {name: N_COLUMNS * n_rows // (SHARE if name.startswith("FeatureHasher") else 1) for name in jobs}
    found = {name: seconds / cells[name] for name, seconds in found.items()}
    print(f"{'':34} {'ns a cell':>9} {'dicts':>6} {'pandas':>6}")
    for name, seconds in found.items():
        times = [found[f"FeatureHasher, {what}"] / seconds for what in ("dicts", "pandas")]
        print(f"{name:34} {1e9 * seconds:9.1f} {times[0]:6.1f} {times[1]:6.1f}")


def collect(n_rows, repeat):
    """Print how many times as long as a transform it takes to collect all names."""
    print(f"\n{'collecting names':34} {'times transform':>15}")
    for what, frame in frames_of(make_table(n_rows)).items():
        for n_jobs in (1, 2):
            named = HashingEncoder(N_BITS, n_jobs=n_jobs, collect_names=10**9)
            jobs = {"fit": lambda: named.fit(frame), "transform": lambda: named.transform(frame)}
            found = times_of(jobs, repeat)
            print(f"{what}, n_jobs={n_jobs}".ljust(34), f"{found['fit'] / found['transform']:15.1f}")


def write_parquet(path, X):
    """Write a sparse matrix as string columns, one for each of a row's non-zeros.

    Row groups are small enough that threads can share them evenly.
    """
    rows = X[np.diff(X.indptr) >= 34]
    ids = np.stack([rows.indices[rows.indptr[:-1] + j] for j in range(34)])
    columns = {f"c{j}": pa.array(np.char.mod("%x", ids[j])) for j in range(34)}
    pq.write_table(pa.table(columns), path, row_group_size=ROW_GROUP)


def decode(n_rows, repeat):
    """Print rows a second of Parquet to CSR: row groups are read and encoded on one thread and on two."""
    with tempfile.TemporaryDirectory() as temporary:
        path = Path(temporary, "ctr.parquet")
        write_parquet(path, workloads.draw_rows(workloads.WORKLOADS["ctr"], n_rows, np.random.default_rng(0)))
        n_groups, n_rows = pq.read_metadata(path).num_row_groups, pq.read_metadata(path).num_rows
        encoder = HashingEncoder(N_BITS)

        def encode(group):
            return encoder.transform(pq.ParquetFile(path).read_row_group(group, use_threads=False)).nnz

        def run(n_threads):
            with ThreadPoolExecutor(n_threads) as pool:
                sum(pool.map(encode, range(n_groups)))

        found = times_of({n: lambda n=n: run(n) for n in (1, 2)}, repeat)
    print(f"\nParquet of {n_rows:,} rows x 34 strings, decoded and encoded")
    for n, seconds in found.items():
        print(f"{n} thread(s) {n_rows / seconds:12,.0f} rows/s {found[1] / seconds:6.2f} times one")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=500_000)
    parser.add_argument("--repeat", type=int, default=5)
    arguments = parser.parse_args()
    compare(arguments.rows, arguments.repeat)
    collect(arguments.rows, arguments.repeat)
    decode(arguments.rows, arguments.repeat)
