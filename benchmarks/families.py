"""Generated families of data, for tables of models with their defaults (untuned.py).

Families differ in the number of rows and columns, the frequency of columns (Zipf's exponent), values (ones, tf-idf,
dense), the standard deviation of the scores, and the share of positives or events, the classes, rate or quantile. Some
have columns of unlike scales, columns or targets far from zero, empty rows, or rows sorted by y.

Where rows are few, or events, one draw of them tells little: losses are means over several draws. Their number follows
from the rows that tell something: of 3,000 or 30,000 rows with 30 events, 120 do.
"""

import hashlib
import json

import numpy as np
from scipy import sparse
from scipy.special import xlogy
from sklearn.linear_model import (
    GammaRegressor,
    LogisticRegression,
    PoissonRegressor,
    QuantileRegressor,
    Ridge,
    TweedieRegressor,
)
from sklearn.preprocessing import StandardScaler

from sklearn_vectorflow import VectorFlowClassifier, VectorFlowRegressor, VectorFlowSurvivalEstimator
from sklearn_vectorflow.losses import QuantileLoss, TweedieLoss

STRENGTHS = (0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30)  # times the mean squared length of rows
FEW_STRENGTHS = (0.03, 0.1, 0.3, 1)  # for many classes and rows, which take long
MANY_ROWS = 200_000
LEAST_TEST_ROWS = 2000
POWER = 1.5  # of Tweedie's variance
TRAITS = ("scales", "mean", "offset", "empty", "sorted")
DRAWS = {40: 40, 300: 12, 3000: 4}  # of sets of which up to so many rows tell something
RARE = ("log", "poisson", "tweedie", "exponential")  # tasks with a share, or a mean number, of events
CLASSES = ("log", "multinomial")

# columns, values a row, Zipf's exponent, kind of values
ONES, ZIPF_ONES, TFIDF, DENSE = (
    (50, 8, 0.0, "ones"),
    (3000, 10, 1.0, "ones"),
    (30_000, 40, 1.0, "tfidf"),
    (20, 20, 0.0, "dense"),
)


def family(task, n_rows, shape, signal, of_y, **traits):
    """Describe a family.

    `of_y` is the share of positives, the number of classes, or the mean rate. Traits: `scales` of columns are between
    1 and so much, `mean` is added to all values, `offset` to y, a share of rows is `empty`, rows are `sorted` by y.
    """
    return {"task": task, "n_rows": n_rows, "shape": list(shape), "signal": signal, "of_y": of_y, **traits}


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
    return found + unusual(quick)


def unusual(quick):
    """List families at the ends of a range, or with a trait."""
    few, many = (300, 3000) if quick else (3000, 20_000)
    found = [family(task, 20, shape, 1.5, 0.5) for task in ("log", "squared") for shape in (ONES, DENSE)]
    for task in ("log", "squared"):
        for n_rows in (few, many):
            found += [family(task, n_rows, DENSE, 1.5, 0.5, scales=scales) for scales in (10.0, 100.0, 1e4)]
            found += [family(task, n_rows, DENSE, 1.5, 0.5, mean=mean) for mean in (3.0, 30.0)]
            found += [
                family(task, n_rows, shape, 1.5, 0.5, empty=empty)
                for shape in (ONES, ZIPF_ONES)
                for empty in (0.5, 0.9)
            ]
            found += [family(task, n_rows, shape, 1.5, 0.5, sorted=True) for shape in (ZIPF_ONES, DENSE)]
            found += [
                family(task, n_rows, (10_000, 10, exponent, "ones"), 1.5, 0.5) for exponent in (0.0, 0.5, 1.5, 2.0)
            ]
    found += [
        family("squared", n_rows, DENSE, 1.0, 0, offset=offset) for n_rows in (few, many) for offset in (1e3, 1e5, 1e7)
    ]
    wide = (1000, 10, 1.0, "ones")
    found.append(family("multinomial", many, wide, 3.0, 20, sorted=True))
    if not quick:
        found += [family("multinomial", 10_000, wide, 3.0, n_classes) for n_classes in (300, 1000)]
        found += [family("log", 100_000, (30_000, 10, 1.0, "ones"), 1.5, share) for share in (0.5, 0.01)]
        found += [family(task, 300_000, (30_000, 10, 1.0, "ones"), 1.5, 0.5) for task in ("log", "squared")]
        found.append(family("log", 1_000_000, (100_000, 10, 1.0, "ones"), 1.5, 0.1))
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
    if "empty" in family:
        X = sparse.csr_matrix(sparse.diags((rng.random(n_rows) >= family["empty"]).astype(np.float32)) @ X)
        X.eliminate_zeros()
    scores = X @ rng.normal(size=(X.shape[1], family["of_y"] if family["task"] == "multinomial" else 1))
    scores = (scores - scores.mean(axis=0)) / scores.std(axis=0) * family["signal"]
    y = targets(family["task"], scores, family["of_y"], rng)
    if "offset" in family:
        y = y + family["offset"]
    if "scales" in family:
        X = X @ sparse.diags((family["scales"] ** rng.random(X.shape[1])).astype(np.float32))
    X.data += np.float32(family.get("mean", 0))
    order = np.argsort(y[:n_train], kind="stable") if family.get("sorted") else slice(n_train)
    return X[:n_train][order], y[:n_train][order], X[n_train:], y[n_train:]


def draws(family):
    """Return several draws of a set that tells little, one of another."""
    telling = family["n_rows"] * (min(1.0, 4.0 * family["of_y"]) if family["task"] in RARE else 1.0)
    n_draws = next((n_draws for most, n_draws in DRAWS.items() if telling <= most), 1)
    return [draw(family, seed) for seed in range(n_draws)]


def name(family):
    """Return what a table calls a family."""
    n_columns, n_values, exponent, kind = family["shape"]
    columns = f"{n_columns} columns, {n_values} {kind} a row" + (f", Zipf {exponent:g}" if exponent else "")
    traits = "".join(f", {trait} {family[trait]:g}" for trait in TRAITS if trait in family)
    return (
        f"{family['task']} {family['of_y']:g}, {family['n_rows']} rows, {columns}, signal {family['signal']:g}{traits}"
    )


def size(family):
    """Return what the time for a family grows with: cells, of all classes."""
    n_outputs = family["of_y"] if family["task"] == "multinomial" else 1
    return family["n_rows"] * family["shape"][1] * n_outputs


def key(family):
    """Return the name of a file for a family."""
    return hashlib.md5(json.dumps(family, sort_keys=True).encode()).hexdigest()


def losses_of(family, model, X, y):
    """Return a model's losses on test rows."""
    task = family["task"]
    if task in CLASSES:
        return log_losses_of(model, X, y)
    predicted = model.predict_expectation(X) if hasattr(model, "predict_expectation") else model.predict(X)
    if task == "squared":
        return (y - predicted) ** 2
    if task == "quantile":
        return np.maximum(family["of_y"] * (y - predicted), (family["of_y"] - 1) * (y - predicted))
    if task == "exponential":  # models predict means; rates are events in a unit of time
        return y["time"] / predicted + y["event"] * np.log(predicted)
    predicted = np.maximum(predicted, 1e-12)
    if task == "tweedie":
        return 2 * (2 * np.sqrt(predicted) + 2 * y / np.sqrt(predicted) - 4 * np.sqrt(y))
    if task == "poisson":
        return 2 * (xlogy(y, y / predicted) - y + predicted)
    return 2 * (np.log(predicted / y) + y / predicted - 1)


def log_losses_of(model, X, y):
    """Return log losses; classes that training rows lack have almost no probability."""
    probability = np.full((len(y), max(int(y.max()), int(max(model.classes_))) + 1), 1e-9)
    probability[:, np.asarray(model.classes_, dtype=int)] = model.predict_proba(X)
    chosen = probability[np.arange(len(y)), y] / probability.sum(axis=1)
    return -np.log(np.maximum(chosen, np.finfo(float).eps))


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


def peer(family, strength, X, y):
    """Return scikit-learn's model; strengths are in units of the mean squared length of rows, over their number."""
    length = np.asarray(X.multiply(X).sum(axis=1)).mean()
    a = strength * length
    return {
        "log": lambda: LogisticRegression(C=1 / a, max_iter=200),
        "multinomial": lambda: LogisticRegression(C=1 / a, max_iter=60),
        "squared": lambda: Ridge(a),
        "poisson": lambda: PoissonRegressor(alpha=a / y.sum(), max_iter=200),
        "gamma": lambda: GammaRegressor(alpha=a / len(y), max_iter=200),
        "tweedie": lambda: TweedieRegressor(power=POWER, alpha=a / len(y) * y.mean() ** 0.5, max_iter=1000),
        "exponential": lambda: Exponential(alpha=a / y["time"].sum(), max_iter=200),
        "quantile": lambda: QuantileRegressor(quantile=family["of_y"], alpha=strength / (30 * len(y))),
    }[family["task"]]()


def standardized(family, X, X_test):
    """Return the columns as peers see them: standardised, where their scales or means are unlike."""
    if "scales" not in family and "mean" not in family:
        return X, X_test
    scaler = StandardScaler().fit(X.toarray())
    return tuple(sparse.csr_matrix(scaler.transform(rows.toarray())) for rows in (X, X_test))


def constants(family, data):
    """Return the losses of a constant model, draw by draw."""
    at = [family["of_y"]] if family["task"] == "quantile" else []
    return np.array([losses_of(family, Constant(family["task"]).fit(X, y, *at), *test) for X, y, *test in data])


def tuned(family, data):
    """Return the losses of scikit-learn's model at the strength whose mean loss is least, and of a constant model."""
    grid = {}
    for X, y, X_test, y_test in data:
        X, X_test = standardized(family, X, X_test)
        is_slow = family["n_rows"] > MANY_ROWS or (family["task"] == "multinomial" and family["of_y"] > 20)
        for strength in FEW_STRENGTHS if is_slow else STRENGTHS:
            losses = losses_of(family, peer(family, strength, X, y).fit(X, y), X_test, y_test)
            grid.setdefault(strength, []).append(losses)
    best = min(grid.values(), key=np.mean)
    return np.array(best).tolist(), float(np.mean(constants(family, data)))


def ours(family, data, **parameters):
    """Return the losses of a model of this package, draw by draw, and its mean number of epochs."""
    task, parameters = family["task"], {"random_state": 0, **parameters}
    losses, epochs = [], []
    for X, y, *test in data:
        if task in CLASSES:
            model = VectorFlowClassifier(**parameters)
        elif task == "exponential":
            model = VectorFlowSurvivalEstimator("exponential", **parameters)
        else:
            named = {
                "squared": "squared_error",
                "quantile": QuantileLoss(family["of_y"]),
                "tweedie": TweedieLoss(POWER),
            }
            model = VectorFlowRegressor(loss=named.get(task, task), **parameters)
        losses.append(losses_of(family, model.fit(X, y), *test))
        epochs.append(model.n_iter_)
    return np.array(losses), round(np.mean(epochs))


def standard_error(losses, others):
    """Return the standard error of the mean difference of losses on the same rows: over draws, if that is more."""
    differences = np.asarray(losses) - others
    n_draws = len(differences)
    over_rows = differences.std(axis=1).mean() / np.sqrt(differences.size)
    over_draws = differences.mean(axis=1).std(ddof=1) / np.sqrt(n_draws) if n_draws > 1 else 0.0
    return max(over_rows, over_draws)
