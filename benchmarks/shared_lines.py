"""How often threads take cache lines from each other, counted and not timed: for machines with more cores than here.

    python benchmarks/shared_lines.py [--data FOLDER] [--workers 2 16 64] [--rows 50000] [--quick]

Numbers are per row of `text`, whatever the processor. "Cold" lines hold records of features without copies: rows are
dealt out to workers at random, and a line counts if another worker wrote to it last. All others count each time one
may write to a shared line: "hot" in merges of the most frequent features, "rest" in those of ranges of all others where
a layer is small, "inner" in merges of inner layers and intercepts, "clock" where workers publish their steps and take
locks.
"""

import argparse
import tempfile

import numpy as np
import workloads

from sklearn_vectorflow import VectorFlowClassifier, threads
from sklearn_vectorflow.engine.net.copies import PART_STEPS
from sklearn_vectorflow.engine.net.replicas import Replica
from sklearn_vectorflow.layers import factorization_machine, wide_and_deep
from sklearn_vectorflow.training.hogwild import Hogwild

LINE = 64  # bytes
PUBLISH = 64  # steps between two looks at the shared clock

MODELS = {
    "linear": {},
    "linear, AdaGrad": {"optimizer": "adagrad"},
    "linear, mini-batches of 32": {"batch_size": 32},
    "20 classes": {},
    "16 units": {"hidden_layer_sizes": (16,)},
    "32 units": {"hidden_layer_sizes": (32,)},
    "(32, 16)": {"hidden_layer_sizes": (32, 16)},
    "wide & deep": {"network": wide_and_deep((16,))},
    "machine": {"network": factorization_machine(8)},
}


def team_of(options, n_workers, X, y):
    """Return the workers of a fit, and its network."""
    seen = []

    class Watched(Hogwild):
        def __init__(self, trainer, *arguments):
            super().__init__(trainer, *arguments)
            seen.append((self, trainer.network))

    import sklearn_vectorflow.training.trainer as module

    kept, limit = module.Hogwild, threads._pool_limit
    module.Hogwild, threads._pool_limit = Watched, lambda: n_workers
    try:
        VectorFlowClassifier(max_iter=1, tol=None, random_state=0, n_jobs=n_workers, **options).fit(X, y)
    finally:
        module.Hogwild, threads._pool_limit = kept, limit
    return seen[-1]


def lines_of(record):
    """How many cache lines a record lies in, on average."""
    return (record.strides[0] - 4) / LINE + 1


def cold_lines(record, X, hot, n_workers, rng):
    """How many lines of records without copies a row's worker takes from another one."""
    cold = ~np.isin(X.indices, hot)
    row = np.repeat(np.arange(X.shape[0]), np.diff(X.indptr))[cold]
    start = X.indices[cold].astype(np.int64) * record.strides[0]
    if len(row) == 0:
        return 0.0
    worker = rng.integers(n_workers, size=X.shape[0])
    first, last = start // LINE, (start + record.strides[0] - 4) // LINE
    lines = np.concatenate([first + k for k in range(int((last - first).max()) + 1)])
    within = np.concatenate([first + k <= last for k in range(int((last - first).max()) + 1)])
    rows = np.tile(row, len(lines) // max(1, len(row)))[within]
    lines = lines[within]
    order = np.lexsort((rows, lines))
    lines, owners = lines[order], worker[rows[order]]
    taken = np.count_nonzero((lines[1:] == lines[:-1]) & (owners[1:] != owners[:-1]))
    return taken / X.shape[0]


def merged_lines(team, network, record, n_workers):
    """How many lines a row merges: of hot features, of ranges, of inner layers."""
    copies = team.hot.copies[0]
    hot = copies.hot
    often = sum(size / (hot.period * 2**tier) for tier, size in enumerate(hot.tiers))
    rest = record.shape[0] / hot.n_parts / PART_STEPS if hot.n_parts else 0.0
    period = copies.inner_period if isinstance(copies, Replica) else hot.period
    rows = {id(one) for one in network.parameters_of_rows}
    inner = sum(one.record.nbytes for one in network.parameters if id(one) not in rows)
    biases = [one.bias.nbytes for one in network.parameters if one.bias is not None]
    n_inner = -(-inner // LINE) + sum(-(-size // LINE) for size in biases)
    locks = 2 / period + 2 * sum(1 / (hot.period * 2**tier) for tier in range(len(hot.tiers)))
    # each worker merges after its own rows, so a row of any of them pays for one worker's merges
    return often * lines_of(record), rest * lines_of(record), n_inner / period, 1 / PUBLISH + locks


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--data", default=None)
    parser.add_argument("--workers", type=int, nargs="+", default=[2, 16, 64])
    parser.add_argument("--rows", type=int, default=50_000)
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        X, y = workloads.load(options.data or folder, "text", "train", options.quick)
    X, y = X[: options.rows], y[: options.rows]
    classes = np.asarray(X[:, :1000].argmax(axis=1)).ravel() % 20
    threads.WORTHWHILE = 1
    print(f"{'lines a row':28}{'workers':>8}{'written':>9}{'cold':>8}{'hot':>8}{'rest':>8}{'inner':>8}{'clock':>8}")
    for title, model in MODELS.items():
        for n_workers in options.workers:
            team, network = team_of(model, n_workers, X, classes if "classes" in title else y)
            record = max((one.record for one in network.parameters_of_rows), key=lambda record: record.strides[0])
            hot = team.hot.copies[0].hot
            copied = np.arange(record.shape[0]) if hot.n_parts else hot.features
            cold = cold_lines(record, X, copied, n_workers, np.random.default_rng(0))
            written = X.nnz / X.shape[0] * lines_of(record)
            counts = [written, cold, *merged_lines(team, network, record, n_workers)]
            print(f"{title:28}{n_workers:8}" + f"{counts[0]:9.0f}" + "".join(f"{count:8.2f}" for count in counts[1:]))


if __name__ == "__main__":
    main()
