"""Defects that engines of this kind have had; each test would see its own come back."""

import pickle

import numpy as np
import pytest
from scipy import optimize, sparse

from sklearn_vectorflow import VectorFlowClassifier, VectorFlowRegressor, threads
from sklearn_vectorflow.losses import MultinomialLoss
from sklearn_vectorflow.optimizers import FTRL, SGD, AdaGrad, Adam
from sklearn_vectorflow.penalties import L1, L2, NonNegative

import reference


def _problem(n_rows=200, n_features=5, seed=0):
    rng = np.random.RandomState(seed)
    X = rng.normal(size=(n_rows, n_features)).astype(np.float32)
    y = (X @ rng.normal(size=n_features) + rng.normal(size=n_rows) > 0).astype(int)
    return X, y


# ---- batches ----------------------------------------------------------------------------


@pytest.mark.parametrize("batch_size", [4, 7, 9])
def test_the_partial_last_batch_counts(batch_size):
    X = np.eye(10, dtype=np.float32)
    model = VectorFlowRegressor(
        optimizer=SGD(0.5, schedule="constant"),
        alpha=0.0,
        batch_size=batch_size,
        max_iter=1,
        tol=None,
        shuffle=False,
        fit_intercept=False,
    ).fit(X, np.ones(10))
    in_last = 10 % batch_size
    # each row alone has its column, so its weight says in how large a batch it was
    np.testing.assert_allclose(model.coef_[-in_last:], 0.5 / in_last, rtol=1e-6)
    np.testing.assert_allclose(model.coef_[:-in_last], 0.5 / batch_size, rtol=1e-6)


def _penalised_optimum(X, y, alpha):
    """Weights and intercept that minimise mean log loss + alpha / 2 |w|^2."""

    def objective(w):
        margin = (2 * y - 1) * (X @ w[:-1] + w[-1])
        return np.logaddexp(0, -margin).mean() + alpha / 2 * w[:-1] @ w[:-1]

    return optimize.minimize(objective, np.zeros(X.shape[1] + 1), tol=1e-10).x


@pytest.mark.parametrize("batch_size", [1, 10, 50, 200])
@pytest.mark.parametrize(
    "optimizer", [FTRL(1.0), AdaGrad(0.2), SGD(1.0, schedule="optimal"), SGD(1.0, power_t=0.6)], ids=repr
)
def test_strength_does_not_depend_on_the_batch_size(optimizer, batch_size):
    X, y = _problem()
    model = VectorFlowClassifier(
        optimizer=optimizer, alpha=0.1, batch_size=batch_size, max_iter=100, tol=None, random_state=0
    ).fit(X, y)
    expected = _penalised_optimum(X.astype(float), y, 0.1)
    # the noise of single rows leaves some percent; a strength off by the batch size, factors
    np.testing.assert_allclose(model.coef_[0], expected[:-1], atol=0.05 * np.abs(expected).max())


# ---- threads ----------------------------------------------------------------------------


@pytest.mark.parametrize("optimizer", [AdaGrad(0.05), Adam(0.002), FTRL(0.05)], ids=repr)
def test_two_threads_share_their_accumulators(optimizer, monkeypatch):
    # with accumulators of their own, two threads together take steps sqrt(2) times as long
    monkeypatch.setattr(threads, "WORTHWHILE", 1)
    X, y = _problem(n_rows=20_000, n_features=30)
    size = {}
    for n_jobs in (1, 2):
        model = VectorFlowClassifier(
            optimizer=optimizer, alpha=0.0, max_iter=1, tol=None, n_jobs=n_jobs, random_state=0
        )
        size[n_jobs] = np.linalg.norm(model.fit(X, y).coef_)
    assert size[2] == pytest.approx(size[1], rel=0.1)


def test_denormals_are_not_flushed_outside_of_a_fit():
    X, y = _problem()
    VectorFlowClassifier(n_jobs=1, max_iter=1, tol=None).fit(X, y).predict(X)
    tiny = np.float32(1e-40) * np.float32(1)
    assert tiny > 0 and np.float32(1e-38) * np.float32(0.01) > 0


# ---- losses -----------------------------------------------------------------------------


def test_softmax_does_not_overflow():
    loss, gradient = MultinomialLoss()([0, 2], [[1000.0, 0.0, -1000.0], [1000.0, 999.0, 0.0]])
    assert loss == pytest.approx(1000 + np.log1p(np.exp(-1)))
    np.testing.assert_allclose(gradient.sum(axis=1), 0, atol=1e-12)
    np.testing.assert_allclose(gradient[0], 0, atol=1e-12)
    X = np.array([[1000.0, 50.0], [-1000.0, 50.0], [0.0, 1000.0]] * 20, dtype=np.float32)
    y = np.array([0, 1, 2] * 20)
    model = VectorFlowClassifier(
        optimizer=SGD(1.0, schedule="constant"), alpha=0.0, batch_size=1, max_iter=3, tol=None
    ).fit(X, y)
    assert np.abs(model.decision_function(X)).max() > 1000, "the test needs large outputs"
    assert np.all(np.isfinite(model.loss_curve_)) and np.all(np.isfinite(model.predict_proba(X)))
    assert model.score(X, y) == 1


# ---- rows -------------------------------------------------------------------------------


@pytest.mark.parametrize("index", [5, 6, 2**31 - 1, -1])
@pytest.mark.parametrize("dtype", [np.int32, np.int64])
def test_a_feature_beyond_the_width_is_refused(index, dtype):
    good = sparse.csr_array(np.eye(4, 5, dtype=np.float32))
    bad = good.copy()
    bad.indices = bad.indices.astype(dtype)
    bad.indices[2] = index
    model = VectorFlowClassifier()
    with pytest.raises(ValueError, match="column"):
        model.fit(bad, [0, 1, 0, 1])
    model.fit(good, [0, 1, 0, 1])
    for method in (model.predict, model.decision_function):
        with pytest.raises(ValueError, match="column"):
            method(bad)
    with pytest.raises(ValueError, match="column"):
        model.partial_fit(bad, [0, 1, 0, 1])


# ---- layers -----------------------------------------------------------------------------


def test_the_scale_of_dropout_survives_pickling():
    X, y = _problem()
    model = VectorFlowClassifier(
        (8,),
        "identity",
        dropout=0.5,
        optimizer=SGD(0.01),
        alpha=0.0,
        warm_start=True,
        max_iter=1,
        tol=None,
        random_state=0,
        n_jobs=1,
    ).fit(X, y)
    loaded = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(loaded.decision_function(X), model.decision_function(X))
    for trained in (model, loaded):
        trained.fit(X, y)
        assert all(np.all(np.isfinite(W)) for W in trained.coefs_)
    for before, after in zip(model.coefs_, loaded.coefs_):
        np.testing.assert_array_equal(after, before)


@pytest.mark.parametrize("activation", ["tanh", "logistic"])
def test_the_derivative_is_taken_once(activation):
    # one unit and one weight each way: d (f(w x) - y)^2 / 2 = (f - y) f'(w x) x, by hand
    model = VectorFlowRegressor(
        (1,),
        activation,
        optimizer=SGD(1e-100),
        alpha=0.0,
        fit_intercept=False,
        batch_size=1,
        warm_start=True,
        max_iter=1,
        tol=None,
    ).fit([[2.0]], [1.0])
    model.network_.set_weights([[[0.4]], [[1.0]]], [None, None])
    model.set_params(optimizer=SGD(1.0, schedule="constant")).fit([[2.0]], [1.0])
    f, slope = {"tanh": (np.tanh(0.8), 1 - np.tanh(0.8) ** 2), "logistic": (0.689974, 0.689974 * 0.310026)}[activation]
    assert model.coefs_[0][0, 0] == pytest.approx(0.4 - (f - 1) * slope * 2.0, rel=1e-5)


# ---- penalties --------------------------------------------------------------------------

ALL = [AdaGrad(0.5), AdaGrad(0.5, rowwise=True), Adam(0.05), FTRL(0.5), SGD(0.1)]


@pytest.mark.parametrize("optimizer", ALL, ids=repr)
def test_a_centred_l1_returns_to_its_centre(optimizer):
    X, y = _problem()
    center = np.array([0.3, -0.2, 0.0, 1.0, -1.0], dtype=np.float32)
    model = VectorFlowClassifier(
        penalty=L1(3.0, center=center), optimizer=optimizer, max_iter=5, tol=None, random_state=0
    )
    np.testing.assert_array_equal(model.fit(X, y).coef_[0], center)


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("optimizer", ALL, ids=repr)
@pytest.mark.parametrize("kind", [L1, L2])
def test_strengths_of_features_are_not_shifted_by_the_intercept(kind, optimizer, fit_intercept):
    X, _ = _problem(n_rows=1000)
    y = (X @ [2, 1, -1, 1, -1] > 0).astype(int)
    strength = np.array([100.0, 0.0, 0.0, 0.0, 0.0])
    model = VectorFlowClassifier(
        penalty=kind(strength), optimizer=optimizer, fit_intercept=fit_intercept, max_iter=5, tol=None, random_state=0
    ).fit(X, y)
    free = np.abs(model.coef_[0, 1:])
    assert abs(model.coef_[0, 0]) < 0.02 and free.min() > 0.2
    assert (model.intercept_[0] != 0) == fit_intercept


def test_intercepts_are_never_penalised():
    X, y = _problem()
    y[:150] = 1
    model = VectorFlowClassifier(alpha=1e3, max_iter=20, tol=None, random_state=0).fit(X, y)
    assert np.abs(model.coef_).max() < 1e-2
    assert model.intercept_[0] == pytest.approx(np.log(y.mean() / (1 - y.mean())), abs=0.3)


@pytest.mark.parametrize("optimizer", ALL, ids=repr)
def test_a_lower_bound_holds_in_training_too(optimizer):
    # if rows saw the weight below its bound, the loss of a row would show it
    X, y = np.ones((50, 1), dtype=np.float32), np.full(50, -1.0)
    model = VectorFlowRegressor(
        penalty=[NonNegative(0.5), L2(5.0)],
        optimizer=optimizer,
        batch_size=1,
        max_iter=2,
        tol=None,
        fit_intercept=False,
    ).fit(X, y)
    assert model.coef_[0] == 0.5
    assert model.loss_curve_[1] == pytest.approx((0.5 + 1) ** 2 / 2)


# ---- optimizers and averages --------------------------------------------------------------


def test_adam_corrects_the_bias_of_both_moments():
    model = VectorFlowRegressor(
        optimizer=Adam(1.0, epsilon=1e-12), alpha=0.0, fit_intercept=False, batch_size=1, max_iter=1, tol=None
    ).fit([[1.0]], [0.3])
    assert model.coef_[0] == pytest.approx(1.0, rel=1e-6)  # the first step is the sign of the gradient


def test_partial_fit_averages_over_all_blocks():
    X, y = _problem()
    model = VectorFlowClassifier(
        optimizer=SGD(0.1, schedule="constant"), alpha=0.0, average=40, batch_size=4, shuffle=False
    )
    for rows in np.split(np.arange(200), 5):
        model.partial_fit(X[rows], y[rows], classes=[0, 1])
    start = np.log(y[:40].mean() / (1 - y[:40].mean()))
    (expected,), _ = reference.train(
        [np.zeros((5, 1))],
        [[start]],
        X.astype(float),
        y[:, None],
        reference.log_loss,
        lambda _: reference.SGD(0.1),
        [reference.Penalty()],
        batch_size=4,
        average_from=10,
    )
    np.testing.assert_allclose(model.coef_[0], expected[:, 0], rtol=1e-5, atol=1e-6)


@pytest.mark.filterwarnings("ignore:The fit ended worse")  # rates are large, so that epochs differ
@pytest.mark.parametrize("optimizer", [FTRL(5.0), AdaGrad(3.0), SGD(1.0, schedule="constant")], ids=repr)
def test_early_stopping_restores_the_best_weights(optimizer):
    X, y = _problem()
    X[20:, 4] = 0  # a feature that still misses penalties when its epoch ends
    X_val, y_val = _problem(seed=1)
    model = VectorFlowClassifier(
        optimizer=optimizer, alpha=0.05, batch_size=1, early_stopping=True, n_iter_no_change=3, tol=0.0, random_state=0
    ).fit(X, y, X_val=X_val, y_val=y_val)
    best = max(model.validation_scores_)
    assert best > model.validation_scores_[-1], "the test needs an epoch after the best"
    restored = -np.logaddexp(0, -(2 * y_val - 1) * model.decision_function(X_val)).mean()
    assert restored == pytest.approx(best, rel=1e-6)


def test_predictions_between_blocks_do_not_walk_over_all_weights():
    X, y = _problem()
    wide = sparse.csr_matrix((X.ravel(), np.tile(np.arange(5) * 1000, 200), np.arange(0, 1001, 5)), shape=(200, 5000))
    model = VectorFlowClassifier(alpha=1e-2, random_state=0)
    model.partial_fit(wide, y, classes=[0, 1])
    between = model.decision_function(wide)
    assert not model.network_.settled, "predicting caught up on every weight"
    np.testing.assert_allclose(between, wide @ model.coef_[0] + model.intercept_, rtol=1e-5, atol=1e-6)
    assert model.network_.settled, "reading coef_ catches up"


def test_a_failed_block_leaves_predictions_as_they_were():
    X, y = _problem()
    model = VectorFlowRegressor(optimizer=SGD(0.01), alpha=1e-2, random_state=0).partial_fit(X, y)
    twin = pickle.loads(pickle.dumps(model))
    before = model.predict(X)
    for optimizer in (SGD(1e30), AdaGrad(1e30)):
        model.set_params(optimizer=optimizer)
        with pytest.raises(ValueError, match="diverged"):
            model.partial_fit(1e10 * X, y)
        np.testing.assert_array_equal(model.predict(X), before)
    for estimator in (model, twin):
        estimator.set_params(optimizer=SGD(0.01)).partial_fit(X, y)
    np.testing.assert_allclose(model.coef_, twin.coef_, rtol=1e-5)


def test_lanes_behind_a_row_are_not_of_the_next_one():
    rng = np.random.default_rng(0)
    X = sparse.random(300, 40, density=0.3, format="csr", dtype=np.float32, random_state=0)
    y = rng.integers(0, 2, 300)
    where_it_is, copied = (
        VectorFlowClassifier(max_iter=2, tol=None, random_state=0).fit(values, y).coef_
        for values in (X, X.astype(np.float64))  # 64-bit values are copied row by row
    )
    np.testing.assert_array_equal(where_it_is, copied)


@pytest.mark.filterwarnings("ignore:Steps of one size")
@pytest.mark.parametrize("rowwise", [False, True])
def test_what_earlier_rows_left_behind_a_row_does_not_overflow(rowwise):
    # Long rows of tiny values leave large step sizes in the lanes behind a short row, whose own penalty is missed
    # by another formula, which overflows for such sizes.
    X = np.zeros((4, 48), np.float32)
    X[:2, :16] = X[2, 16:25] = 1e-6
    X[3, 32:41] = 1.0
    y = 3.0 * np.random.default_rng(0).normal(size=100)
    model = VectorFlowRegressor(
        optimizer=AdaGrad(1.0, rowwise=rowwise),
        alpha=0.5,
        batch_size=1,
        max_iter=10,
        tol=None,
        shuffle=False,
        fit_intercept=False,
    ).fit(sparse.csr_matrix(np.tile(X, (25, 1))), y)
    assert np.all(np.isfinite(model.loss_curve_))
    assert model.loss_curve_[-1] < model.loss_curve_[0]


@pytest.mark.parametrize("seed", [2, 11, 22])
def test_nets_of_twenty_rows_do_not_diverge(seed):
    X = 3.0 * np.random.RandomState(0).uniform(size=(20, 3))
    model = VectorFlowRegressor(hidden_layer_sizes=(16,), random_state=seed).fit(X, X[:, 0].astype(int))
    assert model.loss_curve_[-1] < 0.8 * model.loss_curve_[0]
