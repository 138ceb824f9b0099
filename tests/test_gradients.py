"""The whole net's gradient against finite differences of the loss, and dropout's."""

import numpy as np
import pytest
from scipy import sparse

from sklearn_vectorflow import VectorFlowClassifier, VectorFlowRegressor
from sklearn_vectorflow.layers import Dropout, Input, Linear
from sklearn_vectorflow.losses import (
    EpsilonInsensitive,
    HuberLoss,
    QuantileLoss,
    SquaredEpsilonInsensitive,
    TweedieLoss,
)
from sklearn_vectorflow.optimizers import SGD

import reference

N_ROWS, N_FEATURES = 12, 7
DEPTHS = {"linear": (), "hidden": (5,), "deep": (5, 17)}  # 17: one more than a span of vector lanes


def _classes(n_classes):
    return lambda rng: rng.permutation(np.arange(N_ROWS) % n_classes)


def _labels(rng):
    return rng.permutation(np.arange(3 * N_ROWS) % 2).reshape(N_ROWS, 3)


def _numbers(*shape):
    return lambda rng: rng.normal(scale=2.0, size=(N_ROWS, *shape))


def _counts(rng):
    return rng.poisson(1.5, N_ROWS).astype(float)


def _amounts(rng):
    return rng.gamma(2.0, size=N_ROWS)


CLASSIFIER, REGRESSOR = VectorFlowClassifier, VectorFlowRegressor

# name: (estimator, loss, the reference's loss, targets)
LOSSES = {
    "log_loss": (CLASSIFIER, "log_loss", reference.log_loss, _classes(2)),
    "multinomial": (CLASSIFIER, "multinomial", reference.multinomial, _classes(3)),
    "multinomial of two classes": (CLASSIFIER, "multinomial", reference.multinomial, _classes(2)),
    "one_vs_rest": (CLASSIFIER, "one_vs_rest", reference.log_loss, _classes(3)),
    "labels": (CLASSIFIER, "log_loss", reference.log_loss, _labels),
    "hinge": (CLASSIFIER, "hinge", reference.hinge, _classes(2)),
    "hinge of three classes": (CLASSIFIER, "hinge", reference.hinge, _classes(3)),
    "squared_hinge": (CLASSIFIER, "squared_hinge", reference.squared_hinge, _classes(2)),
    "modified_huber": (CLASSIFIER, "modified_huber", reference.modified_huber, _classes(2)),
    "squared_error": (REGRESSOR, "squared_error", reference.squared_error, _numbers()),
    "squared_error of three": (REGRESSOR, "squared_error", reference.squared_error, _numbers(3)),
    "absolute_error": (REGRESSOR, "absolute_error", reference.absolute_error, _numbers()),
    "huber": (REGRESSOR, HuberLoss(0.7), lambda y, raw: reference.huber(y, raw, 0.7), _numbers()),
    "epsilon_insensitive": (
        REGRESSOR,
        EpsilonInsensitive(0.3),
        lambda y, raw: reference.epsilon_insensitive(y, raw, 0.3),
        _numbers(),
    ),
    "squared_epsilon_insensitive": (
        REGRESSOR,
        SquaredEpsilonInsensitive(0.3),
        lambda y, raw: reference.squared_epsilon_insensitive(y, raw, 0.3),
        _numbers(),
    ),
    "quantile": (REGRESSOR, QuantileLoss(0.8), lambda y, raw: reference.quantile(y, raw, 0.8), _numbers()),
    "poisson": (REGRESSOR, "poisson", reference.poisson, _counts),
    "gamma": (REGRESSOR, "gamma", reference.gamma, _amounts),
    "tweedie": (REGRESSOR, TweedieLoss(1.5), reference.tweedie, _counts),
}


def _rows(rng):
    X = rng.normal(size=(N_ROWS, N_FEATURES)) * (rng.uniform(size=(N_ROWS, N_FEATURES)) < 0.6)
    return X.astype(np.float32)


def _random_weights(rng, sizes, n_out):
    widths = [N_FEATURES, *sizes, n_out]
    weights = [rng.normal(scale=1 / np.sqrt(m), size=(m, n)) for m, n in zip(widths, widths[1:])]
    intercepts = [rng.normal(scale=0.3, size=n) for n in widths[1:]]
    return [W.astype(np.float32) for W in weights], [b.astype(np.float32) for b in intercepts]


def _gradient_of_one_step(model, X, y, make_weights, sample_weight=None):
    """Return the weights before a full-batch step of plain descent, and what it subtracted."""
    model.set_params(
        optimizer=SGD(1e-100), alpha=0.0, batch_size=N_ROWS, max_iter=1, tol=None, warm_start=True, n_jobs=1
    )
    model.fit(X, y, sample_weight)
    before = make_weights(model.network_.n_outputs)
    model.network_.set_weights(*before)
    model.set_params(optimizer=SGD(1.0, schedule="constant")).fit(X, y, sample_weight)
    after = model.coefs_, model.intercepts_
    return before, [[a.astype(float) - b for a, b in zip(*pair)] for pair in zip(before, after)]


def _finite_differences(function, arrays, step=1e-6):
    gradients = []
    for array in arrays:
        gradients.append(np.empty(array.shape))
        for index in np.ndindex(array.shape):
            middle = array[index]
            array[index] = middle + step
            above = function()
            array[index] = middle - step
            gradients[-1][index] = (above - function()) / (2 * step)
            array[index] = middle
    return gradients


def _check_gradient(loss, activation, sizes, as_rows, sample_weight=None, seed=0):
    estimator, own_loss, of_loss, targets = LOSSES[loss]
    rng = np.random.RandomState(seed)
    X, y = _rows(rng), targets(rng)
    model = estimator(sizes, activation, loss=own_loss, random_state=0)
    before, (of_weights, of_intercepts) = _gradient_of_one_step(
        model, as_rows(X), y, lambda n_out: _random_weights(rng, sizes, n_out), sample_weight
    )
    weights, intercepts = ([a.astype(float) for a in arrays] for arrays in before)
    expected = _finite_differences(
        lambda: reference.mean_loss(
            weights, intercepts, X.astype(float), y.reshape(N_ROWS, -1), of_loss, activation, sample_weight
        ),
        weights + intercepts,
    )
    scale = max(np.abs(g).max() for g in expected)
    assert scale > 1e-2, "a gradient of zero shows nothing"
    # rounding of the weights to float32 before and after: 2 * 2**-24 times their size of up
    # to 3, beside the rounding within the net
    for found, gradient in zip(of_weights + of_intercepts, expected):
        np.testing.assert_allclose(found, gradient, rtol=0, atol=1e-5 * scale + 1e-6)


@pytest.mark.parametrize("as_rows", [sparse.csr_array, np.asarray], ids=["sparse", "dense"])
@pytest.mark.parametrize(
    "depth, activation",
    [("linear", "identity")] + [(depth, name) for depth in ("hidden", "deep") for name in reference.ACTIVATIONS],
)
@pytest.mark.parametrize("loss", LOSSES)
def test_whole_net(loss, depth, activation, as_rows):
    _check_gradient(loss, activation, DEPTHS[depth], as_rows)


@pytest.mark.parametrize("loss", LOSSES)
def test_whole_net_with_sample_weights(loss):
    sample_weight = np.random.RandomState(3).choice([0.0, 0.5, 1.0, 3.0], size=N_ROWS)
    sample_weight[:3] = 1.0  # every class has to have a row
    _check_gradient(loss, "tanh", (5,), sparse.csr_array, sample_weight)


def test_sparse_labels():
    estimator, loss, of_loss, targets = LOSSES["labels"]
    X, Y = _rows(np.random.RandomState(0)), targets(np.random.RandomState(1))
    gradients = [
        _gradient_of_one_step(
            estimator((5,), "selu", loss=loss), X, labels, lambda n: _random_weights(np.random.RandomState(2), (5,), n)
        )[1]
        for labels in (Y, sparse.csr_array(Y))
    ]
    for dense, from_csr in zip(*(g[0] + g[1] for g in gradients)):
        np.testing.assert_array_equal(dense, from_csr)


# ---- dropout ----------------------------------------------------------------------------
# The mean absolute error of targets far below is the output plus a constant, so the loss
# curve of a net that does not learn shows the raw outputs of training itself.

FAR_BELOW = 1000.0


def _outputs_in_training(X, n_epochs, dropout=0.0, **parameters):
    """Return the mean output of every epoch under dropout, and the output without it."""
    hidden = Linear(6)(Input())
    model = VectorFlowRegressor(
        network=Linear(init=0.5)(Dropout(dropout)(hidden) if dropout else hidden),
        loss="absolute_error",
        optimizer=SGD(1e-100),
        alpha=0.0,
        fit_intercept=False,
        n_jobs=1,
        batch_size=1,
        max_iter=n_epochs,
        tol=None,
        random_state=0,
        **parameters,
    )
    model.fit(X, np.full(len(X), -FAR_BELOW))
    return np.array(model.loss_curve_) - FAR_BELOW, model.predict(X), model


@pytest.mark.parametrize(
    "parameters", [{"dropout": 0.3}, {"input_dropout": 0.3}, {"dropout": 0.5, "input_dropout": 0.2}], ids=repr
)
def test_outputs_are_unbiased_under_dropout(parameters):
    rng = np.random.RandomState(0)
    X = np.repeat(rng.normal(size=(1, 40)).astype(np.float32), 50, axis=0)
    means, output, _ = _outputs_in_training(X, 200, **parameters)
    error = means.std() / np.sqrt(len(means))
    assert 0 < error < 0.1 * abs(output[0]), "the noise would hide a missing scale"
    assert abs(means.mean() - output[0]) < 4 * error


def test_a_dropped_unit_is_left_out_and_the_others_scaled_up():
    X = np.ones((1, 1), dtype=np.float32)
    means, _, model = _outputs_in_training(X, 400, dropout=0.4)
    parts = model.coefs_[0][0] * model.coefs_[1][:, 0] / 0.6
    subsets = np.array(np.meshgrid(*[[0, 1]] * 6)).reshape(6, -1)
    distances = np.abs(means[:, None] - parts @ subsets)
    assert distances.min(axis=1).max() < 1e-4
    kept = subsets[:, distances.argmin(axis=1)].mean(axis=1)
    np.testing.assert_allclose(kept, 0.6, atol=4 * np.sqrt(0.24 / 400))


def test_a_dropped_non_zero_is_left_out_and_the_others_scaled_up():
    X = (2.0 ** -np.arange(6, dtype=np.float32))[None, :]
    means, _, model = _outputs_in_training(X, 400, input_dropout=0.4)
    parts = X[0] * (model.coefs_[0] @ model.coefs_[1])[:, 0] / 0.6
    subsets = np.array(np.meshgrid(*[[0, 1]] * 6)).reshape(6, -1)
    distances = np.abs(means[:, None] - parts @ subsets)
    assert distances.min(axis=1).max() < 1e-4
    kept = subsets[:, distances.argmin(axis=1)].mean(axis=1)
    np.testing.assert_allclose(kept, 0.6, atol=4 * np.sqrt(0.24 / 400))


def _step_under_dropout(seed, activation, **parameters):
    """One row's step: the data, the weights before it, and what it subtracted."""
    rng = np.random.RandomState(seed)
    x, y = rng.normal(size=(1, N_FEATURES)).astype(np.float32), np.array([0.7])
    model = VectorFlowRegressor((8,), activation, random_state=seed, **parameters)
    before, step = _gradient_of_one_step(model, x, y, lambda n_out: _random_weights(rng, (8,), n_out))
    return x.astype(float), y, [[a.astype(float) for a in arrays] for arrays in before], step


@pytest.mark.parametrize("activation", ["identity", "tanh"])
def test_the_gradient_uses_the_mask_and_the_scale_of_the_output(activation):
    n_dropped = 0
    function, derivative = reference.ACTIVATIONS[activation]
    for seed in range(10):
        x, y, ((W1, W2), (b1, b2)), ((g1, g2), (h1, h2)) = _step_under_dropout(seed, activation, dropout=0.5)
        mask = np.where(g2[:, 0] != 0, 2.0, 0.0)  # what reaches the second layer has a gradient there
        linear = (x @ W1 + b1)[0]
        error = (function(linear) * mask) @ W2[:, 0] + b2[0] - y[0]
        inner = error * W2[:, 0] * mask * derivative(linear)
        np.testing.assert_allclose(g2[:, 0], error * function(linear) * mask, atol=1e-5)
        np.testing.assert_allclose(g1, x.T * inner, atol=1e-5)
        np.testing.assert_allclose(h1, inner, atol=1e-5)
        np.testing.assert_allclose(h2, error, atol=1e-5)
        assert not g1[:, mask == 0].any() and not h1[mask == 0].any(), "a dropped unit must not move"
        n_dropped += np.count_nonzero(mask == 0)
    assert 20 < n_dropped < 60


def test_the_gradient_uses_the_mask_and_the_scale_of_the_input():
    n_dropped = 0
    for seed in range(10):
        x, y, ((W1, W2), (b1, b2)), ((g1, g2), _) = _step_under_dropout(seed, "identity", input_dropout=0.5)
        kept = np.where(g1.any(axis=1), 2.0 * x[0], 0.0)
        hidden = kept @ W1 + b1
        error = hidden @ W2[:, 0] + b2[0] - y[0]
        np.testing.assert_allclose(g1, np.outer(kept, error * W2[:, 0]), atol=1e-5)
        np.testing.assert_allclose(g2[:, 0], error * hidden, atol=1e-5)
        n_dropped += np.count_nonzero(kept == 0)
    assert 15 < n_dropped < 55
