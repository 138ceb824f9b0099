"""What the estimators do with formats, weights, stopping, labels, pickles and threads."""

import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.multiclass import OneVsRestClassifier

from sklearn_vectorflow import VectorFlowClassifier, VectorFlowRegressor, threads
from sklearn_vectorflow.io.matrix import as_matrix
from sklearn_vectorflow.losses import QuantileLoss, TweedieLoss
from sklearn_vectorflow.optimizers import FTRL, SGD, AdaGrad

N_ROWS, N_FEATURES = 400, 60
RNG = np.random.RandomState(0)
X = sparse.random(N_ROWS, N_FEATURES, 0.15, format="csr", random_state=1, dtype=np.float32)
SIGNAL = np.asarray(X @ RNG.randn(N_FEATURES)).ravel()
LABELS = (SIGNAL + 0.3 * RNG.randn(N_ROWS) > 0).astype(int)
THREE = np.digitize(SIGNAL, np.quantile(SIGNAL, [0.3, 0.7]))
POSITIVE = np.exp(0.3 * SIGNAL)
KINDS = {"linear": {}, "hidden": {"hidden_layer_sizes": (8,)}}


def classifier(**params):
    return VectorFlowClassifier(random_state=0, **params)


def regressor(**params):
    return VectorFlowRegressor(random_state=0, **params)


def wide_indices(matrix):
    matrix = matrix.copy()
    matrix.indices, matrix.indptr = matrix.indices.astype(np.int64), matrix.indptr.astype(np.int64)
    return matrix


def many_threads(monkeypatch):
    """Lets small work run in threads, however many cores there are."""
    monkeypatch.setattr(threads, "WORTHWHILE", 1)
    monkeypatch.setattr(threads, "_pool_limit", lambda: 8)


# ---- formats of X ---------------------------------------------------------------------

FORMS = {
    "csr float64": lambda X: X.astype(np.float64),
    "csr int64 indices": wide_indices,
    "csr int64 indices float64": lambda X: wide_indices(X.astype(np.float64)),
    "csr_array": sparse.csr_array,
    "csc": lambda X: X.tocsc(),
    "csc_array": sparse.csc_array,
    "coo": lambda X: X.tocoo(),
    "coo_array": sparse.coo_array,
    "bsr": lambda X: X.tobsr(blocksize=(1, 1)),
    "lil": lambda X: X.tolil(),
    "dok": lambda X: X.todok(),
    "dense float32": lambda X: X.toarray(),
    "dense float64": lambda X: X.toarray().astype(np.float64),
    "dense Fortran order": lambda X: np.asfortranarray(X.toarray()),
    "list": lambda X: X.toarray().tolist(),
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
@pytest.mark.parametrize("params", KINDS.values(), ids=KINDS)
def test_every_form_of_x_gives_the_same_model_and_predictions(form, params):
    reference = classifier(max_iter=3, **params).fit(X, LABELS)
    model = classifier(max_iter=3, **params).fit(form(X), LABELS)
    expected = reference.decision_function(X)
    np.testing.assert_allclose(model.decision_function(X), expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(reference.decision_function(form(X)), expected, rtol=1e-5, atol=1e-6)


def test_lists_are_as_precise_as_arrays_of_the_same_numbers():
    numbers = [[0.1, 1.0 / 3.0], [1e-9, 2.0]]
    found, expected = (as_matrix(classifier(), X, reset=True).values for X in (numbers, np.array(numbers)))
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)


def test_float32_csr_is_not_copied_or_changed():
    before = X.copy()
    assert as_matrix(classifier(), X, reset=True).values is X
    classifier(max_iter=1).fit(X, LABELS)
    for part in ("data", "indices", "indptr"):
        np.testing.assert_array_equal(getattr(X, part), getattr(before, part))


@pytest.mark.parametrize("optimizer", ["adagrad", "adam", "ftrl", "sgd"])
@pytest.mark.parametrize("params", KINDS.values(), ids=KINDS)
@pytest.mark.parametrize("zero", [0.0, 1e-40, -1e-60])
def test_stored_zeros_change_nothing(zero, params, optimizer):
    """Nor do values that single precision flushes to zero."""
    zeros = X.tobsr(blocksize=(2, 2)).tocsr().astype(np.float64)
    assert zeros.nnz > 2 * X.nnz
    zeros.data[zeros.data == 0.0] = zero
    got, expected = (
        classifier(max_iter=2, optimizer=optimizer, **params).fit(rows, LABELS).decision_function(X)
        for rows in (zeros, X)
    )
    np.testing.assert_allclose(got, expected, rtol=1e-3, atol=1e-4)


def test_repeated_columns_train_as_their_sum():
    halves = X.copy()
    halves.data /= 2
    twice = sparse.csr_matrix((N_ROWS, N_FEATURES), dtype=np.float32)
    twice.indptr = 2 * X.indptr
    twice.indices = np.concatenate([np.tile(X.indices[a:b][::-1], 2) for a, b in zip(X.indptr, X.indptr[1:])])
    twice.data = np.concatenate([np.tile(halves.data[a:b][::-1], 2) for a, b in zip(X.indptr, X.indptr[1:])])
    once, repeated = (classifier(max_iter=3).fit(rows, LABELS) for rows in (X, twice))
    np.testing.assert_allclose(once.coef_, repeated.coef_, rtol=1e-3, atol=1e-4)


@st.composite
def sparse_rows(draw):
    """A CSR matrix as only a user makes one: unsorted, repeated and missing entries, any types."""
    n_rows = draw(st.integers(1, 8))
    n_features = draw(st.integers(1, 30))
    lengths = draw(st.lists(st.integers(0, 12), min_size=n_rows, max_size=n_rows))
    indptr, stored = np.cumsum([0, *lengths]), sum(lengths)
    indices = draw(st.lists(st.integers(0, n_features - 1), min_size=stored, max_size=stored))
    values = draw(st.lists(st.floats(-100, 100, width=32), min_size=stored, max_size=stored))
    index_type = draw(st.sampled_from([np.int32, np.int64]))
    matrix = sparse.csr_array((n_rows, n_features), dtype=draw(st.sampled_from([np.float32, np.float64])))
    matrix.data = np.array(values, dtype=matrix.dtype)
    matrix.indices, matrix.indptr = np.array(indices, dtype=index_type), indptr.astype(index_type)
    return matrix


@settings(max_examples=150, deadline=None)
@given(sparse_rows(), st.integers(0, 2**31 - 1), st.integers(1, 4))
def test_raw_outputs_of_any_rows_are_the_product(rows, seed, n_outputs):
    rng = np.random.RandomState(seed)
    y = np.ones((2, n_outputs)) if n_outputs > 1 else np.ones(2)
    model = regressor(max_iter=1).fit(np.ones((2, rows.shape[1])), y)
    weights, intercepts = rng.randn(rows.shape[1], n_outputs), rng.randn(n_outputs)
    model.network_.set_weights([weights], [intercepts])
    weights, intercepts = weights.astype(np.float32).astype(np.float64), intercepts.astype(np.float32)
    dense = np.zeros(rows.shape)
    for row, (start, end) in enumerate(zip(rows.indptr, rows.indptr[1:])):
        np.add.at(dense[row], rows.indices[start:end], rows.data[start:end].astype(np.float64))
    magnitude = 1 + np.abs(rows.data).sum() * np.abs(weights).max()
    got = model.predict(rows).reshape(rows.shape[0], n_outputs)
    np.testing.assert_allclose(got, dense @ weights + intercepts, atol=1e-5 * magnitude / 10)


@settings(max_examples=60, deadline=None)
@given(sparse_rows(), st.integers(1, 5))
def test_training_on_any_rows_equals_training_on_their_sums(rows, batch_size):
    y = np.linspace(-1, 1, rows.shape[0])
    params = {"max_iter": 2, "batch_size": batch_size, "learning_rate": 1e-3, "shuffle": False}
    rows.data = np.round(rows.data / 8)  # sums of whole numbers are exact in float32
    got, expected = (regressor(**params).fit(matrix, y) for matrix in (rows, rows.toarray()))
    np.testing.assert_allclose(got.coef_, expected.coef_, rtol=1e-3, atol=1e-5)


# ---- stopping ---------------------------------------------------------------------------

VALIDATION = {"batch_size": 8, "early_stopping": True, "tol": 0.0, "n_iter_no_change": 4, "max_iter": 40}


@pytest.mark.parametrize("optimizer", ["adagrad", "adam", "ftrl", "sgd"])
@pytest.mark.parametrize("params", KINDS.values(), ids=KINDS)
@pytest.mark.filterwarnings("ignore:The fit ended worse")
def test_early_stopping_keeps_the_best_epoch(params, optimizer):
    train, held = slice(0, 60), slice(60, None)
    model = classifier(**params, **VALIDATION, optimizer=optimizer, learning_rate=0.5, alpha=0.0)
    model.fit(X[train], LABELS[train], X_val=X[held], y_val=LABELS[held])
    assert len(model.validation_scores_) == model.n_iter_ == len(model.loss_curve_)
    final = -log_loss(LABELS[held], model.predict_proba(X[held]))
    assert final == pytest.approx(max(model.validation_scores_), rel=1e-4)
    if optimizer in ("adagrad", "adam"):
        assert np.argmax(model.validation_scores_) < model.n_iter_ - 1  # else this shows nothing


def test_validation_weights_count():
    held = slice(200, None)
    weight = RNG.rand(200)
    model = classifier(max_iter=2)
    model.fit(X[:200], LABELS[:200], X_val=X[held], y_val=LABELS[held], sample_weight_val=weight)
    expected = -log_loss(LABELS[held], model.predict_proba(X[held]), sample_weight=weight)
    assert model.validation_scores_[-1] == pytest.approx(expected, rel=1e-5)
    assert abs(expected + log_loss(LABELS[held], model.predict_proba(X[held]))) > 1e-4


def test_validation_rows_do_not_train():
    plain = classifier(max_iter=3).fit(X[:200], LABELS[:200])
    watched = classifier(max_iter=3).fit(X[:200], LABELS[:200], X_val=X[200:], y_val=LABELS[200:])
    np.testing.assert_array_equal(plain.coef_, watched.coef_)


def test_validation_fraction_sets_rows_aside():
    model = classifier(early_stopping=True, validation_fraction=0.25, max_iter=3, tol=None).fit(X, LABELS)
    assert len(model.validation_scores_) == 3
    assert not hasattr(classifier(max_iter=3).fit(X, LABELS), "validation_scores_")


def test_refit_without_validation_forgets_validation_scores():
    model = classifier(early_stopping=True, max_iter=2).fit(X, LABELS)
    model.set_params(early_stopping=False).fit(X, LABELS)
    assert not hasattr(model, "validation_scores_")


def test_tol_stops_and_none_does_not():
    assert classifier(max_iter=30, tol=None).fit(X, LABELS).n_iter_ == 30
    eager, patient = (classifier(max_iter=30, tol=0.5, n_iter_no_change=n).fit(X, LABELS).n_iter_ for n in (1, 5))
    assert eager < patient < 30
    assert patient - eager == 4


# ---- going on ------------------------------------------------------------------------------

CONTINUED = {
    "auto": {},
    "adagrad": {"optimizer": AdaGrad(0.1)},
    "adam": {"optimizer": "adam"},
    "ftrl": {"optimizer": FTRL(0.1, beta=1.0)},
    "sgd": {"optimizer": "sgd"},
    "lazy L1": {"alpha": 1e-3, "l1_ratio": 1.0},
    "hidden": {"hidden_layer_sizes": (8,)},
    "averaged": {"average": True},
}


@pytest.mark.parametrize("params", CONTINUED.values(), ids=CONTINUED)
def test_warm_start_equals_one_longer_fit(params):
    """Weights and the optimizer's state go on; without shuffling nothing else matters."""
    common = {**params, "shuffle": False, "tol": None}
    longer = classifier(**common, max_iter=6).fit(X, LABELS)
    warm = classifier(**common, max_iter=3, warm_start=True).fit(X, LABELS)
    first = warm.loss_curve_[-1]
    warm.fit(X, LABELS)
    assert warm.loss_curve_[-1] < first
    np.testing.assert_allclose(warm.coefs_[0], longer.coefs_[0], rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(warm.loss_curve_, longer.loss_curve_[3:], rtol=1e-4)


@pytest.mark.parametrize("params", CONTINUED.values(), ids=CONTINUED)
def test_partial_fit_over_blocks_equals_one_epoch(params):
    if "average" in params:
        params = {"average": 100}
    # default rates and strengths, and the first intercept, come from the first block
    params = {"optimizer": AdaGrad(0.1), "alpha": 1e-6, **params, "shuffle": False, "fit_intercept": False}
    blocks = [slice(start, start + 100) for start in range(0, N_ROWS, 100)]
    whole = classifier(**params, max_iter=1).fit(X, LABELS)
    parts = classifier(**params)
    for block in blocks:
        parts.partial_fit(X[block], LABELS[block], classes=[0, 1])
    assert parts.n_iter_ == len(blocks)
    np.testing.assert_allclose(parts.coefs_[0], whole.coefs_[0], rtol=1e-3, atol=1e-5)


def test_partial_fit_takes_classes_that_have_not_come_yet():
    model = classifier().partial_fit(X[:50], np.zeros(50, int), classes=[0, 1, 2])
    assert model.predict_proba(X).shape == (N_ROWS, 3)
    model.partial_fit(X, THREE)
    np.testing.assert_array_equal(model.classes_, [0, 1, 2])


def test_average_smooths_the_weights():
    noisy = {"optimizer": "sgd", "learning_rate": 2.0, "max_iter": 20, "tol": None}
    plain, averaged = classifier(**noisy).fit(X, LABELS), classifier(**noisy, average=True).fit(X, LABELS)
    assert averaged.network_.parameters[0].averaged
    live = averaged.network_.parameters[0].weights().T
    np.testing.assert_allclose(live, plain.coef_, rtol=1e-4)
    assert not np.allclose(averaged.coef_, live, rtol=1e-3)


@pytest.mark.parametrize("n_epochs", [3, 10, 40, 130, 300])
def test_means_are_no_farther_from_the_optimum_than_weights(n_epochs):
    """Digits, even against odd: FTRL, the default without means, is 0.03 % above the optimum after 300 epochs."""
    images, digits = load_digits(return_X_y=True)
    images, y = images / 16, digits % 2
    signs = 2 * y - 1

    def objective(coef, intercept):
        return np.logaddexp(0, -(images @ coef + intercept) * signs).mean() + 1e-3 / 2 * coef @ coef

    best = LogisticRegression(C=1e3 / len(y), tol=1e-10, max_iter=10_000).fit(images, y)
    optimum = objective(best.coef_[0], best.intercept_[0])
    above = []
    for average in (False, True):
        model = classifier(alpha=1e-3, average=average, max_iter=n_epochs, tol=None).fit(images, y)
        above.append(objective(model.coef_[0].astype(float), float(model.intercept_[0])) / optimum - 1)
    assert above[1] < 1.05 * above[0]
    assert n_epochs < 300 or above[1] < 5e-4


def test_means_of_many_blocks_forget_the_first_ones():
    """Each time that the steps have doubled the mean begins anew; a number of rows in place of True is kept to."""
    noisy = {"optimizer": SGD(0.3, schedule="constant"), "fit_intercept": False}
    far, near = (regressor(**noisy, average=average) for average in (10, True))
    for block in range(160):
        rows = slice(10 * block % 400, 10 * block % 400 + 10)
        y = SIGNAL[rows] + (1000 if block == 0 else 0)
        far.partial_fit(X[rows], y), near.partial_fit(X[rows], y)
    truth = regressor(alpha=1e-3).fit(X, SIGNAL)
    errors = [np.mean((model.predict(X) - truth.predict(X)) ** 2) for model in (far, near)]
    assert errors[1] < 0.5 * errors[0]


def test_average_over_partial_fits_is_used():
    model = classifier(average=True)
    for _ in range(3):
        model.partial_fit(X, LABELS, classes=[0, 1])
    assert not np.array_equal(model.coef_, model.network_.parameters[0].weights().T)


# ---- weights of rows and classes ------------------------------------------------------------


def test_class_weights_are_row_weights():
    y = (SIGNAL > 1).astype(int)
    factors = {0: 0.5, 1: 3.0}
    by_class = classifier(class_weight=factors, max_iter=3).fit(X, y)
    by_row = classifier(max_iter=3).fit(X, y, sample_weight=np.where(y == 1, 3.0, 0.5))
    np.testing.assert_array_equal(by_class.coef_, by_row.coef_)


def test_balanced_class_weights_are_inverse_frequencies():
    y = (SIGNAL > 1).astype(int)
    balanced = classifier(class_weight="balanced", max_iter=3).fit(X, y)
    weight = N_ROWS / (2 * np.bincount(y))
    by_row = classifier(max_iter=3).fit(X, y, sample_weight=weight[y])
    np.testing.assert_array_equal(balanced.coef_, by_row.coef_)
    assert not np.array_equal(balanced.coef_, classifier(max_iter=3).fit(X, y).coef_)


def test_class_and_row_weights_multiply():
    weight = RNG.rand(N_ROWS)
    both = classifier(class_weight={1: 2.0}, max_iter=3).fit(X, LABELS, weight)
    product = classifier(max_iter=3).fit(X, LABELS, weight * np.where(LABELS == 1, 2.0, 1.0))
    np.testing.assert_array_equal(both.coef_, product.coef_)


def test_rows_of_zero_weight_do_not_train():
    weight = (np.arange(N_ROWS) < 300).astype(float)
    weighted = classifier(max_iter=3, shuffle=False).fit(X, LABELS, weight)
    fewer = classifier(max_iter=3, shuffle=False).fit(X[:300], LABELS[:300])
    np.testing.assert_allclose(weighted.coef_, fewer.coef_, rtol=1e-5, atol=1e-6)


# ---- kinds of targets ------------------------------------------------------------------------


def test_string_labels():
    names = np.array(["no", "yes"])
    model = classifier(max_iter=3).fit(X, names[LABELS])
    np.testing.assert_array_equal(model.classes_, names)
    np.testing.assert_array_equal(model.predict(X), names[classifier(max_iter=3).fit(X, LABELS).predict(X)])


@pytest.mark.parametrize("params", KINDS.values(), ids=KINDS)
def test_labels_dense_and_sparse_give_the_same_model(params):
    labels = np.column_stack([SIGNAL > 0, SIGNAL > 1, RNG.rand(N_ROWS) > 0.5]).astype(int)
    dense, csr, csc = (
        classifier(max_iter=3, **params).fit(X, form(labels))
        for form in (np.array, sparse.csr_matrix, sparse.csc_array)
    )
    assert dense.predict(X).shape == dense.predict_proba(X).shape == (N_ROWS, 3)
    # nets with one hidden layer have a kernel of their own for dense targets: equal up to rounding
    np.testing.assert_allclose(dense.decision_function(X), csr.decision_function(X), rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(csr.decision_function(X), csc.decision_function(X))
    assert (dense.predict(X)[:, 0] == labels[:, 0]).mean() > 0.8


def test_one_vs_rest_is_a_model_for_each_class():
    options = {"optimizer": AdaGrad(0.1), "alpha": 1e-6, "max_iter": 3, "shuffle": False}  # defaults know all classes
    together = classifier(loss="one_vs_rest", **options).fit(X, THREE)
    apart = OneVsRestClassifier(classifier(**options)).fit(X, THREE)
    np.testing.assert_allclose(together.decision_function(X), apart.decision_function(X), rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(together.predict_proba(X).sum(axis=1), 1.0)


def test_multinomial_is_the_softmax_regression():
    model = classifier(max_iter=300, tol=None, alpha=1e-3, learning_rate=0.3, average=N_ROWS * 100).fit(X, THREE)
    exact = LogisticRegression(C=1 / (1e-3 * N_ROWS), max_iter=1000).fit(X, THREE)
    np.testing.assert_allclose(model.predict_proba(X), exact.predict_proba(X), atol=0.02)


def test_multinomial_of_two_classes_is_the_log_loss():
    two = classifier(loss="multinomial", max_iter=200, tol=None, alpha=0.01, average=N_ROWS * 50).fit(X, LABELS)
    one = classifier(max_iter=200, tol=None, alpha=0.02, average=N_ROWS * 50).fit(X, LABELS)
    assert two.coef_.shape == (2, N_FEATURES)
    assert two.decision_function(X).shape == (N_ROWS,)
    np.testing.assert_array_equal(two.predict(X), (two.predict_proba(X)[:, 1] > 0.5).astype(int))
    np.testing.assert_allclose(two.predict_proba(X).sum(axis=1), 1.0)
    # w and -w share the weight u = 2w: alpha (w^2 + w^2) / 2 = (alpha / 2) u^2 / 2
    halved = classifier(max_iter=200, tol=None, alpha=0.005, average=N_ROWS * 50).fit(X, LABELS)
    np.testing.assert_allclose(two.predict_proba(X), halved.predict_proba(X), atol=0.02)
    assert np.abs(two.predict_proba(X) - one.predict_proba(X)).max() > 0.02


def test_regression_of_several_outputs_is_one_for_each():
    Y = np.column_stack([SIGNAL, -2 * SIGNAL, POSITIVE])
    params = {
        "max_iter": 3,
        "shuffle": False,
        "optimizer": FTRL(0.1, beta=1.0),
        "alpha": 1e-4,
    }  # defaults come from all of Y
    together = regressor(**params).fit(X, Y)
    assert together.coef_.shape == (3, N_FEATURES)
    for k in range(3):
        alone = regressor(**params).fit(X, Y[:, k])
        assert alone.coef_.shape == (N_FEATURES,)
        np.testing.assert_allclose(together.predict(X)[:, k], alone.predict(X), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("loss", ["poisson", "gamma", TweedieLoss(1.5), TweedieLoss(0)], ids=str)
def test_log_link_predicts_positive_numbers(loss):
    model = regressor(loss=loss, max_iter=10).fit(X, POSITIVE)
    prediction = model.predict(X)
    assert np.all(prediction > 0)
    assert np.corrcoef(prediction, POSITIVE)[0, 1] > 0.8
    np.testing.assert_allclose(np.log(prediction), X @ model.coef_ + model.intercept_, rtol=1e-3, atol=1e-4)


def test_quantiles_lie_above_their_share():
    y = RNG.exponential(size=N_ROWS)
    for quantile in (0.2, 0.8):
        model = regressor(loss=QuantileLoss(quantile), max_iter=50, alpha=0.1, learning_rate=0.05, tol=None).fit(X, y)
        assert (y <= model.predict(X)).mean() == pytest.approx(quantile, abs=0.1)


# ---- L1, sparsify, pickle ---------------------------------------------------------------------


def wide(matrix, n_features=20_000):
    matrix = matrix.copy()
    matrix.resize(N_ROWS, n_features)
    return matrix


@pytest.mark.parametrize("optimizer", ["adagrad", "ftrl", "sgd"])
def test_l1_gives_zeros_and_a_small_pickle_without_state(optimizer):
    rows = wide(sparse.random(N_ROWS, 20_000, 0.005, format="csr", random_state=0, dtype=np.float32))
    dense = classifier(optimizer=optimizer, max_iter=3, alpha=1e-6).fit(rows, LABELS)
    zeros = classifier(optimizer=optimizer, max_iter=3, alpha=0.01, l1_ratio=1.0).fit(rows, LABELS)
    assert np.mean(dense.coef_ == 0) < 0.3
    assert np.mean(zeros.coef_ == 0) > 0.85
    dense.network_.keep_state = zeros.network_.keep_state = False
    assert 3 * len(pickle.dumps(zeros)) < len(pickle.dumps(dense))
    loaded = pickle.loads(pickle.dumps(zeros))
    np.testing.assert_array_equal(loaded.decision_function(rows), zeros.decision_function(rows))


@pytest.mark.parametrize("make, y", [(classifier, LABELS), (classifier, THREE), (regressor, SIGNAL)])
def test_sparsify_and_densify(make, y):
    model = make(alpha=0.01, l1_ratio=1.0).fit(X, y)
    before, coef = model.predict(X), model.coef_.copy()
    assert model.sparsify() is model
    assert sparse.issparse(model.coef_)
    assert model.coef_.nnz == np.count_nonzero(coef)
    np.testing.assert_array_equal(model.predict(X), before)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(model)).predict(X), before)
    np.testing.assert_array_equal(model.densify().coef_, coef)
    np.testing.assert_array_equal(model.predict(X), before)


def test_partial_fit_goes_on_after_sparsify():
    model = classifier(alpha=0.01, l1_ratio=1.0).fit(X, LABELS).sparsify()
    before = model.decision_function(X)
    model.partial_fit(X[:1], LABELS[:1])
    after = model.decision_function(X)
    assert np.any(after != before)
    assert np.corrcoef(after, before)[0, 1] > 0.9  # one row does not undo the fit


def test_a_net_has_no_sparsify():
    model = classifier(hidden_layer_sizes=(4,), max_iter=1).fit(X, LABELS)
    assert not hasattr(model, "sparsify")
    assert not hasattr(model, "coef_")
    assert [w.shape for w in model.coefs_] == [(N_FEATURES, 4), (4, 1)]
    assert [b.shape for b in model.intercepts_] == [(4,), (1,)]


LOAD_AND_PREDICT = """
import pickle, sys
import numpy as np
with open(sys.argv[1], "rb") as file:
    model, X = pickle.load(file)
np.save(sys.argv[2], model.decision_function(X))
"""


@pytest.mark.parametrize("params", [{}, {"hidden_layer_sizes": (8,), "loss": "one_vs_rest"}], ids=["linear", "hidden"])
def test_pickles_load_in_another_process(params, tmp_path):
    model = classifier(max_iter=2, optimizer="ftrl", **params).fit(X, THREE)
    with open(tmp_path / "model.pkl", "wb") as file:
        pickle.dump((model, X), file)
    paths = str(tmp_path / "model.pkl"), str(tmp_path / "raw.npy")
    subprocess.run([sys.executable, "-P", "-c", LOAD_AND_PREDICT, *paths], check=True)
    np.testing.assert_array_equal(np.load(tmp_path / "raw.npy"), model.decision_function(X))


@pytest.mark.parametrize("params", CONTINUED.values(), ids=CONTINUED)
def test_pickles_between_partial_fits_keep_the_optimizers_state(params):
    straight = classifier(**params).partial_fit(X[:200], LABELS[:200], classes=[0, 1])
    resumed = pickle.loads(pickle.dumps(straight))
    for model in (straight, resumed):
        model.partial_fit(X[200:], LABELS[200:])
    np.testing.assert_array_equal(resumed.decision_function(X), straight.decision_function(X))


@pytest.mark.parametrize("params", CONTINUED.values(), ids=CONTINUED)
def test_pickles_without_state_hold_weights_alone(params):
    model = classifier(**params, max_iter=2).fit(X, LABELS)
    model.network_.keep_state = False
    loaded = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(loaded.decision_function(X), model.decision_function(X))
    assert all(p.layout.stride == p.layout.n_out for p in loaded.network_.parameters)


def test_a_memory_mapped_model_predicts_and_trains(tmp_path):
    import joblib

    model = classifier(max_iter=2).fit(X, LABELS)
    joblib.dump(model, tmp_path / "model.joblib")
    mapped = joblib.load(tmp_path / "model.joblib", mmap_mode="r")
    np.testing.assert_array_equal(mapped.decision_function(X), model.decision_function(X))
    np.testing.assert_allclose(
        mapped.partial_fit(X, LABELS).coef_, pickle.loads(pickle.dumps(model)).partial_fit(X, LABELS).coef_, rtol=1e-5
    )


# ---- threads ------------------------------------------------------------------------------------


@pytest.mark.parametrize("params", KINDS.values(), ids=KINDS)
def test_predictions_of_two_threads_are_those_of_one(params, monkeypatch):
    many_threads(monkeypatch)
    model = classifier(n_jobs=2, max_iter=5, **params).fit(X, THREE)
    assert threads.n_workers(2, 100) == 2
    assert model.score(X, THREE) > 0.7
    two, one = model.decision_function(X), model.set_params(n_jobs=1).decision_function(X)
    np.testing.assert_array_equal(two, one)


@pytest.mark.parametrize("make, y", [(classifier, LABELS), (regressor, SIGNAL)])
def test_two_threads_train_as_well_as_one(make, y, monkeypatch):
    many_threads(monkeypatch)
    one, two = (make(n_jobs=n_jobs, max_iter=20, tol=None).fit(X, y) for n_jobs in (1, 2))
    assert two.loss_curve_[-1] == pytest.approx(one.loss_curve_[-1], rel=0.2, abs=0.02)
    assert two.loss_curve_[-1] < 0.7 * two.loss_curve_[0]


def test_one_seed_gives_the_same_bits():
    for params in KINDS.values():
        first, second = (classifier(**params, dropout=0.1, input_dropout=0.1).fit(X, LABELS) for _ in range(2))
        np.testing.assert_array_equal(first.decision_function(X), second.decision_function(X))
        other = classifier(**params, dropout=0.1, input_dropout=0.1).set_params(random_state=1).fit(X, LABELS)
        assert not np.array_equal(first.decision_function(X), other.decision_function(X))


SHARED = {
    "fitted": lambda: classifier(hidden_layer_sizes=(8,)).fit(X, THREE),
    "in the middle of training": lambda: classifier(alpha=0.1, l1_ratio=1.0).partial_fit(X, THREE, classes=[0, 1, 2]),
    "averaged": lambda: classifier(average=10).partial_fit(X, THREE, classes=[0, 1, 2]),
    "sparsified": lambda: classifier(alpha=0.01, l1_ratio=1.0).fit(X, THREE).sparsify(),
}


@pytest.mark.parametrize("make", SHARED.values(), ids=SHARED)
def test_eight_threads_predict_with_one_model(make):
    expected = make().decision_function(X)
    model = make()
    with ThreadPoolExecutor(8) as pool:
        for got in pool.map(lambda _: model.decision_function(X), range(64)):
            np.testing.assert_array_equal(got, expected)


def test_eight_threads_settle_a_wide_model_once():
    n_features = 500_000
    columns = RNG.randint(0, n_features, 2000)
    rows = sparse.csr_matrix((np.ones(2000, np.float32), columns, np.arange(0, 2001, 20)), (100, n_features))
    y = np.arange(100) % 2
    params = {"alpha": 1e-3, "l1_ratio": 0.5, "average": 1}
    expected = classifier(**params).partial_fit(rows, y, classes=[0, 1]).decision_function(rows)
    for _ in range(5):
        model = classifier(**params).partial_fit(rows, y, classes=[0, 1])
        with ThreadPoolExecutor(8) as pool:
            for got in pool.map(lambda _: model.decision_function(rows), range(16)):
                np.testing.assert_array_equal(got, expected)


def test_four_threads_fit_at_once():
    def fit(seed):
        return clone(classifier()).set_params(random_state=seed, max_iter=5).fit(X, LABELS).coef_

    expected = [fit(seed).copy() for seed in range(4)]
    with ThreadPoolExecutor(4) as pool:
        for got, alone in zip(pool.map(fit, range(4)), expected):
            np.testing.assert_array_equal(got, alone)
