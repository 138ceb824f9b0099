"""Models with their defaults beside tuned ones, on generated families of data; the worst come first.

    python benchmarks/families.py [--quick] [--cache FOLDER] [--parameters JSON] [--top 25]

A tuned model is scikit-learn's at the best of a grid of strengths, chosen on the very rows the table is about: what no
honest search could beat. Columns: our loss over the tuned model's, and over a constant model's; epochs; the family.
Families differ in the number of rows and columns, the frequency of columns (Zipf's exponent), values (ones, tf-idf,
positive, dense), the standard deviation of the scores, and the share of positives, classes or rate.
"""

import argparse
import hashlib
import json
import warnings
from pathlib import Path

import numpy as np
from scipy import sparse
from sklearn.linear_model import LogisticRegression, PoissonRegressor, Ridge
from sklearn.metrics import log_loss, mean_poisson_deviance, mean_squared_error

from sklearn_vectorflow import VectorFlowClassifier, VectorFlowRegressor

STRENGTHS = (0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30)  # times the mean squared length of rows
FEW_STRENGTHS = (0.03, 0.1, 0.3, 1)  # for many classes, which take long
LEAST_TEST_ROWS = 2000

# columns, values a row, Zipf's exponent, kind of values
ONES, ZIPF_ONES, TFIDF, DENSE = (
    (50, 8, 0.0, "ones"),
    (3000, 10, 1.0, "ones"),
    (30_000, 40, 1.0, "tfidf"),
    (20, 20, 0.0, "dense"),
)


def family(task, n_rows, shape, signal, of_y):
    """Describe a family: `of_y` is the share of positives, the number of classes, or the mean rate."""
    return {"task": task, "n_rows": n_rows, "shape": list(shape), "signal": signal, "of_y": of_y}


def families(quick):
    """List all families, or a few."""
    found = []
    for n_rows in (300, 3000) if quick else (300, 3000, 30_000):
        for shape in (ONES, ZIPF_ONES, TFIDF, DENSE):
            if n_rows > 300 or shape != TFIDF:
                found += [family("log", n_rows, shape, signal, 0.5) for signal in (0.5, 1.5, 4.0)]
    for share in (0.03, 0.01) if quick else (0.1, 0.03, 0.01, 0.003, 0.001):
        found += [family("log", 30_000, shape, 1.5, share) for shape in ((2000, 10, 0.0, "ones"), ZIPF_ONES, DENSE)]
    for n_rows in (1000,) if quick else (1000, 10_000):
        for shape in ((1000, 10, 1.0, "ones"), (10_000, 40, 1.0, "tfidf")):
            found += [family("multinomial", n_rows, shape, 3.0, n_classes) for n_classes in (3, 20, 100)]
    for n_rows in (40, 300, 3000) if quick else (40, 300, 3000, 20_000):
        for shape in ((30, 6, 0.0, "ones"), (2000, 10, 1.0, "ones"), DENSE):
            found += [family("squared", n_rows, shape, signal, 0) for signal in (0.3, 1.0, 5.0)]
    for n_rows in (3000,) if quick else (3000, 30_000):
        found += [
            family("poisson", n_rows, (300, 6, 0.7, "ones"), signal, rate)
            for rate in (0.01, 0.1, 2.0)
            for signal in (0.3, 1.0)
        ]
    return found


def rows(n_rows, n_features, n_values, exponent, kind, rng):
    """Draw rows of a kind."""
    if kind == "dense":
        return sparse.csr_matrix(rng.normal(size=(n_rows, n_features)).astype(np.float32))
    frequency = 1 / np.arange(1, n_features + 1) ** exponent
    lengths = np.maximum(1, rng.poisson(n_values, n_rows))
    indices = rng.choice(n_features, lengths.sum(), p=frequency / frequency.sum())
    values = (
        np.ones(len(indices), np.float32) if kind == "ones" else rng.gamma(2.0, 1.0, len(indices)).astype(np.float32)
    )
    X = sparse.csr_matrix((values, indices, np.r_[0, np.cumsum(lengths)]), shape=(n_rows, n_features))
    X.sum_duplicates()
    if kind == "tfidf":
        norms = np.sqrt(np.asarray(X.multiply(X).sum(axis=1)).ravel())
        X = sparse.csr_matrix(sparse.diags((1 / norms).astype(np.float32)) @ X)
    if kind == "ones":
        X.data[:] = 1
    return X


def targets(task, scores, of_y, rng):
    """Draw targets given standardised scores times the signal."""
    if task == "multinomial":
        return (scores + rng.gumbel(size=scores.shape)).argmax(axis=1)
    score = scores[:, 0]
    if task == "squared":
        return score + rng.normal(size=len(score))
    if task == "poisson":
        return rng.poisson(of_y * np.exp(score - score.var() / 2)).astype(float)
    low, high = -30.0, 30.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if (1 / (1 + np.exp(-score - middle))).mean() < of_y else (low, middle)
    return (rng.random(len(score)) < 1 / (1 + np.exp(-score - low))).astype(int)


def draw(family, seed=0):
    """Return training and test rows and targets."""
    rng = np.random.default_rng([seed, int(_key(family)[:8], 16)])
    n_train = family["n_rows"]
    n_rows = n_train + max(LEAST_TEST_ROWS, n_train // 4)
    X = rows(n_rows, *family["shape"], rng)
    scores = X @ rng.normal(size=(X.shape[1], family["of_y"] if family["task"] == "multinomial" else 1))
    scores = (scores - scores.mean(axis=0)) / scores.std(axis=0) * family["signal"]
    y = targets(family["task"], scores, family["of_y"], rng)
    return X[:n_train], y[:n_train], X[n_train:], y[n_train:]


def _key(family):
    return hashlib.md5(json.dumps(family, sort_keys=True).encode()).hexdigest()


def loss_of(task, model, X, y):
    """Return a model's loss on test rows; classes that training rows lack have almost no probability."""
    if task == "squared":
        return mean_squared_error(y, model.predict(X))
    if task == "poisson":
        return mean_poisson_deviance(y, np.maximum(model.predict(X), 1e-12))
    probability = np.full((len(y), max(int(y.max()), int(max(model.classes_))) + 1), 1e-9)
    probability[:, np.asarray(model.classes_, dtype=int)] = model.predict_proba(X)
    return log_loss(y, probability / probability.sum(axis=1, keepdims=True), labels=np.arange(probability.shape[1]))


def tuned(family, data):
    """Return the least loss over the grid, and the loss of a constant model."""
    task, (X, y, X_test, y_test) = family["task"], data
    length = np.asarray(X.multiply(X).sum(axis=1)).mean()
    make = {
        "log": lambda a: LogisticRegression(C=1 / a, max_iter=200),
        "multinomial": lambda a: LogisticRegression(C=1 / a, max_iter=60),
        "squared": lambda a: Ridge(a),
        "poisson": lambda a: PoissonRegressor(alpha=a / len(y), max_iter=200),
    }[task]
    grid = FEW_STRENGTHS if task == "multinomial" and family["of_y"] > 20 else STRENGTHS
    best = min(loss_of(task, make(strength * length).fit(X, y), X_test, y_test) for strength in grid)
    if task in ("log", "multinomial"):
        counts = np.bincount(y, minlength=int(y_test.max()) + 1) + 1e-9
        constant = -np.log(counts[y_test] / counts.sum()).mean()
    elif task == "squared":
        constant = np.mean((y_test - y.mean()) ** 2)
    else:
        constant = mean_poisson_deviance(y_test, np.full(len(y_test), max(y.mean(), 1e-9)))
    return float(best), float(constant)


def cached(cache, family, data):
    """Return what `tuned` does, from a file if it is there."""
    path = None if cache is None else Path(cache, f"{_key(family)}.json")
    if path is not None and path.exists():
        return json.loads(path.read_text())
    found = tuned(family, data)
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(found))
    return found


def ours(family, data, **parameters):
    """Return the loss and the epochs of a model with its defaults."""
    if family["task"] in ("log", "multinomial"):
        model = VectorFlowClassifier(random_state=0, **parameters)
    else:
        loss = {"squared": "squared_error", "poisson": "poisson"}[family["task"]]
        model = VectorFlowRegressor(loss=loss, random_state=0, **parameters)
    model.fit(*data[:2])
    return loss_of(family["task"], model, *data[2:]), model.n_iter_


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a part of the families, in a minute")
    parser.add_argument("--cache", help="folder that keeps the losses of tuned models for the next run")
    parser.add_argument("--parameters", type=json.loads, default={}, help="such as '{\"early_stopping\": true}'")
    parser.add_argument("--top", type=int, default=25)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    table = []
    for each in families(arguments.quick):
        data = draw(each)
        best, constant = cached(arguments.cache, each, data)
        loss, epochs = ours(each, data, **arguments.parameters)
        table.append((loss / best, loss / constant, epochs, each))
    table.sort(key=lambda row: -row[0])
    ratios = np.array([row[0] for row in table])
    print(
        f"{len(table)} families: mean log ratio {np.log(ratios).mean():.4f}, worst {ratios.max():.3f}, above 1.02 "
        f"{(ratios > 1.02).sum()}, above 1.05 {(ratios > 1.05).sum()}, worse than a constant model "
        f"{sum(row[1] > 1.001 for row in table)}"
    )
    for to_tuned, to_constant, epochs, each in table[: arguments.top]:
        print(f"{to_tuned:.3f} {to_constant:.3f} {epochs:3d} {json.dumps(each)}")


if __name__ == "__main__":
    main()
