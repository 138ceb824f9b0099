"""Early stopping on held-out rows: which rows, how many epochs, and the model of all rows."""

import numpy as np
import pytest
from scipy import sparse
from sklearn.metrics import log_loss

from sklearn_vectorflow import VectorFlowClassifier, VectorFlowRanker, VectorFlowRegressor, VectorFlowSurvivalEstimator
from sklearn_vectorflow.estimators import base, rehearsal
from sklearn_vectorflow.threads import ALONE
from sklearn_vectorflow.training.data import Data
from sklearn_vectorflow.training.held_out import HeldOutCurve

# ---- the number of epochs -----------------------------------------------------------------


def n_epochs(*losses, weights=(1.0, 1.0)):
    curve = HeldOutCurve(weights)
    for block_losses in losses:
        curve.add(block_losses)
    return curve.n_epochs()


@pytest.mark.parametrize(
    "last, expected",
    [
        ([2.0, 2.0], 2),  # worse in both blocks
        ([1.1, 1.1], 2),
        ([2.0, 0.2], 3),  # worse in the mean, but better in a block: by 0.1, of which the standard error is 0.9
        ([1.0, 1.0], 3),
        ([np.inf, 1.0], 2),
    ],
)
def test_the_last_epoch_that_is_not_clearly_worse_than_the_best_counts(last, expected):
    assert n_epochs([3.0, 3.0], [1.0, 1.0], last) == expected


def test_blocks_count_as_their_weights():
    assert HeldOutCurve([3.0, 1.0]).add([1.3, 0.6]) == pytest.approx(1.125)
    losses = [1.0, 1.0], [1.3, 0.5]
    assert n_epochs(*losses, weights=[1.0, 1.0]) == 2
    assert n_epochs(*losses, weights=[8.0, 1.0]) == 1


def test_without_blocks_the_best_epoch_counts():
    assert n_epochs([3.0], [1.0], [1.0001], weights=[5.0]) == 2


# ---- a model of all rows ------------------------------------------------------------------


def problem(n_rows, seed=0, n_columns=300):
    rng = np.random.default_rng(seed)
    columns = (n_columns * rng.random((n_rows, 8)) ** 2).astype(int)
    X = sparse.csr_matrix((np.ones(columns.size, np.float32), columns.ravel(), np.arange(0, columns.size + 1, 8)))
    X.resize(n_rows, n_columns)
    X.sum_duplicates()
    z = X @ np.random.default_rng(99).normal(size=n_columns)
    return X, (z + rng.logistic(size=n_rows) > 0).astype(int)


@pytest.mark.parametrize("hidden_layer_sizes", [(), (8,)])
@pytest.mark.parametrize("weighted", [False, True])
def test_the_model_is_that_of_all_rows_after_so_many_epochs(hidden_layer_sizes, weighted):
    X, y = problem(400)
    weight = np.random.default_rng(1).random(400) if weighted else None
    options = {"alpha": 1e-3, "optimizer": "adagrad", "learning_rate": 0.1, "random_state": 0}
    options["hidden_layer_sizes"] = hidden_layer_sizes
    model = VectorFlowClassifier(early_stopping=True, **options).fit(X, y, sample_weight=weight)
    raw = model.decision_function(X)
    of_all = [
        VectorFlowClassifier(early_stopping=False, max_iter=n, tol=None, **options).fit(X, y, sample_weight=weight)
        for n in range(1, model.n_iter_ + 1)
    ]
    distances = [np.abs(one.decision_function(X) - raw).max() for one in of_all]
    assert min(distances) < 1e-5
    assert sorted(distances)[1] > 1e-3
    assert len(model.validation_scores_) == model.n_iter_ == len(model.loss_curve_)


def splits_of(fit, monkeypatch):
    """Return the numbers of rows in each held-out part while something is fitted."""
    split, found = Data.split, []

    def noted(self, *arguments):
        rest, validation = split(self, *arguments)
        found.append(validation)
        return rest, validation

    monkeypatch.setattr(Data, "split", noted)
    fit()
    return found


def test_models_of_few_rows_hold_out_different_ones(monkeypatch):
    X, y = problem(400)
    model = VectorFlowClassifier(early_stopping=True, random_state=0)
    parts = splits_of(lambda: model.fit(X, y), monkeypatch)
    assert [part.n_terms for part in parts] == [40] * rehearsal.N_MODELS
    assert len({part.encoded.tobytes() for part in parts}) == rehearsal.N_MODELS


@pytest.mark.parametrize("limit, value", [("ENOUGH_HELD_OUT", 40), ("MOST_PARAMETERS", 1000)])
def test_one_model_suffices_where_many_rows_are_held_out_and_if_models_are_large(monkeypatch, limit, value):
    monkeypatch.setattr(rehearsal, limit, value)
    X, y = problem(400)
    model = VectorFlowClassifier(early_stopping=True, random_state=0)
    assert len(splits_of(lambda: model.fit(X, y), monkeypatch)) == 1


def test_many_held_out_rows_are_not_missed(monkeypatch):
    """The weights of the best epoch are kept, and no other model is trained."""
    monkeypatch.setattr(base, "FEW_HELD_OUT", 40)
    X, y = problem(400)
    model = VectorFlowClassifier(early_stopping=True, random_state=0)
    (held_out,) = splits_of(lambda: model.fit(X, y), monkeypatch)
    assert -model._mean_loss(model.network_, held_out, ALONE) == pytest.approx(model.best_validation_score_)


def test_given_validation_rows_are_not_trained_on():
    X, y = problem(600)
    model = VectorFlowClassifier(early_stopping=True, random_state=0).fit(
        X[:400], y[:400], X_val=X[400:], y_val=y[400:]
    )
    assert -log_loss(y[400:], model.predict_proba(X[400:])) == pytest.approx(model.best_validation_score_, rel=1e-4)


def test_training_continues_from_a_fitted_model():
    X, y = problem(400)
    model = VectorFlowClassifier(early_stopping=True, warm_start=True, random_state=0).fit(X, y)
    first = model.coef_.copy()
    model.set_params(max_iter=1, tol=None).fit(X, y)
    assert 0 < np.abs(model.coef_ - first).max() < 0.5 * np.abs(first).max()


# ---- other estimators ----------------------------------------------------------------------


def test_regressors_labels_and_classes_stop_early():
    X, y = problem(300)
    rng = np.random.default_rng(0)
    VectorFlowRegressor(early_stopping=True).fit(X, X @ rng.normal(size=X.shape[1]))
    VectorFlowRegressor(early_stopping=True).fit(X, X @ rng.normal(size=(X.shape[1], 2)))
    VectorFlowClassifier(early_stopping=True).fit(X, rng.integers(0, 3, 300))
    VectorFlowClassifier(early_stopping=True).fit(X, sparse.csr_array(np.column_stack([y, 1 - y])))


@pytest.mark.parametrize("distribution", ["exponential", "cox", "weibull"])
def test_models_of_durations_stop_early(distribution):
    X, _ = problem(300)
    time = np.random.default_rng(0).exponential(size=300)
    y = np.rec.fromarrays([time < 1.0, np.minimum(time, 1.0)], names="event,time")
    model = VectorFlowSurvivalEstimator(distribution, early_stopping=True).fit(X, y)
    assert np.all(np.isfinite(model.validation_scores_))


def test_scores_of_rankers_are_means_over_models():
    X, y = problem(300)
    model = VectorFlowRanker(early_stopping=True, eval_at=3, random_state=0).fit(X, y, qid=np.repeat(np.arange(60), 5))
    (scores,) = model.validation_ndcg_.values()
    assert len(scores) == model.n_iter_ == len(model.validation_scores_)
    model.set_params(early_stopping=False).fit(X, y, qid=np.repeat(np.arange(60), 5))
    assert not hasattr(model, "validation_ndcg_")
