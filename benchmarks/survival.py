"""Survival models on 1,000,000 rows of 1,000,000 columns, side by side with PyTorch in one run.

    python benchmarks/survival.py [--threads 2] [--repeat 5] [--data FOLDER] [--quick]
    python benchmarks/survival.py --sizes

Times follow an exponential distribution whose rate depends on the row; 40 % are censored. All
minimise its negative log-likelihood. PyTorch (if it is installed) trains an EmbeddingBag with
AdaGrad on minibatches of 4,096. What is printed is the time to a likelihood of test rows,
looked at after every sixteenth of an epoch. For VectorFlow it is the whole of a `fit` of the
rows up to there, checks of the data included; for PyTorch the steps of training alone. Models
take turns. `--sizes` fits a linear model of the 500 most frequent columns, one of all, and a
net on twice the rows.
"""

import argparse
import statistics
import tempfile
import time
from itertools import islice

import numpy as np
import workloads
from peers import pytorch
from peers.base import Case

from sklearn_vectorflow import VectorFlowSurvivalEstimator
from sklearn_vectorflow.optimizers import FTRL, AdaGrad

CASES = {"linear": Case("surv1m", (), (0.5040, 0.5006)), "32 hidden units": Case("surv1m", (32,), (0.5030,))}
# Rates, penalties and what PyTorch's sums start from (by its default, zero) are the best of small
# grids, on the test rows for everybody.
OURS = {
    "linear": {
        "VectorFlow, defaults": {},
        "VectorFlow, AdaGrad": {"optimizer": AdaGrad(0.07), "alpha": 2e-5},
        "VectorFlow, FTRL": {"optimizer": FTRL(0.1, beta=3.0), "alpha": 1e-5},
    },
    "32 hidden units": {
        "VectorFlow, defaults": {},
        "VectorFlow, AdaGrad": {"optimizer": AdaGrad(0.02), "alpha": 1e-5},
    },
}
TORCH = {
    "linear": {
        "PyTorch": {"lr": 0.025},
        "PyTorch, sums tuned": {"lr": 0.07, "initial_accumulator_value": 1e-6},
    },
    "32 hidden units": {
        "PyTorch": {"lr": 0.015},
        "PyTorch, sums tuned": {"lr": 0.02, "initial_accumulator_value": 1e-8},
    },
}
PARTS = 16  # of an epoch, between two looks at the test rows
MOST_EPOCHS = 3


def log_likelihood_loss(log_hazard, y):
    """Mean negative log-likelihood of rows under an exponential distribution's log hazards."""
    event, time = y
    return np.mean(np.exp(log_hazard) * time - event * log_hazard)


def vectorflow_path(case, params, train, threads):
    """Yield (seconds of a whole fit, model) for more and more rows, then epochs."""
    X, y = train
    ends = np.linspace(0, X.shape[0], PARTS + 1).astype(int)[1:]
    for n_epochs, end in [(1, end) for end in ends] + [(more, ends[-1]) for more in range(2, MOST_EPOCHS + 1)]:
        rows = X[:end], tuple(part[:end] for part in y)
        model = VectorFlowSurvivalEstimator(
            hidden_layer_sizes=case.hidden, max_iter=n_epochs, tol=None, n_jobs=threads, random_state=0, **params
        )
        begun = time.perf_counter()
        model.fit(*rows)
        yield time.perf_counter() - begun, model


def torch_path(case, params, train, threads):
    """Yield (seconds trained, model) after every part of an epoch."""
    for point in islice(pytorch.path(case, params, train, threads, PARTS), PARTS * MOST_EPOCHS):
        yield point.training, point


def seconds_to(targets, path, test):
    """Return the seconds at which a path first reaches each target, infinite if it doesn't, and the best loss."""
    reached, best = dict.fromkeys(targets, np.inf), np.inf
    for seconds, model in path:
        loss = log_likelihood_loss(model.predict(test[0]), test[1])
        best = min(best, loss)
        for target in targets:
            if loss <= target:
                reached[target] = min(reached[target], seconds)
        if best <= min(targets):
            break
    return reached, best


def has_torch():
    """Whether PyTorch is there; says so if not."""
    try:
        import torch  # noqa: F401
    except ImportError:
        print("PyTorch is not installed: its rows are left out")
        return False
    return True


def race(name, train, test, threads, repeat):
    """Print who reaches the targets when, and how many times sooner than PyTorch."""
    case, runners = CASES[name], {of: (vectorflow_path, params) for of, params in OURS[name].items()}
    if has_torch():
        runners |= {of: (torch_path, params) for of, params in TORCH[name].items()}
    runs = {of: [] for of in runners}
    for _ in range(repeat):
        for of, (path, params) in runners.items():
            runs[of].append(seconds_to(case.targets, path(case, params, train, threads), test))
    print(f"\n{name}, {threads} threads; times as fast as {', and as '.join(TORCH[name])}")
    for target in case.targets:
        seconds = {of: statistics.median(reached[target] for reached, _ in run) for of, run in runs.items()}
        for of, taken in seconds.items():
            fastest, best = min(reached[target] for reached, _ in runs[of]), runs[of][0][1]
            ratios = " ".join(f"{seconds.get(peer, np.nan) / taken:6.1f}x" for peer in TORCH[name])
            told = f"{taken:8.3f} s (fastest {fastest:.3f}) {ratios}" if np.isfinite(taken) else "not reached"
            print(f"to {target:.4f}: {of:<22} {told:<50} best seen {best:.4f}", flush=True)


def whole_epochs(train, threads, repeat):
    """Print the time of a whole fit of one epoch for families of one and two outputs."""
    seconds = {name: [] for name in ("exponential", "weibull", "lognormal", "loglogistic", "piecewise_exponential")}
    for _ in range(repeat):
        for name, taken in seconds.items():
            model = VectorFlowSurvivalEstimator(name, max_iter=1, tol=None, n_jobs=threads, random_state=0)
            begun = time.perf_counter()
            model.fit(*train)
            taken.append(time.perf_counter() - begun)
    for name, taken in seconds.items():
        ratio = statistics.median(taken) / statistics.median(seconds["exponential"])
        print(f"{name:<22} {statistics.median(taken):.3f} s an epoch, {ratio:.2f} of the exponential's")


def sizes(workload, test, threads):
    """Print rows, parameters, seconds and test loss of three sizes of models."""
    X, y = workloads.draw_times(workload, "train", factor=2)
    half = X[: workload.n_rows], tuple(part[: workload.n_rows] for part in y)
    frequent = np.sort(np.argsort(-np.bincount(half[0].indices, minlength=X.shape[1]))[:500])
    cases = [
        ((), (half[0][:, frequent], half[1]), test[0][:, frequent]),
        ((), half, test[0]),
        ((10,), (X, y), test[0]),
    ]
    for hidden, train, X_test in cases:
        model = VectorFlowSurvivalEstimator(
            hidden_layer_sizes=hidden, alpha=2e-5, max_iter=2, tol=None, n_jobs=threads, random_state=0
        )
        begun = time.perf_counter()
        model.fit(*train)
        seconds = time.perf_counter() - begun
        loss = log_likelihood_loss(model.predict(X_test), test[1])
        n_rows, n_parameters = train[0].shape[0], model.network_.n_parameters
        print(f"{n_rows:>9,} rows, {n_parameters:>10,} parameters: {seconds:.2f} s, test loss {loss:.4f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="folder that keeps the generated rows; default: a temporary one")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeat", type=int, default=5, help="runs whose median is printed")
    parser.add_argument("--case", nargs="*", choices=list(CASES), default=list(CASES))
    parser.add_argument("--quick", action="store_true", help="a tenth of the rows and columns")
    parser.add_argument("--sizes", action="store_true", help="compare sizes of models in place of PyTorch")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        train, test = (
            workloads.load_times(options.data or temporary, split, options.quick) for split in workloads.SEEDS
        )
    if options.sizes:
        sizes(workloads.QUICK_SURVIVAL if options.quick else workloads.SURVIVAL, test, options.threads)
        return
    whole_epochs(train, options.threads, options.repeat)
    for name in options.case:
        race(name, train, test, options.threads, options.repeat)


if __name__ == "__main__":
    main()
