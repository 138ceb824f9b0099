"""Nets that the engine trains by kernels of their own: which these are, and what they learn."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import sparse

from sklearn_vectorflow import VectorFlowClassifier
from sklearn_vectorflow.engine.net import worker as engine
from sklearn_vectorflow.layers import Add, FactorizationMachine, Input, Linear, wide_and_deep
from sklearn_vectorflow.optimizers import FTRL, SGD, AdaGrad, Adam
from sklearn_vectorflow.penalties import L1, L2
from sklearn_vectorflow.training import trainer
from sklearn_vectorflow.training.plan import Plan

import reference

N_ROWS, N_FEATURES, N_EPOCHS = 120, 40, 3


def machine(rank, linear_first=True):
    x = Input()
    factors = np.random.default_rng(rank).normal(scale=0.3, size=(N_FEATURES, rank)).astype(np.float32)
    parts = [Linear(init="zeros")(x), FactorizationMachine(rank, init=factors)(x)]
    return Add()(parts if linear_first else parts[::-1])


def problem(n_classes=2):
    """Rows of one to forty non-zeros, as many of each class: outputs begin with what their classes' shares say."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(N_ROWS, N_FEATURES)).astype(np.float32)
    X[rng.random(X.shape) < np.linspace(0.0, 0.98, N_ROWS)[:, None]] = 0.0
    n_rows = N_ROWS // n_classes * n_classes
    return sparse.csr_array(X[:n_rows]), np.arange(n_rows) % n_classes


def fit(X, y, **options):
    options = {"max_iter": N_EPOCHS, "tol": None, "shuffle": False, "n_jobs": 1, "random_state": 0, **options}
    return VectorFlowClassifier(**options).fit(X, y)


@pytest.mark.parametrize(
    "options, n_classes, expected",
    [
        ({"network": machine(8)}, 2, True),
        ({"network": machine(8, linear_first=False)}, 2, True),
        ({"network": machine(8), "penalty": L2(0.0)}, 2, True),
        ({"network": machine(12)}, 2, True),
        ({"network": machine(6)}, 2, False),  # no whole vectors
        ({"network": machine(8), "penalty": L1(1e-3)}, 2, False),
        ({"network": machine(8), "optimizer": "sgd"}, 2, False),
        ({"network": machine(8), "batch_size": 8}, 2, False),
        ({}, 20, True),
        ({}, 8, True),
        ({"loss": "one_vs_rest"}, 9, True),
        ({}, 7, False),  # less than a group
        ({"optimizer": "adagrad"}, 20, False),
        ({"batch_size": 8}, 20, False),
        ({"hidden_layer_sizes": (24,)}, 20, True),
        ({"hidden_layer_sizes": (24,), "batch_size": 8}, 20, True),
        ({"hidden_layer_sizes": (32, 16)}, 2, True),
        ({"hidden_layer_sizes": (9, 8, 3), "penalty": L2(1e-3)}, 3, True),
        ({"hidden_layer_sizes": (32, 16), "batch_size": 8}, 2, False),
        ({"hidden_layer_sizes": (32, 16), "dropout": 0.1}, 2, False),
        ({"hidden_layer_sizes": (32, 16), "optimizer": "adam"}, 2, True),
        ({"hidden_layer_sizes": (32,), "optimizer": "adam", "batch_size": 8}, 2, False),
        ({"hidden_layer_sizes": (32,), "optimizer": Adam(rowwise=False)}, 2, False),
        ({"hidden_layer_sizes": (32,), "optimizer": "sgd"}, 2, False),
        ({"hidden_layer_sizes": (32, 16), "penalty": L1(1e-3)}, 2, False),
        ({"network": wide_and_deep((16,))}, 2, True),
        ({"network": wide_and_deep((16, 8)), "penalty": L2(0.0)}, 2, True),
        ({"network": wide_and_deep((16,)), "optimizer": "adam"}, 2, True),
        ({"network": wide_and_deep((16,))}, 3, False),
    ],
)
def test_which_nets_have_a_kernel_of_their_own(options, n_classes, expected, monkeypatch):
    found = set()

    class Noted(engine.Worker):
        def train(self, *args):
            found.add(self.has_kernel)
            return super().train(*args)

    monkeypatch.setattr(engine, "Worker", Noted)
    fit(*problem(n_classes), solver="sgd", **options)
    assert found == {expected}


@pytest.mark.parametrize("l2", [0.0, 1e-6, 0.02, 30.0])  # nothing, and short, small and large powers, is caught up on
@pytest.mark.parametrize("linear_first", [True, False])
@pytest.mark.parametrize("rank", [4, 8, 12, 16, 20, 28])  # every remainder of groups
def test_machines(rank, linear_first, l2):
    X, y = problem()
    options = {"network": machine(rank, linear_first), "optimizer": AdaGrad(0.2, epsilon=1e-3), "penalty": L2(l2)}
    start = fit(X, y, **{**options, "optimizer": AdaGrad(1e-30), "max_iter": 1, "penalty": L2(0.0)})
    model = fit(X, y, **options)
    coefs, coefs_at_start = ((m.coefs_ if linear_first else m.coefs_[::-1]) for m in (model, start))
    expected = reference.train_machine(
        *coefs_at_start,
        np.zeros(1),
        X.toarray().astype(float),
        y[:, None],
        reference.log_loss,
        lambda is_linear: reference.AdaGrad(0.2, not is_linear, 1e-3),
        [reference.Penalty(l2=l2)] * 2,
        batch_size=1,
        n_epochs=N_EPOCHS,
    )
    intercept = model.intercepts_[0 if linear_first else -1]
    for found, right in zip((*coefs, intercept[None, :]), expected):
        np.testing.assert_allclose(found, right, rtol=2e-5, atol=2e-5 * max(np.abs(one).max() for one in expected))


@pytest.mark.parametrize("l2", [0.0, 0.02])
@pytest.mark.parametrize("n_classes", [*range(8, 27), 33, 40, 41])  # every remainder of groups, in one block and in two
def test_many_outputs(n_classes, l2):
    X, y = problem(n_classes)
    model = fit(X, y, optimizer=FTRL(0.2, beta=0.5), penalty=L2(l2), solver="sgd")
    weights, intercept = reference_of_classes(X.toarray().astype(float), y, n_classes, l2)
    scale = np.abs(weights).max()
    np.testing.assert_allclose(model.coef_, weights.T, rtol=2e-5, atol=2e-5 * scale)
    np.testing.assert_allclose(model.intercept_, intercept, rtol=2e-5, atol=2e-5 * scale)


OF_DEEP = {
    "adagrad": (AdaGrad(0.1, epsilon=1e-2), lambda is_output: reference.AdaGrad(0.1, not is_output, 1e-2)),
    "adam": (
        Adam(0.02, epsilon=2e-2),
        lambda is_output: reference.Adam(0.02, epsilon=2e-2, rowwise=not is_output),
    ),
}


def reference_of_deep(options, optimizer, l2, X, y, n_epochs):
    """Weights and intercepts from the same start. ReLU leaves units at zero, whose weights rest."""
    still = fit(X, y, **{**options, "optimizer": SGD(1e-100), "max_iter": 1})
    weights, intercepts = reference.train(
        still.coefs_,
        still.intercepts_,
        X.toarray().astype(float),
        y[:, None],
        reference.log_loss if y.max() == 1 else reference.multinomial,
        OF_DEEP[optimizer][1],
        [reference.Penalty(l2=l2)] * len(still.coefs_),
        activation="relu",
        n_epochs=n_epochs,
    )
    return [*weights, *intercepts]


@pytest.mark.parametrize("l2", [0.0, 1e-6, 1e-3, 0.02])  # nothing, and short, small and large powers, is caught up on
@pytest.mark.filterwarnings("ignore:hidden_layer_sizes")
@pytest.mark.parametrize("n_classes", [2, 10])
@pytest.mark.parametrize("sizes", [(2,), (8,), (13,), (16,), (32,), (48,), (75,), (24, 17, 5)], ids=str)
@pytest.mark.parametrize("optimizer", OF_DEEP)
def test_deep_nets(optimizer, sizes, n_classes, l2):
    X, y = problem(n_classes)
    options = {"hidden_layer_sizes": sizes, "optimizer": OF_DEEP[optimizer][0], "penalty": L2(l2)}
    model = fit(X, y, **options)
    expected = reference_of_deep(options, optimizer, l2, X, y, N_EPOCHS)
    reference.assert_close([*model.coefs_, *model.intercepts_], expected, 5e-5)


class WithoutKernels:
    """Plans as if rows had a column twice, which kernels of nets do not serve."""

    @staticmethod
    def of(*given):
        return replace(Plan.of(*given), canonical=False)


@pytest.mark.parametrize("l2", [0.0, 0.02])
@pytest.mark.parametrize("optimizer", OF_DEEP)
def test_kernels_and_the_walk_take_turns(optimizer, l2, monkeypatch):
    """What a kernel leaves in records is all that the walk needs to go on, and the other way round."""
    X, y = problem()
    options = {"hidden_layer_sizes": (24, 9), "optimizer": OF_DEEP[optimizer][0], "penalty": L2(l2)}
    once = {"max_iter": 1, "tol": None, "shuffle": False, "n_jobs": 1, "random_state": 0}
    model = VectorFlowClassifier(**once, warm_start=True, **options)
    for by_kernel in (True, False, True, True, False):
        monkeypatch.setattr(trainer, "Plan", Plan if by_kernel else WithoutKernels)
        model.fit(X, y)
    expected = reference_of_deep(options, optimizer, l2, X, y, 5)
    reference.assert_close([*model.coefs_, *model.intercepts_], expected, 5e-5)


def reference_of_classes(X, y, n_classes, l2, rate=0.2, beta=0.5):
    """FTRL-proximal of a softmax regression, written for one row a step."""
    z, n = np.zeros((X.shape[1] + 1, n_classes)), np.zeros((X.shape[1] + 1, n_classes))
    strengths = np.append(np.full(X.shape[1], l2), 0.0)[:, None]

    def weights(step):
        return -z / np.maximum((beta + np.sqrt(n)) / rate + strengths * step, 1e-300)

    step = 0
    for _ in range(N_EPOCHS):
        for row, label in zip(np.column_stack([X, np.ones(len(X))]), y):
            w = weights(step)
            raw = row @ w
            share = np.exp(raw - raw.max())
            g = row[:, None] * (share / share.sum() - np.eye(n_classes)[label])
            z += g - (np.sqrt(n + g**2) - np.sqrt(n)) / rate * w
            n += g**2
            step += 1
    w = weights(step)
    return w[:-1], w[-1]
