"""How training time falls with threads: one epoch, and the log loss on test rows after it.

    python benchmarks/scaling.py [--data FOLDER] [--workload text ctr] [--threads 1 2 4 8] [--repeat 5] [--quick]

Numbers of threads take turns; a time is the median of the whole `fit`, and the epoch's the
median of the pass over the rows alone. "x" columns are the first number of threads' time
divided by the row's.
"""
import argparse
import os
import statistics
import tempfile
import time

from sklearn.metrics import log_loss
from threadpoolctl import threadpool_limits

import workloads
from sklearn_vectorflow import VectorFlowClassifier
from stopwatch import Stopwatch

MODELS = {"linear": {}, "linear, alpha=0": {"alpha": 0.0}, "32 units": {"hidden_layer_sizes": (32,)}}


def timed_fit(options, n_jobs, X, y):
    """Return the seconds of a whole fit of one epoch and of the epoch alone, and the model."""
    model = VectorFlowClassifier(max_iter=1, tol=None, random_state=0, n_jobs=n_jobs, **options)
    with threadpool_limits(n_jobs), Stopwatch() as watch:
        begun = time.perf_counter()
        model.fit(X, y)
        return time.perf_counter() - begun, watch.seconds[0], model


def measure(title, options, threads, train, test, repeat):
    """Print a line a number of threads."""
    fits, epochs, losses = ({n_jobs: [] for n_jobs in threads} for _ in range(3))
    for turn in range(repeat + 1):
        for n_jobs in threads:
            fit, epoch, model = timed_fit(options, n_jobs, *train)
            if turn > 0:  # the first turn brings data and code into memory
                fits[n_jobs].append(fit)
                epochs[n_jobs].append(epoch)
                losses[n_jobs].append(log_loss(test[1], model.predict_proba(test[0])))
    print(f"\n{title}\n{'threads':>8} {'fit s':>8} {'x':>6} {'epoch s':>8} {'x':>6} {'test loss':>10}", flush=True)
    first = threads[0]
    for n_jobs in threads:
        fit, epoch = statistics.median(fits[n_jobs]), statistics.median(epochs[n_jobs])
        print(
            f"{n_jobs:>8} {fit:>8.3f} {statistics.median(fits[first]) / fit:>6.2f} {epoch:>8.3f} "
            f"{statistics.median(epochs[first]) / epoch:>6.2f} {statistics.mean(losses[n_jobs]):>10.4f}",
            flush=True,
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="folder that keeps the generated rows; default: a temporary one")
    parser.add_argument("--workload", nargs="+", choices=list(workloads.WORKLOADS), default=list(workloads.WORKLOADS))
    parser.add_argument("--models", nargs="+", choices=list(MODELS), default=["linear", "32 units"])
    parser.add_argument("--threads", nargs="+", type=int, help="default: powers of two up to the number of cores")
    parser.add_argument("--repeat", type=int, default=5, help="timed fits of each number of threads")
    parser.add_argument("--quick", action="store_true", help="a tenth of the rows")
    options = parser.parse_args()
    threads = options.threads or [2**k for k in range((os.cpu_count() or 1).bit_length())]
    with tempfile.TemporaryDirectory() as temporary:
        for name in options.workload:
            folder = options.data or temporary
            train, test = (workloads.load(folder, name, split, options.quick) for split in workloads.SEEDS)
            for model in options.models:
                measure(f"{name}, {model}", MODELS[model], threads, train, test, options.repeat)


if __name__ == "__main__":
    main()
