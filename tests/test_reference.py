"""The engine's weights against the dense reference, and its bits against themselves."""

import pickle
from functools import lru_cache

import numpy as np
import pytest
from scipy import sparse
from sklearn.base import clone

from sklearn_vectorflow import VectorFlowClassifier, VectorFlowRegressor
from sklearn_vectorflow.optimizers import FTRL, SGD, AdaGrad, Adam
from sklearn_vectorflow.penalties import L1, L2, ElasticNet, NonNegative, Orthogonal

import reference

N_ROWS, N_FEATURES, N_EPOCHS = 100, 24, 3

# name: (estimator, hidden layers, activation, reference loss, outputs); 17 units are one more
# than the engine's vector span
NETS = {
    "linear": (VectorFlowClassifier, (), "identity", reference.log_loss, 1),
    "multinomial": (VectorFlowClassifier, (), "identity", reference.multinomial, 3),
    "hidden": (VectorFlowRegressor, (17,), "tanh", reference.squared_error, 1),
    "deep": (VectorFlowClassifier, (6, 4), "selu", reference.multinomial, 3),
}

# AdaGrad's first step has the slope rate / sqrt(epsilon) at a gradient of zero, Adam's steps
# one of rate / epsilon, and so have the step sizes of their penalties. With the defaults of
# 1e-8 the float32 rounding of a small gradient is blown up ten thousandfold and more, so any
# float32 and float64 agree to 1e-5 only with a larger epsilon, or by luck.
OPTIMIZERS = {
    "adagrad": (AdaGrad(0.2, rowwise=False, epsilon=1e-3), lambda _: reference.AdaGrad(0.2, False, 1e-3)),
    "adagrad_rowwise": (AdaGrad(0.2, rowwise=True, epsilon=1e-3), lambda _: reference.AdaGrad(0.2, True, 1e-3)),
    "adam": (Adam(0.02, epsilon=2e-2, rowwise=False), lambda _: reference.Adam(0.02, epsilon=2e-2)),
    "adam_rowwise": (
        Adam(0.02, epsilon=2e-2, rowwise=True),
        lambda _: reference.Adam(0.02, epsilon=2e-2, rowwise=True),
    ),
    "ftrl": (FTRL(0.2, beta=0.5), lambda _: reference.FTRL(0.2, 0.5)),
    "sgd_constant": (SGD(0.1, schedule="constant"), lambda _: reference.SGD(0.1)),
    "sgd_invscaling": (SGD(0.3, power_t=0.4), lambda _: reference.SGD(0.3, 1.0, 0.4)),
}

EACH = np.linspace(0.0, 0.05, N_FEATURES)


def _center(n_out):
    return np.random.RandomState(5).uniform(-0.3, 0.3, (N_FEATURES, n_out)).astype(np.float32)


# name: width of the first layer -> (package's penalty, the reference's of the first layer,
# the reference's of the others); arrays concern the layer that reads X
PENALTIES = {
    "none": lambda n_out: (L2(0.0), {}, {}),
    "l2": lambda n_out: (L2(0.02), {"l2": 0.02}, {"l2": 0.02}),
    "l1": lambda n_out: (L1(0.005), {"l1": 0.005}, {"l1": 0.005}),
    "elastic_net": lambda n_out: (ElasticNet(0.02, 0.3), {"l1": 0.006, "l2": 0.014}, {"l1": 0.006, "l2": 0.014}),
    "l2_each": lambda n_out: (L2(EACH), {"l2": EACH[:, None]}, {}),
    "l1_each": lambda n_out: (L1(EACH), {"l1": EACH[:, None]}, {}),
    "elastic_each": lambda n_out: (
        ElasticNet(EACH, 0.25),
        {"l1": 0.25 * EACH[:, None], "l2": 0.75 * EACH[:, None]},
        {},
    ),
    "l2_centered": lambda n_out: (
        L2(0.02, center=_center(n_out).T),
        {"l2": 0.02, "center": _center(n_out)},
        {"l2": 0.02},
    ),
    "l1_centered": lambda n_out: (
        L1(0.01, center=_center(n_out).T),
        {"l1": 0.01, "center": _center(n_out)},
        {"l1": 0.01},
    ),
    "nonnegative": lambda n_out: (NonNegative(0.01), {"lower": 0.01}, {"lower": 0.01}),
    "nonnegative_l2": lambda n_out: (
        [NonNegative(0.01), L2(0.1)],
        {"lower": 0.01, "l2": 0.1},
        {"lower": 0.01, "l2": 0.1},
    ),
}


@lru_cache
def _data():
    """Sparse rows; the last feature never occurs, and the weights of some rows are zero."""
    rng = np.random.default_rng(0)
    X = sparse.random_array((N_ROWS, N_FEATURES), density=0.15, rng=rng, dtype=np.float32, format="csr").toarray()
    X[X > 0] = rng.normal(size=np.count_nonzero(X))
    X[:, -1] = 0.0
    scores = X @ rng.normal(size=(N_FEATURES, 3)) + rng.normal(size=(N_ROWS, 3))
    weight = rng.choice([0.0, 0.5, 1.0, 2.0], size=N_ROWS, p=[0.1, 0.3, 0.3, 0.3])
    return X, scores, weight


def _targets(loss, n_out):
    scores = _data()[1]
    if loss is reference.squared_error:
        return scores[:, 0] if n_out == 1 else scores[:, :n_out]
    return scores.argmax(axis=1) if n_out == 3 else (scores[:, 0] > 0).astype(int)


def _untidy(X):
    """CSR of int64 indices and float64 values, unsorted and with each value in two parts."""
    X = sparse.csr_array(X)
    X.indices, X.indptr = X.indices.astype(np.int64), X.indptr.astype(np.int64)
    order = np.concatenate([np.r_[start:end, start:end][::-1] for start, end in zip(X.indptr[:-1], X.indptr[1:])])
    part = np.concatenate([np.repeat([0.25, 0.75], end - start) for start, end in zip(X.indptr[:-1], X.indptr[1:])])
    return sparse.csr_array((X.data[order] * part, X.indices[order], 2 * X.indptr), shape=X.shape)


def _initial(model, X, y, sample_weight=None):
    """The weights training starts from: steps too small for float32 end there."""
    still = clone(model).set_params(optimizer=SGD(1e-100), max_iter=1, average=False).fit(X, y, sample_weight)
    return still.coefs_, still.intercepts_


def _model(net, optimizer, penalty, **parameters):
    estimator, sizes, activation, _, _ = NETS[net]
    return estimator(
        sizes,
        activation,
        optimizer=optimizer,
        penalty=penalty,
        max_iter=N_EPOCHS,
        tol=None,
        shuffle=False,
        n_jobs=1,
        random_state=0,
        **parameters,
    )


def _of_layers(first, others, n_hidden):
    """The reference's penalties; orthogonality concerns hidden layers only."""
    fields = [dict(first)] + [dict(others) for _ in range(n_hidden)]
    fields[-1].pop("orthogonal", None)
    return [reference.Penalty(**own) for own in fields]


def _fit_both(net, optimizer, penalty, batch_size, sample_weight=None, X=None, y=None, average=False):
    """Fit the package's and the reference's net; return their weights and intercepts."""
    _, sizes, activation, loss, n_out = NETS[net]
    first_width = sizes[0] if sizes else n_out
    own_optimizer, make_optimizer = OPTIMIZERS[optimizer] if isinstance(optimizer, str) else optimizer
    own_penalty, first, others = PENALTIES[penalty](first_width) if isinstance(penalty, str) else penalty
    X = _data()[0] if X is None else X
    y = _targets(loss, n_out) if y is None else y
    model = _model(net, own_optimizer, own_penalty, batch_size=batch_size, average=average)
    weights, intercepts = _initial(model, X, y, sample_weight)
    model.fit(X, y, sample_weight)
    per_epoch = N_ROWS if average is True else average
    expected = reference.train(
        weights,
        intercepts,
        X.toarray() if sparse.issparse(X) else np.asarray(X, dtype=float),
        y.reshape(N_ROWS, -1),
        loss,
        make_optimizer,
        _of_layers(first, others, len(sizes)),
        activation=activation,
        batch_size=batch_size,
        n_epochs=N_EPOCHS,
        sample_weight=sample_weight,
        average_from=per_epoch // batch_size if average else None,
        forgets=average is True,
    )
    moved = max(np.abs(a - b).max() for a, b in zip(weights, expected[0]))
    assert moved > 1e-3, "a test of training in which nothing moves shows nothing"
    return (model.coefs_, model.intercepts_), expected


def _assert_close(found, expected, tolerance=1e-5):
    """Compare with a share of the largest number of each layer."""
    for W, b, W_expected, b_expected in zip(*found, *expected):
        atol = tolerance * max(np.abs(W_expected).max(), np.abs(b_expected).max())
        np.testing.assert_allclose(W, W_expected, rtol=tolerance, atol=atol)
        np.testing.assert_allclose(b, b_expected, rtol=tolerance, atol=atol)


# ---- weights ----------------------------------------------------------------------------


@pytest.mark.parametrize("batch_size", [1, 7, 64])
@pytest.mark.parametrize("penalty", PENALTIES)
@pytest.mark.parametrize("net", NETS)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_weights_are_those_of_the_reference(optimizer, net, penalty, batch_size):
    found, expected = _fit_both(net, optimizer, penalty, batch_size)
    _assert_close(found, expected)
    if penalty.startswith("l1") and NETS[net][1] == ():
        center = _center(found[0][0].shape[1]) if penalty == "l1_centered" else 0.0
        gone = expected[0][0] == center
        assert 0 < gone.sum() < gone.size, "some but not all weights should end on their centre"
        np.testing.assert_array_equal(found[0][0] == center, gone)


def _fit_wide(monkeypatch, n_out, optimizer, penalty, batch_size=1, **options):
    """Fit both to several outputs."""
    monkeypatch.setitem(NETS, "wide", (VectorFlowRegressor, (), "identity", reference.squared_error, n_out))
    X, scores, _ = _data()
    y = scores @ np.random.default_rng(n_out).normal(size=(3, n_out)).astype(np.float32) + X[:, :1]
    return _fit_both("wide", optimizer, penalty, batch_size, y=y, **options)


@pytest.mark.parametrize("penalty", ["none", "l2", "l1", "elastic_net", "elastic_each", "l2_centered", "nonnegative"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("n_out", [2, 3, 7, 8, 9, 16, 20, 33])  # around the engine's groups of eight outputs
def test_several_outputs(n_out, optimizer, penalty, monkeypatch):
    _assert_close(*_fit_wide(monkeypatch, n_out, optimizer, penalty), tolerance=2e-5)


@pytest.mark.parametrize("penalty", ["none", "l2", "elastic_net"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("n_out", [3, 20])
def test_several_outputs_in_batches(n_out, optimizer, penalty, monkeypatch):
    _assert_close(*_fit_wide(monkeypatch, n_out, optimizer, penalty, batch_size=7), tolerance=2e-5)


@pytest.mark.parametrize("penalty", ["none", "l2"])
@pytest.mark.parametrize("batch_size", [1, 7, 64])
@pytest.mark.parametrize("n_out", [1, 3])
@pytest.mark.parametrize("n_units", [2, 8, 16, 20, 32, 33, 64])  # those that the engine has constants for, and others
def test_one_hidden_layer(n_units, n_out, batch_size, penalty, monkeypatch):
    loss = reference.log_loss if n_out == 1 else reference.multinomial
    monkeypatch.setitem(NETS, "units", (VectorFlowClassifier, (n_units,), "relu", loss, n_out))
    optimizer = AdaGrad(0.05, epsilon=1e-3), lambda is_output: reference.AdaGrad(0.05, not is_output, 1e-3)
    X = _untidy(_data()[0]) if batch_size == 64 else sparse.csr_array(_data()[0])
    _assert_close(*_fit_both("units", optimizer, penalty, batch_size, X=X), tolerance=2e-5)


@pytest.mark.parametrize("penalty", ["none", "l2"])
@pytest.mark.parametrize("batch_size", [1, 7])
@pytest.mark.parametrize("activation", ["relu", "tanh", "selu", "logistic", "identity"])
@pytest.mark.parametrize("n_out", [1, 3])
@pytest.mark.parametrize("sizes", [(32, 16), (17, 3), (5, 1, 20), (1, 33), (4, 4, 4, 4)], ids=str)
@pytest.mark.filterwarnings("ignore:hidden_layer_sizes")  # of one unit
def test_several_hidden_layers(sizes, n_out, activation, batch_size, penalty, monkeypatch):
    loss = reference.log_loss if n_out == 1 else reference.multinomial
    monkeypatch.setitem(NETS, "units", (VectorFlowClassifier, sizes, activation, loss, n_out))
    optimizer = AdaGrad(0.05, epsilon=1e-3), lambda is_output: reference.AdaGrad(0.05, not is_output, 1e-3)
    _assert_close(*_fit_both("units", optimizer, penalty, batch_size), tolerance=5e-5)


@pytest.mark.parametrize("penalty", ["l2", "l1"])
@pytest.mark.parametrize("optimizer", ["adagrad", "adagrad_rowwise", "adam", "adam_rowwise", "sgd_constant"])
def test_means_of_several_outputs(optimizer, penalty, monkeypatch):
    _assert_close(*_fit_wide(monkeypatch, 20, optimizer, penalty, average=True), tolerance=2e-5)


@pytest.mark.parametrize("strength", [1e-7, 3e-4, 0.5])  # tiny, small and large powers of missed steps
@pytest.mark.parametrize("n_out", [5, 20])
def test_missed_steps_of_several_outputs(n_out, strength, monkeypatch):
    penalty = L2(strength), {"l2": strength}, {}
    _assert_close(*_fit_wide(monkeypatch, n_out, "adagrad", penalty), tolerance=2e-5)


@pytest.mark.parametrize("strength", [1e-5, 1e-3, 0.5])  # short, small and large powers of missed steps
@pytest.mark.parametrize("batch_size", [1, 7])
@pytest.mark.parametrize("optimizer", ["adagrad", "adam", "sgd_constant"])
def test_missed_steps_of_one_output(optimizer, batch_size, strength):
    _assert_close(*_fit_both("linear", optimizer, (L2(strength), {"l2": strength}, {}), batch_size))


@pytest.mark.parametrize("batch_size", [1, 7, 64])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("net", ["hidden", "deep"])
def test_orthogonality(net, optimizer, batch_size):
    penalty = [Orthogonal(0.05), L2(0.01)], {"orthogonal": 0.05, "l2": 0.01}, {"orthogonal": 0.05, "l2": 0.01}
    found, expected = _fit_both(net, optimizer, penalty, batch_size)
    _assert_close(found, expected)


@pytest.mark.parametrize("penalty", ["none", "l2", "l1", "elastic_each", "l2_centered"])
@pytest.mark.parametrize("net", NETS)
def test_sgd_with_the_optimal_schedule(net, penalty):
    l2 = {"l2": 0.02, "elastic_each": 0.75 * EACH.mean(), "l2_centered": 0.02}.get(penalty, 0.0)
    optimizer = SGD(0.3, schedule="optimal"), lambda _: reference.SGD(0.3, 0.3 * l2, 1.0)
    _assert_close(*_fit_both(net, optimizer, penalty, 7))


@pytest.mark.parametrize(
    "optimizer",
    [
        (AdaGrad(0.2, epsilon=1e-3), lambda is_output: reference.AdaGrad(0.2, not is_output, 1e-3)),
        (Adam(0.02, epsilon=2e-2), lambda is_output: reference.Adam(0.02, epsilon=2e-2, rowwise=not is_output)),
    ],
    ids=["adagrad", "adam"],
)
def test_hidden_layers_alone_are_row_wise(optimizer):
    _assert_close(*_fit_both("deep", optimizer, "l2", 7))


@pytest.mark.parametrize(
    "optimizer",
    [
        (AdaGrad(0.2, rowwise=False), lambda _: reference.AdaGrad(0.2)),
        (Adam(0.01), lambda _: reference.Adam(0.01)),
    ],
    ids=["adagrad", "adam"],
)
def test_default_epsilons(optimizer):
    _assert_close(*_fit_both("multinomial", optimizer, "none", 7))


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("net", NETS)
def test_sample_weights(net, optimizer):
    _assert_close(*_fit_both(net, optimizer, "elastic_net", 7, sample_weight=_data()[2]))


@pytest.mark.parametrize("penalty", PENALTIES)
@pytest.mark.parametrize("optimizer", ["adagrad", "adagrad_rowwise", "adam", "adam_rowwise", "sgd_constant"])
@pytest.mark.parametrize("net, average", [("linear", True), ("deep", True), ("deep", 150)])
def test_averages(net, average, optimizer, penalty):
    _assert_close(*_fit_both(net, optimizer, penalty, 7, average=average))


@pytest.mark.parametrize("penalty", PENALTIES)
@pytest.mark.parametrize("net", ["linear", "deep"])
def test_averages_under_a_decreasing_rate(net, penalty):
    found, expected = _fit_both(net, "sgd_invscaling", penalty, 7, average=True)
    if penalty in ("none", "nonnegative"):
        return _assert_close(found, expected)
    # A mean over missed steps takes them to be of equal size, for only the sum of their sizes
    # is kept. The last feature, which is never touched, misses all steps and is left out.
    found[0][0], expected[0][0] = found[0][0][:-1], expected[0][0][:-1]
    _assert_close(found, expected, 5e-4)


@pytest.mark.parametrize("batch_size", [1, 7])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("net", ["linear", "deep"])
def test_unsorted_and_duplicate_indices_mean_their_sum(net, optimizer, batch_size):
    _assert_close(*_fit_both(net, optimizer, "l2", batch_size, X=_untidy(_data()[0])))


@pytest.mark.parametrize("penalty", ["l2", "l1_centered"])
@pytest.mark.parametrize("optimizer", [name for name in OPTIMIZERS if name != "sgd_invscaling"])  # it goes on, too
def test_training_goes_on_from_given_weights(optimizer, penalty):
    own_optimizer, make_optimizer = OPTIMIZERS[optimizer]
    own_penalty, fields, _ = PENALTIES[penalty](3)
    X, y = _data()[0], _targets(reference.multinomial, 3)
    model = _model("multinomial", SGD(1e-100), own_penalty, batch_size=7, warm_start=True).fit(X, y)
    W, b = np.random.RandomState(1).normal(size=(N_FEATURES, 3)).astype(np.float32), [0.25, 0.5, -0.5]
    model.network_.set_weights([W], [b])
    model.set_params(optimizer=own_optimizer).fit(X, y)
    expected = reference.train(
        [W],
        [b],
        X.astype(float),
        y[:, None],
        reference.multinomial,
        make_optimizer,
        [reference.Penalty(**fields)],
        batch_size=7,
        n_epochs=N_EPOCHS,
    )
    _assert_close((model.coefs_, model.intercepts_), expected)


# ---- bits -------------------------------------------------------------------------------


def _noisy(estimator=VectorFlowClassifier, **parameters):
    """A model that uses every source of chance."""
    parameters = {"dropout": 0.3, "input_dropout": 0.2, "max_iter": 2, "random_state": 0, **parameters}
    return estimator((17, 5), batch_size=3, n_jobs=1, tol=None, **parameters)


def _assert_same_bits(a, b):
    for first, second in zip([*a.coefs_, *a.intercepts_], [*b.coefs_, *b.intercepts_]):
        np.testing.assert_array_equal(first.view(np.uint32), second.view(np.uint32))


def _differ(a, b):
    return any(np.any(first != second) for first, second in zip(a.coefs_, b.coefs_))


@pytest.mark.parametrize("optimizer", ["adagrad", "adam", "ftrl", "sgd"])
def test_a_seed_gives_the_same_bits(optimizer):
    X, y = _data()[0], _targets(reference.multinomial, 3)
    one, two = (_noisy(optimizer=optimizer).fit(X, y) for _ in range(2))
    _assert_same_bits(one, two)
    assert _differ(one, _noisy(optimizer=optimizer, random_state=1).fit(X, y))


@pytest.mark.parametrize("source", ["shuffle", "dropout", "input_dropout"])
def test_every_source_of_chance_follows_the_seed(source):
    X, y = _data()[0], _targets(reference.multinomial, 3)
    quiet = {"shuffle": False, "dropout": 0.0, "input_dropout": 0.0}
    chance = {**quiet, source: True if source == "shuffle" else 0.3}
    weights = _noisy(**quiet).fit(X, y).coefs_

    def run(seed, options):  # from the same weights, whatever the seed
        model = _noisy(warm_start=True, random_state=seed, optimizer=SGD(1e-100), **options).fit(X, y)
        model.network_.set_weights(weights, [np.zeros(17), np.zeros(5), np.zeros(3)])
        return model.set_params(optimizer="sgd").fit(X, y)

    _assert_same_bits(run(0, quiet), run(1, quiet))
    _assert_same_bits(run(0, chance), run(0, chance))
    assert _differ(run(0, chance), run(1, chance))


def test_storage_does_not_change_the_bits():
    X, y = _data()[0], _targets(reference.multinomial, 3)
    expected = _noisy().fit(X, y)
    wide = sparse.csr_array(X.astype(np.float64))
    wide.indices, wide.indptr = wide.indices.astype(np.int64), wide.indptr.astype(np.int64)
    for same in (X.astype(np.float64), sparse.csr_matrix(X), sparse.csr_array(X), sparse.csc_array(X), wide):
        _assert_same_bits(_noisy().fit(same, y), expected)


@pytest.mark.parametrize("parameters", [{}, {"alpha": 1e-2, "l1_ratio": 0.3}, {"alpha": 1e-2, "average": 5}], ids=repr)
@pytest.mark.parametrize("optimizer", ["adagrad", "adam", "ftrl", SGD(0.1)])
def test_pickling_between_blocks_changes_nothing(optimizer, parameters):
    parameters = {name: value for name, value in parameters.items() if (optimizer, name) != ("ftrl", "average")}
    X, y = _data()[0], _targets(reference.multinomial, 3)

    def first_block():
        return _noisy(optimizer=optimizer, **parameters).partial_fit(X[:60], y[:60], classes=[0, 1, 2])

    straight, pickled = first_block(), pickle.loads(pickle.dumps(first_block()))
    straight.coefs_  # reading weights catches up on penalties, as pickling does
    for model in (straight, pickled):
        model.partial_fit(X[60:], y[60:])
    _assert_same_bits(straight, pickled)


def test_reading_weights_between_blocks_changes_them_by_rounding_only():
    X, y = _data()[0], _targets(reference.multinomial, 3)
    straight, read = (_noisy(alpha=1e-2, l1_ratio=0.3) for _ in range(2))
    for block in range(5):
        rows = slice(20 * block, 20 * block + 20)
        straight.partial_fit(X[rows], y[rows], classes=[0, 1, 2])
        read.partial_fit(X[rows], y[rows], classes=[0, 1, 2]).coefs_
    _assert_close((read.coefs_, read.intercepts_), (straight.coefs_, straight.intercepts_))


@pytest.mark.parametrize("optimizer", [AdaGrad(0.1), FTRL(0.1), Adam(1e-2)], ids=repr)
def test_sums_of_mini_batches_do_not_depend_on_how_they_are_found(optimizer):
    # each column of a narrow matrix has a place of its own; those of a wide one are found by a hash
    rng = np.random.default_rng(0)
    X, y = sparse.random(500, 60, 0.1, "csr", np.float32, rng), rng.integers(0, 2, 500)
    wide = sparse.hstack([X, sparse.csr_matrix((500, 1 << 17), dtype=np.float32)], format="csr")
    options = {"optimizer": optimizer, "alpha": 0.0, "batch_size": 16, "max_iter": 2, "tol": None, "random_state": 0}
    narrow, hashed = (VectorFlowClassifier(**options).fit(rows, y).coef_[0] for rows in (X, wide))
    assert np.abs(narrow).max() > 0.01
    np.testing.assert_allclose(hashed[:60], narrow, rtol=1e-6)
