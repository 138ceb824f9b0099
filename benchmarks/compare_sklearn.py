"""Training time side by side with scikit-learn, on one thread, in one run.

    python benchmarks/compare_sklearn.py [--data FOLDER] [--workload text ctr] [--repeat 5] [--quick]

Models take turns, so that what else the machine does meets all of them; a time is the
median of the whole `fit` of one epoch, validation of the data included. The last column
is scikit-learn's time divided by the row's.
"""

import argparse
import statistics
import tempfile
import time
import warnings

import workloads
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import SGDClassifier
from sklearn.metrics import log_loss
from sklearn.neural_network import MLPClassifier
from threadpoolctl import threadpool_limits

from sklearn_vectorflow import VectorFlowClassifier

ONE_EPOCH = {"max_iter": 1, "tol": None, "random_state": 0}
HIDDEN = (32,)


def linear_models():
    """The reference, and what is compared to it, by name."""
    return {
        "SGDClassifier": lambda: SGDClassifier(loss="log_loss", **ONE_EPOCH),
        "VectorFlow": lambda: VectorFlowClassifier(**ONE_EPOCH),
        "VectorFlow, n_jobs=2": lambda: VectorFlowClassifier(n_jobs=2, **ONE_EPOCH),
        "VectorFlow, AdaGrad, alpha=0": lambda: VectorFlowClassifier(optimizer="adagrad", alpha=0.0, **ONE_EPOCH),
    }


def hidden_models(batch_size):
    """Nets with hidden units; scikit-learn's takes minibatches of a size."""
    mlp = {"hidden_layer_sizes": HIDDEN, "max_iter": 1, "random_state": 0}
    return {
        f"MLPClassifier, batch_size={batch_size}": lambda: MLPClassifier(batch_size=batch_size, **mlp),
        f"VectorFlow, {HIDDEN[0]} units": lambda: VectorFlowClassifier(HIDDEN, **ONE_EPOCH),
        f"VectorFlow, {HIDDEN[0]} units, n_jobs=2": lambda: VectorFlowClassifier(HIDDEN, n_jobs=2, **ONE_EPOCH),
    }


def threads_of(model):
    """Threads that a model may take: one, unless it asks for more."""
    return getattr(model, "n_jobs", None) or 1


def timed_fit(make, X, y):
    """Return the seconds of a whole fit, and the fitted model."""
    model = make()
    with threadpool_limits(threads_of(model)):
        begun = time.perf_counter()
        model.fit(X, y)
        return time.perf_counter() - begun, model


def compare(title, models, train, test, repeat):
    """Fit the models in turn, several times; print medians and the test loss after the epoch."""
    seconds, losses = {name: [] for name in models}, {}
    for turn in range(repeat + 1):
        for name, make in models.items():
            taken, model = timed_fit(make, *train)
            if turn > 0:  # the first turn brings data and code into memory
                seconds[name].append(taken)
            losses[name] = log_loss(test[1], model.predict_proba(test[0]))
    print_table(title, seconds, losses)


def print_table(title, seconds, losses):
    """Print a line a model, the first being the reference."""
    reference = statistics.median(next(iter(seconds.values())))
    print(f"\n{title}")
    print(f"{'':<36} {'median s':>9} {'fastest s':>10} {'test loss':>10} {'ratio':>7}")
    for name, taken in seconds.items():
        median = statistics.median(taken)
        print(f"{name:<36} {median:>9.3f} {min(taken):>10.3f} {losses[name]:>10.4f} {reference / median:>6.2f}x")


def run(name, folder, repeat, quick):
    """All comparisons on a workload."""
    train, test = (workloads.load(folder, name, split, quick) for split in workloads.SEEDS)
    rows, columns = train[0].shape
    title = f"{name}: {rows:,} x {columns:,}, {train[0].nnz / rows:.0f} non-zeros a row"
    compare(f"{title}, linear", linear_models(), train, test, repeat)
    if name == "text":
        for batch_size in (4096, 256):
            compare(f"{title}, {HIDDEN[0]} hidden units", hidden_models(batch_size), train, test, repeat)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="folder that keeps the generated rows; default: a temporary one")
    parser.add_argument("--workload", nargs="+", choices=list(workloads.WORKLOADS), default=list(workloads.WORKLOADS))
    parser.add_argument("--repeat", type=int, default=5, help="fits of each model that are timed")
    parser.add_argument("--quick", action="store_true", help="a tenth of the rows")
    options = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    with tempfile.TemporaryDirectory() as temporary:
        for name in options.workload:
            run(name, options.data or temporary, options.repeat, options.quick)


if __name__ == "__main__":
    main()
