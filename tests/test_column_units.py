"""Columns of unlike sizes, or far from zero, in models that stochastic steps train: as if they were standardised."""

import pickle
import warnings

import numpy as np
import pytest
from scipy import sparse
from sklearn.metrics import log_loss
from sklearn.preprocessing import StandardScaler

from sklearn_vectorflow import VectorFlowClassifier, VectorFlowRegressor, VectorFlowSurvivalEstimator
from sklearn_vectorflow.io.matrix import Matrix
from sklearn_vectorflow.layers import Add, Input, Linear, ReLU, chain, factorization_machine, wide_and_deep
from sklearn_vectorflow.losses import QuantileLoss
from sklearn_vectorflow.training.column_units import ColumnUnits
from sklearn_vectorflow.training.data import Data

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

UNITS = {
    "scales": (10.0 ** np.linspace(0, 4, 20), 0.0),
    "small": (10.0 ** -np.linspace(0, 4, 20), 0.0),
    "near": (np.linspace(1, 5, 20), 0.0),
    "means": (1.0, 30.0),
    "both": (10.0 ** np.linspace(-2, 2, 20), 30.0),
}
MODELS = {
    "net": {"hidden_layer_sizes": (16,)},
    "net that stops early": {"hidden_layer_sizes": (16,), "early_stopping": True},
    "deep": {"hidden_layer_sizes": (16, 8), "activation": "tanh"},
    "wide and deep": {"network": wide_and_deep((8,))},
    "linear that stops early": {"early_stopping": True},
    "averaged": {"average": True},
    "without intercept": {"hidden_layer_sizes": (16,), "fit_intercept": False},
}


def numbers(seed=0, n_rows=5000, noise=1.0):
    """Standardised columns, and classes that follow them."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_rows, 20))
    score = X @ rng.normal(size=20) / 3
    return X, score + noise * rng.normal(size=n_rows), (score + noise * rng.logistic(size=n_rows) > 0).astype(int)


def in_units(X, name):
    size, mean = UNITS[name]
    return (X + mean) * size


@pytest.mark.parametrize("store", [np.asarray, sparse.csr_matrix], ids=["dense", "sparse"])
@pytest.mark.parametrize("units", UNITS)
@pytest.mark.parametrize("name", MODELS)
def test_units_of_columns_do_not_matter(name, units, store):
    """A net of 16 units had 11 times the loss of a tuned linear model, with early stopping a linear model 3 times."""
    X, _, y = numbers()
    if name == "without intercept" and units in ("means", "both"):
        pytest.skip("columns cannot be centred then")
    if units == "near" and "hidden_layer_sizes" not in MODELS[name] and "network" not in MODELS[name]:
        pytest.skip("steps of linear models suit columns so near")
    train, test = slice(0, 2000), slice(2000, None)
    raw = in_units(X, units)
    scaler = StandardScaler(with_mean=name != "without intercept").fit(raw[train])
    losses = []
    for rows in (raw, scaler.transform(raw)):
        model = VectorFlowClassifier(random_state=0, n_jobs=1, **MODELS[name])
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)
            warnings.simplefilter("ignore", DeprecationWarning)
            warnings.filterwarnings("ignore", category=UserWarning, message="The (loss was still|fit ended)")
            model.fit(store(rows[train]), y[train])
        losses.append(log_loss(y[test], model.predict_proba(store(rows[test]))))
    assert losses[0] == pytest.approx(losses[1], rel=0.01)


@pytest.mark.parametrize(
    "make",
    [
        lambda: VectorFlowRegressor(hidden_layer_sizes=(16,), random_state=0),
        lambda: VectorFlowRegressor(loss=QuantileLoss(0.7), random_state=0),
        lambda: VectorFlowRegressor(loss="poisson", early_stopping=True, random_state=0),
        lambda: VectorFlowSurvivalEstimator("exponential", hidden_layer_sizes=(8,), random_state=0),
        lambda: VectorFlowSurvivalEstimator("cox", random_state=0),
    ],
    ids=["net", "quantile", "poisson", "exponential", "cox"],
)
def test_units_of_columns_do_not_matter_to_other_losses(make):
    X, y, _ = numbers(n_rows=3000)
    model = make()
    if isinstance(model, VectorFlowSurvivalEstimator):
        y = np.rec.fromarrays([y > -1, np.exp(y)], names="event,time")
    elif model.loss == "poisson":
        y = np.exp(y)
    raw = in_units(X, "both")
    found = [make().fit(rows, y).predict(rows) for rows in (raw, StandardScaler().fit_transform(raw))]
    assert np.corrcoef(*(np.argsort(np.argsort(one)) for one in found))[0, 1] > 0.99
    if isinstance(model, VectorFlowRegressor):
        assert np.std(found[0] - found[1]) < 0.1 * np.std(found[1])


def test_a_fitted_net_reads_columns_as_they_are():
    X, _, y = numbers(n_rows=2000)
    raw = in_units(X, "both")
    model = VectorFlowClassifier((16,), random_state=0).fit(raw, y)
    (first, last), (of_units, of_output) = model.coefs_, model.intercepts_
    by_hand = np.maximum(raw @ first + of_units, 0.0) @ last + of_output
    np.testing.assert_allclose(model.decision_function(raw), by_hand[:, 0], atol=1e-3)
    restored = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(restored.decision_function(raw), model.decision_function(raw))


@pytest.mark.parametrize("network", [None, wide_and_deep((8,))], ids=["chain", "wide and deep"])
def test_columns_that_are_alike_stay_as_they_are(network, monkeypatch):
    """Bits of categories and words do not change, nor is X copied."""

    def refuse(*args):
        raise AssertionError("columns are taken for unlike")

    monkeypatch.setattr(ColumnUnits, "of", refuse)
    rng = np.random.default_rng(0)
    ones = sparse.random(2000, 300, 0.03, format="csr", random_state=0, data_rvs=np.ones)
    words = sparse.random(2000, 3000, 0.01, format="csr", random_state=0, data_rvs=lambda n: rng.lognormal(size=n))
    y = np.arange(2000) % 2
    for X in (ones, words, rng.normal(size=(2000, 20)), ones.toarray()):
        for options in ({"early_stopping": True}, {"hidden_layer_sizes": (8,)}):
            VectorFlowClassifier(network=network, max_iter=2, random_state=0, **options).fit(X, y)


def numbers_among_categories(n_columns, seed=0, n_rows=6000):
    rng = np.random.default_rng(seed)
    ids = rng.integers(0, n_columns, (n_rows, 5))
    ones = sparse.csr_matrix((np.ones(ids.size), ids.ravel(), np.arange(0, ids.size + 1, 5)), (n_rows, n_columns))
    ones.sum_duplicates()
    values = rng.normal(size=(n_rows, 3))
    score = ones @ rng.normal(size=n_columns) + values.sum(axis=1)
    raw = values * [1e4, 1e-3, 3.0] + [1e4, 0.0, 2015.0]
    rows = [sparse.hstack([ones, sparse.csr_matrix(one)], format="csr") for one in (raw, values)]
    return *rows, score + rng.normal(size=n_rows)


@pytest.mark.parametrize(
    "params",
    [{}, {"early_stopping": True}, {"hidden_layer_sizes": (8,)}, {"average": True}, {"loss": "absolute_error"}],
    ids=str,
)
@pytest.mark.parametrize("n_columns", [300, 2000])
def test_numbers_among_categories_are_learnt_in_any_units(params, n_columns):
    """With 2,000 categories, 87 percent of the variance was left, and 21 percent are now."""
    raw, alike, y = numbers_among_categories(n_columns)
    errors = []
    for X in (raw, alike):
        model = VectorFlowRegressor(random_state=0, n_jobs=1, **params).fit(X[:4000], y[:4000])
        errors.append(np.mean((model.predict(X[4000:]) - y[4000:]) ** 2))
    assert errors[0] < 1.02 * errors[1]


def test_sparse_rows_stay_sparse_and_untouched():
    raw, *_ = numbers_among_categories(100, n_rows=500)
    before = raw.copy()
    data = Data(Matrix(raw), np.zeros((500, 1)), None)
    units = ColumnUnits.of(data, None, True)
    found = units.applied(data).matrix.values
    assert (raw != before).nnz == 0
    np.testing.assert_array_equal(found.indices, raw.indices)
    assert not np.any(units.center[:100])  # of columns that some rows lack
    np.testing.assert_allclose(units.center[[100, 102]], raw[:, [100, 102]].mean(axis=0).A1)
    np.testing.assert_allclose(found[:, 100:].toarray().std(axis=0), 1.0, rtol=1e-3)


@pytest.mark.filterwarnings("ignore:Steps of one size")
def test_columns_that_held_out_rows_lack_are_not_centred():
    X, _, y = numbers(n_rows=3000)
    raw = in_units(X, "means")
    held_out = sparse.csr_matrix(np.where(np.arange(20) < 2, 0.0, raw[2000:]))
    model = VectorFlowClassifier((8,), early_stopping=False, random_state=0)
    model.fit(raw[:2000], y[:2000], X_val=held_out, y_val=y[2000:])
    assert -model.validation_scores_[-1] == pytest.approx(log_loss(y[2000:], model.predict_proba(held_out)), rel=1e-4)


@pytest.mark.parametrize("store", [sparse.csr_matrix, np.asarray], ids=["sparse", "dense"])
def test_repeated_columns_mean_their_sum(store):
    X, _, y = numbers(n_rows=1000)
    raw = in_units(X, "both")
    twice = sparse.csr_matrix(np.hstack([0.25 * raw, 0.75 * raw]))
    twice = sparse.csr_matrix((twice.data, twice.indices % 20, twice.indptr), (1000, 20))
    one, other = (VectorFlowClassifier((8,), random_state=0, n_jobs=1).fit(rows, y) for rows in (twice, store(raw)))
    np.testing.assert_allclose(one.decision_function(raw), other.decision_function(raw), atol=0.05)


@pytest.mark.parametrize("params", MODELS.values(), ids=MODELS)
@pytest.mark.parametrize("units", ["scales", "small", "means"])
def test_more_rows_never_make_it_worse(params, units):
    """The state of the optimizer is that of columns as they are, too."""
    if units == "means" and not params.get("fit_intercept", True):
        pytest.skip("columns cannot be centred then")
    before, after = [], []
    for seed in range(3):
        X, _, y = numbers(seed, 6000, noise=0.3)
        raw = in_units(X, units)
        model = VectorFlowClassifier(random_state=0, **params).fit(raw[:2000], y[:2000])
        before.append(log_loss(y[3000:], model.predict_proba(raw[3000:])))
        model.partial_fit(raw[2000:3000], y[2000:3000])
        after.append(log_loss(y[3000:], model.predict_proba(raw[3000:])))
    assert np.mean(after) < 1.02 * np.mean(before)


OF_THEIR_OWN = {
    "rate": {"learning_rate": 0.01},
    "optimizer": {"optimizer": "adam"},
    "strength": {"alpha": 1e-4},
    "going on": {"warm_start": True},
    "embeddings": {"network": factorization_machine(4), "hidden_layer_sizes": ()},
    "a layer's strength": {"network": Linear()(ReLU()(Linear(8, penalty=[])(Input()))), "hidden_layer_sizes": ()},
}


@pytest.mark.filterwarnings("ignore:Initial weights")
@pytest.mark.parametrize("params", OF_THEIR_OWN.values(), ids=OF_THEIR_OWN)
def test_what_users_choose_is_for_columns_as_they_are_and_unsuitable_ones_are_named(params):
    X, _, y = numbers(n_rows=1000)
    raw = X.copy()
    raw[:, 3] *= 100.0
    raw[:, 5] += 100.0
    with pytest.warns(UserWarning, match=r"column\(s\) 3, 5"):
        VectorFlowClassifier(**{"hidden_layer_sizes": (8,), "max_iter": 2, "random_state": 0, **params}).fit(raw, y)


def test_layers_that_read_some_columns_each():
    X, _, y = numbers(n_rows=3000)
    raw = in_units(X, "both")

    def network():
        wide, deep = Input(slice(0, 12)), Input([19, 3, 15, 7])
        return Add()([Linear()(wide), chain((8,), inputs=deep)])

    found = []
    for rows in (raw, StandardScaler().fit_transform(raw)):
        model = VectorFlowClassifier(network=network(), random_state=0, n_jobs=1).fit(rows, y)
        found.append(model.decision_function(rows))
    np.testing.assert_allclose(*found, atol=0.02 * np.std(found[1]))


@pytest.mark.parametrize("n_rows", [17, 40, 64])
def test_few_rows(n_rows):
    X, _, y = numbers(n_rows=n_rows)
    y[:2] = 0, 1
    raw = in_units(X, "both")
    found = [
        VectorFlowClassifier((4,), random_state=0).fit(rows, y).decision_function(rows)
        for rows in (raw, StandardScaler().fit_transform(raw))
    ]
    np.testing.assert_allclose(*found, atol=0.02 * np.std(found[1]) + 1e-3)


def test_columns_that_do_not_vary_or_are_empty():
    X, _, y = numbers(n_rows=1000)
    raw = np.column_stack([in_units(X, "scales"), np.full(1000, 1e6), np.zeros(1000), np.arange(1000) == 5])
    model = VectorFlowClassifier((8,), random_state=0).fit(raw, y)
    alike = VectorFlowClassifier((8,), random_state=0).fit(X, y)
    loss, other = (log_loss(y, one.predict_proba(rows)) for one, rows in ((model, raw), (alike, X)))
    assert loss < 1.05 * other


class Watcher:
    """A callback that scores the model of every epoch."""

    def __init__(self):
        self.scores = []

    def setup(self, estimator, context):
        pass

    teardown = on_fit_task_begin = setup

    def on_fit_task_end(self, estimator, context, *, X, y, fitted_estimator):
        if context.task_name == "epoch":
            self.scores.append(fitted_estimator.score(X, y))
        return False


@pytest.mark.parametrize("early_stopping", [False, True])
def test_callbacks_see_nets_that_read_columns_as_they_are(early_stopping):
    pytest.importorskip("sklearn.callback", reason="callbacks came with scikit-learn 1.9")
    X, _, y = numbers(n_rows=1000, noise=0.1)
    watcher = Watcher()
    model = VectorFlowClassifier((8,), early_stopping=early_stopping, random_state=0).set_callbacks(watcher)
    model.fit(in_units(X, "both"), y)
    assert len(watcher.scores) == model.n_iter_
    assert watcher.scores[-1] == pytest.approx(model.score(in_units(X, "both"), y), abs=0.03)
    assert watcher.scores[-1] > 0.9
