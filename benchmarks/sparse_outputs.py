"""Softmax over 50,000 classes: all of them in every step, or a few that are drawn.

    python benchmarks/sparse_outputs.py [--repeat 5] [--quick]
    python benchmarks/sparse_outputs.py --accuracy [--epochs 2]

A class shows in 12 of its own 16 columns, beside 12 columns that mean nothing; classes and
columns follow Zipf's law. The net has 32 hidden units. Times are of training on rows of the
same data, models in turn, on one thread. `--accuracy` trains on all rows and prints how often the
class of a test row is among the five likeliest; the full softmax takes some ten minutes an epoch.
"""

import argparse
import statistics
import time

import numpy as np
from scipy import sparse

from sklearn_vectorflow import VectorFlowClassifier
from sklearn_vectorflow.losses import SampledSoftmaxLoss

N_ROWS, N_TEST, N_CLASSES, N_FEATURES = 200_000, 5_000, 50_000, 30_000
OWN, SHOWN, NOISE = 16, 12, 12
NEGATIVES = (10, 100, 500, 1000)
CLASSES = np.arange(N_CLASSES)


def zipf(rng, n, size):
    """Draw numbers below n, of probabilities in proportion to 1, 1/2, 1/3 ..."""
    totals = np.cumsum(1.0 / np.arange(1, n + 1))
    return np.searchsorted(totals, rng.uniform(0, totals[-1], size)).astype(np.int32)


def draw(n_rows, seed):
    """Draw rows and their classes."""
    own = np.random.default_rng(7).integers(0, N_FEATURES, (N_CLASSES, OWN), dtype=np.int32)
    rng = np.random.default_rng(seed)
    y = zipf(rng, N_CLASSES, n_rows)
    shown = np.argsort(rng.random((n_rows, OWN)), axis=1)[:, :SHOWN]
    columns = np.hstack([own[y[:, None], shown], zipf(rng, N_FEATURES, (n_rows, NOISE))])
    starts = np.arange(0, columns.size + 1, SHOWN + NOISE)
    X = sparse.csr_matrix((np.ones(columns.size, np.float32), columns.ravel(), starts), (n_rows, N_FEATURES))
    X.sum_duplicates()
    X.data[:] = 1
    return X, y


def model(loss, alpha=0.0):
    """The net that is compared, with one loss or another."""
    return VectorFlowClassifier((32,), loss=loss, learning_rate=0.03, alpha=alpha, max_iter=1, tol=None, random_state=0)


def losses():
    """The losses that are compared, by name; the first is the reference."""
    return {"all classes": "multinomial", **{f"{n} drawn": SampledSoftmaxLoss(n) for n in NEGATIVES}}


def microseconds(trained, X, y):
    """Return the time a row takes in one pass."""
    begun = time.perf_counter()
    trained.partial_fit(X, y, classes=CLASSES)
    return (time.perf_counter() - begun) / X.shape[0] * 1e6


def candidates(loss, y):
    """Return how many outputs a step computes."""
    if isinstance(loss, str):
        return N_CLASSES
    counts = np.bincount(y, minlength=N_CLASSES)
    return 1 + np.mean([len(drawn) for drawn in loss.sampler(counts).draws(0, 200)])


def compare_times(X, y, repeat, alpha):
    """Print the time of a row, and of an epoch, with each loss."""
    models = {name: model(loss, alpha) for name, loss in losses().items()}
    taken = {name: [] for name in models}
    for turn in range(repeat + 1):
        for name, trained in models.items():
            n_rows = 1_500 if name == "all classes" else 20_000
            rows = slice(turn * n_rows, (turn + 1) * n_rows)
            if turn > 0:
                taken[name].append(microseconds(trained, X[rows], y[rows]))
            else:
                microseconds(trained, X[:500], y[:500])  # the first turn makes the net
    reference = statistics.median(taken["all classes"])
    print(f"\nalpha={alpha:g}\n{'':<14} {'outputs a row':>14} {'us a row':>10} {'s an epoch':>11} {'ratio':>7}")
    for name, values in taken.items():
        median = statistics.median(values)
        print(
            f"{name:<14} {candidates(losses()[name], y):>14,.0f} {median:>10.1f} {median * N_ROWS / 1e6:>11.2f} "
            f"{reference / median:>6.0f}x"
        )


def hits(trained, X, y):
    """Return the share of rows whose class is among the five likeliest."""
    return np.mean((trained.predict_top_k(X, 5) == y[:, None]).any(axis=1))


def compare_accuracy(train, test, n_epochs, names):
    """Print the share of hits after every epoch."""
    for name in names:
        trained, rng, seconds = model(losses()[name]), np.random.default_rng(5), 0.0
        for epoch in range(1, n_epochs + 1):
            order = rng.permutation(len(train[1]))
            for rows in np.array_split(order, 16):
                X, y = train[0][rows], train[1][rows]
                seconds += microseconds(trained, X, y) * len(rows) / 1e6
            print(f"{name:<14} epoch {epoch}: {seconds:7.1f} s, top 5 {hits(trained, *test):.4f}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeat", type=int, default=5, help="passes of each model that are timed")
    parser.add_argument("--quick", action="store_true", help="one pass each")
    parser.add_argument("--accuracy", action="store_true", help="train on all rows and compare predictions")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--losses", nargs="+", default=list(losses()), choices=list(losses()))
    options = parser.parse_args()
    train = draw(N_ROWS, seed=1)
    if options.accuracy:
        compare_accuracy(train, draw(N_TEST, seed=2), options.epochs, options.losses)
    else:
        for alpha in (0.0, 1e-6):
            compare_times(*train, 1 if options.quick else options.repeat, alpha)


if __name__ == "__main__":
    main()
