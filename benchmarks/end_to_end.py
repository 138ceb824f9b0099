"""From a Parquet file of strings to a trained model, beside Vowpal Wabbit and scikit-learn, in one run.

    python benchmarks/end_to_end.py [--rows 1000000] [--repeat 3] [--folder FOLDER]

The file has 34 columns of ids, a row's non-zeros of the workload `ctr` of workloads.py, and a
label. Every side trains a logistic regression of 2**24 weights in one pass; the file's pages
are dropped from memory before (where the system can). Vowpal Wabbit (`pip install vowpalwabbit`,
left out without it) gets its own text format, whose writing counts; scikit-learn's FeatureHasher
and SGDClassifier get lists of strings, a row group at a time. Sides take turns, and times are
medians; the log loss of 100,000 test rows shows that all of them have learned.
"""

import argparse
import importlib.util
import os
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import workloads
from sklearn.feature_extraction import FeatureHasher
from sklearn.linear_model import SGDClassifier
from sklearn.metrics import log_loss

from sklearn_vectorflow import VectorFlowClassifier
from sklearn_vectorflow.io import ParquetSource
from sklearn_vectorflow.preprocessing import Categorical, HashingEncoder

N_COLUMNS, N_BITS, GROUP, DRAWN = 34, 24, 50_000, 100_000
NAMES = [f"c{j}" for j in range(N_COLUMNS)]


def write_parquet(path, n_rows, split):
    """Write rows of exactly N_COLUMNS non-zeros, some drawn at a time, with labels of a logistic model."""
    workload = workloads.WORKLOADS["ctr"]
    weights = np.random.default_rng(workloads.SEED_OF_WEIGHTS).standard_normal(workload.n_features).astype(np.float32)
    rng = np.random.default_rng(workloads.SEEDS[split])
    columns = {name: pa.string() for name in NAMES}
    schema = pa.schema({**columns, "y": pa.int8()})
    written = 0
    with pq.ParquetWriter(path, schema) as writer:
        while written < n_rows:
            X = workloads.draw_rows(workload, DRAWN, rng)
            X = X[np.diff(X.indptr) >= N_COLUMNS][: n_rows - written]
            ids = np.stack([X.indices[X.indptr[:-1] + j] for j in range(N_COLUMNS)])
            log_odds = workload.slope * weights[ids].sum(axis=0) / np.sqrt(N_COLUMNS) + workload.offset
            y = (rng.random(X.shape[0]) < 1.0 / (1.0 + np.exp(-log_odds))).astype(np.int8)
            strings = [pa.array(np.char.mod("%x", column), pa.string()) for column in ids]
            writer.write_table(pa.table([*strings, pa.array(y)], schema=schema), row_group_size=GROUP)
            written += X.shape[0]


def forget(path):
    """Drop a file's pages from memory."""
    if hasattr(os, "posix_fadvise"):
        with open(path, "rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


class VectorFlow:
    """This package: threads read the file while others train."""

    def __init__(self, n_readers, n_jobs):
        self.n_readers = n_readers
        self.n_jobs = n_jobs
        self.name = f"VectorFlow, {n_readers} reading, {n_jobs} training"

    def source(self, path):
        """Return the file's rows; all columns share their features."""
        encoder = HashingEncoder(N_BITS, columns=dict.fromkeys(NAMES, Categorical(prefix="")))
        return ParquetSource(path, "y", encoder=encoder, survey=False, buffer_bytes=2**25, n_jobs=self.n_readers)

    def train(self, path, folder):
        """Return the model."""
        return VectorFlowClassifier(max_iter=1, tol=None, n_jobs=self.n_jobs, random_state=0).fit(self.source(path))

    def predict(self, model, path, folder):
        """Return probabilities of the positive class."""
        return model.predict_proba(self.source(path))[:, 1]


def lines_by_arrow(batch):
    """Return the text of some rows, put together by pyarrow without a Python object for a string."""
    label = pc.if_else(pc.equal(batch.column("y"), 1), "1 |", "-1 |")
    return pc.binary_join_element_wise(label, *(batch.column(name) for name in NAMES), "\n", " ").buffers()[2]


def lines_by_python(batch):
    """Return the text of some rows, put together as one would without thinking of it."""
    rows = zip(batch.column("y").to_pylist(), *(batch.column(name).to_pylist() for name in NAMES))
    return "".join(f"{'1' if y == 1 else '-1'} | {' '.join(ids)}\n" for y, *ids in rows).encode()


class VowpalWabbit:
    """Text files and the program's own loop, as its Python package runs it."""

    def __init__(self, how, lines):
        self.name = f"write text by {how}, run vw"
        self.lines = lines

    def write(self, path, text):
        """Write a Parquet file as text."""
        with open(text, "wb") as file:
            for batch in pq.ParquetFile(path).iter_batches(GROUP):
                file.write(self.lines(batch))

    def run(self, *arguments):
        """Run the program with arguments; it is done when it is finished."""
        import vowpalwabbit

        vowpalwabbit.Workspace(arg_list=["--quiet", *map(str, arguments)]).finish()

    def train(self, path, folder):
        """Return the model's file."""
        self.write(path, folder / "train.vw")
        model = folder / "model.vw"
        self.run("-d", folder / "train.vw", "-b", N_BITS, "--loss_function", "logistic", "-f", model)
        return model

    def predict(self, model, path, folder):
        """Return probabilities of the positive class."""
        self.write(path, folder / "test.vw")
        self.run("-d", folder / "test.vw", "-t", "-i", model, "--link", "logistic", "-p", folder / "predicted")
        return np.loadtxt(folder / "predicted")


class ScikitLearn:
    """FeatureHasher and SGDClassifier, a row group at a time."""

    name = "FeatureHasher + SGDClassifier"
    hasher = FeatureHasher(2**N_BITS, input_type="string", dtype=np.float32)

    def blocks(self, path):
        """Yield hashed rows and labels."""
        for batch in pq.ParquetFile(path).iter_batches(GROUP):
            strings = [batch.column(name).to_pylist() for name in NAMES]
            yield self.hasher.transform(zip(*strings)), batch.column("y").to_numpy()

    def train(self, path, folder):
        """Return the model."""
        model = SGDClassifier(loss="log_loss", random_state=0)
        for X, y in self.blocks(path):
            model.partial_fit(X, y, classes=[0, 1])
        return model

    def predict(self, model, path, folder):
        """Return probabilities of the positive class."""
        return np.concatenate([model.predict_proba(X)[:, 1] for X, _ in self.blocks(path)])


def compare(folder, n_rows, repeat):
    """Print seconds from file to model, and how many times as long as this package each takes."""
    train, test = folder / "train.parquet", folder / "test.parquet"
    for path, rows, split in ((train, n_rows, "train"), (test, 100_000, "test")):
        if not path.exists():
            write_parquet(path, rows, split)
    print(f"{n_rows:,} rows x {N_COLUMNS} strings, {train.stat().st_size / 1e6:.0f} MB of Parquet")
    sides = [VectorFlow(2, 1), VectorFlow(1, 1), ScikitLearn()]
    if importlib.util.find_spec("vowpalwabbit"):
        sides += [VowpalWabbit("pyarrow", lines_by_arrow), VowpalWabbit("Python", lines_by_python)]
    seconds, models = {side: [] for side in sides}, {}
    for _ in range(repeat):
        for side in sides:
            forget(train)
            begun = time.perf_counter()
            models[side] = side.train(train, folder)
            seconds[side].append(time.perf_counter() - begun)
    y = pq.read_table(test, columns=["y"])["y"].to_numpy()
    best = statistics.median(seconds[sides[0]])
    for side in sides:
        loss, median = log_loss(y, side.predict(models[side], test, folder)), statistics.median(seconds[side])
        print(f"{side.name:32} {median:7.2f} s {median / best:6.2f} times   test log loss {loss:.4f}", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="keeps the files for the next run")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        compare(folder, arguments.rows, arguments.repeat)
