"""Threads that step their own copies of hot features: what they add up to."""

import threading

import numpy as np
import pytest
from scipy import sparse

from sklearn_vectorflow import VectorFlowClassifier, VectorFlowRegressor, threads
from sklearn_vectorflow.engine.net import copies as engine
from sklearn_vectorflow.io.matrix import as_matrix
from sklearn_vectorflow.network import memory, records
from sklearn_vectorflow.optimizers import FTRL, SGD, AdaGrad, Adam
from sklearn_vectorflow.penalties import L1, L2, NonNegative
from sklearn_vectorflow.training import copies
from sklearn_vectorflow.training.hogwild import Hogwild
from sklearn_vectorflow.training.trainer import Trainer

pytestmark = pytest.mark.threads  # each thread needs a core of its own

N_ROWS, N_FEATURES, PER_ROW = 20_000, 50_000, 8
CONSTANT = SGD(1e-3, schedule="constant")
RULES = [AdaGrad(0.1), AdaGrad(0.1, rowwise=True), FTRL(0.1), CONSTANT, Adam(1e-3)]


@pytest.fixture(autouse=True)
def two_threads_allowed(monkeypatch):
    monkeypatch.setattr(threads, "_pool_limit", lambda: 2)
    monkeypatch.setattr(threads, "WORTHWHILE", 1)


@pytest.fixture(params=["all features", "a table"])
def kind(request, monkeypatch):
    """Whether all features have copies, or those of a table."""
    if request.param == "a table":
        monkeypatch.setattr(records, "CACHED", 0)
    return request.param


@pytest.fixture
def used(monkeypatch):
    """The copies of the workers of every epoch."""
    seen = []

    class Watched(Trainer):
        def epoch(self):
            seen.append(self.team.hot.copies)
            return super().epoch()

    monkeypatch.setattr("sklearn_vectorflow.training.data.Trainer", Watched)
    return seen


def same_rows(n_features=3):
    """Rows that are all alike: every feature is as hot as can be."""
    X = sparse.csr_matrix(np.tile(np.arange(1.0, n_features + 1, dtype=np.float32), (N_ROWS, 1)))
    return sparse.hstack([X, sparse.csr_matrix((N_ROWS, N_FEATURES), dtype=np.float32)], format="csr")


ZEROS = np.zeros


def _off_by_a_number(shape, dtype=float):
    """Zeros that begin, if they are records of a layer, a number behind a multiple of two."""
    if isinstance(shape, int):
        return ZEROS(shape, dtype)
    return ZEROS(int(np.prod(shape)) + 1, dtype)[1:].reshape(shape)


def far_below(X, n_jobs, optimizer, **options):
    """A model of targets so high that the gradient of every row is -1."""
    options = {"alpha": 0.0, "fit_intercept": False, "max_iter": 2, "tol": None, **options}
    model = VectorFlowRegressor(
        loss="absolute_error", optimizer=optimizer, n_jobs=n_jobs, random_state=0, warm_start=True, **options
    )
    return model.fit(X, np.full(N_ROWS, 1e6))


@pytest.mark.parametrize("optimizer", RULES, ids=repr)
def test_sums_of_all_threads_are_kept(kind, used, optimizer):
    X = same_rows()
    state = far_below(X, 2, optimizer).network_.parameters[0].record
    one, two = used
    assert len(one) == 2 and all(isinstance(copy, engine.Copies) for copy in one)
    x = np.arange(1.0, 4.0)
    if isinstance(optimizer, SGD):
        np.testing.assert_allclose(state[:3, 0], 1e-3 * x * 2 * N_ROWS, rtol=2e-3)
    elif isinstance(optimizer, Adam):  # moments of a constant gradient are what its touches make them
        moments = -x * (1 - 0.9 ** (2 * N_ROWS)), x**2 * (1 - 0.999 ** (2 * N_ROWS))
        np.testing.assert_array_equal(state[:3, 3], 2 * N_ROWS)
        np.testing.assert_allclose(state[:3, 1:3], np.transpose(moments), rtol=2e-3)
        np.testing.assert_allclose(state[:3, 0], 1e-3 * 2 * N_ROWS, rtol=2e-3)
    else:  # AdaGrad keeps the inverse of the root that FTRL keeps
        root = state[:3, 1] if isinstance(optimizer, FTRL) else 1.0 / state[:3, 1]
        np.testing.assert_allclose(root, x * np.sqrt(2 * N_ROWS), rtol=2e-3)  # one thread's alone: -30 %
    if isinstance(optimizer, AdaGrad):  # as if all steps had been one thread's, each shorter than the last
        np.testing.assert_allclose(state[:3, 0], 0.1 * np.sum(np.arange(1, 2 * N_ROWS + 1) ** -0.5), rtol=3e-4)
    assert not state[3:].any()


@pytest.mark.parametrize("optimizer", [FTRL(0.1), CONSTANT, AdaGrad(0.1), Adam(1e-2)], ids=repr)
def test_penalties_count_every_step_once(kind, used, optimizer):
    X = same_rows()
    options = {"alpha": 1e-2, "max_iter": 4}
    one, two, double = (
        far_below(X, n_jobs, optimizer, **{**options, "alpha": alpha}).coef_[:3]
        for n_jobs, alpha in ((1, 1e-2), (2, 1e-2), (1, 2e-2))
    )
    assert np.all(np.abs(double - one) > 0.08 * one)  # else a penalty counted twice would not show
    np.testing.assert_allclose(two, one, rtol=0.05)


@pytest.mark.parametrize("optimizer", [SGD(1e-2, schedule="constant"), AdaGrad(0.1), Adam(1e-2)], ids=repr)
@pytest.mark.parametrize("penalty", [L2(0.1), L1(0.1), [L1(0.03), L2(0.1)]], ids=repr)
def test_what_penalties_leave_of_resting_weights_is_multiplied(optimizer, penalty, monkeypatch):
    """Each of four workers takes its copy to about zero; added up, that would make minus three times the weight."""
    monkeypatch.setattr(threads, "_pool_limit", lambda: 4)
    rare = np.zeros((N_ROWS, 1), dtype=np.float32)
    rare[200:300] = 1.0  # one worker trains on these before all others begin
    X = sparse.hstack([same_rows(), sparse.csr_matrix(rare)], format="csr")
    model = VectorFlowRegressor(
        loss="absolute_error", optimizer=optimizer, penalty=penalty, fit_intercept=False, shuffle=False, max_iter=1,
        tol=None,
    )  # fmt: skip
    begun, ended = (
        model.set_params(n_jobs=n_jobs).fit(X[:n], np.full(n, 1e6)).coef_[-1] for n_jobs, n in ((1, 300), (4, N_ROWS))
    )
    assert begun > 0.0
    assert abs(ended) < 0.1 * begun


@pytest.mark.parametrize("optimizer", [CONSTANT, AdaGrad(0.1), AdaGrad(0.1, rowwise=True), Adam(1e-2)], ids=repr)
@pytest.mark.parametrize("penalty", [None, L1(0.05), [L1(0.02), L2(0.02)]], ids=repr)
@pytest.mark.parametrize("average", [False, True])
def test_thresholds_and_means_count_every_step_once(kind, used, optimizer, penalty, average):
    options = {"alpha": 0.0} if penalty is None else {"alpha": None, "penalty": penalty}
    one, two = (
        far_below(same_rows(), n_jobs, optimizer, max_iter=3, average=average, **options).coef_ for n_jobs in (1, 2)
    )
    last = far_below(same_rows(), 1, optimizer, max_iter=3, alpha=0.0).coef_[:3]
    if penalty is not None or average:
        assert np.all(one[:3] < 0.99 * last)  # else what is tested here would not show
    np.testing.assert_allclose(two[:3], one[:3], rtol=0.02)
    assert not two[3:].any()


@pytest.fixture
def side_by_side(monkeypatch):
    """No thread takes a second slice of rows before another has taken one."""
    train = Hogwild._train
    began, both = set(), threading.Barrier(2)

    def train_beside_another(hogwild, trainer, rows, worker, shared, copies):
        if shared and (id(trainer), worker) not in began:
            began.add((id(trainer), worker))
            both.wait(60)
        return train(hogwild, trainer, rows, worker, shared, copies)

    monkeypatch.setattr(Hogwild, "_train", train_beside_another)


N_SELDOM = 600  # features of which most are merged at the end of a short pass alone


def rows_of_ones(n_rows):
    X = sparse.csr_matrix(np.ones((n_rows, N_SELDOM), np.float32))
    return sparse.hstack([X, sparse.csr_matrix((n_rows, N_FEATURES), dtype=np.float32)], format="csr")


@pytest.mark.usefixtures("side_by_side")
@pytest.mark.parametrize("optimizer", [CONSTANT, AdaGrad(0.1), Adam(1e-3)], ids=repr)
def test_what_every_thread_takes_to_zero_is_zero(kind, used, optimizer):
    X, y = rows_of_ones(1000), np.full(1000, 1e6)
    options = {"loss": "absolute_error", "fit_intercept": False, "max_iter": 1, "tol": None, "warm_start": True}
    model = VectorFlowRegressor(optimizer=optimizer, penalty=L1(1e-3), n_jobs=2, random_state=0, **options).fit(X, y)
    assert np.all(model.coef_[:N_SELDOM] > 0.0)
    model.set_params(penalty=L1(1e4)).fit(X, y)
    assert [len(copy) for copy in used] == [2] * 2
    np.testing.assert_array_equal(model.coef_, 0.0)


@pytest.mark.usefixtures("side_by_side")
def test_bounds_hold_for_what_threads_add_up_to(kind, used):
    X, y = rows_of_ones(1000), np.full(1000, 1e6)
    options = {"loss": "absolute_error", "fit_intercept": False, "max_iter": 1, "tol": None, "warm_start": True}
    model = VectorFlowRegressor(optimizer=CONSTANT, penalty=NonNegative(), alpha=0.0, n_jobs=2, **options).fit(X, y)
    assert np.all(model.coef_[:N_SELDOM] > 0.0)
    model.fit(rows_of_ones(3000), np.full(3000, -1e6))
    assert [len(copy) for copy in used] == [2] * 2
    np.testing.assert_array_equal(model.coef_, 0.0)


@pytest.mark.parametrize("average", [False, True])
def test_strengths_and_centres_of_features_reach_their_copies(kind, used, average):
    X = same_rows()
    strength, center = np.ones(X.shape[1]), np.zeros(X.shape[1])
    strength[:3] = 0.0, 0.02, 0.04
    center[:3] = 1.0, -2.0, 3.0
    options = {"max_iter": 3, "alpha": None, "penalty": L2(strength, center), "average": average}
    one, two = (far_below(X, n_jobs, AdaGrad(0.1), **options).coef_ for n_jobs in (1, 2))
    assert np.ptp(one[:3]) > 0.1
    np.testing.assert_allclose(two, one, rtol=0.02)


@pytest.mark.parametrize("optimizer", RULES, ids=repr)
@pytest.mark.parametrize("alpha", [0.0, 1e-4])
def test_features_of_one_row_each_end_as_with_one_thread(kind, used, optimizer, alpha):
    if alpha and not isinstance(optimizer, FTRL):
        pytest.skip("how long a weight then rests depends on the order of the rows")
    rng = np.random.default_rng(0)
    indices = rng.permutation(N_ROWS * 2).astype(np.int32)
    X = sparse.csr_matrix(
        (rng.uniform(0.5, 2.0, indices.size).astype(np.float32), indices, np.arange(0, indices.size + 1, 2)),
        shape=(N_ROWS, N_FEATURES),
    )
    y = rng.integers(0, 2, N_ROWS)
    coefs = [
        VectorFlowClassifier(
            optimizer=optimizer, alpha=alpha, fit_intercept=False, max_iter=1, tol=None, random_state=0, n_jobs=n_jobs
        )
        .fit(X, y)
        .coef_
        for n_jobs in (1, 2)
    ]
    assert [len(copy) for copy in used] == [1, 2]
    assert np.count_nonzero(coefs[0]) == indices.size
    np.testing.assert_allclose(coefs[1], coefs[0], rtol=1e-5)


def test_one_thread_has_no_copies(kind, used):
    far_below(same_rows(), 1, FTRL())
    assert used[0] == [None]


def test_the_table_has_the_hottest_features():
    rng = np.random.default_rng(0)
    hot = np.sort(rng.choice(10**7, 500, replace=False)).astype(np.int32)
    cold = rng.integers(0, 10**7, (2000, 5), dtype=np.int32)
    indices = np.hstack([hot[rng.integers(0, 500, (2000, 20))], cold])
    X = sparse.csr_matrix(
        (np.ones(indices.size, np.float32), indices.ravel(), np.arange(0, indices.size + 1, 25)), shape=(2000, 10**7)
    )
    X.sum_duplicates()
    found, _, shift = copies.hottest_by_slot(as_matrix(VectorFlowClassifier(), X, reset=True), copies.BITS)
    slots = engine.slots_of(found, copies.BITS, shift)
    assert len(np.unique(slots)) == len(slots) > 500
    assert slots.min() >= 0 and slots.max() < 1 << copies.BITS
    of_hot = np.unique(engine.slots_of(hot, copies.BITS, shift))
    assert np.isin(found[: len(of_hot)], hot).all()  # never a colder one in a hot one's slot


def test_slots_are_found_in_a_way_that_keeps_the_hottest_apart():
    hot = np.arange(1, 65, dtype=np.int32) * ((1 << copies.BITS) + 1)  # with a shift of BITS all would share a slot
    X = sparse.csr_matrix(
        (np.ones(64 * 200, np.float32), np.tile(hot, 200), np.arange(0, 64 * 200 + 1, 64)), shape=(200, 10**7)
    )
    found, *_ = copies.hottest_by_slot(as_matrix(VectorFlowClassifier(), X, reset=True), copies.BITS)
    np.testing.assert_array_equal(np.sort(found), hot)


def test_two_threads_merge_as_often_as_many(used):
    """Where all rows touch the same features, oftener than where each feature is rare."""
    far_below(same_rows(), 2, FTRL(0.1))
    far_below(sparse.identity(N_ROWS, dtype=np.float32, format="csr"), 2, FTRL(0.1))
    assert [used[epoch][0].hot.period * 2 for epoch in (0, -1)] == [copies.UNSEEN_TOUCHES, copies.UNSEEN]


@pytest.mark.parametrize("optimizer", [AdaGrad(0.1), FTRL(0.1)], ids=repr)
@pytest.mark.parametrize("alpha", [0.0, 1e-6])
def test_records_may_begin_anywhere(monkeypatch, optimizer, alpha):
    monkeypatch.setattr(records, "CACHED", 0)
    monkeypatch.setattr(memory.np, "zeros", _off_by_a_number)
    record = far_below(same_rows(), 2, optimizer, alpha=alpha).network_.parameters[0].record
    assert record.ctypes.data % 8 == 4
    root = record[:3, 1] if isinstance(optimizer, FTRL) else 1.0 / record[:3, 1]
    np.testing.assert_allclose(root, np.arange(1.0, 4.0) * np.sqrt(2 * N_ROWS), rtol=2e-3)
    assert not record[3:].any()


@pytest.mark.parametrize("average", [False, True])
@pytest.mark.parametrize("optimizer", RULES, ids=repr)
def test_intercepts_of_all_threads_are_kept(kind, optimizer, average):
    if average and isinstance(optimizer, FTRL):
        pytest.skip("FTRL has no averages")
    X, moved = same_rows(), []
    for n_jobs in (1, 2):
        model = VectorFlowRegressor(
            loss="absolute_error",
            optimizer=optimizer,
            alpha=0.0,
            max_iter=1,
            tol=None,
            random_state=0,
            n_jobs=n_jobs,
            average=average,
            warm_start=True,
        ).fit(X, np.zeros(N_ROWS))
        before = model.intercept_.copy()
        moved.append(model.fit(X, np.full(N_ROWS, 1e6)).intercept_ - before)
    assert moved[0] > 1.0
    np.testing.assert_allclose(moved[1], moved[0], rtol=0.05)  # one thread alone: -30 %


def interrupt(*args):
    raise KeyboardInterrupt


@pytest.mark.parametrize("optimizer", RULES, ids=repr)
def test_a_failed_pass_leaves_columns_alone_that_it_does_not_touch(kind, used, optimizer, monkeypatch):
    rng, half = np.random.default_rng(0), 1000
    columns = np.stack([rng.integers(0, half, N_ROWS), rng.integers(half, 2 * half, N_ROWS)], axis=1)
    X = sparse.csr_matrix(
        (np.ones(2 * N_ROWS, np.float32), columns.ravel().astype(np.int32), np.arange(0, 2 * N_ROWS + 1, 2)),
        shape=(N_ROWS, 2 * half),
    )
    few = sparse.csr_matrix(
        (np.ones(half, np.float32), np.tile(np.int32([0, 1]), half // 2), np.arange(0, half + 1, 2)),
        shape=(half // 2, 2 * half),
    )
    y = rng.integers(0, 2, N_ROWS)
    failed, spared = (VectorFlowClassifier(optimizer=optimizer, alpha=1e-2, random_state=0) for _ in range(2))
    for model in (failed, spared):
        model.partial_fit(X, y, classes=[0, 1])
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("sklearn_vectorflow.estimators.base.BaseVectorFlow._raise_if_diverged", interrupt)
        failed.set_params(n_jobs=2).partial_fit(few, y[: half // 2])
    assert len(used[-1]) == 2
    for model in (failed, spared):
        model.set_params(n_jobs=1).partial_fit(X, y)
    assert np.abs(spared.coef_).max() > 0.0
    np.testing.assert_array_equal(failed.coef_, spared.coef_)


@pytest.mark.parametrize("share", [1e-9, 1e-3, 0.01, 0.02, 1.0])
def test_ranges_are_merged_seldom_but_before_too_much_is_unseen(share):
    n_parts = copies._n_parts(share)
    assert copies.PARTS <= n_parts <= copies.MOST_PARTS
    unseen = n_parts * copies.engine.PART_STEPS * share  # rows of all workers that have the feature
    assert n_parts == copies.PARTS or unseen <= copies.UNSEEN
    if share <= 1e-3:
        assert n_parts > copies.PARTS
