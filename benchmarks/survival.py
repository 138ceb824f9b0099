"""Survival models on 1,000,000 rows of 1,000,000 columns, side by side with PyTorch in one run.

    python benchmarks/survival.py [--threads 2] [--repeat 3] [--quick] [--sizes]

Times follow an exponential distribution whose rate depends on the row; 40 % are censored. Both
sides minimise its negative log-likelihood. PyTorch (if it is installed) trains an EmbeddingBag
with AdaGrad on minibatches of 4,096. What is printed is the time to reach a likelihood of test
rows, evaluation not counted. `--sizes` fits a linear model of the 500 most frequent columns,
one of all, and a net on twice the rows.
"""
import argparse
import statistics
import time

import numpy as np

import workloads
from sklearn_vectorflow import VectorFlowSurvivalEstimator

ROWS = workloads.Workload(1_000_000, 1_000_000, 30, text=False, slope=0.8)
QUICK = workloads.Workload(100_000, 100_000, 30, text=False, slope=0.8)
TARGETS = {(): (0.5040, 0.5006), (32,): (0.5030,)}
MINIBATCH = 4096
PARTS = 4  # of an epoch, between two looks at the test rows


def draw(workload, split, factor=1):
    """Draw rows and (event, time); test rows are a tenth."""
    weights = np.random.default_rng(workloads.SEED_OF_WEIGHTS).standard_normal(workload.n_features).astype(np.float32)
    rng = np.random.default_rng(workloads.SEEDS[split])
    X = workloads.draw_rows(workload, factor * workload.n_rows if split == "train" else workload.n_rows // 10, rng)
    score = X @ weights
    score = (score - score.mean()) / score.std()
    time, censored = rng.exponential(np.exp(-workload.slope * score)), rng.exponential(1.6, X.shape[0])
    return X, (time <= censored, np.minimum(time, censored).clip(1e-6))


def log_likelihood_loss(model, test):
    """Mean negative log-likelihood of the test rows under an exponential distribution's log hazards."""
    (event, time), log_hazard = test[1], model.predict(test[0])
    return np.mean(np.exp(log_hazard) * time - event * log_hazard)


def vectorflow_path(hidden, train, test, threads, n_epochs=3):
    """Yield (seconds trained, loss of the test rows) after every part of an epoch."""
    model = VectorFlowSurvivalEstimator(hidden_layer_sizes=hidden, alpha=2e-5, n_jobs=threads, random_state=0)
    n_rows, seconds = train[0].shape[0], 0.0
    parts = np.linspace(0, n_rows, PARTS + 1).astype(int)
    blocks = [(train[0][a:b], tuple(part[a:b] for part in train[1])) for a, b in zip(parts, parts[1:])]
    for block in blocks * n_epochs:
        begun = time.perf_counter()
        model.partial_fit(*block)
        seconds += time.perf_counter() - begun
        yield seconds, log_likelihood_loss(model, test)


class TorchModel:
    """The same model as a sum of embeddings."""

    def __init__(self, torch, n_features, hidden):
        self.torch = torch
        torch.manual_seed(0)
        width = hidden[0] if hidden else 1
        self.table = torch.nn.EmbeddingBag(n_features, width, mode="sum", sparse=True)
        torch.nn.init.normal_(self.table.weight, std=0.05 if hidden else 0.0)
        self.top = torch.nn.Sequential(torch.nn.ReLU(), torch.nn.Linear(width, 1)) if hidden else torch.nn.Identity()
        self.bias = torch.nn.Parameter(torch.zeros(1))

    def parameters(self):
        return [*self.table.parameters(), *self.top.parameters(), self.bias]

    def log_hazard(self, indices, offsets):
        return self.top(self.table(indices, offsets))[:, 0] + self.bias

    def predict(self, X):
        with self.torch.no_grad():
            return self.log_hazard(*map(self.torch.from_numpy, (X.indices, X.indptr[:-1]))).numpy().astype(float)


def torch_path(hidden, train, test, threads, n_epochs=4):
    """Yield (seconds trained, loss of the test rows) after every part of an epoch."""
    import torch

    torch.set_num_threads(threads)
    X, (event, lifetime) = train
    model = TorchModel(torch, X.shape[1], hidden)
    optimizer = torch.optim.Adagrad(model.parameters(), lr=0.05)
    event, lifetime = torch.from_numpy(event).float(), torch.from_numpy(lifetime).float()
    indices, indptr = torch.from_numpy(X.indices), X.indptr
    starts = np.arange(0, X.shape[0], MINIBATCH)
    seconds = 0.0
    for number, start in enumerate(np.tile(starts, n_epochs), 1):
        begun = time.perf_counter()
        end = min(start + MINIBATCH, X.shape[0])
        offsets = torch.from_numpy(indptr[start:end] - indptr[start])
        log_hazard = model.log_hazard(indices[indptr[start] : indptr[end]], offsets)
        loss = (log_hazard.exp() * lifetime[start:end] - event[start:end] * log_hazard).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        seconds += time.perf_counter() - begun
        if number % (len(starts) // PARTS) == 0:
            yield seconds, log_likelihood_loss(model, test)


def seconds_to(path, targets):
    """Return the seconds at which a path first reaches each target, or None, and the best loss."""
    reached, best = dict.fromkeys(targets), np.inf
    for seconds, loss in path:
        best = min(best, loss)
        for target in targets:
            if loss <= target and reached[target] is None:
                reached[target] = seconds
        if all(value is not None for value in reached.values()):
            break
    return reached, best


def race(hidden, train, test, threads, repeat):
    """Print who reaches the targets when."""
    paths = {"VectorFlow": vectorflow_path}
    try:
        import torch  # noqa: F401

        paths["PyTorch"] = torch_path
    except ImportError:
        print("PyTorch is not installed: its rows are left out")
    for target in TARGETS[hidden]:
        for name, path in paths.items():
            runs = [seconds_to(path(hidden, train, test, threads), [target]) for _ in range(repeat)]
            taken, best = [reached[target] for reached, _ in runs], runs[0][1]
            told = "not reached" if None in taken else f"{statistics.median(taken):.2f} s"
            print(f"{hidden or 'linear'!s:>8} to {target:.4f}: {name:<12} {told:>12}   (best seen {best:.4f})")


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
    X, y = draw(workload, "train", factor=2)
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
        loss = log_likelihood_loss(model, (X_test, test[1]))
        print(f"{train[0].shape[0]:>9,} rows, {model.network_.n_parameters:>10,} parameters: {seconds:.2f} s, test loss {loss:.4f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeat", type=int, default=3, help="runs whose median is printed")
    parser.add_argument("--quick", action="store_true", help="a tenth of the rows and columns")
    parser.add_argument("--sizes", action="store_true", help="compare sizes of models in place of PyTorch")
    options = parser.parse_args()
    workload = QUICK if options.quick else ROWS
    test = draw(workload, "test")
    if options.sizes:
        sizes(workload, test, options.threads)
        return
    train = draw(workload, "train")
    whole_epochs(train, options.threads, options.repeat)
    for hidden in TARGETS:
        race(hidden, train, test, options.threads, options.repeat)


if __name__ == "__main__":
    main()
