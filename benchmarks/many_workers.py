"""Test loss with as many workers as machines with more cores have: they take turns of a few rows in one thread.

    python benchmarks/many_workers.py [--data FOLDER] [--workload text ctr surv1m] [--models linear "20 classes"]
                                      [--workers 1 2 4 8 16 32 64] [--rows 200000] [--epochs 2] [--seeds 5]

Threads that outnumber cores would run for tens of thousands of rows each before another one has its turn. Here a worker
trains on `--turn` rows, then the next one does: copies and merges are as with a core for each. What that leaves out is
two threads that write to the same weight at the same moment. Columns: the mean test loss, and how much more or less it
is than that of one worker, on average over seeds and at worst.
"""

import argparse
import tempfile
from unittest import mock

import numpy as np
import workloads
from sklearn.metrics import log_loss
from survival import log_likelihood_loss

from sklearn_vectorflow import VectorFlowClassifier, VectorFlowSurvivalEstimator, threads
from sklearn_vectorflow.layers import factorization_machine, wide_and_deep
from sklearn_vectorflow.training import trainer as trainers
from sklearn_vectorflow.training.hogwild import Hogwild

MODELS = {
    "linear": {},
    "AdaGrad": {"optimizer": "adagrad"},
    "Adam": {"optimizer": "adam"},
    "average": {"optimizer": "adagrad", "average": True},
    "batches of 32": {"batch_size": 32},
    "20 classes": {},
    "16 units": {"hidden_layer_sizes": (16,)},
    "(32, 16)": {"hidden_layer_sizes": (32, 16)},
    "wide & deep": {"network": wide_and_deep((16,))},
    "machine": {"network": factorization_machine(8)},
}


class Turns(Hogwild):
    """Workers that take turns in one thread."""

    rows = 32  # of a turn

    def run(self, trainer, order, seed):
        """Train on all slices of an order of chunks; return each turn's (loss, n_rows)."""
        turns = list(self._turns(trainer))
        several = len(self.workers) > 1
        first = 1 if several and trainer.clock.step == 0 else 0
        parts = [self._train(trainer, trainer.slice(order, seed, 0), 0, False, None) for _ in range(first)]
        with self.hot.in_use(trainer.clock, trainer.crew):
            for turn, (position, span) in enumerate(turns):
                if position >= first:
                    worker = turn % len(self.workers)
                    rows = trainer.slice(order, seed + turn, position, span)
                    parts.append(self._train(trainer, rows, worker, several, self.hot.copies[worker]))
        return parts

    def _turns(self, trainer):
        """Yield each turn's slice, and its span of chunks: whole steps."""
        rows = max(self.rows, trainer.batch_size)
        length = max(1, rows // trainer.plan.chunk)
        for position, (start, end) in enumerate(trainer.plan.slices):
            for begin in range(start, end, length):
                yield position, (begin, min(end, begin + length))


def labels_of(X, y, model):
    """Return targets: of 20 classes, which of a few weights of each row are the greatest."""
    if "classes" not in model:
        return y
    scores = X @ np.random.default_rng(3).normal(size=(X.shape[1], 20)).astype(np.float32)
    return (scores / scores.std()).argmax(axis=1)


def load(folder, workload, split, options):
    """Return the rows of a split."""
    if workload == "surv1m":
        X, (event, time) = workloads.load_times(folder, split)
        return X[: options.rows], (event[: options.rows], time[: options.rows])
    X, y = workloads.load(folder, workload, split)
    return X[: options.rows], y[: options.rows]


def test_loss(workload, options, n_workers, seed, train, test):
    """Return the test loss of a fit with workers that take turns."""
    kind = VectorFlowSurvivalEstimator if workload == "surv1m" else VectorFlowClassifier
    model = kind(tol=None, random_state=seed, n_jobs=n_workers, **options)
    with mock.patch.object(threads, "_pool_limit", lambda: n_workers), mock.patch.object(trainers, "Hogwild", Turns):
        model.fit(*train)
    if workload == "surv1m":
        return log_likelihood_loss(model.predict(test[0]), test[1])
    return log_loss(test[1], model.predict_proba(test[0]))


def measure(workload, title, options, train, test):
    """Print a line a number of workers."""
    model = {**MODELS[title], "max_iter": options.epochs}
    if workload == "surv1m":
        model["distribution"] = "exponential"
    train, test = ((X, labels_of(X, y, title)) for X, y in (train, test))
    alone = None
    for n_workers in options.workers:
        losses = [test_loss(workload, model, n_workers, seed, train, test) for seed in range(options.seeds)]
        alone = np.array(losses) if alone is None else alone
        more = np.array(losses) - alone
        print(
            f"{workload:8}{title:16}{n_workers:8}{np.mean(losses):10.4f}{more.mean():+10.4f}"
            f"{more[np.abs(more).argmax()]:+10.4f}",
            flush=True,
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--data", help="folder that keeps the generated rows; default: a temporary one")
    parser.add_argument("--workload", nargs="+", choices=["text", "ctr", "surv1m"], default=["text", "ctr", "surv1m"])
    parser.add_argument("--models", nargs="+", choices=list(MODELS), default=["linear"])
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4, 8, 16, 32, 64])
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--turn", type=int, default=Turns.rows, help="rows of a turn")
    options = parser.parse_args()
    Turns.rows, threads.WORTHWHILE = options.turn, 1
    print(f"{'rows':8}{'model':16}{'workers':>8}{'loss':>10}{'more':>10}{'at worst':>10}")
    with tempfile.TemporaryDirectory() as temporary:
        for workload in options.workload:
            train, test = (load(options.data or temporary, workload, split, options) for split in workloads.SEEDS)
            for title in options.models:
                measure(workload, title, options, train, test)


if __name__ == "__main__":
    main()
