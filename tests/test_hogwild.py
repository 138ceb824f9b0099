"""Threads that train on shared weights give what one thread gives, on data large enough for them."""

import numpy as np
import pytest
from scipy import sparse
from sklearn.dummy import DummyClassifier
from sklearn.metrics import log_loss
from sklearn.preprocessing import normalize

from sklearn_vectorflow import VectorFlowClassifier, threads
from sklearn_vectorflow.layers import field_aware_factorization_machine
from sklearn_vectorflow.optimizers import FTRL, SGD, AdaGrad
from sklearn_vectorflow.training.trainer import Trainer

from datasets import load, needs_data

pytestmark = pytest.mark.threads  # each thread needs a core of its own

SEEDS = range(5)
N_TRAIN, N_TEST, N_WORDS = 60_000, 10_000, 30_000


def zipf(rng, n, n_words, exponent=1.1):
    """Ids of a bounded Zipf law: a few hot ones, a long tail."""
    largest = n_words ** (1 - exponent)
    ranks = (1 - rng.random(n) * (1 - largest)) ** (1 / (1 - exponent))
    return np.minimum(ranks.astype(np.int64), n_words) - 1


def texts(rng, n_rows, words_per_row=60):
    """Unit rows of words with random importance."""
    lengths = np.maximum(rng.poisson(words_per_row, n_rows), 3)
    indptr = np.concatenate([[0], np.cumsum(lengths)])
    values = rng.gamma(2.0, size=indptr[-1]).astype(np.float32)
    X = sparse.csr_matrix((values, zipf(rng, indptr[-1], N_WORDS), indptr), shape=(n_rows, N_WORDS))
    X.sum_duplicates()
    return normalize(X).astype(np.float32)


@pytest.fixture(scope="module")
def text():
    """Training and test rows with labels of a logistic model."""
    rng = np.random.default_rng(0)
    X = texts(rng, N_TRAIN + N_TEST)
    signal = X @ rng.normal(size=N_WORDS)
    chance = 1 / (1 + np.exp(-2.5 * (signal - signal.mean()) / signal.std()))
    y = (rng.random(len(chance)) < chance).astype(int)
    return X[:N_TRAIN], y[:N_TRAIN], X[N_TRAIN:], y[N_TRAIN:]


@pytest.fixture(scope="module")
def news20():
    data = load("news20")
    for name in ("X", "Xt"):
        data[name].data = np.log1p(data[name].data)
    return normalize(data["X"]), data["y"], normalize(data["Xt"]), data["yt"]


@pytest.fixture(autouse=True)
def two_threads_allowed(monkeypatch):
    """Limits of the machine's thread pools, as OMP_NUM_THREADS sets them, are not what is tested."""
    monkeypatch.setattr(threads, "_pool_limit", lambda: 2)


@pytest.fixture
def at_work(monkeypatch):
    """Workers and steps of every epoch."""
    seen = []

    class Watched(Trainer):
        def epoch(self):
            steps_before = self.clock.step
            loss = super().epoch()
            seen.append((len(self.team.workers), self.clock.step - steps_before))
            return loss

    monkeypatch.setattr("sklearn_vectorflow.training.data.Trainer", Watched)
    return seen


N_FIELDS, N_IDS = 8, 60  # as many as 60,000 rows can tell apart


@pytest.fixture(scope="module")
def clicks():
    """Rows of an id a field, which interact."""
    rng = np.random.default_rng(0)
    ids = zipf(rng, 70_000 * N_FIELDS, N_IDS).reshape(-1, N_FIELDS)
    taste = rng.normal(size=(N_FIELDS, N_IDS, N_FIELDS, 2))
    logits = np.zeros(len(ids))
    for f in range(N_FIELDS):
        for g in range(f):
            logits += np.sum(taste[f, ids[:, f], g] * taste[g, ids[:, g], f], axis=1) / 3
    y = rng.random(len(ids)) < 1 / (1 + np.exp(-logits))
    columns = (ids + N_IDS * np.arange(N_FIELDS)).ravel()
    triplet = np.ones(columns.size, np.float32), columns, np.arange(0, columns.size + 1, N_FIELDS)
    X = sparse.csr_matrix(triplet, shape=(len(ids), N_FIELDS * N_IDS))
    return X[:N_TRAIN], y[:N_TRAIN], X[N_TRAIN:], y[N_TRAIN:]


def fit(data, n_jobs, seed, **options):
    X, y = data[:2]
    options = {"max_iter": 3, "tol": None, **options}
    return VectorFlowClassifier(n_jobs=n_jobs, random_state=seed, **options).fit(X, y)


def losses_on_test_rows(data, n_jobs, **options):
    X, y = data[2:]
    return [log_loss(y, fit(data, n_jobs, seed, **options).predict_proba(X)) for seed in SEEDS]


def assert_equal_quality(data, at_work, **options):
    n_rows = data[0].shape[0]
    one = losses_on_test_rows(data, 1, **options)
    assert set(at_work) == {(1, n_rows)}
    at_work.clear()
    two = losses_on_test_rows(data, 2, **options)
    assert set(at_work) == {(2, n_rows)}
    prior = log_loss(data[3], DummyClassifier().fit(*data[:2]).predict_proba(data[2]))
    print(f"one thread {np.mean(one):.5f}, two {np.mean(two):.5f}, prior {prior:.5f}")
    assert np.mean(one) < prior - 0.05
    assert abs(np.mean(two) - np.mean(one)) < 0.002


@pytest.mark.parametrize("optimizer", [AdaGrad(0.5), SGD(0.5), FTRL()], ids=["adagrad", "sgd", "ftrl"])
def test_two_threads_are_as_good_on_text(text, at_work, optimizer):
    assert_equal_quality(text, at_work, optimizer=optimizer)


def test_two_threads_are_as_good_with_a_hidden_layer(text, at_work):
    options = {"hidden_layer_sizes": (16,), "activation": "tanh", "max_iter": 2}
    assert_equal_quality(text, at_work, optimizer=AdaGrad(0.05), **options)


def test_two_threads_are_as_good_with_fields(clicks, at_work):
    fields = np.repeat(np.arange(N_FIELDS), N_IDS)
    assert_equal_quality(clicks, at_work, network=field_aware_factorization_machine(fields), max_iter=4)


@needs_data
def test_two_threads_are_as_good_on_news20(news20, at_work):
    assert_equal_quality(news20, at_work, optimizer=AdaGrad(0.3), max_iter=2)


@pytest.mark.parametrize(
    "optimizer", [AdaGrad(0.5), SGD(0.5, schedule="optimal"), FTRL()], ids=["adagrad", "sgd", "ftrl"]
)
@pytest.mark.parametrize("average", [False, True])
def test_penalties_are_as_strong_with_two_threads(text, at_work, optimizer, average):
    if average and isinstance(optimizer, FTRL):
        pytest.skip("FTRL has no averages")
    options = {"optimizer": optimizer, "alpha": 1e-4, "average": average}
    one, two, double = (
        np.linalg.norm(fit(text, n_jobs, 0, **{**options, "alpha": alpha}).coef_)
        for n_jobs, alpha in ((1, 1e-4), (2, 1e-4), (1, 2e-4))
    )
    print(f"one thread {one:.3f}, two {two:.3f}, one with a doubled penalty {double:.3f}")
    assert [workers for workers, _ in at_work] == [1] * 3 + [2] * 3 + [1] * 3
    assert double < 0.93 * one  # else a doubled penalty would not show
    assert two == pytest.approx(one, rel=0.03)


def test_little_work_stays_on_one_thread(text, at_work):
    X, y = text[0][:2000], text[1][:2000]
    VectorFlowClassifier(n_jobs=2, max_iter=1).fit(X, y)
    assert at_work == [(1, 2000)]
