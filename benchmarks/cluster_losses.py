"""What training over parts costs in quality: test log loss after each of the first epochs.

    python benchmarks/cluster_losses.py [--workload text] [--rows 64000] [--parts 16] [--rules] [--folder build-data]

Runs in one process what a cluster computes, and prints the rows of the tables in doc/user_guide/clusters.rst. With
`--rules` other rules than the package's are told as well.
"""

import argparse
import contextlib
from pathlib import Path
from unittest import mock

import numpy as np
from machine import describe
from sklearn.metrics import log_loss
from workloads import WORKLOADS, load

from sklearn_vectorflow import VectorFlowClassifier
from sklearn_vectorflow.cluster import schedule, tasks
from sklearn_vectorflow.cluster.fit import Here, PartsFit


def classifier(epochs):
    """Return a model of default parameters."""
    return VectorFlowClassifier(random_state=0, max_iter=epochs, tol=None)


def one_machine(train, test, epochs):
    """Return the losses of local fits of one epoch, two epochs, and so on."""
    losses = []
    for number in range(1, epochs + 1):
        losses.append(log_loss(test[1], classifier(number).fit(*train).predict_proba(test[0])))
    return losses


def parts(train, test, epochs, n_parts):
    """Return the losses of one fit over parts."""
    X, y = train
    edges = np.linspace(0, len(y), n_parts + 1).astype(int).tolist()
    rows = [(X[start:end], y[start:end], None, None) for start, end in zip(edges[:-1], edges[1:])]
    fit, losses = PartsFit(classifier(epochs)._draft(), rows, Here()), []
    for epoch in range(epochs):
        fit.epoch(epoch)
        network = fit.network()
        model = classifier(epochs)
        vars(model).update(vars(fit.draft), network_=network)
        losses.append(log_loss(test[1], model.predict_proba(test[0])))
    return losses


@contextlib.contextmanager
def rule(coupling, one_merge):
    """Merge with a fixed coupling; once in the first epoch too, if told so."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(mock.patch.object(tasks, "chosen", lambda *_: coupling))
        if one_merge:
            stack.enter_context(mock.patch.object(schedule.Schedule, "first_pieces", lambda _: []))
            stack.enter_context(mock.patch.object(schedule, "FIRST_ROUNDS", 1))
        yield


def tell(name, losses):
    """Print a row of a table."""
    print(f"{name:60}", *(f"{loss:.4f}" for loss in losses), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--workload", choices=WORKLOADS, default="text")
    parser.add_argument("--rows", type=int, default=64_000)
    parser.add_argument("--parts", type=int, nargs="+", default=[16])
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--rules", action="store_true")
    parser.add_argument("--folder", type=Path, default=Path("build-data"), help="where the rows are kept")
    arguments = parser.parse_args()
    print(describe())
    train, test = (load(arguments.folder, arguments.workload, split) for split in ("train", "test"))
    train = train[0][: arguments.rows], train[1][: arguments.rows]
    tell(f"{arguments.workload}, {train[0].shape[0]} rows, one machine", one_machine(train, test, arguments.epochs))
    for n_parts in arguments.parts:
        tell(f"{n_parts} parts", parts(train, test, arguments.epochs, n_parts))
        for coupling, one_merge in ((1e9, True), (1, True), (2, False), (16, False)) if arguments.rules else ():
            with rule(coupling, one_merge):
                name = f"{n_parts} parts, coupling {coupling:g}, {'one merge' if one_merge else 'merged as ever'}"
                tell(name, parts(train, test, arguments.epochs, n_parts))


if __name__ == "__main__":
    main()
