"""What an epoch costs off the golden path: every optimizer, penalty, batch size, averaging and shape of net.

    python benchmarks/cliffs.py [--data FOLDER] [--rows 20000] [--threads 1 2] [--repeat 3] [--top 40] [--quick]

Nanoseconds of an epoch on `text`, by non-zeros and products: how many weights of a column the net multiplies a value
with. A ratio is to the golden path's epoch with as many products, on as many threads: the default linear model, or
the default net of one hidden layer of as many units. Worst ratios come first. Settings take turns, and a time is the
least of all turns; the first epoch of a fit is left out, in which memory is touched for the first time and means are
not kept yet.
"""

import argparse
import itertools
import tempfile
import warnings

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

OPTIMIZERS = ("ftrl", "adagrad", "adam", "sgd")
PENALTIES = {"none": None, "L2": L2(1e-5), "L1": L1(1e-5), "elastic": ElasticNet(1e-5, 0.5)}
BATCH_SIZES = (1, 32)


def units(*sizes):
    """Return the parameters of a net with hidden layers."""
    return {"hidden_layer_sizes": sizes}


def fields(n_fields, rank):
    """Return the parameters of a field-aware machine, whose columns go round among the fields."""
    of_columns = np.arange(workloads.WORKLOADS["text"].n_features) % n_fields
    return {"network": field_aware_factorization_machine(of_columns, rank)}


# shape: (parameters, products, classes)
SHAPES = {
    "linear": (units(), 1, 2),
    "8 units": (units(8), 8, 2),
    "32 units": (units(32), 32, 2),
    "(32, 16)": (units(32, 16), 32, 2),
    "wide & deep": ({"network": wide_and_deep((16,))}, 17, 2),
    "FM of rank 8": ({"network": factorization_machine(rank=8)}, 9, 2),
    f"FFM of {N_FIELDS} fields": (fields(N_FIELDS, 4), 4 * N_FIELDS + 1, 2),
    f"{N_CLASSES} classes": (units(), N_CLASSES, N_CLASSES),
}


def settings(quick):
    """Yield a title, products, classes and parameters of each setting."""
    penalties = {name: PENALTIES[name] for name in ("none", "L2")} if quick else PENALTIES
    for shape, optimizer, penalty, batch_size, average in itertools.product(
        SHAPES, OPTIMIZERS, penalties, BATCH_SIZES, (False, True)
    ):
        if average and optimizer == "ftrl":
            continue  # it has no means
        net, products, n_classes = SHAPES[shape]
        title = f"{shape}, {optimizer}, {penalty}, batches of {batch_size}{', averaged' * average}"
        options = {"optimizer": optimizer, "penalty": PENALTIES[penalty], "batch_size": batch_size, "average": average}
        yield title, products, n_classes, {**net, **options}


def golden(products):
    """Return the parameters of the golden path with so many products."""
    return units() if products == 1 else units(products)


def seconds(parameters, n_jobs, X, y):
    """Return those of the quickest epoch but the first."""
    model = VectorFlowClassifier(max_iter=EPOCHS, tol=None, random_state=0, n_jobs=n_jobs, **parameters)
    with threadpool_limits(n_jobs), Stopwatch() as watch, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # rates that suit no rule are as quick
        model.fit(X, y)
    return min(watch.seconds[1:])


def measure(cases, n_jobs, repeat, X, targets):
    """Return the least seconds of each case: title, products, classes and parameters."""
    least = {title: np.inf for title, *_ in cases}
    for _ in range(repeat):
        for title, _, n_classes, parameters in cases:
            least[title] = min(least[title], seconds(parameters, n_jobs, X, targets[n_classes]))
    return least


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help="folder that keeps the generated rows; default: a temporary one")
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--threads", type=int, nargs="+", default=machine.one_and_all())
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--top", type=int, default=40, help="how many of the worst to print")
    parser.add_argument("--quick", action="store_true", help="fewer penalties")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        X, y = workloads.load(arguments.data or temporary, "text", "train")
    X, y = X[: arguments.rows], y[: arguments.rows]
    targets = {2: y, N_CLASSES: np.random.default_rng(0).integers(0, N_CLASSES, len(y))}
    standards = {products: f"golden path, {products} products" for _, products, _ in SHAPES.values()}
    cases = [(title, products, 2, golden(products)) for products, title in standards.items()]
    cases += settings(arguments.quick)
    print(f"{machine.describe()}; {len(y)} rows of {X.nnz / len(y):.0f} non-zeros")
    for n_jobs in arguments.threads:
        least = measure(cases, n_jobs, arguments.repeat, X, targets)
        table = [
            (least[title] / least[standards[products]], 1e9 * least[title] / X.nnz / products, title)
            for title, products, *_ in cases
        ]
        print(f"\n{n_jobs} threads\n{'ratio':>7} {'ns':>7}")
        for ratio, nanoseconds, title in sorted(table, reverse=True)[: arguments.top]:
            print(f"{ratio:7.2f} {nanoseconds:7.2f}  {title}", flush=True)


if __name__ == "__main__":
    main()
