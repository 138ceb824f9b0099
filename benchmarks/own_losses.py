"""The same loss built in and written by a user in three ways: time of an epoch on `text`, side by side.

    python benchmarks/own_losses.py [--loss pinball exponential] [--hidden] [--threads] [--data FOLDER] [--quick]

Models take turns, so that what else the machine does meets all of them; a time is the median
over epochs of several fits, without the first turn. The last column is the row's time divided
by that of the loss built in, with the same batch size and threads. "C" is the package in
examples/custom_loss_cython, which is built first, in a temporary folder; "numba" needs numba.
The weights must be those of the loss built in, which is checked where one thread trains.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import workloads

from sklearn_vectorflow import VectorFlowRegressor, VectorFlowSurvivalEstimator
from sklearn_vectorflow.losses import ExponentialSurvival, QuantileLoss, RegressionLoss

EXAMPLE = Path(__file__).parents[1] / "examples" / "custom_loss_cython"
EPOCHS = 3
BLOCK = 1024  # rows a step, for the loss in Python


class PinballPython(RegressionLoss):
    """The loss of a quantile, in NumPy."""

    def __init__(self, quantile=0.5):
        self.quantile = quantile

    def __call__(self, y, raw, sample_weight=None):
        error = raw - y
        gradient = sample_weight * np.where(error > 0, 1.0 - self.quantile, -self.quantile * (error < 0))
        return gradient @ error, gradient

    initial_raw = QuantileLoss.initial_raw


class PinballNumba(PinballPython):
    """The same for numba."""

    def kernel_parameters(self):
        return np.array([self.quantile])

    @staticmethod
    def block(y, raw, weight, gradient, parameters):
        total = 0.0
        for row in range(len(raw)):
            error = raw[row, 0] - y[row, 0]
            slope = 1.0 - parameters[0] if error > 0.0 else (-parameters[0] if error < 0.0 else 0.0)
            gradient[row, 0] = weight[row] * slope
            total += gradient[row, 0] * error
        return total


class ExponentialPython(RegressionLoss):
    """Times with a constant hazard, whose logarithm is the raw output, in NumPy; y is (time, event)."""

    def n_outputs(self, n_targets):
        return 1

    def initial_raw(self, y, sample_weight):
        return ExponentialSurvival().initial_raw(np.column_stack([y[:, 1], np.log(y[:, 0])]), sample_weight)

    def __call__(self, y, raw, sample_weight=None):
        expected = np.exp(raw) * y[:, 0]
        return sample_weight @ (expected - y[:, 1] * raw), sample_weight * (expected - y[:, 1])


class ExponentialNumba(ExponentialPython):
    """The same for numba."""

    @staticmethod
    def block(y, raw, weight, gradient, parameters):
        total = 0.0
        for row in range(len(raw)):
            expected = np.exp(raw[row, 0]) * y[row, 0]
            total += weight[row] * (expected - y[row, 1] * raw[row, 0])
            gradient[row, 0] = weight[row] * (expected - y[row, 1])
        return total


def compiled_losses(folder):
    """Build the example of compiled losses out of tree, and import it."""
    shutil.copytree(EXAMPLE, folder, dirs_exist_ok=True)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    build = [sys.executable, "setup.py", "-q", "build_ext", "--inplace"]
    subprocess.run(build, cwd=folder, env=environment, check=True)
    sys.path.insert(0, str(Path(folder, "src")))
    import custom_losses

    return custom_losses


def timed(estimator):
    """Return a class of the estimator that keeps how long its epochs took."""

    class Timed(estimator):
        def _epoch(self, trainer):
            begun = time.perf_counter()
            loss = super()._epoch(trainer)
            self.__dict__.setdefault("seconds", []).append(time.perf_counter() - begun)
            return loss

    return Timed


def starting_like(other, loss):
    """Return a class of a loss whose intercepts start as another's."""
    return type(loss.__name__, (loss,), {"initial_raw": other.initial_raw})


def pinball(labels, compiled):
    """Targets, and by way of writing it: what to fit to them."""
    y = labels + np.random.default_rng(0).normal(scale=0.3, size=len(labels))
    regressor = timed(VectorFlowRegressor)
    in_c = starting_like(QuantileLoss, compiled.Pinball)
    return {
        "built in": (lambda **given: regressor(loss=QuantileLoss(0.7), **given), y),
        "C": (lambda **given: regressor(loss=in_c(0.7), **given), y),
        "numba": (lambda **given: regressor(loss=PinballNumba(0.7), **given), y),
        "Python": (lambda **given: regressor(loss=PinballPython(0.7), **given), y),
    }


def exponential(labels, compiled):
    """As `pinball`; the unit of time is such that the built-in loss has nothing to scale."""
    rng = np.random.default_rng(0)
    until, censored = rng.exponential(np.exp(-labels)), rng.exponential(2.0, size=len(labels))
    event, observed = until < censored, np.minimum(until, censored)
    observed *= event.sum() / observed.sum()
    regressor, survival = timed(VectorFlowRegressor), timed(VectorFlowSurvivalEstimator)
    y = np.column_stack([observed, event])
    in_c = starting_like(ExponentialPython, compiled.Exponential)
    return {
        "built in": (lambda **given: survival("exponential", **given), (event, observed)),
        "C": (lambda **given: regressor(loss=in_c(), **given), y),
        "numba": (lambda **given: regressor(loss=ExponentialNumba(), **given), y),
        "Python": (lambda **given: regressor(loss=ExponentialPython(), **given), y),
    }


def compare(title, ways, X, settings, repeat):
    """Fit all in turn; print a line for each."""
    seconds, weights = {}, {}
    for turn in range(repeat + 1):
        for given in settings:
            for way, (make, y) in ways.items():
                if way == "Python" and given["batch_size"] == 1:
                    continue
                name = (given["batch_size"], given.get("n_jobs", 1), way)
                model = make(max_iter=EPOCHS, tol=None, random_state=0, **given).fit(X, y)
                seconds.setdefault(name, []).extend(model.seconds if turn else [])
                weights[name] = model.coefs_[0]
    print(f"\n{title}")
    titles = f"{'batch':>6} {'threads':>8} {'loss':<10} {'median s':>9} {'fastest s':>10}"
    print(f"{titles} {'ratio':>7} {'weights differ':>15}")
    for (batch_size, n_jobs, way), taken in seconds.items():
        median, reference = statistics.median(taken), statistics.median(seconds[batch_size, n_jobs, "built in"])
        differ = np.abs(weights[batch_size, n_jobs, way] - weights[batch_size, n_jobs, "built in"]).max()
        if n_jobs == 1 and differ > 1e-6:
            raise SystemExit(f"{way}: weights differ by {differ:.2g} from those of the loss built in")
        row = f"{batch_size:>6} {n_jobs:>8} {way:<10} {median:>9.3f} {min(taken):>10.3f}"
        print(f"{row} {median / reference:>6.2f}x {differ:>15.1e}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--loss", nargs="+", choices=["pinball", "exponential"], default=["pinball", "exponential"])
    parser.add_argument("--hidden", action="store_true", help="a net of 32 hidden units in place of a linear model")
    parser.add_argument("--threads", action="store_true", help="two threads beside one")
    parser.add_argument("--batch-size", nargs="+", type=int, default=[1, BLOCK])
    parser.add_argument("--data", help="folder that keeps the generated rows; default: a temporary one")
    parser.add_argument("--repeat", type=int, default=5, help="fits of each model that are timed")
    parser.add_argument("--quick", action="store_true", help="a tenth of the rows")
    options = parser.parse_args()
    hidden = {"hidden_layer_sizes": (32,)} if options.hidden else {}
    settings = [
        {"batch_size": batch_size, **({"n_jobs": n_jobs} if n_jobs > 1 else {}), **hidden}
        for batch_size in options.batch_size
        for n_jobs in ((1, 2) if options.threads else (1,))
    ]
    with tempfile.TemporaryDirectory() as temporary:
        X, labels = workloads.load(options.data or temporary, "text", "train", options.quick)
        compiled = compiled_losses(Path(temporary, "compiled"))
        for name in options.loss:
            title = f"{name}, {X.shape[0]:,} rows, {'32 hidden units' if hidden else 'linear'}, {EPOCHS} epochs"
            compare(title, globals()[name](labels, compiled), X, settings, options.repeat)


if __name__ == "__main__":
    main()
