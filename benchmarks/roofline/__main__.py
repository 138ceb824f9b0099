"""Training and prediction as shares of what memory allows on the machine at hand.

    cd benchmarks
    python -m roofline [--data FOLDER] [--workload text ctr surv1m] [--threads 1 2] [--repeat 5] [--quick]

The roofs are passes over the rows in C (loops.c) that (a) read indices and values, gather the weights and
sum up a row, and then read, change and write a weight and a sum of squares for every non-zero, (b) from two
arrays and (c) from an array of both side by side. Coming weights are asked for ahead if that is faster.
Everything takes turns; times are medians. A share is a roof's time divided by the line's.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import machine
import workloads
from stopwatch import Stopwatch
from threadpoolctl import threadpool_limits

from roofline.loops import AHEAD, Roof
from sklearn_vectorflow import VectorFlowClassifier, VectorFlowSurvivalEstimator

ROOFS = {"a": "gather", "b": "update_arrays", "c": "update_records"}
MODELS = {"defaults": {}, "AdaGrad, alpha=0": {"optimizer": "adagrad", "alpha": 0.0}}
EPOCHS = "first epoch", "second epoch"  # memory of the weights is new in the first


def load(folder, name, quick):
    """Return the training rows of a workload and an estimator for them."""
    if name == "surv1m":
        return *workloads.load_times(folder, "train", quick), VectorFlowSurvivalEstimator
    return *workloads.load(folder, name, "train", quick), VectorFlowClassifier


def timed(function, *args):
    """Return the seconds of a call."""
    begun = time.perf_counter()
    function(*args)
    return time.perf_counter() - begun


def roofs(roof, n_threads):
    """Return the seconds of a pass of each loop, by its letter and how far it looks ahead."""
    return {(letter, ahead): roof.seconds(loop, ahead, n_threads) for letter, loop in ROOFS.items() for ahead in AHEAD}


def ours(kind, X, y, n_threads):
    """Return the seconds of epochs without the rest of `fit`, and of predictions of all rows."""
    seconds = {}
    for title, params in MODELS.items():
        with Stopwatch() as watch:
            model = kind(max_iter=len(EPOCHS), tol=None, n_jobs=n_threads, random_state=0, **params).fit(X, y)
        seconds.update({f"{epoch}, {title}": taken for epoch, taken in zip(EPOCHS, watch.seconds)})
        if not params:
            method = "decision_function" if hasattr(model, "decision_function") else "predict"
            seconds[method] = timed(getattr(model, method), X)
    return seconds


def measure(X, y, kind, n_threads, repeat):
    """Return median seconds of the roofs, by letter, and of ours."""
    roof, turns = Roof(X), []
    with threadpool_limits(n_threads):
        for _ in range(repeat + 1):
            turns.append(roofs(roof, n_threads) | ours(kind, X, y, n_threads))
    medians = {key: statistics.median(turn[key] for turn in turns[1:]) for key in turns[0]}  # the first one warms up
    best = {letter: min(medians.pop((letter, ahead)) for ahead in AHEAD) for letter in ROOFS}
    return best, medians


def print_table(n_nonzero, n_threads, best, medians):
    """Print a line a roof, and a line with shares for each of ours."""
    shares = "".join(f"{'of ' + letter:>7}" for letter in ROOFS)
    threads = f"{n_threads} thread{'s' * (n_threads > 1)}"
    print(f"{threads:<42} {'seconds':>9} {'M non-zeros/s':>14}{shares}")
    for letter, seconds in best.items():
        print(f"  {letter}: {ROOFS[letter]:<37} {seconds:>9.4f} {n_nonzero / seconds / 1e6:>14.0f}")
    for title, seconds in medians.items():
        of = ["b", "c"] if "epoch" in title else ["a"]
        cells = "".join(f"{best[letter] / seconds:>7.0%}" if letter in of else f"{'':>7}" for letter in ROOFS)
        print(f"  {title:<40} {seconds:>9.4f} {n_nonzero / seconds / 1e6:>14.0f}{cells}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    names = [*workloads.WORKLOADS, "surv1m"]
    parser.add_argument("--data", help="folder that keeps the generated rows; default: a temporary one")
    parser.add_argument("--workload", nargs="+", choices=names, default=names)
    parser.add_argument("--threads", nargs="+", type=int, default=machine.one_and_all(), help="default: one and all")
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="a tenth of the rows")
    options = parser.parse_args()
    print(machine.describe())
    with tempfile.TemporaryDirectory() as temporary:
        for name in options.workload:
            X, y, kind = load(Path(options.data or temporary), name, options.quick)
            print(f"\n{name}: {X.shape[0]:,} rows x {X.shape[1]:,} columns, {X.nnz:,} non-zeros")
            for n_threads in options.threads:
                print_table(X.nnz, n_threads, *measure(X, y, kind, n_threads, options.repeat))


if __name__ == "__main__":
    main()
