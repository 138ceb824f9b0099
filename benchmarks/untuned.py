"""Models with their defaults beside tuned ones of scikit-learn, on real data and on generated families; worst first.

    python benchmarks/untuned.py [--data FOLDER] [--families all|quick|none] [--cache FOLDER] [set ...]

Tuned means the best strength of a grid, chosen on the very rows the table is about: what no honest search could beat.
Losses are those of test rows: a set's own, or a quarter drawn with seed 0. Ratios are to the tuned linear model: of
defaults, of `early_stopping=True`, and of a net with 16 units; and of defaults to a constant model. Where defaults are
more than 2 % above the tuned model of a real set, a further column has the ratio of that model with the strength that
cross-validation of the training rows chooses: what a search that has not seen the test rows finds.

Of generated families, the standard error of the first ratio is told: losses of both models on the same test rows, and
over draws of the set where rows or events are few. The tuned model has seen the test rows, and defaults have not:
ratios a few standard errors above 1 are no fault of a rule.

Families come from the smallest to the largest, and each row is printed when it is there. Linear algebra has one thread:
on small sets, several of them only wait for each other.
"""

import argparse
import json
import os
import warnings
from dataclasses import dataclass
from pathlib import Path

import families
import numpy as np
import real_sets
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import KFold
from threadpoolctl import threadpool_limits

CLOSE = 1.02  # times the tuned loss


def task_of(name):
    return real_sets.TASKS[real_sets.SETS[name]]


def without_empty_columns(train, test):
    """Leave out columns that no training row has, for solvers whose time grows with the width."""
    used = np.unique(train[0].indices)
    return (train[0][:, used], *train[1:]), (test[0][:, used], *test[1:])


def score(model, metric, train, test):
    X, y, weight = train
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(X, y, **({} if weight is None else {"sample_weight": weight}))
    return metric(model, *test)


def peers(name, train, test):
    """Return the losses of scikit-learn's models: {model: {"default" or strength: loss}}."""
    task = task_of(name)
    metric = task.metric
    train, test = without_empty_columns(train, test)
    losses = {}
    for make, grid in task.peers.items():
        losses[make.__name__] = {"default": score(make(), metric, train, test)}
        for strength in grid:
            losses[make.__name__][f"{strength:g}"] = score(make(strength), metric, train, test)
            print(f"# {name} {make.__name__} {strength:g} {losses[make.__name__][f'{strength:g}']:.5f}", flush=True)
    return losses


def cross_validated(name, train, test, losses):
    """Return the loss of scikit-learn's best model with the strength that cross-validation of training rows chooses."""
    task, X = task_of(name), train[0]
    make = min(task.peers, key=lambda make: min(losses[make.__name__].values()))
    totals = np.zeros(len(task.peers[make]))
    for kept, left_out in KFold(5, shuffle=True, random_state=0).split(X):
        fold = without_empty_columns(*(_part(train, rows) for rows in (kept, left_out)))
        totals += [score(make(strength), task.metric, *fold) for strength in task.peers[make]]
    return losses[make.__name__][f"{task.peers[make][int(np.argmin(totals))]:g}"]


def _part(rows, chosen):
    return tuple(None if values is None else values[chosen] for values in rows)


def cached(cache, key, compute):
    """Return what a function computes, from a file if it is there."""
    path = None if cache is None else Path(cache, f"{key}.json")
    if path is not None and path.exists():
        return json.loads(path.read_text())
    found = compute()
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(found))
    return found


VARIANTS = {"defaults": {}, "early_stopping": {"early_stopping": True}, "16 units": {"hidden_layer_sizes": (16,)}}


@dataclass
class Row:
    """A row of the table: the losses of our models, their epochs, and what they are compared to."""

    name: str
    tuned: float
    constant: float
    losses: list
    epochs: int
    error: float = 0.0  # standard error of the first loss less the tuned one
    error_to_constant: float = 0.0  # the same, less that of the constant model
    honest: float | None = None  # loss of the tuned model with the strength that cross-validation chooses

    @property
    def unit(self):
        """The tuned loss, or 1 where it is nearly zero."""
        return self.tuned if self.tuned > 1e-3 else 1.0

    @property
    def ratios(self):
        """One plus what losses exceed the tuned one by, in its unit: the ratios."""
        return [1.0 + (loss - self.tuned) / self.unit for loss in self.losses]

    @property
    def is_above(self):
        """Whether the first ratio is above 1.05 by more than chance."""
        return self.ratios[0] - 2 * self.error / self.unit > 1.05

    @property
    def is_above_constant(self):
        """Whether a loss is above that of the constant model by more than chance: the first, and those of variants."""
        return [loss > 1.001 * self.constant + 2 * self.error_to_constant for loss in self.losses]

    def __str__(self):
        first, *others = (f"{ratio:.3f}" for ratio in self.ratios)
        ratios = " | ".join([f"{first} ± {self.error / self.unit:.3f}" if self.error else first, *others])
        honest = "" if self.honest is None else f"{1.0 + (self.honest - self.tuned) / self.unit:.3f}"
        to_constant = f"{self.losses[0] / self.constant:.3f}"
        return f"| {self.name} | {self.tuned:.4f} | {ratios} | {to_constant} | {self.epochs} | {honest} |"


def ours(name, train, test, **options):
    """Return the loss of a model with defaults on a real set, and its epochs."""
    task = task_of(name)
    model = task.make(**{"random_state": 0, **options})
    return score(model, task.metric, train, test), model.n_iter_


def constant_loss(name, train, test):
    """Return the loss of the best model that knows no column."""
    return score(task_of(name).constant(), task_of(name).metric, train, test)


def row_of_set(name, arguments):
    """Return the row of a real set."""
    train, test = real_sets.read(arguments.data, name)
    losses = cached(arguments.cache, name, lambda: peers(name, train, test))
    found = [ours(name, train, test, **options) for options in VARIANTS.values()]
    tuned = min(loss for grid in losses.values() for loss in grid.values())
    row = Row(name, tuned, constant_loss(name, train, test), [loss for loss, _ in found], found[0][1])
    if row.ratios[0] > CLOSE and real_sets.SETS[name] != "ranks":  # whose queries folds would cut
        row.honest = cross_validated(name, train, test, losses)
    print(f"# {row}", flush=True)
    return row


def row_of_family(family, arguments):
    """Return the row of a generated family."""
    data = families.draws(family)
    tuned, constant = cached(arguments.cache, families.key(family), lambda: families.tuned(family, data))
    found = [families.ours(family, data, **options) for options in VARIANTS.values()]
    error = families.standard_error(found[0][0], tuned)
    to_constant = families.standard_error(found[0][0], families.constants(family, data))
    losses = [float(losses.mean()) for losses, _ in found]
    errors = float(error), float(to_constant)
    row = Row(families.name(family), float(np.mean(tuned)), constant, losses, found[0][1], *errors)
    print(f"# {row}", flush=True)
    return row


def tell(title, rows):
    """Print a table, worst first, and what it amounts to."""
    print(f"\n{title}: {len(rows)} rows")
    for k, variant in enumerate(VARIANTS):
        ratios = np.array([row.ratios[k] for row in rows])
        print(
            f"{variant}: mean log ratio {np.log(ratios).mean():.4f}, worst {ratios.max():.3f}, above 1.02 "
            f"{(ratios > 1.02).sum()}, above 1.05 {(ratios > 1.05).sum()}, worse than a constant model "
            f"{sum(row.losses[k] > 1.001 * row.constant for row in rows)}, by more than two standard errors "
            f"{sum(row.is_above_constant[k] for row in rows)}"
        )
    print(f"defaults above 1.05 by more than two standard errors: {sum(row.is_above for row in rows)}")
    columns = ["", "tuned", *VARIANTS, "to constant", "epochs", "cross-validated"]
    print(f"\n| {' | '.join(columns)} |\n|{'---|' * len(columns)}")
    for row in sorted(rows, key=lambda row: -row.ratios[0]):
        print(row, flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default=os.environ.get("VECTORFLOW_DATA"), help="folder of the sets and of load.py")
    parser.add_argument("--cache", help="folder that keeps the losses of tuned models for the next run")
    parser.add_argument("--families", choices=("all", "quick", "none"), default="all")
    parser.add_argument("sets", nargs="*", default=list(real_sets.SETS))
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    if arguments.data:
        tell("real sets", [row_of_set(name, arguments) for name in arguments.sets])
    if arguments.families != "none":
        chosen = sorted(families.families(arguments.families == "quick"), key=families.size)
        tell("generated families", [row_of_family(family, arguments) for family in chosen])


if __name__ == "__main__":
    with threadpool_limits(1):
        main()
