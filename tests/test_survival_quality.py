"""How well survival models do on real rows that they have not seen."""

import numpy as np
import pytest
from scipy import sparse
from sklearn.model_selection import KFold, cross_val_score

from sklearn_vectorflow import VectorFlowSurvivalEstimator
from sklearn_vectorflow.metrics import kaplan_meier
from sklearn_vectorflow.optimizers import SGD

from datasets import load, needs_data

CoxPHSurvivalAnalysis = pytest.importorskip("sksurv.linear_model").CoxPHSurvivalAnalysis
Surv = pytest.importorskip("sksurv.util").Surv


@needs_data
@pytest.mark.parametrize("name", ["veteran", "gbsg2"])
@pytest.mark.parametrize("distribution", ["cox", "lognormal"])
def test_concordance_beside_a_dense_cox_model(name, distribution):
    data = load(f"surv_{name}")
    y, folds = Surv.from_arrays(data["event"].astype(bool), data["time"]), KFold(5, shuffle=True, random_state=0)
    dense = cross_val_score(CoxPHSurvivalAnalysis(alpha=1.0), data["X"].toarray().astype(float), y, cv=folds)
    model = VectorFlowSurvivalEstimator(distribution, random_state=0)
    assert cross_val_score(model, data["X"], y, cv=folds).mean() > dense.mean() - 0.01


@needs_data
def test_days_until_a_file_changes_again():
    data = load("surv_numpy_history")
    X, n_train = data["X"], int(0.8 * len(data["time"]))
    y = Surv.from_arrays(data["event"].astype(bool), data["time"])
    train, test = slice(None, n_train), slice(n_train, None)
    frequent = np.argsort(-np.bincount(X[train].indices, minlength=X.shape[1]))[:20]

    def test_loss(columns, **params):
        model = VectorFlowSurvivalEstimator("discrete", random_state=0, max_iter=4, tol=None, **params)
        model.fit(columns[train], y[train], X_val=columns[test], y_val=y[test])
        return model, -model.validation_scores_[-1]

    model, everything = test_loss(X, alpha=1e-4)
    _, few = test_loss(X[:, frequent], alpha=1e-4)
    nothing, constant = test_loss(sparse.csr_matrix((len(y), 1)), learning_rate=1e-6)
    assert everything < few - 0.05 < constant - 0.05

    # without features it is Kaplan and Meier's estimate
    times, survival = kaplan_meier(y[train])
    breakpoints = model.loss_.breakpoints[:-1]
    expected = survival[np.searchsorted(times, breakpoints, "right") - 1]
    curve = nothing.predict_survival_function(sparse.csr_matrix((1, 1)), return_array=True, times=breakpoints)[0]
    np.testing.assert_allclose(curve, expected, atol=0.02)


def test_the_whole_nets_gradient_with_outputs_that_are_one_number():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(12, 5)).astype(np.float32), (np.arange(12) % 3 > 0, rng.exponential(size=12) + 0.1)
    for distribution in ("weibull", "piecewise_exponential", "discrete"):
        given = {} if distribution == "weibull" else {"breakpoints": [0.4, 1.1]}
        model = VectorFlowSurvivalEstimator(
            distribution,
            hidden_layer_sizes=(3,),
            activation="tanh",
            optimizer=SGD(1e-100),
            alpha=0.0,
            batch_size=12,
            max_iter=1,
            tol=None,
            warm_start=True,
            random_state=0,
            **given,
        ).fit(X, y)
        parts, n = model.coefs_ + model.intercepts_, len(model.coefs_)
        before = [rng.normal(scale=0.5, size=part.shape).astype(np.float32) for part in parts]
        model.network_.set_weights(before[:n], before[n:])
        model.set_params(optimizer=SGD(1.0, schedule="constant")).fit(X, y)
        step = [b - a for a, b in zip(model.coefs_ + model.intercepts_, before)]

        def mean_loss(parts):
            weights, intercepts = parts[:n], parts[n:]
            hidden = np.tanh(X @ weights[0] + intercepts[0])
            raw = np.hstack([hidden @ weights[1] + intercepts[1], np.tile(intercepts[2], (12, 1))])
            encoded = model._encode(y, 12, reset=False)
            return model.loss_(encoded, raw)[0] / 12

        parts = [part.astype(float) for part in before]
        for part, gradient in zip(parts, step):
            for place in np.ndindex(part.shape):
                middle = part[place]
                part[place] = middle + 1e-5
                above = mean_loss(parts)
                part[place] = middle - 1e-5
                assert gradient[place] == pytest.approx((above - mean_loss(parts)) / 2e-5, rel=1e-3, abs=1e-5)
                part[place] = middle
