"""Applications on real data: effects of treatments."""

import numpy as np
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import cross_val_predict

from sklearn_vectorflow import VectorFlowClassifier, VectorFlowRegressor

from datasets import load, needs_data

SETTINGS = {"max_iter": 30, "tol": None, "average": True, "random_state": 0}


def _arms(X, treated, y):
    """Predictions of every row's outcome with and without treatment, from linear models of each arm."""
    return [VectorFlowRegressor(**SETTINGS).fit(X[treated == arm], y[treated == arm]).predict(X) for arm in (1, 0)]


@needs_data
def test_average_effects_on_infants():
    data = load("causal_ihdp")
    X = data["X"].toarray()
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    errors, least_squares = [], []
    for start in range(0, len(X), 747):  # simulated outcomes of the same infants
        rows = slice(start, start + 747)
        x, treated, y = X[rows], data["t"][rows], data["y"][rows]
        effect = np.mean((data["mu1"] - data["mu0"])[rows])
        with_, without = _arms(x, treated, y)
        chance = cross_val_predict(VectorFlowClassifier(**SETTINGS), x, treated, cv=2, method="predict_proba")[:, 1]
        chance = chance.clip(0.02, 0.98)
        robust = with_ - without + treated * (y - with_) / chance - (1 - treated) * (y - without) / (1 - chance)
        errors.append([abs(np.mean(with_ - without) - effect), abs(robust.mean() - effect)])
        arms = [LinearRegression().fit(x[treated == arm], y[treated == arm]).predict(x).mean() for arm in (1, 0)]
        least_squares.append(abs(arms[0] - arms[1] - effect))
    regression, doubly_robust = np.mean(errors, axis=0)
    assert regression < 0.15  # 0.14 is published for linear regressions of each arm, doi:10.48550/arXiv.1606.03976
    assert regression < np.mean(least_squares) + 0.02
    assert doubly_robust < 0.3


@needs_data
def test_uplift_of_a_campaign():
    data = load("uplift_hillstrom")
    rows = data["t"] != "Mens E-Mail"
    X, treated, visited = data["X"][rows], (data["t"][rows] == "Womens E-Mail").astype(float), data["y"][rows]
    train = np.arange(X.shape[0]) % 2 == 0
    share = treated[train].mean()
    residual = visited[train] - visited[train].mean()
    pseudo = residual * (treated[train] - share) / (share * (1 - share))
    model = VectorFlowRegressor(alpha=1e-3, average=True, max_iter=20, random_state=0).fit(X[train], pseudo)
    uplift = model.predict(X[~train])
    best = uplift > np.median(uplift)
    treated, visited = treated[~train], visited[~train]

    def effect(chosen):
        return visited[chosen & (treated == 1)].mean() - visited[chosen & (treated == 0)].mean()

    assert effect(best) > 2.5 * effect(~best)
