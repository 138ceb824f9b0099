"""What an epoch costs off the golden path: every optimizer, penalty, batch size, averaging and shape of net.

    python benchmarks/cliffs.py [--data FOLDER] [--workload text ctr] [--rows 20000] [--threads 1 2] [--repeat 3]
                                [--shape linear "20 classes" ...] [--clock wall|processor] [--top 40] [--quick]

Nanoseconds of an epoch, by non-zeros and products: how many weights of a column the net multiplies a value with. A
ratio is to the golden path's epoch with as many products, on as many threads: the default linear model, or the default
net of one hidden layer of as many units. Machines and classes read the first million columns alone, as does what they
are compared to. Worst ratios come first. Settings take turns, and a time is the least of all turns; the first epoch of
a fit is left out, in which memory is touched for the first time and means are not kept yet. `--clock processor` is for
machines that others use, too, and for one thread.

Other packages with the same settings are in `compare.py`, as the time to reach a loss:

    python benchmarks/compare.py --case text-machine text-fields text-adam text-averaged text-l1 text-20
"""

import argparse
import itertools
import tempfile
import time
import warnings
from typing import NamedTuple

import machine
import numpy as np
import workloads
from stopwatch import Stopwatch
from threadpoolctl import threadpool_limits

from sklearn_vectorflow import VectorFlowClassifier
from sklearn_vectorflow.layers import factorization_machine, field_aware_factorization_machine, wide_and_deep
from sklearn_vectorflow.penalties import L1, L2, ElasticNet

EPOCHS = 3
N_FIELDS = 4
N_CLASSES = 20
FEWER = 1_000_000  # columns that machines and classes read
CLOCKS = {"wall": time.perf_counter, "processor": time.process_time}

OPTIMIZERS = ("ftrl", "adagrad", "adam", "sgd")
PENALTIES = {"none": None, "L2": L2(1e-5), "L1": L1(1e-5), "elastic": ElasticNet(1e-5, 0.5)}
QUICK = ("none", "L2")
BATCH_SIZES = (1, 32)


def units(*sizes):
    """Return the parameters of a net with hidden layers."""
    return {"hidden_layer_sizes": sizes}


class Shape(NamedTuple):
    """Parameters of a net, how many weights of a column a value is multiplied with, and what is read.

    `fewer` tells whether it reads the first columns alone.
    """

    parameters: dict
    products: int
    n_classes: int = 2
    fewer: bool = False


def shapes(n_features):
    """Return the shapes by name, for rows of so many features."""
    fields = field_aware_factorization_machine(np.arange(min(n_features, FEWER)) % N_FIELDS, rank=4)
    return {
        "linear": Shape(units(), 1),
        "8 units": Shape(units(8), 8),
        "32 units": Shape(units(32), 32),
        "(32, 16)": Shape(units(32, 16), 32),
        "wide & deep": Shape({"network": wide_and_deep((16,))}, 17),
        "FM of rank 8": Shape({"network": factorization_machine(rank=8)}, 9, fewer=True),
        f"FFM of {N_FIELDS} fields": Shape({"network": fields}, 4 * N_FIELDS + 1, fewer=True),
        f"{N_CLASSES} classes": Shape(units(), N_CLASSES, N_CLASSES, fewer=True),
    }


def golden(shape):
    """Return the title and the shape of the golden path with as many products."""
    parameters = units() if shape.products == 1 else units(shape.products)
    title = f"golden path, {shape.products} products{', fewer columns' * shape.fewer}"
    return title, Shape(parameters, shape.products, fewer=shape.fewer)


def settings(chosen, penalties):
    """Yield a title and a shape of each setting of some shapes, behind the golden paths they are compared to."""
    yield from dict(map(golden, chosen.values())).items()
    for name, optimizer, penalty, batch_size, average in itertools.product(
        chosen, OPTIMIZERS, penalties, BATCH_SIZES, (False, True)
    ):
        if average and optimizer == "ftrl":
            continue  # it has no means
        shape = chosen[name]
        title = f"{name}, {optimizer}, {penalty}, batches of {batch_size}{', averaged' * average}"
        options = {"optimizer": optimizer, "penalty": PENALTIES[penalty], "batch_size": batch_size, "average": average}
        yield title, shape._replace(parameters=shape.parameters | options)


def seconds(parameters, n_jobs, X, y, clock):
    """Return a clock's of the quickest epoch but the first."""
    options = {"max_iter": EPOCHS, "tol": None, "early_stopping": False, "random_state": 0, "n_jobs": n_jobs}
    with threadpool_limits(n_jobs), Stopwatch(clock) as watch, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # rates that suit no rule are as quick
        VectorFlowClassifier(**options, **parameters).fit(X, y)
    return min(watch.seconds[1:])


def measure(cases, n_jobs, repeat, rows, clock):
    """Return ratios to golden paths, nanoseconds and titles; rows are of all columns and of the first ones."""
    targets = {n: np.random.default_rng(0).integers(0, n, rows[0].shape[0]) for n in (2, N_CLASSES)}
    least = dict.fromkeys(cases, np.inf)
    for _ in range(repeat):
        for title, shape in cases.items():
            took = seconds(shape.parameters, n_jobs, rows[shape.fewer], targets[shape.n_classes], clock)
            least[title] = min(least[title], took)
    return [
        (least[title] / least[golden(shape)[0]], 1e9 * least[title] / rows[shape.fewer].nnz / shape.products, title)
        for title, shape in cases.items()
    ]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help="folder that keeps the generated rows; default: a temporary one")
    parser.add_argument("--workload", nargs="+", choices=list(workloads.WORKLOADS), default=list(workloads.WORKLOADS))
    parser.add_argument("--shape", nargs="+", choices=list(shapes(1)), default=list(shapes(1)))
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--threads", type=int, nargs="+", default=machine.one_and_all())
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--clock", choices=list(CLOCKS), default="wall")
    parser.add_argument("--top", type=int, default=40, help="how many of the worst to print")
    parser.add_argument("--quick", action="store_true", help="fewer penalties")
    arguments = parser.parse_args()
    print(machine.describe())
    for workload, n_jobs in itertools.product(arguments.workload, arguments.threads):
        with tempfile.TemporaryDirectory() as temporary:
            X = workloads.load(arguments.data or temporary, workload, "train")[0][: arguments.rows]
        chosen = {name: shape for name, shape in shapes(X.shape[1]).items() if name in arguments.shape}
        cases = dict(settings(chosen, QUICK if arguments.quick else PENALTIES))
        rows = X, X[:, :FEWER].sorted_indices()
        table = measure(cases, n_jobs, arguments.repeat, rows, CLOCKS[arguments.clock])
        print(f"\n{workload}, {X.shape[0]} rows of {X.nnz / X.shape[0]:.0f} non-zeros, {n_jobs} threads")
        print(f"{'ratio':>7} {'ns':>7}")
        for ratio, nanoseconds, title in sorted(table, reverse=True)[: arguments.top]:
            print(f"{ratio:7.2f} {nanoseconds:7.2f}  {title}", flush=True)


if __name__ == "__main__":
    main()
