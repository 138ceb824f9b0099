"""Losses that compute few of many outputs: the same as dense ones, and at the cost of what they compute."""

import pickle
import tracemalloc

import numpy as np
import pytest
from scipy import sparse
from scipy.special import expit, log_softmax, softmax
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, train_test_split

from sklearn_vectorflow import VectorFlowClassifier, VectorFlowRegressor, threads
from sklearn_vectorflow.engine.net.sampling import alias_table
from sklearn_vectorflow.engine.top_k import top_k
from sklearn_vectorflow.io import BatchSource
from sklearn_vectorflow.layers import Add, Concat, Dropout, Input, Linear, Tanh
from sklearn_vectorflow.losses import SampledLogLoss, SampledSoftmaxLoss
from sklearn_vectorflow.network import forward
from sklearn_vectorflow.optimizers import FTRL, SGD, AdaGrad, Adam
from sklearn_vectorflow.penalties import L1, L2

import reference
from datasets import load, needs_data

N_ROWS, N_FEATURES, N_CLASSES, N_HIDDEN = 90, 12, 15, 6
# few classes, so that all can be drawn and losses compared to those that draw none
pytestmark = pytest.mark.filterwarnings("ignore:Sampled.*includes all of the:UserWarning")

DENSE = {SampledSoftmaxLoss: "multinomial", SampledLogLoss: "one_vs_rest"}


def rows(seed=0, n_rows=N_ROWS):
    rng = np.random.RandomState(seed)
    X = rng.normal(size=(n_rows, N_FEATURES)) * (rng.uniform(size=(n_rows, N_FEATURES)) < 0.5)
    return sparse.csr_matrix(X.astype(np.float32))


def classes(seed=1, n_rows=N_ROWS):
    rng = np.random.RandomState(seed)
    return np.append(np.arange(N_CLASSES), rng.zipf(1.5, n_rows - N_CLASSES) % N_CLASSES)


def labels(seed=1, n_rows=N_ROWS, n_labels=N_CLASSES):
    return sparse.random(n_rows, n_labels, 0.2, format="csr", random_state=seed, data_rvs=np.ones)


def start(hidden, seed=2):
    """A net with weights of its own: a linear one or one with a hidden layer."""
    rng = np.random.RandomState(seed)

    def layer(n_in, n_out):
        return Linear(n_out, init=(0.5 * rng.normal(size=(n_in, n_out)), 0.5 * rng.normal(size=n_out)))

    if not hidden:
        return layer(N_FEATURES, N_CLASSES)(Input())
    return layer(N_HIDDEN, N_CLASSES)(Tanh()(layer(N_FEATURES, N_HIDDEN)(Input())))


def classifier(loss, hidden=True, **params):
    params = {"max_iter": 2, "tol": None, "shuffle": False, "random_state": 3, "network": start(hidden), **params}
    return VectorFlowClassifier(loss=loss, **params)


def arrays(model):
    return [*model.coefs_, *model.intercepts_]


def close(found, expected, tolerance=1e-5):
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=tolerance * max(1.0, np.abs(other).max()))


# ---- all outputs taken: the dense loss ----------------------------------------------------


@pytest.mark.parametrize(
    "params",
    [
        {"optimizer": AdaGrad(0.1), "alpha": 0.0},
        {"optimizer": AdaGrad(0.1), "alpha": 1e-2},
        {"optimizer": AdaGrad(0.1), "alpha": 1e-2, "l1_ratio": 0.5, "batch_size": 7},
        {"optimizer": AdaGrad(0.1), "average": True, "alpha": 1e-2},
        {"optimizer": SGD(0.1), "alpha": 1e-2, "batch_size": 7},
        {"optimizer": FTRL(), "alpha": 1e-2},
        {"optimizer": Adam(0.01), "alpha": 1e-2, "batch_size": 7},
        {"optimizer": AdaGrad(0.1), "fit_intercept": False},
    ],
    ids=repr,
)
@pytest.mark.parametrize("hidden", [False, True], ids=["linear", "hidden"])
@pytest.mark.parametrize("kind", DENSE)
def test_with_all_outputs_taken_it_is_the_dense_loss(kind, hidden, params):
    if not hidden and isinstance(params["optimizer"], Adam):
        pytest.skip("Adam counts the touches of a weight here, of a feature there")
    X, y = rows(), classes()
    found = classifier(kind(N_CLASSES), hidden, **params).fit(X, y)
    expected = classifier(DENSE[kind], hidden, **params).fit(X, y)
    close(arrays(found), arrays(expected), 2e-5)
    np.testing.assert_allclose(found.loss_curve_, expected.loss_curve_, rtol=1e-5)
    np.testing.assert_allclose(found.decision_function(X), expected.decision_function(X), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    "penalty",
    [
        L2(np.linspace(0, 0.1, N_FEATURES)),
        [L2(0.01, center=np.random.RandomState(0).normal(size=(N_CLASSES, N_FEATURES)))],
        L1(np.linspace(0, 0.1, N_FEATURES), center=np.random.RandomState(0).normal(size=(N_CLASSES, N_FEATURES))),
    ],
    ids=["strengths", "center", "both"],
)
def test_penalties_of_each_feature_and_centres_are_those_of_the_dense_loss(penalty):
    X, y = rows(), classes()
    params = {"penalty": penalty, "optimizer": AdaGrad(0.1)}
    found = classifier(SampledSoftmaxLoss(N_CLASSES), False, **params).fit(X, y)
    close(arrays(found), arrays(classifier("multinomial", False, **params).fit(X, y)))


@pytest.mark.parametrize("batch_size", [1, 7])
@pytest.mark.parametrize(
    "form", [sparse.csr_matrix, sparse.csr_array, lambda Y: Y.toarray()], ids=["matrix", "array", "dense"]
)
def test_labels_are_the_dense_loss_of_labels(form, batch_size):
    X, Y = rows(), labels()
    found = classifier(SampledLogLoss(N_CLASSES), batch_size=batch_size).fit(X, form(Y))
    expected = classifier("log_loss", batch_size=batch_size).fit(X, Y)
    close(arrays(found), arrays(expected))
    predicted = found.predict(X)
    assert sparse.issparse(predicted)
    np.testing.assert_array_equal(predicted.toarray(), expected.predict(X))
    assert found.score(X, form(Y)) == expected.score(X, Y)


# ---- dense NumPy and float64, for the same draws ----------------------------------------


class Candidates:
    """A loss for `reference.train`, of each step's candidates; `draws` has what the steps drew."""

    def __init__(self, loss, counts, draws):
        self.draws, self.independent, self.step = draws, loss.independent, 0
        probability = loss.probabilities(counts)
        drawn = 1 - (1 - probability) ** loss.n_negatives
        self.correction = np.log(drawn) if loss.log_q_correction else np.zeros(len(counts))

    def __call__(self, y, raw):
        drawn = self.draws[self.step]
        self.step += 1
        parts = [self.of_row(own, scores, drawn) for own, scores in zip(self.owned(y, raw), raw)]
        return [np.array(arrays) for arrays in zip(*parts)]

    def owned(self, y, raw):
        return y.astype(bool) if y.shape == raw.shape else y == np.arange(raw.shape[1])

    def of_row(self, own, scores, drawn):
        taken = own.copy()
        taken[drawn] = True
        shifted = scores - np.where(self.independent | ~own, self.correction, 0)
        if self.independent:
            loss = np.where(taken, np.logaddexp(0, np.where(own, -shifted, shifted)), 0)
            return loss, np.where(taken, expit(shifted) - own, 0)
        shifted = np.where(taken, shifted, -np.inf)
        return -np.where(own, log_softmax(shifted), 0), softmax(shifted) - own


def draws_of(model, counts, n_steps):
    """What each step of a fit with one thread and without shuffling draws."""
    random_state, steps = np.random.RandomState(model.random_state), []
    for _ in range(model.max_iter):
        seed = random_state.randint(0, 2**31 - 1) << 20
        steps += model._loss.sampler(counts).draws(seed, n_steps)
    return steps


REFERENCES = [
    (SampledSoftmaxLoss(4), classes),
    (SampledSoftmaxLoss(4, sampling="empirical"), classes),
    (SampledSoftmaxLoss(6, sampling="uniform", log_q_correction=False), classes),
    (SampledLogLoss(4), classes),
    (SampledLogLoss(4, power=0.3), labels),
    (SampledLogLoss(6, sampling="uniform", log_q_correction=False), labels),
]


@pytest.mark.parametrize(
    "params, rule, penalty",
    [
        ({"optimizer": AdaGrad(0.1), "alpha": 0.0}, lambda is_output: reference.AdaGrad(0.1, not is_output), {}),
        (
            {"optimizer": AdaGrad(0.1), "alpha": 0.02},
            lambda is_output: reference.AdaGrad(0.1, not is_output),
            {"l2": 0.02},
        ),
        (
            {"optimizer": AdaGrad(0.1), "alpha": 0.02, "l1_ratio": 0.5},
            lambda is_output: reference.AdaGrad(0.1, not is_output),
            {"l1": 0.01, "l2": 0.01},
        ),
        (
            {"optimizer": SGD(0.1, schedule="constant"), "alpha": 0.02},
            lambda is_output: reference.SGD(0.1),
            {"l2": 0.02},
        ),
        ({"optimizer": FTRL(0.1, beta=1.0), "alpha": 0.02}, lambda is_output: reference.FTRL(0.1, 1.0), {"l2": 0.02}),
    ],
    ids=["AdaGrad", "AdaGrad L2", "AdaGrad elastic net", "SGD L2", "FTRL L2"],
)
@pytest.mark.parametrize("batch_size", [1, 7])
@pytest.mark.parametrize("loss, targets", REFERENCES, ids=lambda value: getattr(value, "__name__", repr(value)))
@pytest.mark.parametrize("hidden", [False, True], ids=["linear", "hidden"])
def test_the_same_draws_give_the_weights_of_dense_numpy(hidden, loss, targets, batch_size, params, rule, penalty):
    X, y = rows(), targets()
    model = classifier(loss, hidden, batch_size=batch_size, **params)
    begun = classifier(loss, hidden, **{**params, "optimizer": SGD(1e-30), "alpha": 0.0, "l1_ratio": 0.0}).fit(X, y)
    W, b = [w.astype(float) for w in begun.coefs_], [v.astype(float) for v in begun.intercepts_]
    model.fit(X, y)
    encoded = y[:, None].astype(float) if isinstance(y, np.ndarray) else y.toarray()
    counts = np.bincount(y, minlength=N_CLASSES) if isinstance(y, np.ndarray) else np.asarray(y.sum(axis=0)).ravel()
    step_loss = Candidates(loss, counts, draws_of(model, counts, -(-N_ROWS // batch_size)))
    penalties = [reference.Penalty(**penalty) for _ in W]
    weights, intercepts = reference.train(
        W,
        b,
        X.toarray().astype(float),
        encoded,
        step_loss,
        rule,
        penalties,
        activation="tanh",
        batch_size=batch_size,
        n_epochs=2,
    )
    close(arrays(model), [*weights, *intercepts])


@pytest.mark.parametrize("loss, targets", REFERENCES, ids=lambda value: getattr(value, "__name__", repr(value)))
@pytest.mark.parametrize("n_rows", [1, 20])
def test_a_step_is_the_difference_quotient_of_the_loss_for_its_draws(loss, targets, n_rows):
    X, y = rows()[-n_rows:], targets()[-n_rows:]
    if isinstance(y, np.ndarray):
        y = y % 3
        y[0] = 4
    all_classes = {"classes": np.arange(N_CLASSES)} if isinstance(y, np.ndarray) else {}
    model = classifier(loss, optimizer=SGD(1e-30), alpha=0.0, batch_size=n_rows).partial_fit(X, y, **all_classes)
    before = [array.astype(float) for array in arrays(model)]
    model.set_params(optimizer=SGD(1.0, schedule="constant")).partial_fit(X, y)
    steps = [old - new for old, new in zip(before, arrays(model))]
    encoded = y[:, None] if isinstance(y, np.ndarray) else y.toarray()
    counts = np.bincount(y, minlength=N_CLASSES) if isinstance(y, np.ndarray) else np.asarray(y.sum(axis=0)).ravel()
    draws = draws_of(model, counts, 1)[:1]

    def mean_loss():
        W, V, b, c = before
        raw = np.tanh(X.toarray().astype(float) @ W + b) @ V + c
        return Candidates(loss, counts, draws)(encoded, raw)[0].sum() / n_rows

    for array, step in zip(before, steps):
        for index in np.ndindex(array.shape):
            middle, values = array[index], []
            for sign in (1, -1):
                array[index] = middle + sign * 1e-5
                values.append(mean_loss())
            array[index] = middle
            assert step[index] == pytest.approx((values[0] - values[1]) / 2e-5, abs=3e-6)


def test_the_gradient_reaches_a_dense_part_beside_a_sparse_one():
    """A head that reads X and a hidden layer side by side."""

    def network():
        x, rng = Input(), np.random.RandomState(0)
        h = Tanh()(Linear(N_HIDDEN, init=rng.normal(size=(N_FEATURES, N_HIDDEN)))(x))
        return Linear(init=rng.normal(size=(N_FEATURES + N_HIDDEN, N_CLASSES)))(Concat()([x, h]))

    X, y = rows(), classes()
    found = classifier(SampledSoftmaxLoss(N_CLASSES), network=network(), optimizer=AdaGrad(0.1)).fit(X, y)
    close(arrays(found), arrays(classifier("multinomial", network=network(), optimizer=AdaGrad(0.1)).fit(X, y)))


# ---- draws ---------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [1, 2, 3, 1000])
def test_an_alias_table_has_its_probabilities(n):
    probability = np.random.RandomState(0).pareto(1.0, n) + 1e-9
    probability /= probability.sum()
    keep, alias = alias_table(probability)
    implied = keep.astype(float)
    np.add.at(implied, alias, 1 - keep.astype(float))
    np.testing.assert_allclose(implied / n, probability, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("sampling, power", [("empirical", 1.0), ("flattened", 0.75), ("uniform", 0.0)])
def test_outputs_are_drawn_as_often_as_the_correction_says(sampling, power):
    counts, n_steps = np.array([0, 1, 3, 10, 100, 1000]), 40_000
    loss = SampledSoftmaxLoss(3, sampling=sampling)
    weight = (counts + 1.0) ** power
    np.testing.assert_allclose(loss.probabilities(counts), weight / weight.sum())
    drawn = 1 - (1 - loss.probabilities(counts)) ** 3
    times = np.bincount(np.concatenate(loss.sampler(counts).draws(7, n_steps)), minlength=len(counts))
    np.testing.assert_allclose(times / n_steps, drawn, atol=5 * np.sqrt(0.25 / n_steps))


def test_a_step_takes_an_output_once():
    for drawn in SampledSoftmaxLoss(50, sampling="empirical").sampler(np.arange(60)).draws(0, 200):
        assert len(np.unique(drawn)) == len(drawn)


@pytest.mark.parametrize("kind", [SampledSoftmaxLoss, SampledLogLoss])
def test_the_mean_gradient_tends_to_that_of_the_full_loss(kind):
    rng = np.random.RandomState(0)
    counts, raw = rng.randint(1, 20, 40), rng.normal(size=(1, 40))
    y = np.array([[5.0]])
    own = (np.arange(40) == 5).astype(float)
    expected = (softmax(raw[0]) if kind is SampledSoftmaxLoss else expit(raw[0])) - own

    def error(loss, n_steps=4000):
        sampled = Candidates(loss, counts, loss.sampler(counts).draws(1, n_steps))
        mean = np.mean([sampled(y, raw)[1][0] for _ in range(n_steps)], axis=0)
        return np.abs(mean - expected).sum() / np.abs(expected).sum()

    errors = [error(kind(n)) for n in (2, 30, 1000)]
    assert errors[0] > 1.5 * errors[1] and errors[2] < 0.02, errors
    if kind is SampledSoftmaxLoss:
        assert errors[1] < 0.05 and error(kind(10, log_q_correction=False)) > 2 * error(kind(10)), errors


@pytest.mark.parametrize("sampling", ["empirical", "flattened", "uniform"])
def test_scores_of_labels_are_log_odds_whatever_is_drawn(sampling):
    rng = np.random.RandomState(0)
    frequency = np.array([0.5, 0.2, 0.05, 0.3, 0.1, 0.02, 0.4, 0.01])
    Y = sparse.csr_matrix(rng.uniform(size=(20_000, 8)) < frequency)
    X = np.ones((20_000, 1), dtype=np.float32)
    model = VectorFlowClassifier(
        loss=SampledLogLoss(2, sampling=sampling),
        optimizer=AdaGrad(0.1),
        alpha=0.0,
        max_iter=6,
        tol=None,
        average=60_000,
        random_state=0,
    ).fit(X, Y)
    np.testing.assert_allclose(expit(model.decision_function(X[:1]))[0], Y.mean(axis=0).A1, rtol=0.12, atol=0.003)


# ---- cost ----------------------------------------------------------------------------------


@pytest.mark.parametrize("hidden", [(), (4,)], ids=["linear", "hidden"])
@pytest.mark.parametrize("n_negatives", [1, 5, 20])
def test_weights_of_outputs_that_are_no_candidates_stay(hidden, n_negatives):
    n_outputs, X = 5000, rows(n_rows=10)
    y = np.arange(10) * 7
    loss = SampledSoftmaxLoss(n_negatives, sampling="uniform")
    params = {"hidden_layer_sizes": hidden, "alpha": 1e-3, "random_state": 0, "batch_size": 1, "shuffle": False}
    model = VectorFlowClassifier(loss=loss, max_iter=1, tol=None, optimizer=AdaGrad(0.1), **params)
    model.partial_fit(X, y, classes=np.arange(n_outputs))
    counts = np.bincount(y, minlength=n_outputs)
    drawn = np.concatenate(draws_of(model, counts, 10))
    state = model.network_.parameters[-1].bias[:, 1]  # AdaGrad's: not zero where there was a step
    np.testing.assert_array_equal(np.flatnonzero(state), np.union1d(drawn, y))


def test_labels_by_the_million_fit_in_little_memory():
    n_labels, n_rows, rng = 10**6, 1500, np.random.RandomState(0)
    Y = sparse.csr_matrix(
        (np.ones(3 * n_rows), rng.randint(0, n_labels, 3 * n_rows), np.arange(0, 3 * n_rows + 1, 3)), (n_rows, n_labels)
    )
    Y.sum_duplicates()
    Y.data[:] = 1
    X = rows(n_rows=n_rows)
    model = VectorFlowClassifier(
        (4,),
        loss=SampledLogLoss(10),
        early_stopping=True,
        validation_fraction=0.01,
        max_iter=2,
        tol=None,
        random_state=0,
    )
    tracemalloc.start()
    try:
        model.fit(X, Y)
        model.predict_top_k(X[:20], 3)
        model.score(X[:20], Y[:20])
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert model.coefs_[1].shape == (4, n_labels) and len(model.validation_scores_) == 2
    assert peak < 400e6, "dense labels would take 12 GB, their raw outputs 6"


# ---- the k likeliest ---------------------------------------------------------------------------


@pytest.mark.parametrize("k", [1, 2, 7, 30])
def test_top_k_sorts_and_takes_the_first_of_equals(k):
    rng = np.random.RandomState(0)
    values = rng.randint(0, 6, (50, 30)).astype(np.float32)
    indices, scores = top_k(values, k)
    expected = np.argsort(-values, axis=1, kind="stable")[:, :k]
    np.testing.assert_array_equal(indices, expected)
    np.testing.assert_array_equal(scores, np.take_along_axis(values, expected, axis=1))


@pytest.mark.parametrize("n_jobs", [1, 2])
@pytest.mark.parametrize("loss", ["multinomial", "one_vs_rest", "hinge", "sampled_softmax", "sampled_log_loss"])
def test_predict_top_k_is_in_the_order_of_the_scores(monkeypatch, loss, n_jobs):
    monkeypatch.setattr(threads, "WORTHWHILE", 1)
    monkeypatch.setattr(threads, "_pool_limit", lambda: 8)
    monkeypatch.setattr(forward, "MOST_RAW", 10 * N_CLASSES)
    X, names = rows(), np.array([f"class {k:02}" for k in classes()])
    model = classifier(loss, hidden=False, n_jobs=n_jobs).fit(X, names)
    raw = model.decision_function(X)
    order = np.argsort(-raw, axis=1, kind="stable")
    for k in (1, 4, N_CLASSES):
        found, scores = model.predict_top_k(X, k, return_scores=True)
        np.testing.assert_array_equal(found, model.classes_[order[:, :k]])
        np.testing.assert_array_equal(scores, np.take_along_axis(raw, order[:, :k], axis=1))
        np.testing.assert_array_equal(model.predict_top_k(X, k), found)
    np.testing.assert_array_equal(model.predict_top_k(X, 1)[:, 0], model.predict(X))


def test_predict_top_k_of_two_classes_of_labels_and_of_a_source():
    X, y = rows(), classes() > 2
    model = VectorFlowClassifier(max_iter=2, random_state=0).fit(X, y)
    found, scores = model.predict_top_k(X, 2, return_scores=True)
    raw = model.decision_function(X)
    np.testing.assert_array_equal(scores, np.sort(np.column_stack([-raw, raw]))[:, ::-1])
    np.testing.assert_array_equal(found[:, 0], model.predict(X))
    model = classifier("sampled_log_loss").fit(X, labels())
    expected = np.argsort(-model.decision_function(X), axis=1, kind="stable")[:, :3]
    np.testing.assert_array_equal(model.predict_top_k(X, 3), expected)
    source = BatchSource(lambda: iter([(X[:30], None), (X[30:], None)]))
    np.testing.assert_array_equal(model.predict_top_k(source, 3), expected)


def test_equal_scores_come_in_the_order_of_the_classes():
    model = classifier("sampled_softmax", network=Linear(init="zeros", frozen=True)(Input()), fit_intercept=False)
    X = rows()
    assert np.array_equal(model.fit(X, classes()).predict_top_k(X, 4), np.tile(np.arange(4), (N_ROWS, 1)))


@pytest.mark.parametrize(
    "k, error, message",
    [
        (0, ValueError, "k must be at least 1, got 0"),
        (N_CLASSES + 1, ValueError, "k must be at most 15, the number of classes, got 16"),
        (2.0, TypeError, "k must be an integer of at least 1, got 2.0"),
        (True, TypeError, "k must be an integer"),
    ],
)
def test_bad_k_is_named(k, error, message):
    model = classifier("sampled_softmax").fit(rows(), classes())
    with pytest.raises(error, match=message):
        model.predict_top_k(rows(), k)


# ---- as an estimator -----------------------------------------------------------------------------


@pytest.mark.parametrize("loss, targets", [("sampled_softmax", classes), ("sampled_log_loss", labels)])
def test_copies_predict_the_same_and_go_on(loss, targets):
    X, y = rows(), targets()
    model = classifier(loss, warm_start=True, dropout=0.0).fit(X, y)
    loaded = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(loaded.decision_function(X), model.decision_function(X))
    for one in (model, loaded):
        one.fit(X, y)
    close(arrays(loaded), arrays(model), 1e-7)
    again = clone(model).fit(X, y)
    assert again.n_iter_ == 2 and not hasattr(clone(model), "network_")


def test_a_pickle_without_state_holds_weights_alone():
    model = classifier("sampled_softmax", warm_start=False).fit(rows(), classes())
    model.network_.keep_state = False
    loaded = pickle.loads(pickle.dumps(model))
    assert loaded.network_.parameters[-1].record.shape == (N_HIDDEN * N_CLASSES, 1)
    np.testing.assert_array_equal(loaded.predict_proba(rows()), model.predict_proba(rows()))
    np.testing.assert_allclose(model.predict_proba(rows()).sum(axis=1), 1)


def test_the_linear_model_has_coefficients_and_becomes_sparse():
    X, y = rows(), classes()
    model = classifier("sampled_softmax", network=None).fit(X, y)
    assert model.coef_.shape == (N_CLASSES, N_FEATURES) and model.intercept_.shape == (N_CLASSES,)
    raw = model.decision_function(X)
    np.testing.assert_allclose(raw, X @ model.coef_.T + model.intercept_, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(model.sparsify().decision_function(X), raw, rtol=1e-6)
    np.testing.assert_allclose(model.densify().decision_function(X), raw, rtol=1e-6)
    assert np.isfinite(model.partial_fit(X, y).coef_).all()


@pytest.mark.filterwarnings("ignore:The fit ended worse")  # on so few rows, some candidates do
def test_parameters_are_found_by_grid_search():
    search = GridSearchCV(
        VectorFlowClassifier((8,), loss=SampledSoftmaxLoss(), max_iter=3, random_state=0),
        {"loss__n_negatives": [1, 5], "loss__sampling": ["uniform", "empirical"]},
        cv=2,
    )
    y = classes() % 4
    search.fit(rows(), y)
    assert search.best_estimator_.loss.n_negatives in (1, 5) and search.best_estimator_.predict(rows()).shape == y.shape


def test_validation_loss_is_that_of_all_outputs():
    X, y = rows(), classes()
    weight = np.arange(1, N_ROWS + 1)
    model = classifier("sampled_softmax", max_iter=3).fit(X, y, X_val=X, y_val=y, sample_weight_val=weight)
    of_rows = -log_softmax(model.decision_function(X), axis=1)[np.arange(N_ROWS), y]
    expected = np.average(of_rows, weights=weight)
    assert -model.validation_scores_[-1] == pytest.approx(expected, rel=1e-5)
    Y = labels()
    model = classifier("sampled_log_loss", early_stopping=True, max_iter=3, validation_fraction=0.2).fit(X, Y)
    assert len(model.validation_scores_) == 3
    model.fit(X, Y, X_val=X, y_val=Y)
    raw = model.decision_function(X)
    expected = np.logaddexp(0, np.where(Y.toarray() > 0, -raw, raw)).sum(axis=1).mean()
    assert -max(model.validation_scores_) == pytest.approx(expected, rel=1e-5)


def test_partial_fit_weights_and_sources_are_read():
    X, y = rows(), classes()
    whole = classifier("sampled_softmax", n_jobs=1).fit(X, y)
    source = BatchSource(lambda: iter([(X[:40], y[:40]), (X[40:], y[40:])]))
    np.testing.assert_array_equal(classifier("sampled_softmax").fit(source).coefs_[1], whole.coefs_[1])
    doubled = classifier("sampled_softmax").fit(X, y, sample_weight=np.full(N_ROWS, 2.0))
    close(arrays(doubled), arrays(whole), 1e-6)
    parts = classifier("sampled_softmax")
    for part in (slice(0, 40), slice(40, None)):
        parts.partial_fit(X[part], y[part], classes=np.arange(N_CLASSES))
    assert parts.n_iter_ == 2 and np.isfinite(parts.decision_function(X)).all()


def structured(n_rows=4000, n_classes=300, seed=0):
    """Rows whose class shows in a few of its own columns; classes of Zipf frequencies."""
    own = np.random.RandomState(9).randint(0, 400, (n_classes, 8))
    rng = np.random.RandomState(seed)
    y = np.minimum(rng.zipf(1.3, n_rows), n_classes) - 1
    columns = np.hstack([own[y][:, :6], rng.randint(0, 400, (n_rows, 4))])
    starts = np.arange(0, columns.size + 1, 10)
    X = sparse.csr_matrix((np.ones(columns.size, np.float32), columns.ravel(), starts), (n_rows, 400))
    X.sum_duplicates()
    return X, y


def test_threads_learn_as_well_as_one(monkeypatch):
    monkeypatch.setattr(threads, "WORTHWHILE", 1)
    monkeypatch.setattr(threads, "_pool_limit", lambda: 8)
    train, test = structured(), structured(seed=1)
    scores = {}
    for n_jobs in (1, 2):
        models = [
            VectorFlowClassifier(
                (16,),
                loss=SampledSoftmaxLoss(20),
                learning_rate=0.1,
                max_iter=5,
                tol=None,
                n_jobs=n_jobs,
                random_state=seed,
            ).fit(*train)
            for seed in range(3)
        ]
        scores[n_jobs] = np.mean([model.score(*test) for model in models])
    assert scores[1] > 0.7 and abs(scores[2] - scores[1]) < 0.03


def test_dropout_draws_leave_the_loss_finite():
    train = structured()
    model = VectorFlowClassifier(
        (16,), loss=SampledLogLoss(20), dropout=0.3, input_dropout=0.2, learning_rate=0.1, max_iter=5, random_state=0
    ).fit(*train)
    assert model.score(*train) > 0.7


@pytest.mark.parametrize(
    "loss, error, message",
    [
        (SampledSoftmaxLoss(0), ValueError, "SampledSoftmaxLoss: n_negatives must be at least 1, got 0"),
        (SampledLogLoss(-3), ValueError, "SampledLogLoss: n_negatives must be at least 1, got -3"),
        (SampledLogLoss(2.5), TypeError, "n_negatives must be an integer"),
        (
            SampledSoftmaxLoss(sampling="zipf"),
            ValueError,
            r"SampledSoftmaxLoss: sampling must be one of \['empirical', 'flattened', 'uniform'\], got 'zipf'",
        ),
        (SampledSoftmaxLoss(power=-1), ValueError, r"power must be in \[0, inf\), got -1"),
        (SampledSoftmaxLoss(log_q_correction="yes"), TypeError, "log_q_correction must be True or False, got 'yes'"),
        ("sampled", ValueError, "loss must be one of"),
    ],
)
def test_bad_parameters_are_named(loss, error, message):
    with pytest.raises(error, match=message):
        VectorFlowClassifier(loss=loss).fit(rows(), classes())


def test_what_cannot_be_sampled_is_refused():
    X, y = rows(), classes()
    with pytest.raises(ValueError, match="takes one class per row, got an indicator matrix"):
        VectorFlowClassifier(loss="sampled_softmax").fit(X, labels())
    with pytest.raises(TypeError, match="loss must be one of .* or an instance of RegressionLoss"):
        VectorFlowRegressor(loss=SampledSoftmaxLoss()).fit(X, y.astype(float))
    with pytest.raises(ValueError, match="loss must be one of"):
        VectorFlowRegressor(loss="sampled_softmax").fit(X, y.astype(float))
    x = Input()
    for heads in (Add()([Linear()(x), Linear()(x)]), [Linear(10)(x), Linear(5)(x)], Dropout(0.5)(Linear()(x))):
        with pytest.raises(ValueError, match="network: a loss that samples outputs needs a single head, a Linear, got"):
            VectorFlowClassifier(loss="sampled_softmax", network=heads).fit(X, y)
    model = classifier("multinomial", warm_start=True).fit(X, y)
    with pytest.raises(ValueError, match="warm_start=True continues from"):
        model.set_params(loss="sampled_softmax").fit(X, y)


# ---- real data ---------------------------------------------------------------------------------


@needs_data
def test_stackoverflow20_as_good_as_the_full_softmax():
    data = load("stackoverflow20")
    X, X_test, y, y_test = train_test_split(data["X"], data["y"], test_size=0.3, random_state=0)
    scores = [
        VectorFlowClassifier((32,), loss=loss, max_iter=4, tol=None, random_state=0).fit(X, y).score(X_test, y_test)
        for loss in ("multinomial", SampledSoftmaxLoss(5), SampledLogLoss(5))
    ]
    assert min(scores[1:]) > scores[0] - 0.02, scores


@needs_data
def test_bibtex_ranks_labels_as_well_as_the_full_log_loss():
    data = load("bibtex")
    X, X_test, Y, Y_test = train_test_split(data["X"], data["Y"].tocsr(), test_size=0.3, random_state=0)

    def precision(loss):
        model = VectorFlowClassifier(loss=loss, max_iter=6, tol=None, random_state=0).fit(X, Y)
        top = model.predict_top_k(X_test, 3)
        return np.mean([Y_test[[row] * 3, top[row]].sum() / 3 for row in range(len(top))])

    full, sampled = precision("log_loss"), precision(SampledLogLoss(30))
    assert full > 0.3 and sampled > full - 0.02, (full, sampled)
