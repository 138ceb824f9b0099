"""Situations in which defaults failed once, beside tuned models: orders of rows, ids, weights of classes, few rows.

Where the other situations are tested:

- few rows, batch_size=n; noise in a handful of rows: test_untuned, and here
- rare events; 20 and 60 classes (here 100); claims that are rare; balanced classes: test_untuned, and here
- empty rows, rows of weight zero; one column much larger; ids taken for numbers: test_untuned, test_encoder_ids
- targets in two units, far from zero, constant: test_untuned
- row by row, first blocks that are small or tell nothing: test_streams; updates of copies: test_updates
- sorted rows: test_sorted_rows, and here (100 classes)
- sums of a linear part and a net, factorization machines, dead units, many weights: test_net_defaults
- averages on digits: test_estimators; streams that drift: test_half_life
- the default loss of rankers: test_ranking, and here; units of Cox and ranking losses: test_untuned
- warnings of fits that end too early, or worse than they began: test_initial_weights, robustness/test_numbers
"""

import numpy as np
import pytest
from scipy import sparse
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss, roc_auc_score

from sklearn_vectorflow import VectorFlowClassifier, VectorFlowRanker, VectorFlowRegressor
from sklearn_vectorflow.optimizers import AdaGrad

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def ones(n_rows, n_columns, n_ones, rng):
    """Rows of ones in random columns."""
    columns = rng.integers(0, n_columns, n_rows * n_ones)
    starts = np.arange(0, n_rows * n_ones + 1, n_ones)
    return sparse.csr_matrix((np.ones(n_rows * n_ones, np.float32), columns, starts), shape=(n_rows, n_columns))


def labels(score, intercept, rng):
    return (score + intercept + rng.logistic(size=len(score)) > 0).astype(int)


# ---- few rows -------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_rows", [10, 16, 24, 32, 40, 48, 56, 64])
def test_the_loss_of_a_handful_of_rows_falls(n_rows):
    for seed in range(4):
        rng = np.random.default_rng(seed)
        X = rng.normal(size=(n_rows, 10))
        y = 3 * X[:, 0] + rng.normal(size=n_rows)
        for model, targets in ((VectorFlowRegressor(random_state=0), y), (VectorFlowClassifier(random_state=0), y > 0)):
            losses = model.fit(X, targets).loss_curve_
            assert losses[-1] < losses[0]


def test_the_only_row_of_a_class_stays_in_training():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 5))
    y = np.where(X[:, 0] > 0, "a", "b").astype(object)
    y[7] = "only"
    model = VectorFlowClassifier(early_stopping=True, max_iter=3, random_state=0).fit(X, y)
    assert list(model.classes_) == ["a", "b", "only"]
    with pytest.raises(
        ValueError, match=r"validation_fraction=0.1 does not split the rows: each class has only one row"
    ):
        VectorFlowClassifier(early_stopping=True).fit(X[:20], np.arange(20))


# ---- many classes, rare classes ---------------------------------------------------------------------


def test_a_hundred_classes_are_predicted_as_by_a_tuned_model():
    rng = np.random.default_rng(0)
    n_rows = 30_000
    X = ones(n_rows + 10_000, 1000, 10, rng)
    scores = X @ rng.normal(scale=0.8, size=(1000, 100))
    y = (scores + rng.gumbel(size=scores.shape)).argmax(axis=1)

    def loss(**parameters):
        model = VectorFlowClassifier(random_state=0, **parameters).fit(X[:n_rows], y[:n_rows])
        return log_loss(y[n_rows:], model.predict_proba(X[n_rows:]))

    assert loss() < 1.02 * min(loss(alpha=strength / n_rows) for strength in (1.0, 1.7, 3.0))


def test_balanced_classes_of_two_in_a_thousand_are_ranked_as_by_a_tuned_model():
    rng = np.random.default_rng(0)
    n_rows = 60_000
    X = ones(n_rows + 40_000, 1000, 10, rng)
    y = labels(X @ rng.normal(scale=0.7, size=1000), -8.5, rng)
    assert 0.001 < y.mean() < 0.003

    def auc(model):
        model.fit(X[:n_rows], y[:n_rows])
        return roc_auc_score(y[n_rows:], model.decision_function(X[n_rows:]))

    tuned = max(auc(LogisticRegression(C=C, class_weight="balanced", max_iter=1000)) for C in (0.0003, 0.003, 0.03))
    assert auc(VectorFlowClassifier(class_weight="balanced", random_state=0)) > tuned - 0.005


def test_balanced_classes_have_weights_of_rows_counted():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(300, 5)), (np.arange(300) % 5 == 0).astype(int)
    weight = rng.integers(1, 4, 300).astype(float)
    options = {"max_iter": 3, "random_state": 0}
    balanced = VectorFlowClassifier(class_weight="balanced", **options).fit(X, y, weight)
    total = np.bincount(y, weight)
    by_row = VectorFlowClassifier(**options).fit(X, y, weight * (weight.sum() / (2 * total))[y])
    np.testing.assert_allclose(balanced.coef_, by_row.coef_, rtol=1e-5)


def test_classes_are_balanced_in_each_block_of_partial_fit():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(600, 5)), (rng.random(600) < np.repeat([0.1, 0.6], 300)).astype(int)
    weight = rng.integers(1, 4, 600).astype(float)
    options = {"optimizer": AdaGrad(0.1), "alpha": 1e-4, "random_state": 0}  # which need no rows to follow
    balanced = VectorFlowClassifier(class_weight="balanced", **options)
    by_row = VectorFlowClassifier(**options)
    for rows in (slice(0, 300), slice(300, 600)):
        total = np.bincount(y[rows], weight[rows])
        factors = total.sum() / (2 * total)
        balanced.partial_fit(X[rows], y[rows], classes=[0, 1], sample_weight=weight[rows])
        by_row.partial_fit(X[rows], y[rows], classes=[0, 1], sample_weight=weight[rows] * factors[y[rows]])
    np.testing.assert_allclose(balanced.coef_, by_row.coef_, rtol=1e-5)


def test_a_block_without_a_class_is_balanced_among_the_others():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 5))
    y = np.where(X[:, 0] > 0, 1, 0)
    model = VectorFlowClassifier(class_weight="balanced", random_state=0).partial_fit(X, y, classes=[0, 1, 2])
    assert model.score(X, y) > 0.95


# ---- sorted rows ------------------------------------------------------------------------------------


def test_rows_sorted_by_a_hundred_classes_are_as_good_as_shuffled_ones():
    rng = np.random.default_rng(0)
    n_rows = 70_000
    X = ones(n_rows + 10_000, 300, 8, rng)
    scores = X @ rng.normal(scale=0.5, size=(300, 100))
    y = (scores + rng.gumbel(size=scores.shape)).argmax(axis=1)
    found = []
    for rows in (np.arange(n_rows), np.argsort(y[:n_rows], kind="stable")):
        model = VectorFlowClassifier(random_state=0).fit(X[rows], y[rows])
        assert np.all(np.diff(model.loss_curve_) < 0.001)
        found.append(log_loss(y[n_rows:], model.predict_proba(X[n_rows:])))
    assert found[1] < 1.003 * found[0]


# ---- columns of many values -------------------------------------------------------------------------


def test_clicks_on_columns_of_many_values_end_at_the_best_of_strengths_and_epochs():
    rng = np.random.default_rng(0)
    n_rows, n_values = 100_000, [10, 50, 200, 1000, 3000, 10_000, 30_000, 30_000, 100_000, 100_000, 100_000, 300_000]
    values = [(size * rng.random(n_rows + 30_000) ** 3).astype(int) for size in n_values]
    columns = np.column_stack(values) + np.r_[0, np.cumsum(n_values)[:-1]]
    starts = np.arange(0, columns.size + 1, len(n_values))
    X = sparse.csr_matrix((np.ones(columns.size, np.float32), columns.ravel(), starts))
    y = labels(X @ rng.normal(scale=0.4, size=X.shape[1]), -1.5, rng)

    def loss(**parameters):
        model = VectorFlowClassifier(random_state=0, **parameters).fit(X[:n_rows], y[:n_rows])
        return log_loss(y[n_rows:], model.predict_proba(X[n_rows:]))

    others = [{"max_iter": 1}, *({"alpha": alpha} for alpha in (1e-5, 3e-5, 1e-4))]
    assert loss() < 1.01 * min(loss(**one) for one in others)


# ---- ranking ----------------------------------------------------------------------------------------


def test_the_default_ranker_is_near_the_best_on_its_own_example():
    scores = {"lambdarank": [], "pairwise_logistic": [], "warp": []}
    train = np.arange(1000) < 700
    for seed in range(4):
        X = sparse.random_array((1000, 50), density=0.1, rng=seed, format="csr")
        y, qid = np.digitize(X @ np.arange(50), [100, 150, 200]), np.repeat(np.arange(100), 10)
        for loss, found in scores.items():
            model = VectorFlowRanker(loss=loss, random_state=0).fit(X[train], y[train], qid=qid[train])
            found.append(model.score(X[~train], y[~train], qid=qid[~train], k=10))
    default, *others = (np.mean(found) for found in scores.values())
    assert default > max(others) - 0.02


# ---- early stopping -----------------------------------------------------------------------------------


@pytest.mark.parametrize("hidden_layer_sizes", [(), (16,)])
@pytest.mark.parametrize("n_values, signal", [(2_000, 0.6), (20_000, 0.6), (20_000, 1.5)])
def test_early_stopping_ends_within_a_hundredth_of_the_best_epoch(n_values, signal, hidden_layer_sizes):
    stopped, best = [], []
    for seed in range(3):
        rng = np.random.default_rng(seed)
        columns = (n_values * rng.random((30_000, 10)) ** 2).astype(int)
        X = sparse.csr_matrix((np.ones(columns.size, np.float32), columns.ravel(), np.arange(0, columns.size + 1, 10)))
        X.sum_duplicates()
        y = labels(X @ rng.normal(scale=signal, size=X.shape[1]), 0.0, rng)
        train, held_out, test = slice(0, 18_000), slice(18_000, 20_000), slice(20_000, None)

        def fit(watched, **parameters):
            model = VectorFlowClassifier(hidden_layer_sizes, random_state=0, **parameters)
            return model.fit(X[train], y[train], X_val=X[watched], y_val=y[watched])

        best.append(-max(fit(test, early_stopping=False, tol=None).validation_scores_))
        stopped.append(log_loss(y[test], fit(held_out, early_stopping=True).predict_proba(X[test])))
    assert np.mean(stopped) < 1.01 * np.mean(best)


def test_early_stopping_goes_on_while_a_small_loss_falls():
    """A share of the typical loss would be most of what is left of it."""
    rng = np.random.default_rng(0)
    columns = rng.zipf(1.5, (25_000, 10)) % 2000
    X = sparse.csr_matrix((np.ones(columns.size, np.float32), columns.ravel(), np.arange(0, columns.size + 1, 10)))
    X.sum_duplicates()
    score = X @ rng.normal(size=X.shape[1])
    y = 5 * (score - score.mean()) / score.std() + rng.normal(size=25_000)
    train, held_out, test = slice(0, 18_000), slice(18_000, 20_000), slice(20_000, None)

    def fit(watched, **parameters):
        model = VectorFlowRegressor(random_state=0, **parameters)
        return model.fit(X[train], y[train], X_val=X[watched], y_val=y[watched])

    best = -max(fit(test, early_stopping=False, tol=None).validation_scores_)
    model = fit(held_out, early_stopping=True)
    assert np.mean((model.predict(X[test]) - y[test]) ** 2) / 2 < 1.03 * best
