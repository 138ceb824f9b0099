"""Real sets for tables of models with their defaults (untuned.py): tasks, metrics, and models of scikit-learn.

A set has a task, or several: `bibtex` is named once, `surv_gbsg2` is `surv_gbsg2:cox` and `surv_gbsg2:exponential`.
"""

import sys
from dataclasses import dataclass

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.linear_model import LogisticRegression, PoissonRegressor, Ridge, SGDClassifier, SGDRegressor
from sklearn.metrics import log_loss, mean_poisson_deviance, root_mean_squared_error
from sklearn.model_selection import train_test_split
from sklearn.multiclass import OneVsRestClassifier

from sklearn_vectorflow import (
    VectorFlowClassifier,
    VectorFlowRanker,
    VectorFlowRegressor,
    VectorFlowSurvivalEstimator,
)
from sklearn_vectorflow.metrics import mean_ndcg

RANK = 10  # of the mean NDCG
SMALLEST = np.finfo(float).eps


def log_loss_of(model, X, y, weight):
    return log_loss(y, model.predict_proba(X), labels=model.classes_)


def loss_of_labels(model, X, y, weight):
    """Mean log loss of all labels of all rows."""
    probability = np.clip(np.asarray(model.predict_proba(X)), SMALLEST, 1 - SMALLEST)
    return -np.mean(np.where(y.toarray() > 0, np.log(probability), np.log(1 - probability)))


def rmse_of(model, X, y, weight):
    return root_mean_squared_error(y, model.predict(X))


def deviance_of(model, X, y, weight):
    return mean_poisson_deviance(y, model.predict(X), sample_weight=weight)


def loss_of_times(model, X, y, weight):
    """Mean negative log-likelihood of exponential times, in units of their mean."""
    mean = model.predict_expectation(X) if hasattr(model, "predict_expectation") else model.predict(X)
    unit = y["time"].mean()
    return np.mean(y["time"] / mean + y["event"] * np.log(mean / unit))


def loss_of_orders(model, X, y, weight):
    """Mean negative partial log-likelihood of the events (Breslow's)."""
    risk = np.asarray(model.predict(X), dtype=float)
    order = np.argsort(-y["time"], kind="stable")
    risk, time, event = risk[order], y["time"][order], y["event"][order]
    at_risk = np.logaddexp.accumulate(risk)
    last = np.searchsorted(-time, -time, side="right") - 1
    return np.mean((at_risk[last] - risk)[event])


def loss_of_ranks(model, X, y, weight):
    """One less the mean NDCG."""
    return 1.0 - mean_ndcg(y["grade"], model.predict(X), y["query"], k=RANK)


class OurRanker(BaseEstimator):
    """Our ranker, of targets with queries."""

    def __init__(self, **options):
        self.model = VectorFlowRanker(**options)

    def fit(self, X, y, sample_weight=None):
        self.model.fit(X, y["grade"], qid=y["query"])
        self.n_iter_ = self.model.n_iter_
        return self

    def predict(self, X):
        return self.model.predict(X)


class PairRanker:
    """Logistic regression of the differences of documents of a query, of different grades."""

    def __init__(self, strength):
        self.model = LogisticRegression(C=strength, fit_intercept=False, max_iter=2000)

    def fit(self, X, y, sample_weight=None):
        pairs = []
        for query in np.unique(y["query"]):
            rows = np.flatnonzero(y["query"] == query)
            better, worse = np.nonzero(y["grade"][rows][:, None] > y["grade"][rows])
            pairs.append(np.column_stack([rows[better], rows[worse]]))
        first, second = np.concatenate(pairs).T
        sign = np.where(np.arange(len(first)) % 2, 1.0, -1.0)
        self.model.fit(sparse.diags_array(sign) @ (X[first] - X[second]), sign)
        return self

    def predict(self, X):
        return X @ self.model.coef_[0]


class GradeRanker(PairRanker):
    """Ridge regression of the grades."""

    def __init__(self, strength):
        self.model = Ridge(strength)

    def fit(self, X, y, sample_weight=None):
        self.model.fit(X, y["grade"])
        return self

    def predict(self, X):
        return self.model.predict(X)


class ExponentialTimes(BaseEstimator):
    """Exponential times as counts of events with an exposure; the strength is in units of the mean squared length."""

    def __init__(self, strength):
        self.strength = strength

    def fit(self, X, y, sample_weight=None):
        unit = y["time"].mean()
        length = np.asarray(X.multiply(X).sum(axis=1)).mean()
        time = y["time"] / unit
        self.model = PoissonRegressor(alpha=self.strength * length / time.sum(), max_iter=300)
        self.model.fit(X, y["event"] / time, time)
        self.unit = unit
        return self

    def predict(self, X):
        return self.unit / self.model.predict(X)


class CoxOfScikitSurvival(BaseEstimator):
    """Cox's model of scikit-survival, on dense rows."""

    def __init__(self, strength):
        self.strength = strength

    def fit(self, X, y, sample_weight=None):
        from sksurv.linear_model import CoxPHSurvivalAnalysis

        self.model = CoxPHSurvivalAnalysis(self.strength).fit(X.toarray().astype(float), np.asarray(y))
        return self

    def predict(self, X):
        return self.model.predict(X.toarray().astype(float))


class Constant:
    """The best model that knows no column."""

    def __init__(self, task):
        self.task = task

    def fit(self, X, y, sample_weight=None):
        if self.task == "labels":
            self.constant = np.asarray(y.mean(axis=0)).ravel()
        elif self.task == "times":
            self.constant = y["time"].sum() / y["event"].sum()
        else:
            self.constant = 0.0
        return self

    def predict_proba(self, X):
        return np.tile(self.constant, (X.shape[0], 1))

    def predict(self, X):
        return np.full(X.shape[0], self.constant)


def logistic(strength=1.0):
    return LogisticRegression(C=strength, max_iter=2000)


def logistic_of_labels(strength=1.0):
    return OneVsRestClassifier(LogisticRegression(C=strength, max_iter=300))


def sgd_classifier(strength=1e-4):
    return SGDClassifier(loss="log_loss", alpha=strength, random_state=0)


def sgd_regressor(strength=1e-4):
    return SGDRegressor(alpha=strength, random_state=0)


def ridge(strength=1.0):
    return Ridge(alpha=strength)


def poisson(strength=1.0):
    return PoissonRegressor(alpha=strength, max_iter=1000)


def exponential(strength=1.0):
    return ExponentialTimes(strength)


def cox(strength=1.0):
    return CoxOfScikitSurvival(strength)


def pairs(strength=1.0):
    return PairRanker(strength)


def grades(strength=1.0):
    return GradeRanker(strength)


def tens(first, last):
    """Return powers of ten."""
    return [10.0**power for power in range(first, last + 1)]


@dataclass(frozen=True)
class Task:
    """What a set is about: a metric of (model, X, y, weight), our model, a constant one, and peers with their grids."""

    metric: object
    make: object
    constant: object
    peers: dict


TASKS = {
    "classes": Task(
        log_loss_of,
        VectorFlowClassifier,
        DummyClassifier,
        {logistic: tens(-3, 4), sgd_classifier: tens(-7, -2)},
    ),
    "labels": Task(loss_of_labels, VectorFlowClassifier, lambda: Constant("labels"), {logistic_of_labels: tens(-1, 1)}),
    "numbers": Task(rmse_of, VectorFlowRegressor, DummyRegressor, {ridge: tens(-4, 4), sgd_regressor: tens(-7, -2)}),
    "rates": Task(
        deviance_of,
        lambda **options: VectorFlowRegressor(loss="poisson", **options),
        DummyRegressor,
        {poisson: tens(-7, 1)},
    ),
    "exponential": Task(
        loss_of_times,
        lambda **options: VectorFlowSurvivalEstimator("exponential", **options),
        lambda: Constant("times"),
        {exponential: tens(-4, 2)},
    ),
    "cox": Task(
        loss_of_orders,
        lambda **options: VectorFlowSurvivalEstimator("cox", **options),
        lambda: Constant("order"),
        {cox: tens(-2, 4)},
    ),
    "ranks": Task(loss_of_ranks, OurRanker, lambda: Constant("order"), {pairs: tens(-5, 1), grades: tens(-1, 4)}),
}

TIMES = ("rossi", "gbsg2", "flchain", "support2", "veteran", "rotterdam", "nafld1")
SETS = {
    **dict.fromkeys(
        ("a9a", "phishing", "agaricus", "clickbait", "sms_spam", "rcv1_small", "news20", "banking77"), "classes"
    ),
    "stackoverflow20": "classes",
    "bibtex": "labels",
    "insteval": "numbers",
    "ins_bemtpl97": "rates",
    "ins_swmotorcycle": "rates",
    **{f"surv_{name}:{task}": task for name in TIMES for task in ("cox", "exponential")},
    "surv_numpy_history:exponential": "exponential",
    "rank_lgbm": "ranks",
}


def read(folder, name):
    """Return training and test rows, each X, y and weights."""
    sys.path.insert(0, str(folder))
    from load import load

    data, task = load(folder, name.partition(":")[0]), SETS[name]
    X, weight = data["X"], None
    y = {"labels": lambda: data["Y"], "ranks": lambda: _graded(data["y"], data["qid"])}.get(
        task, lambda: data["y"] if "y" in data else _timed(data)
    )()
    if task == "rates":
        exposed = data["exposure"] > 0
        X, weight = X[exposed], data["exposure"][exposed].astype(np.float64)
        y = y[exposed] / weight
    if "Xt" in data:
        width = max(X.shape[1], data["Xt"].shape[1])
        for rows in (X, data["Xt"]):
            rows.resize(rows.shape[0], width)
        y_test = _graded(data["yt"], data["qid_t"]) if task == "ranks" else data["yt"]
        return (X, y, weight), (data["Xt"], y_test, None)
    alike = y if task == "classes" else y["event"] if task in ("cox", "exponential") else None
    if name.startswith("surv_numpy_history"):  # in the order of time
        train, test = np.split(np.arange(X.shape[0]), [int(0.8 * X.shape[0])])
    else:
        train, test = train_test_split(np.arange(X.shape[0]), test_size=0.25, random_state=0, stratify=alike)
    return tuple((X[rows], y[rows], None if weight is None else weight[rows]) for rows in (train, test))


def _graded(grade, query):
    return np.rec.fromarrays([grade, query], names="grade,query")


def _timed(data):
    """Return events and times; none at once."""
    time = data["time"].astype(float)
    return np.rec.fromarrays([data["event"].astype(bool), np.maximum(time, time[time > 0].min())], names="event,time")
