"""Models with their defaults beside linear models of scikit-learn, tuned and as they come, on real data.

Tuned means the best strength of a grid, chosen on the very rows the table is about: what no honest
search could beat. Losses are those of test rows: a set's own, or a quarter drawn with seed 0.
"""

import argparse
import json
import os
import sys
import warnings
from pathlib import Path

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, PoissonRegressor, Ridge, SGDClassifier, SGDRegressor
from sklearn.metrics import log_loss, mean_poisson_deviance, root_mean_squared_error
from sklearn.model_selection import train_test_split

from sklearn_vectorflow import VectorFlowClassifier, VectorFlowRegressor

CLASSES = (
    "a9a",
    "phishing",
    "agaricus",
    "clickbait",
    "sms_spam",
    "rcv1_small",
    "news20",
    "banking77",
    "stackoverflow20",
)
NUMBERS = ("insteval",)
RATES = ("ins_bemtpl97", "ins_swmotorcycle")

TENS = [10.0**power for power in range(-4, 5)]


def log_loss_of(model, X, y, weight):
    return log_loss(y, model.predict_proba(X), labels=model.classes_)


def rmse_of(model, X, y, weight):
    return root_mean_squared_error(y, model.predict(X))


def deviance_of(model, X, y, weight):
    return mean_poisson_deviance(y, model.predict(X), sample_weight=weight)


def logistic(strength=1.0):
    return LogisticRegression(C=strength, max_iter=2000)


def sgd_classifier(strength=1e-4):
    return SGDClassifier(loss="log_loss", alpha=strength, random_state=0)


def sgd_regressor(strength=1e-4):
    return SGDRegressor(alpha=strength, random_state=0)


def ridge(strength=1.0):
    return Ridge(alpha=strength)


def poisson(strength=1.0):
    return PoissonRegressor(alpha=strength, max_iter=1000)


TASKS = {
    "classes": (
        log_loss_of,
        lambda **options: VectorFlowClassifier(**options),
        {logistic: TENS[1:], sgd_classifier: [10.0**power for power in range(-7, -1)]},
    ),
    "numbers": (
        rmse_of,
        lambda **options: VectorFlowRegressor(**options),
        {ridge: TENS, sgd_regressor: [10.0**power for power in range(-7, -1)]},
    ),
    "rates": (
        deviance_of,
        lambda **options: VectorFlowRegressor(loss="poisson", **options),
        {poisson: [10.0**power for power in range(-7, 2)]},
    ),
}


def task_of(name):
    return "numbers" if name in NUMBERS else "rates" if name in RATES else "classes"


def read(folder, name):
    """Return training and test rows, each X, y and weights; only columns that training rows have."""
    sys.path.insert(0, str(folder))
    from load import load

    data = load(folder, name)
    X, y, weight = data["X"], data["y"], None
    if name in RATES:
        exposed = data["exposure"] > 0
        X, weight = X[exposed], data["exposure"][exposed].astype(np.float64)
        y = y[exposed] / weight
    if "Xt" in data:
        width = max(X.shape[1], data["Xt"].shape[1])
        for rows in (X, data["Xt"]):
            rows.resize(rows.shape[0], width)
        return (X, y, weight), (data["Xt"], data["yt"], None)
    train, test = train_test_split(
        np.arange(len(y)), test_size=0.25, random_state=0, stratify=y if name in CLASSES else None
    )
    return tuple((X[rows], y[rows], None if weight is None else weight[rows]) for rows in (train, test))


def without_empty_columns(train, test):
    """Leave out columns that no training row has, for solvers whose time grows with the width."""
    used = np.unique(train[0].indices)
    return (train[0][:, used], *train[1:]), (test[0][:, used], *test[1:])


def score(model, metric, train, test):
    X, y, weight = train
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(X, y, sample_weight=weight)
    return metric(model, *test)


def peers(name, train, test):
    """Return the losses of scikit-learn's models: {model: {"default" or strength: loss}}."""
    metric, _, grids = TASKS[task_of(name)]
    train, test = without_empty_columns(train, test)
    losses = {}
    for make, grid in grids.items():
        losses[make.__name__] = {"default": score(make(), metric, train, test)}
        for strength in grid:
            losses[make.__name__][f"{strength:g}"] = score(make(strength), metric, train, test)
            print(f"# {name} {make.__name__} {strength:g} {losses[make.__name__][f'{strength:g}']:.5f}", flush=True)
    return losses


def cached_peers(cache, name, train, test):
    path = None if cache is None else Path(cache, f"{name}.json")
    if path is not None and path.exists():
        return json.loads(path.read_text())
    losses = peers(name, train, test)
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(losses))
    return losses


def ours(name, train, test, **options):
    """Return the loss of a model with defaults, and its epochs."""
    metric, make, _ = TASKS[task_of(name)]
    model = make(random_state=0, **options)
    return score(model, metric, train, test), model.n_iter_


def tell(name, train, test, losses):
    """Print a set's row of the table."""
    best, tuned = min((loss, f"{peer}, {at}") for peer, grid in losses.items() for at, loss in grid.items())
    one, epochs = ours(name, train, test)
    two, _ = ours(name, train, test, n_jobs=2)
    defaults = ", ".join(f"{peer} {grid['default']:.4f}" for peer, grid in losses.items())
    ratio = f"{one / best:.3f}" if best > 1e-3 else f"+{one - best:.4f}"
    print(f"| {name} | {one:.4f} | {epochs} | {two:.4f} | {best:.4f} ({tuned}) | {ratio} | {defaults} |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default=os.environ.get("VECTORFLOW_DATA"), help="folder of the sets and of load.py")
    parser.add_argument("--cache", help="folder that keeps the losses of scikit-learn's models for the next run")
    parser.add_argument("sets", nargs="*", default=[*CLASSES, *NUMBERS, *RATES])
    arguments = parser.parse_args()
    if not arguments.data:
        parser.error("--data or the environment variable VECTORFLOW_DATA must name the folder of the sets")
    print("| set | defaults | epochs | n_jobs=2 | best of scikit-learn, tuned | ratio | scikit-learn's defaults |")
    print("|---|---|---|---|---|---|---|")
    for name in arguments.sets:
        train, test = read(arguments.data, name)
        tell(name, train, test, cached_peers(arguments.cache, name, train, test))


if __name__ == "__main__":
    main()
