"""How training time falls with threads: a few epochs, and the log loss on test rows after them.

    python benchmarks/scaling.py [--data FOLDER] [--workload text ctr] [--threads 1 2 4 8] [--epochs 3] [--repeat 5]
                                 [--quick]

Numbers of threads take turns; times are medians: of the whole `fit`, of the first pass over the rows
alone (in which memory is touched for the first time, and one thread begins alone), and of the passes
after it. "x" columns are the first number of threads' time divided by the row's.
"""

import argparse
import math
import os
import statistics
import tempfile
import time

import workloads
from sklearn.metrics import log_loss
from stopwatch import Stopwatch
from threadpoolctl import threadpool_limits

from sklearn_vectorflow import VectorFlowClassifier
from sklearn_vectorflow.layers import factorization_machine

MACHINE = {"network": factorization_machine(8)}
MODELS = {
    "linear": {},
    "linear, alpha=0": {"alpha": 0.0},
    "linear, deterministic": {"deterministic": True},
    "32 units": {"hidden_layer_sizes": (32,)},
    "machine": MACHINE,
    "machine, deterministic": MACHINE | {"deterministic": True},
}


def timed_fit(options, n_jobs, epochs, X, y):
    """Return the seconds of a whole fit, of its first epoch and of a later one, and the model."""
    model = VectorFlowClassifier(max_iter=epochs, tol=None, random_state=0, n_jobs=n_jobs, **options)
    with threadpool_limits(n_jobs), Stopwatch() as watch:
        begun = time.perf_counter()
        model.fit(X, y)
        fit = time.perf_counter() - begun
    first, *later = watch.seconds
    return (fit, first, statistics.median(later or [math.nan])), model


def measure(title, options, threads, epochs, train, test, repeat):
    """Print a line a number of threads."""
    seconds, losses = ({n_jobs: [] for n_jobs in threads} for _ in range(2))
    for turn in range(repeat + 1):
        for n_jobs in threads:
            times, model = timed_fit(options, n_jobs, epochs, *train)
            if turn > 0:  # the first turn brings data and code into memory
                seconds[n_jobs].append(times)
                losses[n_jobs].append(log_loss(test[1], model.predict_proba(test[0])))
            del model  # its memory is there for the next one
    print(
        f"\n{title}\n{'threads':>8}"
        + "".join(f" {name:>10} {'x':>5}" for name in ("fit s", "epoch 1 s", "later s"))
        + f" {'test loss':>10}"
    )
    medians = {n_jobs: [statistics.median(of) for of in zip(*seconds[n_jobs])] for n_jobs in threads}
    for n_jobs in threads:
        columns = [f" {own:>10.4f} {one / own:>5.2f}" for one, own in zip(medians[threads[0]], medians[n_jobs])]
        print(f"{n_jobs:>8}" + "".join(columns) + f" {statistics.mean(losses[n_jobs]):>10.4f}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="folder that keeps the generated rows; default: a temporary one")
    parser.add_argument("--workload", nargs="+", choices=list(workloads.WORKLOADS), default=list(workloads.WORKLOADS))
    parser.add_argument("--models", nargs="+", choices=list(MODELS), default=["linear", "32 units"])
    parser.add_argument("--threads", nargs="+", type=int, help="default: powers of two up to the number of cores")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--repeat", type=int, default=5, help="timed fits of each number of threads")
    parser.add_argument("--quick", action="store_true", help="a tenth of the rows")
    options = parser.parse_args()
    threads = options.threads or [2**k for k in range((os.cpu_count() or 1).bit_length())]
    with tempfile.TemporaryDirectory() as temporary:
        for name in options.workload:
            folder = options.data or temporary
            train, test = (workloads.load(folder, name, split, options.quick) for split in workloads.SEEDS)
            for model in options.models:
                measure(f"{name}, {model}", MODELS[model], threads, options.epochs, train, test, options.repeat)


if __name__ == "__main__":
    main()
