"""Merges whose records are shared out among tasks."""

import numpy as np
import pytest
from scipy import sparse

from sklearn_vectorflow import VectorFlowClassifier
from sklearn_vectorflow.cluster import coupling, fit, merges, schedule, tasks
from sklearn_vectorflow.cluster.coupling import COUPLINGS, glimpsed
from sklearn_vectorflow.cluster.fit import Here, PartsFit
from sklearn_vectorflow.cluster.shares import placed
from sklearn_vectorflow.network.portable import take

N_ROWS, N_COLUMNS = 2000, 300
X = sparse.random(N_ROWS, N_COLUMNS, density=0.02, random_state=0, format="csr", dtype=np.float32)
X = sparse.csr_matrix((X.data, X.indices, X.indptr), (N_ROWS, 2 * N_COLUMNS))  # half of the columns do not occur
Y = (X @ np.random.default_rng(0).normal(size=2 * N_COLUMNS) > 0).astype(int)


class Many(Here):
    """Runs tasks here as on a cluster of so many workers, and counts shares."""

    def __init__(self, n_workers):
        self.n_workers, self.shares, self.looks, self.constants = n_workers, 0, 0, 0

    def submit(self, function, *arguments):
        self.shares += function is merges.share
        self.looks += function is tasks.places
        return function(*arguments)

    def constant(self, value, k=None):
        self.constants += 1
        return value


def wide(spread):
    """The same rows, whose columns are far apart."""
    return sparse.csr_matrix((X.data, X.indices * spread, X.indptr), (N_ROWS, 2 * N_COLUMNS * spread))


def trained(executor, X=X, **params):
    edges = np.linspace(0, N_ROWS, 5).astype(int)
    parts = [(X[start:end], Y[start:end]) for start, end in zip(edges[:-1], edges[1:])]
    run = PartsFit(VectorFlowClassifier(random_state=0, **params)._draft(), parts, executor)
    for number in range(2):
        run.epoch(number)
    return run


def numbers_of(state):
    return [one for layer in state.layers for one in (layer.index, layer.record, layer.bias)]


@pytest.fixture(autouse=True)
def share_small_merges_out(monkeypatch):
    monkeypatch.setattr(schedule, "ROWS_APART", 300)
    monkeypatch.setattr(merges, "WORTHWHILE", 1)


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"l1_ratio": 1.0, "alpha": 1e-3},
        {"optimizer": "adagrad", "alpha": 1e-3},
        {"optimizer": "adam"},
        {"optimizer": "adam", "hidden_layer_sizes": (4,)},
        {"average": True, "optimizer": "sgd", "learning_rate": 0.1},
    ],
    ids=str,
)
@pytest.mark.parametrize("n_workers", [2, 7, 99])
def test_shares_do_not_show_in_the_bits(params, n_workers):
    alone, shared = trained(Here(), **params), trained(executor := Many(n_workers), **params)
    rounds = sum(one.coupling is not None for one in shared.history)
    assert executor.shares == rounds * min(n_workers, merges.MOST_SHARES) > 0
    for one, other in zip(numbers_of(alone.state), numbers_of(shared.state)):
        np.testing.assert_array_equal(one, other)
    assert alone.state.step == shared.state.step
    for one, other in zip(alone.history, shared.history):
        for name in ("loss", "weight", "n_bytes", "coupling"):
            assert getattr(one, name) == getattr(other, name)


@pytest.mark.parametrize("anchor_after", [0, np.inf])
@pytest.mark.parametrize("params", [{}, {"average": True}, {"hidden_layer_sizes": (4,)}], ids=str)
def test_states_that_stay_where_they_are_give_the_same_bits(monkeypatch, params, anchor_after):
    """A state that begins anew from the one here is cut as it was before."""
    default = trained(Many(3), **params)
    monkeypatch.setattr(fit, "ANCHOR_AFTER", anchor_after)
    other = trained(executor := Many(3), **params)
    assert executor.constants == 3 + 3 * (anchor_after == 0)  # the template, sampled rows, the state and its shares
    for one, another in zip(numbers_of(default.state), numbers_of(other.state)):
        np.testing.assert_array_equal(one, another)


def test_fewer_workers_get_one_share_of_a_state_that_begins_anew(monkeypatch):
    alone, shared = trained(Here()), trained(executor := Many(3))
    monkeypatch.setattr(fit, "ANCHOR_AFTER", 0)
    executor.n_workers = 2
    alone.epoch(2)
    shared.epoch(2)
    assert len(shared.shares.shares) == 2
    for one, other in zip(numbers_of(alone.state), numbers_of(shared.state)):
        np.testing.assert_array_equal(one, other)


def test_who_has_a_share_gets_records_without_their_numbers(monkeypatch):
    """Which records a piece touches is sent once, and not with every gain."""
    gains, cuts = [], []

    class Watched(Many):
        def submit(self, function, *arguments):
            if function is merges.cut:
                gains.append(arguments[0].state.layers[0])
            if function is merges.held:
                cuts.extend(state.layers[0] for state in arguments[1])
            return super().submit(function, *arguments)

    trained(Watched(3), X=wide(100))
    assert gains and all(layer.index is None for layer in gains + cuts)
    records = sum(layer.record.nbytes for layer in gains) / 3  # which each share gets a part of
    assert records == sum(layer.record.nbytes for layer in cuts)


@pytest.mark.parametrize("spread", [1, 3, 100])
def test_shares_do_not_show_where_pieces_touch_all_and_few_are_not_zero(spread):
    """Of all records that a piece may have touched, a gain has those that are not zero."""
    alone, shared = (trained(executor, X=wide(spread)) for executor in (Here(), Many(3)))
    for one, other in zip(numbers_of(alone.state), numbers_of(shared.state)):
        np.testing.assert_array_equal(one, other)


def test_parts_are_looked_at_once_an_epoch_and_not_again_if_pieces_stay():
    one = trained(executor := Many(1))
    assert executor.looks == 2 * len(one.parts)  # pieces of the first epoch, and whole parts
    one.epoch(2)
    assert executor.looks == 2 * len(one.parts)


def test_more_workers_get_more_shares(monkeypatch):
    """Also while a fit runs; and fewer workers leave the shares as they are."""
    monkeypatch.setattr(fit, "ANCHOR_AFTER", np.inf)
    params = {"optimizer": "adagrad", "alpha": 1e-3}
    alone, shared = trained(Here(), **params), trained(executor := Many(1), **params)
    for n_workers in (4, 9, 2):
        executor.n_workers = n_workers
        alone.epoch(3)
        shared.epoch(3)
        assert len(shared.shares.shares) == (4 if n_workers == 4 else 9)
        for one, another in zip(numbers_of(alone.state), numbers_of(shared.state)):
            np.testing.assert_array_equal(one, another)


def test_small_merges_are_not_shared_out(monkeypatch):
    monkeypatch.setattr(merges, "WORTHWHILE", 1 << 20)
    trained(executor := Many(4))
    assert executor.shares == 0


@pytest.mark.parametrize("spread", [1, 3, 100])
@pytest.mark.parametrize("hidden", [(), (3,)])
def test_glimpses_of_gains_are_the_records_that_rows_read(spread, hidden):
    """It is known before where they stand, but of all records a gain has those that are not zero."""
    found = []

    class Watched(Many):
        def submit(self, function, *arguments):
            if function is merges.glimpse:
                found.append(arguments)
            return super().submit(function, *arguments)

    run = trained(Watched(3), X=wide(spread), hidden_layer_sizes=hidden)
    for gain, places, seen in found:
        state = merges.glimpse(gain, places, seen).state
        expected = glimpsed(placed(gain.state, places.index), run.reader.read)
        for one, other in zip(numbers_of(state), numbers_of(expected)):
            np.testing.assert_array_equal(one, other)
        assert all(len(layer.places()) == len(layer.record) for layer in state.layers)
    assert {places.index[0] is None for _, places, _ in found} == ({False} if spread == 100 else {False, True})


def test_glimpses_are_of_records_that_rows_read_and_a_state_has():
    model = VectorFlowClassifier(random_state=0, max_iter=1, tol=None).fit(X, Y)
    state = take(model.network_)
    layer = state.layers[0]
    assert layer.index is not None
    read = np.array([0, 3, layer.index[-1], 599], dtype=np.int32)
    found = glimpsed(state, [read]).layers[0]
    np.testing.assert_array_equal(found.index, np.intersect1d(read, layer.index))
    np.testing.assert_array_equal(found.record, layer.record[np.isin(layer.index, read)])
    none = glimpsed(state.select([layer.index[:0]]), [read]).layers[0]
    assert len(none.index) == len(none.record) == 0
    np.testing.assert_array_equal(glimpsed(state, [None]).layers[0].index, layer.index)


@pytest.mark.parametrize(("hidden", "expected"), [((), 2.0), ((3,), 16.0)])
def test_couplings_of_nets_are_all_tried(hidden, expected, monkeypatch):
    losses = dict(zip(COUPLINGS, [0.9, 0.91, 0.5, 0.4, 0.45, 0.46, 0.47, 0.48]))
    fit = trained(Here(), hidden_layer_sizes=hidden)
    tried = []
    monkeypatch.setattr(coupling, "merge_states", lambda base, states, coupling: tried.append(coupling) or base)
    monkeypatch.setattr(VectorFlowClassifier, "_mean_loss", lambda *_: losses[tried[-1]])
    state = fit.state
    reader = coupling.Reader(fit.template_here, state, fit.sample_here)
    assert coupling.chosen(fit.template_here, reader, state, [state, state]) == expected
    assert tried == list(COUPLINGS[: 2 if expected == 2.0 else None])
