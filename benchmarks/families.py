"""Generated families of data, for tables of models with their defaults (untuned.py).

Families differ in the number of rows and columns, the frequency of columns (Zipf's exponent), values (ones, tf-idf,
dense), the standard deviation of the scores, and the share of positives or events, the classes, rate or quantile.
"""

import hashlib
import json

import numpy as np
from scipy import sparse
from sklearn.linear_model import (
    GammaRegressor,
    LogisticRegression,
    PoissonRegressor,
    QuantileRegressor,
    Ridge,
    TweedieRegressor,
)
from sklearn.metrics import (
    log_loss,
    mean_gamma_deviance,
    mean_pinball_loss,
    mean_poisson_deviance,
    mean_squared_error,
    mean_tweedie_deviance,
)

from sklearn_vectorflow import VectorFlowClassifier, VectorFlowRegressor, VectorFlowSurvivalEstimator
from sklearn_vectorflow.losses import QuantileLoss, TweedieLoss

STRENGTHS = (0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30)  # times the mean squared length of rows
FEW_STRENGTHS = (0.03, 0.1, 0.3, 1)  # for many classes, which take long
LEAST_TEST_ROWS = 2000
CLASSES = ("log", "multinomial")

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
    sizes = (3000,) if quick else (3000, 30_000)
    claims = (300, 6, 0.7, "ones")
    for n_rows in sizes:
        for signal in (0.3, 1.0):
            found += [family("poisson", n_rows, claims, signal, rate) for rate in (0.01, 0.1, 2.0)]
            found += [family("tweedie", n_rows, claims, signal, rate) for rate in (0.03, 1.0)]
            found += [family("gamma", n_rows, claims, signal, mean) for mean in (1.0, 1000.0)]
            found += [family("exponential", n_rows, claims, signal, share) for share in (0.01, 0.1, 0.9)]
    found += [family("quantile", 1000, (30, 6, 0.0, "ones"), 1.0, at) for at in (0.01, 0.1, 0.5, 0.9, 0.99)]
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
    if task == "quantile":
        return score + rng.gumbel(size=len(score))
    mean = of_y * np.exp(score - score.var() / 2)
    if task == "poisson":
        return rng.poisson(mean).astype(float)
    if task == "gamma":
        return rng.gamma(2.0, mean / 2.0)
    if task == "tweedie":  # claims of gamma amounts with a mean of 1000
        return np.array([rng.gamma(2.0 * n, 500.0) if n else 0.0 for n in rng.poisson(mean)])
    if task == "exponential":
        return followed(rng.exponential(np.exp(-score)), of_y, rng)
    low, high = -30.0, 30.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if (1 / (1 + np.exp(-score - middle))).mean() < of_y else (low, middle)
    return (rng.random(len(score)) < 1 / (1 + np.exp(-score - low))).astype(int)


def followed(times, share, rng):
    """Return whether events are seen, and until when, where about a share are."""
    low, high = -30.0, 30.0
    unit = rng.exponential(size=len(times))
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if (times <= unit * np.exp(middle)).mean() < share else (low, middle)
    ends = unit * np.exp(low)
    return np.rec.fromarrays([times <= ends, np.minimum(times, ends)], names="event,time")


def draw(family, seed=0):
    """Return training and test rows and targets."""
    rng = np.random.default_rng([seed, int(key(family)[:8], 16)])
    n_train = family["n_rows"]
    n_rows = n_train + max(LEAST_TEST_ROWS, n_train // 4)
    X = rows(n_rows, *family["shape"], rng)
    scores = X @ rng.normal(size=(X.shape[1], family["of_y"] if family["task"] == "multinomial" else 1))
    scores = (scores - scores.mean(axis=0)) / scores.std(axis=0) * family["signal"]
    y = targets(family["task"], scores, family["of_y"], rng)
    return X[:n_train], y[:n_train], X[n_train:], y[n_train:]


def name(family):
    """Return what a table calls a family."""
    n_columns, n_values, exponent, kind = family["shape"]
    columns = f"{n_columns} columns, {n_values} {kind} a row" + (f", Zipf {exponent:g}" if exponent else "")
    return f"{family['task']} {family['of_y']:g}, {family['n_rows']} rows, {columns}, signal {family['signal']:g}"


def key(family):
    """Return the name of a file for a family."""
    return hashlib.md5(json.dumps(family, sort_keys=True).encode()).hexdigest()


def loss_of(family, model, X, y):
    """Return a model's mean loss on test rows."""
    task = family["task"]
    if task in CLASSES:
        return log_loss_of(model, X, y)
    predicted = model.predict_expectation(X) if hasattr(model, "predict_expectation") else model.predict(X)
    if task == "squared":
        return mean_squared_error(y, predicted)
    if task == "quantile":
        return mean_pinball_loss(y, predicted, alpha=family["of_y"])
    if task == "exponential":  # models predict means; rates are events in a unit of time
        return float(np.mean(y["time"] / predicted + y["event"] * np.log(predicted)))
    predicted = np.maximum(predicted, 1e-12)
    if task == "tweedie":
        return mean_tweedie_deviance(y, predicted, power=1.5)
    return (mean_poisson_deviance if task == "poisson" else mean_gamma_deviance)(y, predicted)


def log_loss_of(model, X, y):
    """Return the log loss; classes that training rows lack have almost no probability."""
    probability = np.full((len(y), max(int(y.max()), int(max(model.classes_))) + 1), 1e-9)
    probability[:, np.asarray(model.classes_, dtype=int)] = model.predict_proba(X)
    return log_loss(y, probability / probability.sum(axis=1, keepdims=True), labels=np.arange(probability.shape[1]))


class Exponential(PoissonRegressor):
    """Exponential times as counts of events with an exposure."""

    def fit(self, X, y):
        """Fit rates."""
        return super().fit(X, y["event"] / y["time"], y["time"])

    def predict(self, X):
        """Return mean times."""
        return 1.0 / super().predict(X)


class Constant:
    """The best model that knows no column."""

    def __init__(self, task):
        self.task = task

    def fit(self, X, y, at=0.5):
        """Fit the classes' shares, the mean, the quantile, or the rate."""
        if self.task in CLASSES:
            self.classes_, counts = np.unique(y, return_counts=True)
            self.constant = counts / len(y)
        elif self.task == "exponential":
            self.constant = y["time"].sum() / y["event"].sum()
        else:
            self.constant = np.quantile(y, at) if self.task == "quantile" else max(y.mean(), 1e-9)
        return self

    def predict_proba(self, X):
        """Return shares."""
        return np.tile(self.constant, (X.shape[0], 1))

    def predict(self, X):
        """Return the constant."""
        return np.full(X.shape[0], self.constant)


def tuned(family, data):
    """Return the least loss of scikit-learn's model over a grid, and the loss of a constant model."""
    task, (X, y, *test) = family["task"], data
    length = np.asarray(X.multiply(X).sum(axis=1)).mean()
    make = {
        "log": lambda a: LogisticRegression(C=1 / a, max_iter=200),
        "multinomial": lambda a: LogisticRegression(C=1 / a, max_iter=60),
        "squared": Ridge,
        "poisson": lambda a: PoissonRegressor(alpha=a / y.sum(), max_iter=200),
        "gamma": lambda a: GammaRegressor(alpha=a / len(y), max_iter=200),
        "tweedie": lambda a: TweedieRegressor(power=1.5, alpha=a / len(y) * y.mean() ** 0.5, max_iter=1000),
        "exponential": lambda a: Exponential(alpha=a / y["time"].sum(), max_iter=200),
        "quantile": lambda a: QuantileRegressor(quantile=family["of_y"], alpha=a / (30 * length * len(y))),
    }[task]
    grid = FEW_STRENGTHS if task == "multinomial" and family["of_y"] > 20 else STRENGTHS
    best = min(loss_of(family, make(strength * length).fit(X, y), *test) for strength in grid)
    constant = Constant(task).fit(X, y, *([family["of_y"]] if task == "quantile" else []))
    return float(best), float(loss_of(family, constant, *test))


def ours(family, data, **parameters):
    """Return the loss and the epochs of a model of this package."""
    task, parameters = family["task"], {"random_state": 0, **parameters}
    if task in CLASSES:
        model = VectorFlowClassifier(**parameters)
    elif task == "exponential":
        model = VectorFlowSurvivalEstimator("exponential", **parameters)
    else:
        losses = {"squared": "squared_error", "quantile": QuantileLoss(family["of_y"]), "tweedie": TweedieLoss()}
        model = VectorFlowRegressor(loss=losses.get(task, task), **parameters)
    model.fit(*data[:2])
    return loss_of(family, model, *data[2:]), model.n_iter_
