"""The estimators on Dask, on a cluster of processes here."""

import inspect
import os
import pickle
import signal
import threading
import time

import joblib
import numpy as np
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import dump_svmlight_file
from sklearn.model_selection import GridSearchCV, cross_val_predict

from sklearn_vectorflow import VectorFlowClassifier, VectorFlowRanker
from sklearn_vectorflow.cluster import merges, schedule
from sklearn_vectorflow.cluster.fit import PartsFit
from sklearn_vectorflow.cluster.optimum.objective import Passes
from sklearn_vectorflow.cluster.places import Places
from sklearn_vectorflow.cluster.shares import Share
from sklearn_vectorflow.cluster.tasks import Gain
from sklearn_vectorflow.io import CSRSource, ParquetSource, SVMLightSource, write_cache
from sklearn_vectorflow.merging import get_state
from sklearn_vectorflow.preprocessing import HashingEncoder

distributed = pytest.importorskip("distributed")
dask = pytest.importorskip("dask")
da = pytest.importorskip("dask.array")

from sklearn_vectorflow.dask import (  # noqa: E402
    DaskVectorFlowClassifier,
    DaskVectorFlowRanker,
    DaskVectorFlowRegressor,
    DaskVectorFlowSurvivalEstimator,
)
from sklearn_vectorflow.dask.executor import Cluster, _pickled, _unpickled  # noqa: E402

PATIENCE = 60  # seconds after which a fit hangs
RNG = np.random.RandomState(0)
N_ROWS, N_COLUMNS, N_PARTS = 3000, 400, 4
X = sparse.random(N_ROWS, N_COLUMNS, density=0.03, random_state=0, format="csr", dtype=np.float32)
SIGNAL = X @ RNG.randn(N_COLUMNS)
Y = (SIGNAL > 0).astype(int)
EDGES = np.linspace(0, N_ROWS, N_PARTS + 1).astype(int).tolist()
SPANS = [slice(start, end) for start, end in zip(EDGES[:-1], EDGES[1:])]

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning:distributed"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore:Port .* is already in use"),
]


def cluster_of(n_workers):
    # else the cluster gives a worker up that takes longer to come back
    dask.config.set({"distributed.deploy.lost-worker-timeout": "1 hour"})
    return distributed.LocalCluster(
        n_workers=n_workers, threads_per_worker=1, processes=True, dashboard_address=None, silence_logs="CRITICAL"
    )


@pytest.fixture(scope="module")
def client():
    with cluster_of(2) as cluster, distributed.Client(cluster) as client:
        yield client


@pytest.fixture(autouse=True)
def merge_small_parts(monkeypatch):
    monkeypatch.setattr(schedule, "ROWS_APART", 300)


def spread(values, container=None, known=True):
    """A dask array of blocks."""
    blocks = [values[span] if container is None else container(values[span]) for span in SPANS]
    meta = blocks[0][:0]
    arrays = [
        da.from_delayed(
            dask.delayed(block),
            (len(values[span]) if values.ndim == 1 else block.shape[0], *block.shape[1:]),
            dtype=block.dtype,
            meta=meta,
        )
        for block, span in zip(blocks, SPANS)
    ]
    array = da.concatenate(arrays)
    if not known:
        array._chunks = ((np.nan,) * N_PARTS, *array.chunks[1:])
    return array


def classifier(**params):
    return DaskVectorFlowClassifier(**{"random_state": 0, "max_iter": 3, "tol": None, **params})


def in_time(function):
    """Return what a function does, or fail if it takes too long."""
    found = []

    def run():
        try:
            found.append(function())
        except Exception as error:
            found.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(PATIENCE)
    assert found, "the fit hangs"
    if isinstance(found[0], Exception):
        raise found[0]
    return found[0]


def quietly_fitted(client, **params):
    """Return a model for fixtures, which are made before `merge_small_parts` acts."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(schedule, "ROWS_APART", 300)
        return classifier(client=client, **params).fit(spread(X), spread(Y))


@pytest.fixture(scope="module")
def expected(client):
    """Raw outputs after a fit that nothing disturbs."""
    return quietly_fitted(client).to_local().decision_function(X)


# ---- kinds of rows -----------------------------------------------------------------------


def test_arrays_of_constants_are_sent_from_where_they_are(client):
    values = {"array": np.arange(1000.0), "name": "some", "function": None}
    travelling = _pickled(values)
    assert np.shares_memory(travelling.arrays[0], values["array"]) and len(travelling.header) < 1000
    assert np.shares_memory(_unpickled(travelling)["array"], values["array"])
    values["function"] = lambda: 0  # which only Dask pickles
    cluster = Cluster(client)
    found = cluster.result(
        cluster.submit(lambda given: (given["array"].sum(), given["function"]()), cluster.constant(values))
    )
    assert found == (values["array"].sum(), 0)


def test_dask_knows_how_large_states_are():
    state = get_state(VectorFlowClassifier(max_iter=1, tol=None).fit(X, Y))
    for value in (state, Share(state), Gain(state, 0.0, 1.0, 0.0), merges.Glimpse(state, 0.0, 1.0, 0.0, 0)):
        assert state.nbytes < dask.sizeof.sizeof(value) < state.nbytes + 1000
    assert dask.sizeof.sizeof(Places([np.arange(10_000), None], [(0, 10_000), (0, 3)])) > 80_000


def test_tasks_are_sent_together_and_leave_no_results_that_nobody_asks_for(client):
    cluster = Cluster(client)
    inner = cluster.submit(sum, [1, 2])
    outer = cluster.submit(sum, [inner, 4])
    keys = inner.key, outer.key

    def states():
        return client.run_on_scheduler(
            lambda dask_scheduler: [task.state for key in keys if (task := dask_scheduler.tasks.get(key))]
        )

    time.sleep(0.1)
    assert states() == []  # not sent yet
    del inner
    assert cluster.result([outer, [outer]]) == [7, [7]]
    wait_for(lambda: states() == ["released", "memory"])
    assert cluster.result(cluster.submit(sum, [outer, 1])) == 8  # of a graph sent before


def test_tasks_apart_run_on_workers_of_their_own_if_they_are_there(client):
    cluster = Cluster(client)
    first, second = cluster.result([cluster.apart(k, os.getpid) for k in range(2)])
    assert first != second
    again = cluster.result([cluster.apart(k, os.getpid) for k in (1, 0, 1)])
    assert again == [second, first, second]
    assert cluster.result(cluster.apart(7, os.getpid)) in (first, second)
    cluster._addresses[0] = "tcp://127.0.0.1:1"  # a worker that has gone
    assert cluster.result(cluster.apart(0, os.getpid)) in (first, second)
    assert cluster.result(cluster.constant(np.arange(3), 1)).sum() == 3


@pytest.mark.parametrize("known", [True, False], ids=["known", "unknown"])
@pytest.mark.parametrize("container", [sparse.csr_matrix, sparse.csr_array, None], ids=["matrix", "array", "dense"])
def test_blocks_of_dask_arrays(client, expected, container, known):
    rows = X.toarray() if container is None else X
    model = classifier(client=client).fit(spread(rows, container, known), spread(Y, known=known))
    np.testing.assert_allclose(model.decision_function(X), expected, rtol=1e-4, atol=1e-5)


def test_lists_of_delayed_and_futures(client, expected):
    delayed = [dask.delayed(lambda span: (X[span], Y[span]), pure=False)(span) for span in SPANS]
    futures = client.compute(delayed)
    tuples = [(dask.delayed(X[span]), Y[span]) for span in SPANS]
    weighted = [dask.delayed((X[span], Y[span], np.ones(len(Y[span])))) for span in SPANS]
    for rows in (delayed, futures, tuples):
        np.testing.assert_array_equal(classifier(client=client).fit(rows).to_local().decision_function(X), expected)
    model = classifier(client=client).fit(weighted)
    np.testing.assert_allclose(model.to_local().decision_function(X), expected, rtol=1e-3, atol=1e-4)
    assert model.score(futures) == pytest.approx(np.mean(model.predict(X) == Y))


def test_data_frames_with_an_encoder(client):
    pd = pytest.importorskip("pandas")
    dd = pytest.importorskip("dask.dataframe")
    sites, ads = RNG.zipf(1.5, N_ROWS) % 50, RNG.zipf(1.5, N_ROWS) % 20
    effect = RNG.randn(50)[sites] + RNG.randn(20)[ads]
    frame = pd.DataFrame({"site": sites.astype(str), "ad": ads.astype(str), "y": (effect > 0).astype(int)})
    spread_frame = dd.from_pandas(frame, npartitions=4)
    encoder = HashingEncoder(12)
    model = classifier(client=client)
    model.fit(spread_frame[["site", "ad"]], spread_frame["y"], encoder=encoder)
    encoded = encoder.transform(frame[["site", "ad"]])
    assert model.score(encoded, frame["y"]) > 0.95
    predicted = model.predict(spread_frame[["site", "ad"]]).compute()
    np.testing.assert_array_equal(predicted, model.predict(encoded))
    assert model.score(spread_frame[["site", "ad"]], spread_frame["y"]) == model.score(encoded, frame["y"])


def test_numeric_data_frames_keep_their_names(client):
    pd = pytest.importorskip("pandas")
    dd = pytest.importorskip("dask.dataframe")
    frame = pd.DataFrame(RNG.randn(400, 3), columns=["a", "b", "c"])
    y = (frame["a"] + frame["b"] > 0).astype(int)
    model = classifier(client=client).fit(dd.from_pandas(frame, npartitions=2), dd.from_pandas(y, npartitions=2))
    assert model.feature_names_in_.tolist() == ["a", "b", "c"]
    assert model.score(frame, y) > 0.9


def test_sources_send_paths(client, tmp_path):
    pa = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    table = pa.table(
        {
            "indices": [X[row].indices.tolist() for row in range(N_ROWS)],
            "values": [X[row].data.tolist() for row in range(N_ROWS)],
            "y": Y,
        }
    )
    pq.write_table(table, tmp_path / "rows.parquet", row_group_size=600)
    parquet = ParquetSource(tmp_path / "rows.parquet", "y", indices="indices", values="values", n_features=N_COLUMNS)
    write_cache(parquet, tmp_path / "cache")
    models = []
    for source in (parquet, CSRSource.open(tmp_path / "cache")):
        models.append(classifier(client=client).fit(source))
        assert models[-1].score(X, Y) > 0.9
    for k, span in enumerate(SPANS):
        dump_svmlight_file(X[span], Y[span], str(tmp_path / f"{k}.svm"))
    svmlight = SVMLightSource(str(tmp_path / "*.svm"), n_features=N_COLUMNS, zero_based=True)
    assert classifier(client=client).fit(svmlight).score(X, Y) > 0.9
    in_memory = CSRSource(X, y=Y)
    assert classifier(client=client).fit(in_memory).score(X, Y) > 0.9


def test_empty_uneven_and_single_class_parts(client):
    order = np.argsort(Y, kind="stable")
    edges = [0, 0, 1400, 1401, 1401, 3000]
    parts = [dask.delayed((X[order[a:b]], Y[order[a:b]])) for a, b in zip(edges[:-1], edges[1:])]
    model = classifier(client=client, max_iter=10).fit(parts)
    assert model.score(X, Y) > 0.8
    assert model.predict(parts).compute().shape == (N_ROWS,)


# ---- the four estimators -------------------------------------------------------------------


def test_regression(client):
    model = DaskVectorFlowRegressor(random_state=0, max_iter=5, tol=None, client=client)
    rows, y = spread(X), spread(SIGNAL)
    assert model.fit(rows, y).score(rows, y) > 0.9
    predicted = model.predict(rows)
    assert predicted.shape == (N_ROWS,) and predicted.dtype == np.float64
    np.testing.assert_array_equal(predicted.compute(), model.predict(X))


def test_offsets(client, tmp_path):
    offset = 9 * np.random.RandomState(1).randn(N_ROWS)
    y = SIGNAL + offset
    model = DaskVectorFlowRegressor(client=client, random_state=0)
    arrays = spread(X), spread(y)
    fitted = clone(model).fit(*arrays, offset=spread(offset))
    write_cache([(X[some], y[some], None, offset[some]) for some in SPANS], tmp_path / "rows")
    parts = [dask.delayed((X[some], y[some], None, None, offset[some])) for some in SPANS]
    fits = [fitted, clone(model).fit(parts), clone(model).fit(*arrays, offset=offset)]
    fits.append(clone(model).fit(CSRSource.open(tmp_path / "rows", buffer_bytes=2**12)))
    for one in fits:
        assert one.predict(X) == pytest.approx(SIGNAL, abs=1.0)
        assert one.score(X, y, offset=offset) > 0.99
    assert fitted.score(*arrays, offset=spread(offset)) == pytest.approx(fitted.score(X, y, offset=offset))
    held_out = {"X_val": X[:500], "y_val": y[:500], "offset_val": offset[:500]}
    assert clone(model).fit(*arrays, offset=spread(offset), **held_out).best_validation_score_ > -0.1
    with pytest.raises(ValueError, match="exposure must be None on Dask"):
        model.fit(*arrays, exposure=np.ones(N_ROWS))


def test_ranking(client):
    relevance, sizes = np.digitize(SIGNAL, [-0.3, 0.3]), [np.full(N_ROWS // N_PARTS // 10, 10)] * N_PARTS
    qid = np.repeat(np.arange(N_ROWS // 10), 10)
    parts = [dask.delayed((X[span], relevance[span], None, size)) for span, size in zip(SPANS, sizes)]
    params = {"random_state": 0, "max_iter": 3, "tol": None}
    model = DaskVectorFlowRanker(**params, client=client).fit(parts)
    other = DaskVectorFlowRanker(**params, client=client).fit(spread(X), spread(relevance), qid=spread(qid))
    np.testing.assert_array_equal(model.predict(X), other.predict(X))
    local = VectorFlowRanker(**params).fit(X, relevance, qid=qid)
    score = model.score(X, relevance, qid=qid)
    assert score > local.score(X, relevance, qid=qid) - 0.05
    assert other.score(spread(X), spread(relevance), qid=spread(qid)) == pytest.approx(score)


def test_survival(client):
    time_ = RNG.exponential(np.exp(-SIGNAL))
    y = np.array(list(zip(time_ < 2, np.minimum(time_, 2))), dtype=[("event", bool), ("time", float)])
    model = DaskVectorFlowSurvivalEstimator(random_state=0, max_iter=3, tol=None, client=client)
    model.fit(spread(X), spread(y))
    score = model.score(X, y)
    assert score > 0.6 and model.score(spread(X), spread(y)) == pytest.approx(score)
    curves = model.predict_survival_function(spread(X), return_array=True, times=[0.5, 1.0])
    np.testing.assert_array_equal(
        curves.compute(), model.predict_survival_function(X, return_array=True, times=[0.5, 1])
    )


# ---- predictions -----------------------------------------------------------------------------


@pytest.mark.parametrize("known", [True, False], ids=["known", "unknown"])
def test_predictions_are_dask_arrays_with_right_metas(client, known):
    model = classifier(client=client).fit(X, Y)
    rows = spread(X, known=known)
    for name in ("predict", "predict_proba", "predict_log_proba", "decision_function", "predict_top_k"):
        options = {"k": 2} if name == "predict_top_k" else {}
        found, here = getattr(model, name)(rows, **options), getattr(model, name)(X, **options)
        assert isinstance(found, da.Array)
        assert (found.dtype, found.ndim, found.shape[1:]) == (here.dtype, here.ndim, here.shape[1:])
        assert found._meta.dtype == here.dtype and found._meta.shape[0] == 0
        np.testing.assert_array_equal(found.compute(), here)


def test_what_local_estimators_refuse_is_refused(client):
    with pytest.raises(TypeError, match="got the source CSRSource"):
        DaskVectorFlowSurvivalEstimator("cox").fit(CSRSource(X, y=SIGNAL))
    with pytest.raises(ValueError, match="encoder needs rows that are spread"):
        classifier().fit(X, Y, encoder=HashingEncoder(12))
    with pytest.raises(TypeError, match="a part must be"):
        classifier(client=None).fit([(dask.delayed(X), Y, None, None, None, None)])


def test_fit_has_the_signature_of_the_local_one_and_encoder():
    for kind in (DaskVectorFlowClassifier, DaskVectorFlowRegressor, DaskVectorFlowRanker):
        own, local = (list(inspect.signature(one.fit).parameters) for one in (kind, kind._local))
        assert own == [*local, "encoder"]
        names = set(own) - {"self", "X", "y"}
        assert names <= set(inspect.signature(kind.set_fit_request).parameters)  # of metadata routing


def test_to_local_and_pickles_hold_no_client(client):
    model = classifier(client=client).fit(spread(X), spread(Y))
    local, restored = model.to_local(), pickle.loads(pickle.dumps(model))
    assert type(local) is VectorFlowClassifier and not hasattr(local, "client")
    assert restored.client is None
    for other in (local, restored, pickle.loads(pickle.dumps(local))):
        np.testing.assert_array_equal(other.predict_proba(X), model.predict_proba(X))
    local.partial_fit(X, Y)
    assert np.any(local.coef_ != model.coef_)


# ---- as estimators ----------------------------------------------------------------------------


def test_parameters_are_those_of_the_local_one_and_client(client):
    model = classifier(client=client, alpha=0.1)
    assert set(model.get_params(deep=False)) == {*VectorFlowClassifier().get_params(deep=False), "client"}
    copy = clone(model)
    assert copy.client is client and copy.alpha == 0.1
    with pytest.raises(TypeError, match="client must be None or a distributed.Client"):
        classifier(client="tcp://nowhere").fit(spread(X), spread(Y))


def test_warm_starts_validation_and_verbose(client, capsys):
    rows, y = spread(X), spread(Y)
    model = classifier(client=client, warm_start=True, verbose=1, max_iter=2)
    model.fit(rows, y, X_val=X, y_val=Y)
    here = model.validation_scores_
    first = model.loss_curve_
    assert "epoch 2: loss" in capsys.readouterr().out
    model.fit(rows, y, X_val=rows, y_val=y)
    assert model.loss_curve_[0] < first[0]
    assert len(model.validation_scores_) == 2 and model.validation_scores_[-1] > here[0]
    with pytest.raises(ValueError, match="needs X_val"):
        classifier(client=client, early_stopping=True).fit(rows, y)


class Recorder:
    """A callback: notes the score after each epoch, in the client's process, and stops after two."""

    def __init__(self):
        self.scores, self.processes = [], set()

    def setup(self, estimator, context):
        self.processes.add(os.getpid())

    teardown = on_fit_task_begin = setup

    def on_fit_task_end(self, estimator, context, *, fitted_estimator):
        self.processes.add(os.getpid())
        if context.task_name == "epoch":
            self.scores.append(fitted_estimator.score(X, Y))
        return len(self.scores) == 2


def test_callbacks_run_on_the_client_and_may_stop(client):
    pytest.importorskip("sklearn.callback", reason="callbacks came with scikit-learn 1.9")
    recorder = Recorder()
    model = classifier(client=client, max_iter=5).set_callbacks(recorder).fit(spread(X), spread(Y))
    assert model.n_iter_ == len(recorder.scores) == 2
    assert recorder.scores[1] == model.score(X, Y) and recorder.processes == {os.getpid()}


def test_errors_name_what_users_gave(client):
    source, rows, y = CSRSource(X, y=Y), spread(X), spread(Y)
    with pytest.raises(ValueError, match="^y, sample_weight, groups and offset must be None for a source"):
        classifier(client=client).fit(source, Y)
    with pytest.raises(ValueError, match="^y_val, sample_weight_val, groups_val and offset_val must be None"):
        classifier(client=client).fit(source, X_val=source, y_val=Y)
    with pytest.raises(ValueError, match="y_val has"):
        classifier(client=client).fit(rows, y, X_val=rows, y_val=Y[:-1])


def test_what_another_fit_left_is_gone(client):
    model = classifier(client=client).partial_fit(X[:100], Y[:100], [0, 1])
    model.fit(spread(X), spread(Y), X_val=X, y_val=Y)
    scales = model.network_.scales
    local = model.to_local().partial_fit(X[:500], Y[:500])
    assert local.network_.scales == scales  # the first rows of the stream before are no longer there
    assert not hasattr(model.fit(spread(X), spread(Y)), "validation_scores_")
    assert model.set_params(solver="exact").fit(X, Y).optimality_ < 1e-3
    assert not hasattr(model.set_params(solver="sgd").fit(spread(X), spread(Y)), "optimality_")


def test_a_failed_fit_leaves_the_model(client):
    model = classifier(client=client).fit(spread(X), spread(Y))
    before = model.coef_.copy()
    bad = [dask.delayed((X[span], Y[span])) for span in SPANS[:-1]] + [dask.delayed(lambda: 1 / 0)()]
    with pytest.raises(ZeroDivisionError):
        in_time(lambda: model.fit(bad))
    np.testing.assert_array_equal(model.coef_, before)


def test_workers_keep_nothing_of_a_failed_fit(client):
    def tasks():
        return client.run_on_scheduler(lambda dask_scheduler: set(dask_scheduler.tasks))

    others = tasks()  # of tests before, until their futures are collected
    parts = [[X[span], Y[span]] for span in SPANS]
    parts[1][0] = parts[1][0] * np.float32(np.nan)
    with pytest.raises(ValueError, match="part 1: ") as raised:
        classifier(client=client).fit([dask.delayed(tuple(part)) for part in parts])
    rows = [dask.delayed((X[span][:, :9], Y[span])) for span in SPANS]
    model = classifier(client=client).fit(X, Y)
    with pytest.raises(ValueError, match="part 0: X has 9 features"):
        model.score(rows[:1])
    wait_for(lambda: tasks() <= others)
    assert raised.value.__traceback__  # which has the frames of the fit


def test_a_part_that_was_cancelled_is_named(client):
    futures = client.compute([dask.delayed((X[span], Y[span])) for span in SPANS])
    futures[2].cancel()
    with pytest.raises(Exception, match="ancelled") as raised:
        in_time(lambda: classifier(client=client).fit(futures))
    assert "while part 2 was cancelled" in raised.value.__notes__[0]
    assert futures[0].status != "cancelled" and len(client.gather(futures[0])) == 2  # those of users stay


def test_a_client_need_not_be_the_default_one(expected, monkeypatch):
    """Nor need there be any."""
    with cluster_of(1) as cluster, distributed.Client(cluster, set_as_default=False) as client:
        monkeypatch.setattr(distributed.client, "_global_clients", {})
        model = in_time(lambda: classifier(client=client).fit([dask.delayed((X[span], Y[span])) for span in SPANS]))
        np.testing.assert_array_equal(model.to_local().decision_function(X), expected)


def test_scores_and_predictions_name_the_part(client):
    model = classifier(client=client).fit(X, Y)
    rows = [dask.delayed((X[span] if k != 2 else X[span][:, :9], Y[span])) for k, span in enumerate(SPANS)]
    with pytest.raises(ValueError, match="part 2: X has 9 features"):
        model.score(rows)
    with pytest.raises(ValueError, match="part 2: X has 9 features"):
        model.predict(rows).compute()
    with pytest.raises(ValueError, match="all parts are empty"):
        model.score([dask.delayed((X[:0], Y[:0]))])


# ---- what clusters do ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def restless():
    """A cluster of its own, whose workers come and go, and its client."""
    with cluster_of(1) as cluster, distributed.Client(cluster) as client:
        yield cluster, client


def resize(cluster, client, n_workers):
    """Let a cluster have a number of workers; return their processes."""
    cluster.scale(n_workers)
    wait_for(lambda: len(pids(client)) == n_workers)
    return pids(client)


def pids(client):
    return [pid for pid in client.run(os.getpid, on_error="ignore").values() if isinstance(pid, int)]


def wait_for(condition):
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "the workers did not come or go"
        time.sleep(0.05)


def test_two_fits_at_once(client, expected):
    models = [classifier(client=client) for _ in range(2)]
    threads = [threading.Thread(target=model.fit, args=(spread(X), spread(Y)), daemon=True) for model in models]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
        assert not thread.is_alive(), "two fits hang"
    for model in models:
        np.testing.assert_array_equal(model.decision_function(X), expected)


EPOCHS, DISTURBED, OVER = 6, 2, 4  # of a disturbed fit: how many, and when what happens to it begins and has ended


@pytest.fixture(scope="module")
def undisturbed(client):
    """Weights after so many epochs."""
    return quietly_fitted(client, max_iter=EPOCHS).coef_


def kill(cluster, client, processes):
    os.kill(processes[0], signal.SIGKILL)
    wait_for(lambda: not set(processes) <= set(pids(client)))


def add(cluster, client, processes):
    resize(cluster, client, len(processes) + 1)


def freeze(cluster, client, processes):
    os.kill(processes[0], signal.SIGSTOP)
    time.sleep(1.5)
    os.kill(processes[0], signal.SIGCONT)


@pytest.mark.skipif(os.name != "posix", reason="needs the signals of POSIX")
@pytest.mark.parametrize("shared", [False, True], ids=["", "shares"])
@pytest.mark.parametrize("disturb", [add, kill, freeze])
def test_a_disturbed_fit_ends_with_the_same_bits(restless, undisturbed, disturb, shared, monkeypatch):
    if shared:
        monkeypatch.setattr(merges, "WORTHWHILE", 1)  # workers have shares of the records to merge
    processes, epoch = resize(*restless, 1 if disturb is add else 2), PartsFit.epoch
    disturbance = threading.Timer(0.03, disturb, (*restless, processes))

    def disturbed(fit, number):
        if number == DISTURBED:
            disturbance.start()
        if number == OVER:
            disturbance.join(PATIENCE)
            assert not disturbance.is_alive()
        return epoch(fit, number)

    monkeypatch.setattr(PartsFit, "epoch", disturbed)
    model = in_time(lambda: classifier(client=restless[1], max_iter=EPOCHS).fit(spread(X), spread(Y)))
    assert len(model.loss_curve_) == EPOCHS
    np.testing.assert_array_equal(model.coef_, undisturbed)


EXACT = {"solver": "exact", "max_iter": 1, "alpha": 1e-3}


@pytest.fixture(scope="module")
def optimum(client):
    """Weights of an exact fit that nothing disturbs."""
    return quietly_fitted(client, **EXACT).coef_


def test_exact_solvers_find_the_local_optimum(client, optimum):
    local = VectorFlowClassifier(random_state=0, **EXACT).fit(X, Y)
    np.testing.assert_allclose(optimum, local.coef_, rtol=1e-6, atol=1e-6)
    weight, offset = RNG.rand(N_ROWS), RNG.randn(N_ROWS)
    local = VectorFlowClassifier(random_state=0, **EXACT).fit(X, Y, sample_weight=weight, offset=offset)
    model = classifier(client=client, **EXACT).fit(spread(X), spread(Y), spread(weight), offset=spread(offset))
    np.testing.assert_allclose(model.coef_, local.coef_, rtol=1e-6, atol=1e-6)


def test_exact_solvers_read_sources_on_workers(client, optimum, tmp_path):
    write_cache([(X[some], Y[some]) for some in SPANS], tmp_path / "rows")
    source = CSRSource.open(tmp_path / "rows", buffer_bytes=2**12)
    model = classifier(client=client, **EXACT).fit(source)
    np.testing.assert_allclose(model.coef_, optimum, rtol=1e-6, atol=1e-6)


@pytest.mark.skipif(os.name != "posix", reason="needs the signals of POSIX")
@pytest.mark.parametrize("disturb", [add, kill, freeze, None])
def test_a_disturbed_exact_fit_ends_with_the_same_bits(restless, optimum, disturb, monkeypatch):
    processes, totals = resize(*restless, 1 if disturb in (add, None) else 2), Passes._total
    disturbance, rounds = threading.Thread(target=disturb, args=(*restless, processes), daemon=True), []

    def disturbed(passes, *arguments):
        rounds.append(None)
        if len(rounds) == DISTURBED and disturb:
            disturbance.start()
        found = totals(passes, *arguments)
        if len(rounds) == OVER and disturb:
            disturbance.join(PATIENCE)
            assert not disturbance.is_alive()
        return found

    monkeypatch.setattr(Passes, "_total", disturbed)
    model = in_time(lambda: classifier(client=restless[1], **EXACT).fit(spread(X), spread(Y)))
    assert len(rounds) > OVER + 2
    np.testing.assert_array_equal(model.coef_, optimum)


@pytest.mark.parametrize("n_workers", [4, 1])
def test_the_number_of_workers_does_not_show_in_the_bits(restless, expected, n_workers, monkeypatch):
    resize(*restless, n_workers)
    monkeypatch.setattr(merges, "WORTHWHILE", 1)  # each has a share of the records to merge
    model = in_time(lambda: classifier(client=restless[1]).fit(spread(X), spread(Y)))
    np.testing.assert_array_equal(model.decision_function(X), expected)


def test_a_part_that_raises_is_named(client):
    parts = [[X[span], Y[span]] for span in SPANS]
    parts[3][0] = parts[3][0].copy()
    parts[3][0].data[0] = np.inf
    with pytest.raises(ValueError, match="part 3: "):
        in_time(lambda: classifier(client=client).fit([dask.delayed(tuple(part)) for part in parts]))


@pytest.mark.parametrize(("held_out", "name"), [(False, "part 2"), (True, "part 2 of X_val")])
def test_a_part_that_cannot_be_computed_is_named(client, held_out, name):
    def lost(part):
        raise OSError("no such file")

    rows = [dask.delayed((X[span], Y[span])) for span in SPANS]
    broken = [*rows[:2], dask.delayed(lost)(rows[2]), *rows[3:]]
    options = {"X_val": broken} if held_out else {}
    with pytest.raises(OSError, match="no such file") as raised:
        classifier(client=client).fit(rows if held_out else broken, **options)
    assert f"while {name} was computed" in raised.value.__notes__[0]


def test_searches_and_predictions_under_joblibs_dask_backend(client):
    def all_of_it():
        model = VectorFlowClassifier(random_state=0, max_iter=2, tol=None)
        search = GridSearchCV(model, {"alpha": [1e-5, 1e-1]}, cv=2).fit(X, Y)
        folds = cross_val_predict(model, X, Y, cv=2, method="predict_proba")
        return search.cv_results_["mean_test_score"], folds, search.predict_proba(X)

    def on_dask():  # contexts are those of a thread
        with client.as_current(), joblib.parallel_config("dask"):
            return all_of_it()

    for one, other in zip(all_of_it(), in_time(on_dask)):
        np.testing.assert_array_equal(one, other)


def test_grid_search_of_the_estimator_itself(client):
    search = GridSearchCV(classifier(client=client, max_iter=1), {"alpha": [1e-5, 1e-1]}, cv=2).fit(X, Y)
    assert search.best_params_["alpha"] == 1e-5
    assert search.best_estimator_.client is client
