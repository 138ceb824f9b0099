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
from itertools import product

import numpy as np

import workloads
from sklearn_vectorflow import VectorFlowSurvivalEstimator
from sklearn_vectorflow.optimizers import FTRL, AdaGrad

TARGETS = {(): (0.5040, 0.5006), (32,): (0.5030,)}
# Rates, penalties and what AdaGrad's sums start from are the best of small grids, on the test
# rows for everybody.
OURS = {
    (): {
        "VectorFlow, defaults": {},
        "VectorFlow, AdaGrad": {"optimizer": AdaGrad(0.07), "alpha": 2e-5},
        "VectorFlow, FTRL": {"optimizer": FTRL(0.1, beta=3.0), "alpha": 1e-5},
    },
    (32,): {"VectorFlow, defaults": {}, "VectorFlow, AdaGrad": {"optimizer": AdaGrad(0.02), "alpha": 1e-5}},
}
TORCH = {
    (): {
        "PyTorch, sums from 0": {"lr": 0.025},
        "PyTorch": {"lr": 0.07, "initial_accumulator_value": 1e-6},
    },
    (32,): {"PyTorch, sums from 0": {"lr": 0.015}, "PyTorch": {"lr": 0.02, "initial_accumulator_value": 1e-8}},
}
SPREAD = 0.02  # of PyTorch's first weights in nets
MINIBATCH = 4096
PARTS = 16     # of an epoch, between two looks at the test rows
MOST_EPOCHS = 3


def log_likelihood_loss(log_hazard, y):
    """Mean negative log-likelihood of rows under an exponential distribution's log hazards."""
    event, time = y
    return np.mean(np.exp(log_hazard) * time - event * log_hazard)


def ends_of_parts(n_rows):
    """Return the row before which each part of an epoch ends, in whole minibatches."""
    n_batches = -(-n_rows // MINIBATCH)
    return [min(n_rows, n_batches * k // PARTS * MINIBATCH) for k in range(1, PARTS)] + [n_rows]


def vectorflow_path(hidden, train, test, threads, params):
    """Yield (seconds of a whole fit, loss of the test rows) for more and more rows, then epochs."""
    X, y = train
    ends = ends_of_parts(X.shape[0])
    for n_epochs, end in [*product([1], ends), *product(range(2, MOST_EPOCHS + 1), ends[-1:])]:
        rows = X[:end], tuple(part[:end] for part in y)
        model = VectorFlowSurvivalEstimator(
            hidden_layer_sizes=hidden, max_iter=n_epochs, tol=None, n_jobs=threads, random_state=0, **params
        )
        begun = time.perf_counter()
        model.fit(*rows)
        yield time.perf_counter() - begun, log_likelihood_loss(model.predict(test[0]), test[1])


class TorchModel:
    """The same model as a weighted sum of embeddings, starting from the best constant."""

    def __init__(self, torch, n_features, hidden, log_rate):
        self.torch = torch
        torch.manual_seed(0)
        width = hidden[0] if hidden else 1
        self.table = torch.nn.EmbeddingBag(n_features, width, mode="sum", sparse=True)
        torch.nn.init.normal_(self.table.weight, std=SPREAD if hidden else 0.0)
        self.bias = torch.nn.Parameter(torch.zeros(width))
        self.top = torch.nn.Sequential(torch.nn.ReLU(), torch.nn.Linear(width, 1)) if hidden else torch.nn.Identity()
        with torch.no_grad():
            (self.top[1].bias if hidden else self.bias)[:] = log_rate

    def parameters(self):
        return [*self.table.parameters(), *self.top.parameters(), self.bias]

    def log_hazard(self, X, start, end):
        """Return the log hazards of some rows; X is a tuple of a CSR matrix's arrays."""
        values, indices, indptr = X
        span = slice(indptr[start], indptr[end])
        offsets = self.torch.from_numpy(indptr[start:end] - indptr[start])
        return self.top(self.table(indices[span], offsets, values[span]) + self.bias)[:, 0]

    def predict(self, X):
        with self.torch.no_grad():
            return self.log_hazard(torch_rows(self.torch, X), 0, X.shape[0]).numpy().astype(float)


def torch_rows(torch, X):
    """Return values and indices as tensors, and where rows start."""
    return torch.from_numpy(X.data), torch.from_numpy(X.indices), X.indptr


def torch_path(hidden, train, test, threads, params):
    """Yield (seconds trained, loss of the test rows) after every part of an epoch."""
    import torch

    torch.set_num_threads(threads)
    X, (event, lifetime) = train
    rows, ends = torch_rows(torch, X), ends_of_parts(X.shape[0])
    model = TorchModel(torch, X.shape[1], hidden, np.log(event.sum() / lifetime.sum()))
    optimizer = torch.optim.Adagrad(model.parameters(), **params)
    event, lifetime = torch.from_numpy(event).float(), torch.from_numpy(lifetime).float()
    seconds = 0.0
    for _, (first, last) in product(range(MOST_EPOCHS), zip([0, *ends], ends)):
        begun = time.perf_counter()
        for start in range(first, last, MINIBATCH):
            end = min(start + MINIBATCH, last)
            log_hazard = model.log_hazard(rows, start, end)
            loss = (log_hazard.exp() * lifetime[start:end] - event[start:end] * log_hazard).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        seconds += time.perf_counter() - begun
        yield seconds, log_likelihood_loss(model.predict(test[0]), test[1])


def seconds_to(path, targets):
    """Return the seconds at which a path first reaches each target, infinite if it doesn't, and the best loss."""
    reached, best = dict.fromkeys(targets, np.inf), np.inf
    for seconds, loss in path:
        best = min(best, loss)
        for target in targets:
            if loss <= target:
                reached[target] = min(reached[target], seconds)
        if all(map(np.isfinite, reached.values())):
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


def race(hidden, train, test, threads, repeat):
    """Print who reaches the targets when, and how many times sooner than the fastest PyTorch."""
    runners = {name: (vectorflow_path, params) for name, params in OURS[hidden].items()}
    if has_torch():
        runners |= {name: (torch_path, params) for name, params in TORCH[hidden].items()}
    runs = {name: [] for name in runners}
    for _ in range(repeat):
        for name, (path, params) in runners.items():
            runs[name].append(seconds_to(path(hidden, train, test, threads, params), TARGETS[hidden]))
    for target in TARGETS[hidden]:
        seconds = {name: statistics.median(reached[target] for reached, _ in of) for name, of in runs.items()}
        peer = min((taken for name, taken in seconds.items() if name.startswith("PyTorch")), default=np.nan)
        for name, taken in seconds.items():
            told = f"{taken:8.3f} s, {peer / taken:5.1f}x" if np.isfinite(taken) else f"{'not reached':>18}"
            print(f"{hidden or 'linear'!s:>8} to {target:.4f}: {name:<22} {told}   (best seen {runs[name][0][1]:.4f})")


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
    n_rows = workload.n_rows
    half = X[:n_rows], tuple(part[:n_rows] for part in y)
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
        print(f"{train[0].shape[0]:>9,} rows, {model.network_.n_parameters:>10,} parameters: {seconds:.2f} s, test loss {loss:.4f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="folder that keeps the generated rows; default: a temporary one")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeat", type=int, default=5, help="runs whose median is printed")
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
    for hidden in TARGETS:
        race(hidden, train, test, options.threads, options.repeat)


if __name__ == "__main__":
    main()
