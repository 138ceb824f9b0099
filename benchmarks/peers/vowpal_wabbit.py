"""Vowpal Wabbit: passes over its cache, on its one learning thread; writing rows as text and the cache are set-up."""

import tempfile
import time
from pathlib import Path

import numpy as np

from . import files
from .base import Model, Point


def run(arguments):
    from vowpalwabbit import Workspace

    Workspace(f"{arguments} --quiet").finish()


def path(case, params, train, threads):
    X, y = train
    bits = int(np.ceil(np.log2((X.shape[1] + 1) * params.get("weights", 1))))
    weights = f"-b {bits} --loss_function {params['loss']}"
    with tempfile.TemporaryDirectory() as folder:
        rows, cache, model = (Path(folder, name) for name in ("rows", "cache", "model"))
        begun = time.perf_counter()
        files.write(rows, X, labels_of(case, y), " | ")
        run(f"-d {rows} --cache_file {cache} -k {weights} {params.get('reader', '--noop')}")
        set_up = time.perf_counter() - begun
        for epochs in (1, 2, 3, 4, 6, 8, 12, 20):
            begun = time.perf_counter()
            run(f"--cache_file {cache} --passes {epochs} --holdout_off {weights} {params['options']} -f {model}")
            seconds = time.perf_counter() - begun
            yield Point(epochs, seconds, seconds + set_up, lambda X: predict(folder, model, X, case))


def labels_of(case, y):
    """Return labels as written; events over times weigh as their times: the Poisson model has the same likelihood."""
    if case.survival:
        return [f"{event / time:.6g} {time:.6g}" for event, time in zip(*map(np.ndarray.tolist, y))]
    return (np.where(y > 0, 1, -1) if case.n_classes == 2 else y.astype(int) + 1).tolist()


def predict(folder, model, X, case):
    rows, out = Path(folder, "test"), Path(folder, "predictions")
    files.write(rows, X, [1] * X.shape[0], " | ")
    if case.n_classes > 2:
        run(f"-d {rows} -t -i {model} --probabilities -p {out}")
        cells = [line.split() for line in out.read_text().splitlines()]
        return np.array([[float(cell.partition(":")[2]) for cell in line] for line in cells])
    run(f"-d {rows} -t -i {model} {'-r' if case.survival else '--link logistic -p'} {out}")
    return np.loadtxt(out)


# text: best of a small grid, on the test rows; the others: not tuned. --lrq goes over all pairs of non-zeros, so that a
# pass over text takes minutes: it is left out
MODELS = [
    Model(
        "Vowpal Wabbit",
        "vowpalwabbit",
        path,
        {
            "text": {"loss": "logistic", "options": "-l 0.85"},
            "ctr": {"loss": "logistic", "options": "-l 0.1"},
            "surv1m": {"loss": "poisson", "options": "-l 0.1"},
            "text-32": {"loss": "logistic", "weights": 33, "options": "--nn 32 -l 0.3"},
            "text-20": {"loss": "logistic", "weights": 20, "reader": "--oaa 20", "options": "--oaa 20 -l 0.85"},
        },
    )
]
