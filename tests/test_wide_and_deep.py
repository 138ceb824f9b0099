"""Wide and deep nets against the dense reference: activations, penalties and shapes."""

import numpy as np
import pytest
from scipy import sparse
from sklearn.base import clone

from sklearn_vectorflow import VectorFlowClassifier
from sklearn_vectorflow.layers import wide_and_deep
from sklearn_vectorflow.optimizers import SGD, AdaGrad, Adam
from sklearn_vectorflow.penalties import L1, L2

import reference

N_ROWS, N_FEATURES, N_EPOCHS = 80, 24, 3

OPTIMIZERS = {
    "adagrad": (AdaGrad(0.05, epsilon=1e-3), lambda is_output: reference.AdaGrad(0.05, not is_output, 1e-3)),
    "adam": (
        Adam(0.02, epsilon=2e-2),
        lambda is_output: reference.Adam(0.02, epsilon=2e-2, rowwise=not is_output),
    ),
}
PENALTIES = {"none": (L2(0.0), {}), "l2": (L2(0.02), {"l2": 0.02}), "l1": (L1(0.002), {"l1": 0.002})}


def _data(n_classes):
    """Rows of up to forty non-zeros around the sizes of vectors; the last feature never occurs."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(N_ROWS, N_FEATURES)).astype(np.float32)
    X[rng.random(X.shape) < np.linspace(0.05, 0.95, N_ROWS)[rng.permutation(N_ROWS), None]] = 0.0
    X[:, -1] = 0.0
    scores = X @ rng.normal(size=(N_FEATURES, n_classes)) + rng.normal(size=(N_ROWS, n_classes))
    return X, scores.argmax(axis=1)


def _layers(model):
    """Weights and intercepts of the wide layer, and those of the others."""
    weights, intercepts = (
        [one.copy() for one in arrays()] for arrays in (model.network_.weights, model.network_.intercepts)
    )
    return (weights[0], intercepts[0]), weights[1:], intercepts[1:]


@pytest.mark.parametrize("penalty", PENALTIES)
@pytest.mark.parametrize("batch_size", [1, 7])
@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("activation", ["relu", "tanh", "selu", "logistic"])
@pytest.mark.parametrize("sizes", [(16,), (3,), (33,), (8, 5)], ids=str)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_weights_are_those_of_the_reference(optimizer, sizes, activation, n_classes, batch_size, penalty):
    X, y = _data(n_classes)
    own_optimizer, make_optimizer = OPTIMIZERS[optimizer]
    own_penalty, fields = PENALTIES[penalty]
    model = VectorFlowClassifier(
        network=wide_and_deep(sizes, activation),
        optimizer=own_optimizer,
        penalty=own_penalty,
        batch_size=batch_size,
        max_iter=N_EPOCHS,
        tol=None,
        shuffle=False,
        n_jobs=1,
        random_state=0,
    )
    still = clone(model).set_params(optimizer=SGD(1e-100), max_iter=1).fit(X, y)
    wide, weights, intercepts = _layers(still)
    found = _layers(model.fit(sparse.csr_array(X), y))
    expected = reference.train_wide_and_deep(
        wide,
        weights,
        intercepts,
        X.astype(float),
        y[:, None],
        reference.log_loss if n_classes == 2 else reference.multinomial,
        make_optimizer,
        [reference.Penalty(**fields) for _ in range(len(weights) + 1)],
        activation=activation,
        batch_size=batch_size,
        n_epochs=N_EPOCHS,
    )
    assert np.abs(expected[0][0] - wide[0]).max() > 1e-3
    assert np.abs(expected[1][0] - weights[0]).max() > 1e-3
    for mine, theirs in zip(([*found[0]], found[1], found[2]), ([*expected[0]], expected[1], expected[2])):
        reference.assert_close(mine, theirs, 5e-5)
