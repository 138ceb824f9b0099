"""scikit-learn's tools around the estimators: search, pipelines, routing, frames, callbacks, threads."""

import contextlib
import multiprocessing
import os
import re
import warnings

import joblib
import numpy as np
import pytest
import threadpoolctl
from scipy import sparse
from sklearn import config_context
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.model_selection import GridSearchCV, cross_val_predict, cross_validate
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import MultiOutputClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler, OneHotEncoder
from sklearn.utils.validation import check_is_fitted

from sklearn_vectorflow import VectorFlowClassifier, VectorFlowRegressor, threads
from sklearn_vectorflow.estimators import base, raw_outputs
from sklearn_vectorflow.exact.preconditioner import Preconditioner
from sklearn_vectorflow.losses import QuantileLoss
from sklearn_vectorflow.optimizers import AdaGrad
from sklearn_vectorflow.penalties import L2
from sklearn_vectorflow.threads import single_threaded_blas

pd = pytest.importorskip("pandas")
pl = pytest.importorskip("polars")

RNG = np.random.RandomState(0)
N_ROWS, N_FEATURES = 300, 40
X = sparse.random(N_ROWS, N_FEATURES, 0.2, format="csr", random_state=1, dtype=np.float32)
SIGNAL = np.asarray(X @ RNG.randn(N_FEATURES)).ravel()
LABELS = (SIGNAL > 0).astype(int)
THREE = np.digitize(SIGNAL, np.quantile(SIGNAL, [0.3, 0.7]))
WORDS = np.array(["cheap", "fine", "great", "poor", "slow", "warm"])
CHOSEN = RNG.rand(240, len(WORDS)) < 0.5
TEXTS = [" ".join(WORDS[row]) + " thing" for row in CHOSEN]
SENTIMENT = np.where(CHOSEN[:, 1].astype(int) + CHOSEN[:, 2] - CHOSEN[:, 0] - CHOSEN[:, 3] > 0, "good", "bad")


def classifier(**params):
    return VectorFlowClassifier(random_state=0, **{"max_iter": 10, **params})


def text_pipeline(**params):
    return make_pipeline(HashingVectorizer(n_features=2**16), classifier(**params))


# ---- search -------------------------------------------------------------------------------


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_grid_search_over_a_text_pipeline(n_jobs):
    pipeline = text_pipeline(optimizer=AdaGrad(), max_iter=5)
    grid = {
        "vectorflowclassifier__optimizer__learning_rate": [1e-6, 0.3],
        "vectorflowclassifier__alpha": [1e-7, 1e-5],
        "vectorflowclassifier__hidden_layer_sizes": [(), (16,)],
    }
    search = GridSearchCV(pipeline, grid, cv=2, n_jobs=n_jobs, error_score="raise").fit(TEXTS, SENTIMENT)
    assert len(search.cv_results_["params"]) == 8
    assert search.best_params_["vectorflowclassifier__optimizer__learning_rate"] == 0.3
    assert search.best_score_ > 0.85
    assert search.score(TEXTS, SENTIMENT) > 0.9
    best = search.best_estimator_[-1]
    assert best.optimizer.learning_rate == 0.3
    assert pipeline[-1].optimizer.learning_rate == AdaGrad().learning_rate  # clones were changed, not what was given


def test_parameters_of_losses_and_penalties_can_be_searched():
    model = VectorFlowRegressor(loss=QuantileLoss(), penalty=L2(), max_iter=3, random_state=0)
    grid = {"loss__quantile": [0.1, 0.5, 0.9], "penalty__strength": [1e-6, 1e-3]}
    search = GridSearchCV(model, grid, cv=2, scoring="neg_median_absolute_error", error_score="raise").fit(X, SIGNAL)
    assert search.best_params_["loss__quantile"] == 0.5
    with pytest.raises(ValueError, match="quantile"):
        model.set_params(loss__quantile=2.0).fit(X, SIGNAL)


def test_parameters_of_names_become_those_of_objects():
    model = VectorFlowRegressor(loss="quantile").set_params(loss=QuantileLoss(0.3), optimizer=AdaGrad(0.5))
    parameters = model.get_params()
    assert parameters["loss__quantile"] == 0.3
    assert parameters["optimizer__learning_rate"] == 0.5
    copied = clone(model)
    assert copied.loss is not model.loss
    assert copied.loss.quantile == 0.3


# ---- meta-estimators ------------------------------------------------------------------------


def test_cross_val_predict():
    probability = cross_val_predict(classifier(), X, THREE, cv=3, method="predict_proba", n_jobs=2)
    assert probability.shape == (N_ROWS, 3)
    np.testing.assert_allclose(probability.sum(axis=1), 1.0)
    assert (probability.argmax(axis=1) == THREE).mean() > 0.55  # guessing: 0.4


@pytest.mark.parametrize("loss", ["log_loss", "hinge"])
@pytest.mark.parametrize("ensemble", [True, False])
def test_calibration(loss, ensemble):
    model = CalibratedClassifierCV(classifier(loss=loss), cv=3, ensemble=ensemble).fit(X, LABELS)
    probability = model.predict_proba(X)
    np.testing.assert_allclose(probability.sum(axis=1), 1.0)
    assert ((probability[:, 1] > 0.5) == LABELS).mean() > 0.85
    assert not hasattr(classifier(loss="hinge"), "predict_proba")


def test_one_vs_rest_and_its_partial_fit():
    model = OneVsRestClassifier(classifier(), n_jobs=2).fit(X, THREE)
    assert model.score(X, THREE) > 0.7
    streamed = OneVsRestClassifier(classifier())
    for _ in range(10):
        streamed.partial_fit(X, THREE, classes=[0, 1, 2])
    assert streamed.score(X, THREE) > 0.7


def test_multi_output():
    Y = np.column_stack([LABELS, THREE])
    model = MultiOutputClassifier(classifier()).fit(X, Y)
    assert model.predict(X).shape == (N_ROWS, 2)
    assert (model.predict(X) == Y).mean() > 0.8


def test_set_params_and_tags():
    assert is_classifier(VectorFlowClassifier())
    assert is_regressor(VectorFlowRegressor())
    with pytest.raises(ValueError, match="Invalid parameter 'learning_rat'"):
        VectorFlowClassifier().set_params(learning_rat=1)


@pytest.mark.parametrize(
    "model, y", [(classifier(), LABELS), (VectorFlowRegressor(max_iter=2), SIGNAL)], ids=["classifier", "regressor"]
)
def test_check_is_fitted_clone_and_html(model, y):
    with pytest.raises(NotFittedError):
        check_is_fitted(model)
    with pytest.raises(NotFittedError):
        model.predict(X)
    model = clone(model).fit(X, y)
    check_is_fitted(model)
    with pytest.raises(NotFittedError):
        check_is_fitted(clone(model))
    html = model._repr_html_()
    assert type(model).__name__ in html
    assert "hidden_layer_sizes" in html


# ---- frames -----------------------------------------------------------------------------------

COLUMNS = [f"word {k}" for k in range(N_FEATURES)]


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame], ids=["pandas", "polars"])
def test_frames_keep_their_names(frame):
    def make(columns):
        return frame(dict(zip(columns, X.toarray().T)))

    if not hasattr(MaxAbsScaler().fit(make(COLUMNS)), "feature_names_in_"):
        pytest.skip("scikit-learn itself reads no names of this frame: before 1.8, of polars 2")
    model = classifier().fit(make(COLUMNS), LABELS)
    np.testing.assert_array_equal(model.feature_names_in_, COLUMNS)
    np.testing.assert_array_equal(model.coef_, classifier().fit(X.toarray(), LABELS).coef_)
    np.testing.assert_array_equal(model.predict(make(COLUMNS)), model.set_params(n_jobs=2).predict(make(COLUMNS)))
    with pytest.raises(ValueError, match="feature names should match"):
        model.predict(make(COLUMNS[::-1]))
    with pytest.raises(ValueError, match="feature names should match"):
        model.partial_fit(make(["other", *COLUMNS[1:]]), LABELS)
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        model.predict(X)


@pytest.mark.parametrize("series", [pd.Series, pl.Series], ids=["pandas", "polars"])
def test_series_as_targets_and_weights(series):
    weight = RNG.rand(N_ROWS)
    names = np.array(["no", "yes"])[LABELS]
    got = classifier().fit(X, series(list(names)), sample_weight=series(weight))
    expected = classifier().fit(X, names, sample_weight=weight)
    np.testing.assert_array_equal(got.classes_, expected.classes_)
    np.testing.assert_array_equal(got.coef_, expected.coef_)


def test_sparse_frames():
    frame = pd.DataFrame.sparse.from_spmatrix(X, columns=COLUMNS)
    model = classifier().fit(frame, LABELS)
    np.testing.assert_array_equal(model.feature_names_in_, COLUMNS)
    np.testing.assert_allclose(model.coef_, classifier().fit(X, LABELS).coef_, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(model.predict_proba(frame), model.predict_proba(frame.sparse.to_dense()), rtol=1e-5)


def test_sparse_output_of_encoders():
    frame = pd.DataFrame({"city": RNG.choice(list("abcd"), N_ROWS), "day": RNG.choice(list("xyz"), N_ROWS)})
    frame["size"] = RNG.rand(N_ROWS)
    y = ((frame["city"] == "a") | (frame["day"] == "x")).astype(int)
    encode = ColumnTransformer(
        [("names", OneHotEncoder(), ["city", "day"]), ("numbers", MaxAbsScaler(), ["size"])], sparse_threshold=1.0
    )
    model = make_pipeline(encode, classifier())
    assert sparse.issparse(clone(encode).fit_transform(frame))
    assert model.fit(frame, y).score(frame, y) > 0.95
    assert cross_validate(model, frame, y, cv=3, error_score="raise")["test_score"].mean() > 0.9


# ---- metadata routing ---------------------------------------------------------------------------


def test_sample_weight_is_routed():
    weight = np.where(LABELS == 1, 10.0, 0.1)
    with config_context(enable_metadata_routing=True):
        asked = classifier().set_fit_request(sample_weight=True)
        pipeline = make_pipeline(MaxAbsScaler(), asked).fit(X, LABELS, sample_weight=weight)
        direct = classifier().fit(MaxAbsScaler().fit_transform(X), LABELS, sample_weight=weight)
        np.testing.assert_array_equal(pipeline[-1].coef_, direct.coef_)
        search = GridSearchCV(
            asked.set_score_request(sample_weight=False), {"alpha": [1e-6]}, cv=2, error_score="raise"
        ).fit(X, LABELS, sample_weight=weight)
        direct = classifier(alpha=1e-6).fit(X, LABELS, weight)
        np.testing.assert_array_equal(search.best_estimator_.coef_, direct.coef_)
        with pytest.raises(ValueError, match="sample_weight"):
            make_pipeline(MaxAbsScaler(), classifier()).fit(X, LABELS, sample_weight=weight)


def test_validation_rows_are_routed_through_the_pipelines_transformers():
    train, held = slice(0, 200), slice(200, None)
    with config_context(enable_metadata_routing=True):
        asked = classifier(early_stopping=True).set_fit_request(X_val=True, y_val=True)
        pipeline = make_pipeline(MaxAbsScaler(), asked, transform_input=["X_val"])
        pipeline.fit(X[train], LABELS[train], X_val=X[held], y_val=LABELS[held])
    scale = MaxAbsScaler().fit(X[train])
    rows, y_val = scale.transform(X[train]), LABELS[held]
    direct = classifier(early_stopping=True).fit(rows, LABELS[train], X_val=scale.transform(X[held]), y_val=y_val)
    assert len(direct.validation_scores_) == direct.n_iter_
    np.testing.assert_allclose(pipeline[-1].validation_scores_, direct.validation_scores_)
    unscaled = classifier(early_stopping=True).fit(rows, LABELS[train], X_val=X[held], y_val=y_val)
    assert not np.allclose(unscaled.validation_scores_, direct.validation_scores_, rtol=1e-6)


def test_partial_fit_requests():
    with config_context(enable_metadata_routing=True):
        request = classifier().set_partial_fit_request(classes=True, sample_weight=True)
    assert request.get_metadata_routing().partial_fit.requests == {
        "classes": True,
        "sample_weight": True,
        "offset": None,
    }


# ---- threads --------------------------------------------------------------------------------------

LARGE = 10**9
TWO_CORES = pytest.mark.skipif(joblib.cpu_count() < 2, reason="needs two cores")


@pytest.fixture
def unlimited(monkeypatch):
    """No limit but joblib's, and no work too small, so that counts don't depend on the machine."""
    monkeypatch.setattr(threads, "_pool_limit", lambda: 8)
    monkeypatch.setattr(threads, "WORTHWHILE", 1)


@pytest.fixture
def counted(monkeypatch, unlimited):
    """Records the number of threads of every crew."""
    counts = []

    class CountedCrew(threads.Crew):
        def __enter__(self):
            counts.append(self.n_workers)
            return super().__enter__()

    for module in (base, raw_outputs):
        monkeypatch.setattr(module, "Crew", CountedCrew)
    return counts


@pytest.mark.parametrize("n_jobs, expected", [(None, 1), (1, 1), (2, 2), (3, 3)])
def test_n_jobs_is_the_number_of_threads(n_jobs, expected, counted):
    model = classifier(n_jobs=n_jobs).fit(X, LABELS)
    model.predict(X)
    assert set(counted) == {expected}


def test_small_work_stays_on_one_thread(monkeypatch):
    monkeypatch.setattr(threads, "_pool_limit", lambda: 8)
    assert threads.n_workers(4, 1000) == 1
    assert threads.n_workers(4, 2 * threads.WORTHWHILE) == 2
    assert threads.n_workers(4, LARGE) == 4


@pytest.mark.parametrize("backend", ["threading", "loky"])
def test_joblib_context_sets_the_number_of_threads(backend, counted):
    with joblib.parallel_config(backend, n_jobs=2):
        model = classifier().fit(X, LABELS)
        assert set(counted) == {2}
        model.set_params(n_jobs=1).predict(X)
    assert counted[-1] == 1


def blas_threads():
    return {pool["num_threads"] for pool in threadpoolctl.ThreadpoolController().select(user_api="blas").info()}


def test_exact_fits_give_blas_its_threads_back():
    """Two fits overlap, and the first to begin is the first to end."""
    inside = []
    with threadpoolctl.threadpool_limits(2, user_api="blas"):
        before = blas_threads()
        with contextlib.ExitStack() as first, contextlib.ExitStack() as second:
            first.enter_context(single_threaded_blas)
            second.enter_context(single_threaded_blas)
            first.close()
            inside.append(blas_threads())
        with pytest.raises(RuntimeError), single_threaded_blas:
            inside.append(blas_threads())
            raise RuntimeError
        assert all(found <= {1} for found in inside)  # none where BLAS is not to be told
        assert blas_threads() == before


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are not forked here")
def test_forked_processes_do_not_wait_for_the_blas_of_others():
    with single_threaded_blas, single_threaded_blas._lock, warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forks beside threads
        child = os.fork()
        if child == 0:
            os._exit(single_threaded_blas._n_inside + single_threaded_blas._lock.locked())
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_exact_fits_run_blas_in_their_own_threads(monkeypatch):
    seen = set()
    monkeypatch.setattr(
        Preconditioner, "complete", noting(Preconditioner.complete, lambda: seen.update(blas_threads()))
    )
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(200, 5)), rng.integers(0, 2, 200)
    with threadpoolctl.threadpool_limits(2, user_api="blas"):
        VectorFlowClassifier(solver="exact", alpha=1e-3).fit(X, y)
    assert seen <= {1}


def noting(function, note):
    def noted(*args):
        note()
        return function(*args)

    return noted


@TWO_CORES
def test_threadpoolctl_limits_hold():
    assert threads.n_workers(2, LARGE) == min(2, threads._pool_limit())
    with threadpoolctl.threadpool_limits(1):
        assert threads.n_workers(2, LARGE) == 1


def threads_in_a_daemon(connection):
    warnings.simplefilter("error")  # joblib warns where processes are asked for
    threads._pool_limit = lambda: 8
    connection.send(threads.n_workers(2, LARGE))


def test_daemonic_processes_have_threads():
    here, there = multiprocessing.get_context("spawn").Pipe()
    process = multiprocessing.get_context("spawn").Process(target=threads_in_a_daemon, args=(there,), daemon=True)
    process.start()
    assert here.poll(60) and here.recv() == 2
    process.join()


def threads_in_a_worker(estimator, X, y):
    """A scorer that gives the number of threads an estimator may use where it is called."""
    return threads.n_workers(estimator.n_jobs, LARGE)


@TWO_CORES
def test_nested_parallelism_is_not_oversubscribed():
    search = GridSearchCV(
        classifier(n_jobs=2), {"alpha": [1e-6, 1e-5]}, cv=2, n_jobs=2, error_score="raise", scoring=threads_in_a_worker
    ).fit(X, LABELS)
    counts = np.concatenate([search.cv_results_[f"split{k}_test_score"] for k in range(2)])
    assert np.all(2 * counts <= max(2, joblib.cpu_count()))


def test_threads_inside_threads(unlimited):
    def score(seed):
        return classifier(n_jobs=2).set_params(random_state=seed).fit(X, LABELS).score(X, LABELS)

    scores = joblib.Parallel(n_jobs=2, backend="threading")(joblib.delayed(score)(seed) for seed in range(4))
    assert min(scores) > 0.8


# ---- verbose and callbacks ----------------------------------------------------------------------------

LINE = r"epoch \d+: loss \d+\.\d+(, validation \d+\.\d+)?, [\d.e+-]+ M rows/s, [\d.e+-]+ M non-zeros/s"


@pytest.mark.parametrize("validation", [False, True])
def test_verbose_prints_a_line_for_every_epoch(validation, capsys):
    model = classifier(verbose=1, max_iter=4, tol=None, early_stopping=validation).fit(X, LABELS)
    lines = capsys.readouterr().out.splitlines()
    if validation:
        assert re.fullmatch(r"with the held-out rows: [1-4] epochs", lines.pop())
    assert len(lines) == model.n_iter_ == 4
    for epoch, line in enumerate(lines):
        assert re.fullmatch(LINE, line), line
        assert line.startswith(f"epoch {epoch + 1}: loss {model.loss_curve_[epoch]:.4f}")
        assert ("validation" in line) == validation


def test_silence_is_the_default(capsys):
    classifier().fit(X, LABELS)
    captured = capsys.readouterr()
    assert captured.out == captured.err == ""


class Recorder:
    """A callback as a user writes one: notes tasks, scores the model of every epoch, and may stop."""

    def __init__(self, stop_after=None):
        self.stop_after = stop_after
        self.events, self.scores, self.sizes = [], [], []

    def setup(self, estimator, context):
        self.events.append("setup")

    def teardown(self, estimator, context):
        self.events.append("teardown")

    def on_fit_task_begin(self, estimator, context):
        self.events.append(("begin", context.task_name, context.task_id))
        self.sizes.append(context.max_subtasks)

    def on_fit_task_end(self, estimator, context, *, X, y, fitted_estimator):
        self.events.append(("end", context.task_name, context.task_id))
        if context.task_name == "epoch":
            self.scores.append((fitted_estimator.n_iter_, fitted_estimator.score(X, y)))
            return self.stop_after is not None and context.task_id + 1 >= self.stop_after
        return False


@pytest.fixture
def sklearn_callback():
    return pytest.importorskip("sklearn.callback", reason="callbacks came with scikit-learn 1.9")


def test_callbacks_see_a_task_for_every_epoch(sklearn_callback):
    recorder = Recorder()
    model = classifier(max_iter=3, tol=None).set_callbacks(recorder).fit(X, THREE)
    epochs = [(what, "epoch", k) for k in range(3) for what in ("begin", "end")]
    assert recorder.events == ["setup", ("begin", "fit", 0), *epochs, ("end", "fit", 0), "teardown"]
    assert recorder.sizes == [3, 0, 0, 0]
    assert [n_iter for n_iter, _ in recorder.scores] == [1, 2, 3]
    assert recorder.scores[-1][1] == model.score(X, THREE)
    np.testing.assert_array_equal(model.coef_.shape, (3, N_FEATURES))


@pytest.mark.parametrize(
    "model, y", [(classifier(), THREE), (VectorFlowRegressor(random_state=0), SIGNAL)], ids=["classifier", "regressor"]
)
def test_watching_does_not_change_the_model(model, y, sklearn_callback):
    alone = clone(model).set_params(max_iter=3, tol=None).fit(X, y)
    watched = clone(model).set_params(max_iter=3, tol=None).set_callbacks(Recorder()).fit(X, y)
    np.testing.assert_allclose(watched.coef_, alone.coef_, rtol=1e-4, atol=1e-6)


def test_a_callback_can_stop_the_fit(sklearn_callback):
    recorder = Recorder(stop_after=2)
    given = {"alpha": 1e-4, "tol": None}  # fits of few epochs take the first guess for alpha
    model = classifier(max_iter=50, **given).set_callbacks(recorder).fit(X, LABELS)
    assert model.n_iter_ == len(model.loss_curve_) == len(recorder.scores) == 2
    np.testing.assert_allclose(model.coef_, classifier(max_iter=2, **given).fit(X, LABELS).coef_, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("solver", ["auto", "exact"])
def test_no_newton_step_follows_where_a_callback_stops_the_fit(solver, sklearn_callback):
    model = VectorFlowRegressor(solver=solver, alpha=1e-3, random_state=0).set_callbacks(Recorder(stop_after=1))
    model.fit(X, SIGNAL)
    assert model.n_iter_ == 1
    assert not hasattr(model, "optimality_")


def test_a_failing_callback_leaves_the_model_as_it_was(sklearn_callback):
    class Failing(Recorder):
        def on_fit_task_end(self, estimator, context, *, X, y, fitted_estimator):
            raise RuntimeError("no more disk")

    model = classifier(warm_start=True).fit(X, LABELS)
    before, names = model.coef_.copy(), set(vars(model))
    recorder = Failing()
    with pytest.raises(RuntimeError, match="no more disk"):
        model.set_callbacks(recorder).fit(X, 1 - LABELS)
    assert recorder.events[-1] == "teardown"
    model.set_callbacks()
    assert set(vars(model)) == names
    np.testing.assert_array_equal(model.coef_, before)


def test_scoring_monitor(sklearn_callback):
    monitor = sklearn_callback.ScoringMonitor(scoring="accuracy")
    model = classifier(max_iter=4, tol=None).set_callbacks(monitor).fit(X, LABELS)
    scores = [row["accuracy"] for row in monitor.get_logs().data if row["task_name"] == "epoch"]
    assert len(scores) == 4
    assert scores[-1] == model.score(X, LABELS)


def test_progress_bar(sklearn_callback, capsys):
    pytest.importorskip("rich", reason="the progress bar needs rich")
    classifier(max_iter=3, tol=None).set_callbacks(sklearn_callback.ProgressBar()).fit(X, LABELS)
    assert "VectorFlowClassifier" in capsys.readouterr().out
