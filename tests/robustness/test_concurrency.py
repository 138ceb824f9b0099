import copy
import pickle
import threading

import numpy as np
from runs import counts_of
from scipy import sparse

from sklearn_vectorflow import VectorFlowClassifier, VectorFlowRegressor, threads

RNG = np.random.RandomState(0)
X = sparse.random(300, 200, 0.05, format="csr", random_state=0, dtype=np.float32)
Y = RNG.randint(0, 2, 300)


def test_sixteen_threads_on_one_model():
    counts = counts_of("concurrency.py", "--seconds", 4, "--threads", 16)
    assert min(counts.values()) > 0


class Watching(VectorFlowRegressor):
    """Predicts while it is fitted."""

    def _finish(self, data):
        super()._finish(data)
        self.watch()


def test_until_a_fit_is_over_others_see_the_old_model():
    model = Watching(random_state=0)
    model.watch = lambda: None
    expected = model.fit(X, Y).predict(X)
    seen = []
    model.watch = lambda: seen.append(model.predict(X))  # of the model, and not of what is being fitted
    wider = sparse.hstack([X, X], format="csr")
    model.fit(wider, Y)
    np.testing.assert_array_equal(seen, [expected])
    assert model.n_features_in_ == 2 * X.shape[1]
    assert model.predict(wider).shape == Y.shape


def test_parameters_set_during_a_fit_stay():
    model = Watching(random_state=0)
    model.watch = lambda: model.set_params(verbose=1)
    assert model.fit(X, Y).verbose == 1


def test_writers_take_turns():
    model = VectorFlowClassifier(random_state=0).partial_fit(X, Y, classes=[0, 1])

    def train():
        for _ in range(20):
            model.partial_fit(X, Y).sparsify()

    others = [threading.Thread(target=train) for _ in range(4)]
    for other in others:
        other.start()
    for other in others:
        other.join()
    assert model.n_iter_ == len(model.loss_curve_) == 81


def test_first_passes_at_once_are_of_one_model():
    for _ in range(10):
        model, start = VectorFlowClassifier(random_state=0), threading.Barrier(4)

        def train():
            start.wait()
            model.partial_fit(X, Y, classes=[0, 1])

        others = [threading.Thread(target=train) for _ in range(4)]
        for other in others:
            other.start()
        for other in others:
            other.join()
        assert model.n_iter_ == 4


def test_whoever_predicts_beside_others_has_room_for_its_own_longest_row(monkeypatch):
    """Crossed rows are as long as those of the caller, whatever another thread measures meanwhile."""
    from sklearn_vectorflow.layers import Crosses, Input, Linear

    monkeypatch.setattr(threads, "WORTHWHILE", 1)
    groups = {"a": slice(0, 100), "b": slice(100, 200)}
    node = Linear()(Crosses([("a", "b")], groups, 2**10)(Input()))
    model = VectorFlowClassifier(network=node, random_state=0, alpha=1e-4).partial_fit(X, Y, classes=[0, 1])
    assert not model.network_.settled
    mine, _ = model.network_.predicting_net()
    others, _ = model.network_.predicting_net()
    assert mine is not others


def test_a_turn_is_neither_copied_nor_pickled():
    model = VectorFlowClassifier(random_state=0).fit(X, Y)
    with model.network_.turn.lock, model._turn.lock:
        for other in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model), copy.copy(model)):
            assert other._turn is not model._turn
        for other in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
            assert other.network_.turn is not model.network_.turn
            thread = threading.Thread(target=other.partial_fit, args=(X, Y))
            thread.start()
            thread.join(30)
            assert not thread.is_alive()
