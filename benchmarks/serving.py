"""Prediction: batches beside what memory allows, and single rows, where the fixed cost of a call counts.

    python benchmarks/serving.py [--data FOLDER] [--workload text ctr] [--threads 1 2] [--repeat 5] [--quick]

Batches are all training rows, on the given numbers of threads. The roof is a pass in C that gathers the weights and
sums up each row (roofline/), a share its time divided by the line's. Requests are test rows one by one, and a hundred
at a time (single_rows.py): by an estimator, by its `predictor`, which spares the checks of a call and also takes a row
as two arrays, by scikit-learn's SGDClassifier, and by onnxruntime if it is installed; the time is the median of all
calls. At last models are saved, and loaded until a first row is predicted. Everything takes turns, and medians are
printed.
"""

import argparse
import tempfile

import machine
import workloads
from roofline.loops import AHEAD, Roof
from single_rows import METHODS, medians, print_loading, print_requests, timed
from sklearn.linear_model import SGDClassifier
from threadpoolctl import threadpool_limits

from sklearn_vectorflow import VectorFlowClassifier


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
            print_requests(X_test, ours, theirs, options.repeat)
            print_loading(X_test, ours, theirs, options.repeat)


if __name__ == "__main__":
    main()
