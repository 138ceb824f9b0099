"""What training over parts costs in quality: test loss after each of the first epochs.

    python benchmarks/cluster_losses.py [--workload text] [--hidden 32] [--rows 64000] [--parts 16]
        [--rules] [--momentum] [--rows-apart 8192]

Runs in one process what a cluster computes, and prints the rows of the tables in doc/user_guide/clusters.rst. With
`--rules` other rules than the package's are told as well, and with `--momentum` steps of merges that have momentum. The
workload `news20` needs the folder of real sets that VECTORFLOW_DATA names, and `--rows-apart 1000`, as the package does
not train so few rows apart. Linear models validate the strength of their
penalty if there are at least 8 epochs.
"""

import argparse
import contextlib
from pathlib import Path
from unittest import mock

import numpy as np
from exact import real
from machine import describe
from outer_momentum import OuterMomentum
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split
from survival import log_likelihood_loss
from workloads import WORKLOADS, load, load_times

from sklearn_vectorflow import VectorFlowClassifier, VectorFlowSurvivalEstimator
from sklearn_vectorflow.cluster import merges, schedule
from sklearn_vectorflow.cluster.fit import Here, PartsFit


class Task:
    """A workload, and the model of default parameters that is trained on it.

    Parameters
    ----------
    arguments : Namespace
        Of the command line.
    """

    def __init__(self, arguments):
        self.times, self.hidden = arguments.workload == "surv1m", tuple(arguments.hidden)
        (X, y), self.test = self._rows(arguments.folder, arguments.workload)
        self.X, self.y = X[: arguments.rows], self.some(y, slice(arguments.rows))

    def _rows(self, folder, workload):
        """Return rows to train on and to test with."""
        if workload == "news20":
            X, arrays = real(workload)
            first, last, *y = train_test_split(X, arrays["y"], test_size=0.2, random_state=0)
            return [(first, y[0]), (last, y[1])]
        splits = "train", "test"
        if self.times:
            return [load_times(folder, split, False) for split in splits]
        return [load(folder, workload, split) for split in splits]

    def model(self, epochs):
        """Return a model that is trained for some epochs."""
        kind = VectorFlowSurvivalEstimator if self.times else VectorFlowClassifier
        options = {"distribution": "exponential"} if self.times else {}
        options = {"hidden_layer_sizes": self.hidden, "max_iter": epochs, "early_stopping": False, **options}
        return kind(random_state=0, tol=None, **options)

    def some(self, y, rows):
        """Return the targets of some rows."""
        return tuple(one[rows] for one in y) if self.times else y[rows]

    def loss(self, model):
        """Return the test loss."""
        if self.times:
            return log_likelihood_loss(model.predict(self.test[0]), self.test[1])
        return log_loss(self.test[1], model.predict_proba(self.test[0]))


def one_machine(task, epochs):
    """Return the losses of one local fit after each epoch."""
    model, losses = task.model(epochs), []
    kind = type(model)
    train = kind._epoch

    def watched(draft, trainer):
        loss = train(draft, trainer)
        network = trainer.network.copy()
        network.settle()
        losses.append(task.loss(trained(task, epochs, draft, network)))
        return loss

    with mock.patch.object(kind, "_epoch", watched):
        model.fit(task.X, task.y)
    return losses


def trained(task, epochs, draft, network):
    """Return a model of a draft's attributes and a net."""
    model = task.model(epochs)
    vars(model).update(vars(draft), network_=network)
    return model


def parts(task, epochs, n_parts):
    """Return the losses of one fit over parts."""
    edges = np.linspace(0, task.X.shape[0], n_parts + 1).astype(int).tolist()
    rows = [(task.X[start:end], task.some(task.y, slice(start, end))) for start, end in zip(edges[:-1], edges[1:])]
    fit, losses = PartsFit(task.model(epochs)._draft(), rows, Here()), []
    for epoch in range(epochs):
        fit.epoch(epoch)
        losses.append(task.loss(trained(task, epochs, fit.draft, fit.network())))
    return losses


@contextlib.contextmanager
def rule(coupling, one_merge):
    """Merge with a fixed coupling; once in the first epoch too, if told so."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(mock.patch.object(merges, "chosen", lambda *_: coupling))
        if one_merge:
            stack.enter_context(mock.patch.object(schedule.Schedule, "first_pieces", lambda _: []))
            stack.enter_context(mock.patch.object(schedule, "FIRST_ROUNDS", 1))
        yield


@contextlib.contextmanager
def momentum(*outer):
    """Merge with outer momentum; the coupling is chosen without it."""
    with mock.patch.object(merges, "merge_states", OuterMomentum(*outer)):
        yield


STEPS = (1.0, False), (1.0, True), (0.7, True)  # rates, and whether they are Nesterov's
MOMENTA = [(decay, *step) for decay in (0.5, 0.9) for step in STEPS]


def tell(name, losses):
    """Print a row of a table."""
    print(f"{name:60}", *(f"{loss:.4f}" for loss in losses), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--workload", choices=[*WORKLOADS, "surv1m", "news20"], default="text")
    parser.add_argument("--hidden", type=int, nargs="*", default=[], help="units of each hidden layer")
    parser.add_argument("--rows", type=int, default=64_000)
    parser.add_argument("--parts", type=int, nargs="+", default=[16])
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--rules", action="store_true")
    parser.add_argument("--momentum", action="store_true")
    parser.add_argument(
        "--rows-apart", type=int, default=schedule.ROWS_APART, help="that there are for every part of a round"
    )
    parser.add_argument("--folder", type=Path, default=Path("build-data"), help="where the rows are kept")
    arguments = parser.parse_args()
    schedule.ROWS_APART = arguments.rows_apart
    print(describe())
    task = Task(arguments)
    tell(
        f"{arguments.workload} {arguments.hidden or ''}, {task.X.shape[0]} rows, one machine",
        one_machine(task, arguments.epochs),
    )
    for n_parts in arguments.parts:
        tell(f"{n_parts} parts", parts(task, arguments.epochs, n_parts))
        for coupling, one_merge in ((1e9, True), (1, True), (2, False), (16, False)) if arguments.rules else ():
            with rule(coupling, one_merge):
                name = f"{n_parts} parts, coupling {coupling:g}, {'one merge' if one_merge else 'merged as ever'}"
                tell(name, parts(task, arguments.epochs, n_parts))
        for decay, rate, nesterov in MOMENTA if arguments.momentum else ():
            with momentum(decay, rate, nesterov):
                name = f"{n_parts} parts, {'Nesterov' if nesterov else 'heavy ball'}, decay {decay:g}, rate {rate:g}"
                tell(name, parts(task, arguments.epochs, n_parts))


if __name__ == "__main__":
    main()
