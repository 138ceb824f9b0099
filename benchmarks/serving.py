"""Prediction: batches beside what memory allows, and single rows, where the fixed cost of a call counts.

    python benchmarks/serving.py [--data FOLDER] [--workload text ctr] [--threads 1 2] [--repeat 5] [--quick]

Batches are all training rows, on the given numbers of threads. The roof is a pass in C that gathers the weights and
sums up each row (roofline/), a share its time divided by the line's. Single rows are test rows one by one, by an
estimator, by its `predictor`, which spares the checks of a call, and by scikit-learn's SGDClassifier; the time is the
median of all calls. Everything takes turns, and medians are printed.
"""

import argparse
import statistics
import tempfile
import time

import machine
import workloads
from roofline.loops import AHEAD, Roof
from sklearn.linear_model import SGDClassifier
from threadpoolctl import threadpool_limits

from sklearn_vectorflow import VectorFlowClassifier

METHODS = "decision_function", "predict", "predict_proba"
N_SINGLE = 1000  # rows that are predicted one by one


def timed(function, *args):
    """Return the seconds of a call."""
    begun = time.perf_counter()
    function(*args)
    return time.perf_counter() - begun


def medians(tasks, repeat):
    """Return the median seconds of tasks that take turns, each a function that returns seconds."""
    turns = [{name: task() for name, task in tasks.items()} for _ in range(repeat + 1)]
    return {name: statistics.median(turn[name] for turn in turns[1:]) for name in tasks}  # the first one warms up


def print_batches(X, ours, theirs, n_threads, repeat):
    """Print rows a second of batches on a number of threads, and shares of the roof."""
    roof = Roof(X)
    ours.set_params(n_jobs=n_threads)
    tasks = {ahead: lambda ahead=ahead: roof.seconds("gather", ahead, n_threads) for ahead in AHEAD}
    for method in METHODS:
        tasks[method] = lambda method=method: timed(getattr(ours, method), X)
    if n_threads == 1:
        tasks["SGDClassifier.decision_function"] = lambda: timed(theirs.decision_function, X)
    with threadpool_limits(n_threads):
        seconds = medians(tasks, repeat)
    seconds = {"gather, the roof": min(seconds.pop(ahead) for ahead in AHEAD)} | seconds
    threads = f"{n_threads} thread{'s' * (n_threads > 1)}"
    print(f"{threads:<42} {'seconds':>9} {'M rows/s':>9} {'of the roof':>12}")
    for name, taken in seconds.items():
        share = seconds["gather, the roof"] / taken
        print(f"  {name:<40} {taken:>9.4f} {X.shape[0] / taken / 1e6:>9.2f} {share:>12.0%}", flush=True)


def single(method, rows):
    """Return the median seconds of a call with one row."""
    return statistics.median(timed(method, row) for row in rows)


def print_single_rows(X, ours, theirs, repeat):
    """Print microseconds of calls with one row."""
    ours.set_params(n_jobs=None)
    rows = [X[row] for row in range(N_SINGLE)]
    print(f"{'one row':<21} {'VectorFlow us':>14} {'predictor us':>13} {'SGDClassifier us':>17}")
    for method in METHODS:
        of = [getattr(ours, method), ours.predictor(method), getattr(theirs, method)]
        seconds = medians({number: lambda call=call: single(call, rows) for number, call in enumerate(of)}, repeat)
        mine, light, other = (1e6 * taken for taken in seconds.values())
        print(f"  {method:<19} {mine:>14.1f} {light:>13.1f} {other:>17.1f}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="folder that keeps the generated rows; default: a temporary one")
    parser.add_argument("--workload", nargs="+", choices=list(workloads.WORKLOADS), default=list(workloads.WORKLOADS))
    parser.add_argument("--threads", nargs="+", type=int, default=machine.one_and_all(), help="default: one and all")
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="a tenth of the rows")
    options = parser.parse_args()
    print(f"{machine.describe()}; {machine.versions(['sklearn', 'scipy'])}")
    with tempfile.TemporaryDirectory() as temporary:
        for name in options.workload:
            folder = options.data or temporary
            (X, y), (X_test, _) = (workloads.load(folder, name, split, options.quick) for split in workloads.SEEDS)
            print(f"\n{name}: {X.shape[0]:,} rows x {X.shape[1]:,} columns, {X.nnz:,} non-zeros")
            models = (VectorFlowClassifier(), SGDClassifier(loss="log_loss"))
            ours, theirs = (model.set_params(max_iter=1, tol=None, random_state=0).fit(X, y) for model in models)
            for n_threads in options.threads:
                print_batches(X, ours, theirs, n_threads, options.repeat)
            print_single_rows(X_test, ours, theirs, options.repeat)


if __name__ == "__main__":
    main()
