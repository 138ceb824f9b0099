"""Weights that users give training to start from."""

import numpy as np
import pytest
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning

from sklearn_vectorflow import VectorFlowClassifier, VectorFlowRegressor

X = sparse.random_array((500, 20), density=0.3, rng=0, format="csr", dtype=np.float32)
COEF = np.random.default_rng(0).normal(size=20)
SIGNAL = X @ COEF
FROZEN = {"max_iter": 1, "tol": None, "alpha": 0.0, "random_state": 0, "solver": "sgd"}  # it hardly moves
SLOW = {"optimizer": "sgd", "learning_rate": 1e-12, **FROZEN}


@pytest.mark.parametrize("rule", [{"optimizer": "sgd"}, {"optimizer": "adagrad"}, {"optimizer": "adam"}, {}], ids=str)
def test_training_starts_from_given_weights(rule):
    model = VectorFlowRegressor(learning_rate=1e-12, **rule, **FROZEN)
    model.fit(X, SIGNAL + 1.0, coef_init=COEF, intercept_init=[1.0])
    assert model.coef_ == pytest.approx(COEF, abs=1e-5)
    assert model.intercept_ == pytest.approx([1.0], abs=1e-5)
    assert model.loss_curve_[0] < 1e-9


def test_fewer_epochs_are_needed_from_the_weights_of_another_fit():
    y = np.random.default_rng(1).random(500) < 1 / (1 + np.exp(-3 * SIGNAL))
    first = VectorFlowClassifier(random_state=0).fit(X, y)
    again = VectorFlowClassifier(random_state=0, max_iter=1, tol=None)
    cold = again.fit(X, y).loss_curve_[0]
    warm = again.fit(X, y, coef_init=first.coef_, intercept_init=first.intercept_).loss_curve_[0]
    assert warm < cold - 0.05


def test_shapes_of_several_outputs():
    classes = np.digitize(SIGNAL, [-0.5, 0.5])
    coef = np.stack([COEF, 2 * COEF, -COEF])
    model = VectorFlowClassifier(**SLOW).fit(X, classes, coef_init=coef, intercept_init=[1.0, 2.0, 3.0])
    assert model.coef_ == pytest.approx(coef, abs=1e-5)
    assert model.intercept_ == pytest.approx([1.0, 2.0, 3.0], abs=1e-5)
    targets = np.column_stack([SIGNAL, 1e4 * SIGNAL]) + [0.0, 1e8]  # learnt in units of their own
    model = VectorFlowRegressor(**SLOW)
    model.fit(X, targets, coef_init=np.stack([COEF, 1e4 * COEF]), intercept_init=[0.0, 1e8])
    assert model.predict(X) == pytest.approx(targets, rel=1e-4, abs=1e-3)
    assert model.coef_[1] == pytest.approx(1e4 * COEF, rel=1e-4)


def test_one_of_the_two_may_be_given_alone():
    model = VectorFlowRegressor(**SLOW).fit(X, SIGNAL + 5.0, coef_init=COEF)
    assert model.intercept_ == pytest.approx([np.mean(SIGNAL) + 5.0], abs=1e-5)
    with pytest.warns(ConvergenceWarning, match="ended worse than it began"):  # no step is taken
        model = VectorFlowRegressor(**SLOW).fit(X, SIGNAL + 5.0, intercept_init=-2.0)
    assert model.intercept_ == pytest.approx([-2.0], abs=1e-5)
    assert not np.any(np.abs(model.coef_) > 1e-5)


def test_a_warm_start_takes_given_weights_too():
    model = VectorFlowRegressor(warm_start=True, **SLOW).fit(X, SIGNAL)
    before = model.intercept_.copy()
    model.fit(X, SIGNAL, coef_init=COEF)
    assert model.coef_ == pytest.approx(COEF, abs=1e-5)
    assert model.intercept_ == pytest.approx(before, abs=1e-5)


def test_the_exact_solver_ends_where_it_does_from_zeros():
    model = VectorFlowRegressor(solver="exact", alpha=0.01, exact_tol=1e-10, random_state=0)
    plain = model.fit(X, SIGNAL).coef_.copy()
    assert model.fit(X, SIGNAL, coef_init=100 * COEF, intercept_init=9.0).coef_ == pytest.approx(plain, abs=1e-5)


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"coef_init": COEF[:5]}, ValueError, r"coef_init must have shape \(1, 20\), got \(5,\)"),
        ({"coef_init": np.zeros((2, 20))}, ValueError, "coef_init must have shape"),
        ({"coef_init": np.full(20, np.nan)}, ValueError, "coef_init contains NaN"),
        ({"coef_init": ["a"] * 20}, TypeError, "coef_init must be numbers"),
        ({"intercept_init": [1.0, 2.0]}, ValueError, r"intercept_init must have shape \(1,\)"),
        ({"intercept_init": np.inf}, ValueError, "intercept_init contains NaN or infinity"),
    ],
)
def test_bad_weights_are_refused(given, error, message):
    with pytest.raises(error, match=message):
        VectorFlowRegressor().fit(X, SIGNAL, **given)


def test_models_that_have_no_such_weights_refuse_them():
    with pytest.raises(ValueError, match="need a linear model"):
        VectorFlowRegressor(hidden_layer_sizes=4).fit(X, SIGNAL, coef_init=COEF)
    with pytest.raises(ValueError, match="intercept_init needs fit_intercept=True"):
        VectorFlowRegressor(fit_intercept=False).fit(X, SIGNAL, intercept_init=1.0)


def test_sparse_weights_are_taken_and_those_beyond_single_precision_refused():
    model = VectorFlowRegressor(**SLOW).fit(X, SIGNAL, coef_init=sparse.csr_array(COEF[None, :]), intercept_init=0.0)
    assert model.coef_ == pytest.approx(COEF, abs=1e-5)
    for name, values in (("coef_init", 1e39 * COEF), ("intercept_init", [1e39])):
        with pytest.raises(ValueError, match=f"{name} has values too large for float32"):
            model.fit(X, SIGNAL, **{name: values})
