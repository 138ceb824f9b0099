import signal
import threading
import time

import numpy as np
import pytest
from scipy import sparse

from sklearn_vectorflow import VectorFlowClassifier, VectorFlowRegressor, VectorFlowSurvivalEstimator, threads
from sklearn_vectorflow.optimizers import FTRL, SGD, AdaGrad, Adam

RNG = np.random.RandomState(0)
X = sparse.random(400, 50, 0.1, format="csr", random_state=0, dtype=np.float32)
Y = RNG.randn(400)
OPTIMIZERS = [AdaGrad(), AdaGrad(rowwise=True), Adam(), FTRL(), SGD()]


def with_outliers(value):
    """Return some of the rows, two of them with large values in one column."""
    rows = X[:20].toarray()
    rows[3, 7], rows[4, 7] = value, -value
    return sparse.csr_matrix(rows)


@pytest.fixture(params=[1, 2], ids=["one-thread", "two-threads"])
def n_jobs(request, monkeypatch):
    monkeypatch.setattr(threads, "WORTHWHILE", 1)
    monkeypatch.setattr(threads, "_pool_limit", lambda: 8)
    return request.param


@pytest.mark.parametrize("params", [{}, {"hidden_layer_sizes": (4,)}, {"average": 1}], ids=["linear", "net", "means"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=repr)
def test_rows_that_would_destroy_a_model_leave_it_as_it_was(optimizer, params, n_jobs):
    if "average" in params and isinstance(optimizer, FTRL):
        params = {"alpha": 1e-3, "l1_ratio": 0.5}
    model = VectorFlowRegressor(optimizer=optimizer, random_state=0, n_jobs=n_jobs, **params)
    for _ in range(3):
        model.partial_fit(X, Y)
    before, n_iter = model.predict(X), model.n_iter_
    with pytest.raises(ValueError, match="Training diverged"):
        model.partial_fit(with_outliers(1e30), np.ones(20))
    np.testing.assert_array_equal(model.predict(X), before)
    assert model.n_iter_ == n_iter
    model.partial_fit(X, Y)
    assert np.isfinite(model.predict(X)).all()


@pytest.mark.parametrize("optimizer", [Adam(), FTRL(), SGD()], ids=repr)
def test_a_first_pass_that_destroys_the_model_leaves_none(optimizer):
    model = VectorFlowRegressor(optimizer=optimizer, random_state=0)
    with pytest.raises(ValueError, match="Training diverged"):
        model.partial_fit(with_outliers(1e30), Y[:20])
    assert not hasattr(model, "network_")


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=repr)
def test_a_warm_fit_that_leaves_nothing_to_go_on_from(optimizer):
    model = VectorFlowRegressor(optimizer=optimizer, random_state=0, warm_start=True, max_iter=1, shuffle=False)
    before = model.fit(X, Y).predict(X)
    with pytest.raises(ValueError, match="Training diverged"):
        model.fit(with_outliers(1e30), np.ones(20))
    np.testing.assert_array_equal(model.predict(X), before)
    assert np.isfinite(model.fit(X, Y).predict(X)).all()


def test_large_weights_are_no_divergence():
    y = 1e14 * (X @ RNG.randn(50))
    model = VectorFlowRegressor(optimizer=SGD(), random_state=0, max_iter=5, warm_start=True).fit(X, y)
    assert np.abs(model.coef_).max() > 1e12
    assert np.isfinite(model.partial_fit(X, y).fit(X, y).predict(X)).all()


def test_steps_are_checked_where_they_were_taken(monkeypatch):
    """The check of a pass costs as its non-zeros do, not as all columns do."""
    from sklearn_vectorflow.network.records import LinearParameters

    seen = []
    extent = LinearParameters.extent
    monkeypatch.setattr(LinearParameters, "extent", lambda self, some: seen.append(some) or extent(self, some))
    rows = sparse.csr_matrix((X.data, X.indices * 20_000, X.indptr), (400, 1_000_000))
    VectorFlowRegressor(learning_rate=0.1, random_state=0).partial_fit(rows, Y).partial_fit(rows, Y)
    assert [len(some) for some in seen] == [rows.nnz, rows.nnz]


# ---- interrupts ---------------------------------------------------------------------


class SlowLoss:
    """Squared error; others than the main thread take their time, and then write their steps."""

    def __init__(self):
        self.interrupting = False
        self.n_others = 0

    def __call__(self, y, raw, sample_weight):
        in_pass = self.interrupting and len(raw) > 8  # first the loss is tried on eight rows
        if in_pass and threading.current_thread() is threading.main_thread():
            until = time.monotonic() + 10
            while self.n_others == 0 and time.monotonic() < until:
                time.sleep(1e-3)
            signal.setitimer(signal.ITIMER_REAL, 0.02, 0.01)  # while the first one's end is waited for
            raise KeyboardInterrupt
        if in_pass:
            self.n_others += 1
            time.sleep(0.1)
        return float(np.sum(sample_weight * (raw - y) ** 2)), sample_weight * (raw - y)


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timers on this system")
@pytest.mark.parametrize("optimizer", [AdaGrad(), SGD()], ids=repr)
def test_weights_come_back_after_all_threads_are_done(optimizer, monkeypatch):
    monkeypatch.setattr(threads, "WORTHWHILE", 1)
    monkeypatch.setattr(threads, "_pool_limit", lambda: 8)
    loss = SlowLoss()
    model = VectorFlowRegressor(loss=loss, optimizer=optimizer, random_state=0, n_jobs=3, batch_size=64)
    model.partial_fit(X, Y).partial_fit(X, Y)
    before, attributes = model.predict(X), dict(vars(model))

    def interrupt(number, frame):
        raise KeyboardInterrupt

    def fit():
        try:
            model.partial_fit(X, Y)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)

    handler = signal.signal(signal.SIGALRM, interrupt)
    try:
        loss.interrupting = True
        with pytest.raises(KeyboardInterrupt):
            fit()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler)
        loss.interrupting = False
    time.sleep(0.3)  # for steps of threads that were left behind
    assert loss.n_others > 0
    np.testing.assert_array_equal(model.predict(X), before)
    assert vars(model) == attributes
    assert np.isfinite(model.partial_fit(X, Y).predict(X)).all()


def test_an_interrupt_as_a_pass_ends_undoes_attributes_and_weights_alike(monkeypatch):
    model = VectorFlowClassifier(random_state=0).partial_fit(X, Y > 0, classes=[False, True])
    before, attributes = model.decision_function(X), dict(vars(model))
    become = VectorFlowClassifier._become

    def interrupted(self, *arguments):
        become(self, *arguments)
        raise KeyboardInterrupt

    monkeypatch.setattr(VectorFlowClassifier, "_become", interrupted)
    with pytest.raises(KeyboardInterrupt):
        model.partial_fit(X, Y > 0)
    np.testing.assert_array_equal(model.decision_function(X), before)
    assert vars(model) == attributes


def test_an_interrupt_as_a_warm_fit_ends_leaves_the_baseline_of_a_survival_model(monkeypatch):
    y = np.array([(True, time) for time in 1 + RNG.exponential(size=400)], dtype=[("event", "?"), ("time", "f8")])
    model = VectorFlowSurvivalEstimator("cox", random_state=0, warm_start=True, max_iter=2).fit(X, y)
    before = model.predict_survival_function(X, return_array=True)

    def interrupted(self, *arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(VectorFlowSurvivalEstimator, "_become", interrupted)
    with pytest.raises(KeyboardInterrupt):
        model.fit(X[::2], y[::2])
    np.testing.assert_array_equal(model.predict_survival_function(X, return_array=True), before)
