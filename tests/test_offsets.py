"""Offsets: known numbers that are added to the raw outputs of rows."""

import copy
import pickle

import numpy as np
import pytest
import sklearn
from scipy import sparse
from scipy.special import expit, logit
from sklearn.base import clone
from sklearn.linear_model import Ridge
from sklearn.metrics import log_loss, mean_pinball_loss
from sklearn.model_selection import cross_validate

from sklearn_vectorflow import (
    VectorFlowClassifier,
    VectorFlowRanker,
    VectorFlowRegressor,
    VectorFlowSurvivalEstimator,
)
from sklearn_vectorflow.engine.data import Targets
from sklearn_vectorflow.io import BatchSource, CSRSource, write_cache
from sklearn_vectorflow.losses import LambdaRank, MixtureDensity, OneVsRestLogLoss, QuantileLoss, SampledLogLoss
from sklearn_vectorflow.network.initial_weights import Start

N, WIDTH = 800, 30


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(0)
    X = sparse.random_array((N, WIDTH), density=0.2, rng=rng, format="csr", dtype=np.float32)
    signal = X @ rng.normal(size=WIDTH)
    return X, signal, rng.normal(size=N)


SHAPES = [
    {},
    {"optimizer": "adagrad"},
    {"optimizer": "sgd", "learning_rate": 0.01},
    {"optimizer": "adam"},
    {"average": True},
    {"batch_size": 16},
    {"hidden_layer_sizes": 8},
    {"hidden_layer_sizes": 8, "batch_size": 16},
    {"hidden_layer_sizes": (8, 4)},
    {"solver": "exact", "alpha": 1e-3},
]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("n_targets", [1, 3])
def test_squared_error_beside_an_offset_is_that_of_what_the_offset_leaves(rows, shape, n_targets):
    X, signal, offset = rows
    y = signal if n_targets == 1 else signal[:, None] * [1.0, -1.0, 2.0]
    offset = offset if n_targets == 1 else np.column_stack([offset, 2 * offset, -offset])
    model = VectorFlowRegressor(random_state=0, max_iter=5, tol=None, **shape)
    beside = copy.deepcopy(model).fit(X, y + offset, offset=offset)
    plain = model.fit(X, y)
    assert beside.predict(X) == pytest.approx(plain.predict(X), abs=2e-4)
    assert beside.predict(X, offset=offset) == pytest.approx(plain.predict(X) + offset, abs=2e-4)
    assert beside.score(X, y + offset, offset=offset) > beside.score(X, y + offset) + 0.1


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_a_classifier_finds_what_offsets_leave(rows, shape):
    X, signal, offset = rows
    offset = 4 * offset
    y = np.random.default_rng(1).random(N) < expit(signal + offset)
    model = VectorFlowClassifier(random_state=0, **shape).fit(X, y, offset=offset)
    raw = model.decision_function(X)
    assert np.corrcoef(raw, signal)[0, 1] > 0.8
    assert abs(np.corrcoef(raw, offset)[0, 1]) < 0.2
    assert model.decision_function(X, offset=offset) == pytest.approx(raw + offset, abs=1e-6)
    probability = model.predict_proba(X, offset=offset)
    assert probability[:, 1] == pytest.approx(expit(raw + offset), abs=1e-6)
    assert model.predict_log_proba(X, offset=offset) == pytest.approx(np.log(probability))
    assert np.array_equal(model.predict(X, offset=offset), raw + offset > 0)
    assert model.score(X, y, offset=offset) == np.mean((raw + offset > 0) == y)


def test_poisson_with_exposure_is_statsmodels(rows):
    import statsmodels.api as sm

    X, signal, _ = rows
    rng = np.random.default_rng(2)
    exposure = rng.uniform(0.1, 20.0, N)
    y = rng.poisson(exposure * np.exp(signal - 1.0))
    model = VectorFlowRegressor(loss="poisson", solver="exact", alpha=0.0, exact_tol=1e-10, random_state=0)
    model.fit(X, y, exposure=exposure)
    design = sm.add_constant(X.toarray().astype(float))
    other = sm.GLM(y, design, family=sm.families.Poisson(), exposure=exposure).fit(tol=1e-12)
    assert model.coef_ == pytest.approx(other.params[1:], abs=1e-5)
    assert model.intercept_[0] == pytest.approx(other.params[0], abs=1e-5)
    assert model.predict(X, exposure=exposure) == pytest.approx(other.predict(design, exposure=exposure), rel=1e-4)
    assert model.predict(X) == pytest.approx(other.predict(design, exposure=np.ones(N)), rel=1e-4)
    summary = model.inference(X, y, offset=np.log(exposure)).summary()
    assert summary["std_err"].to_numpy() == pytest.approx(other.bse, rel=1e-4)
    both = VectorFlowRegressor(loss="poisson", solver="exact", alpha=0.0, exact_tol=1e-10, random_state=0)
    both.fit(X, y, offset=np.log(exposure / 2), exposure=np.full(N, 2.0))
    assert both.coef_ == pytest.approx(model.coef_, abs=1e-5)


@pytest.mark.parametrize("loss", ["poisson", "gamma", "tweedie"])
def test_predicted_totals_are_those_of_targets_with_offsets_too(rows, loss):
    X, signal, offset = rows
    y = np.random.default_rng(3).gamma(2.0, np.exp(0.3 * signal + offset) / 2)
    model = VectorFlowRegressor(loss=loss, random_state=0).fit(X, y, offset=offset)
    assert model.predict(X, offset=offset).sum() == pytest.approx(y.sum(), rel=1e-4)
    assert model.score(X, y, offset=offset) > model.score(X, y) + 0.1


def test_training_starts_from_the_best_constant_beside_offsets(rows):
    X, _, offset = rows
    y = np.random.default_rng(4).poisson(np.exp(offset + 5.0))
    model = VectorFlowRegressor(loss="poisson", random_state=0, max_iter=1, tol=None, alpha=1e3)
    assert model.fit(X, y, offset=offset + 8.0).intercept_[0] == pytest.approx(-3.0, abs=0.01)


def test_boosting_one_model_on_the_outputs_of_another(rows):
    X, signal, _ = rows
    first, rest = X.copy(), X.copy()
    first.data[first.indices >= WIDTH // 2] = 0.0
    rest.data[rest.indices < WIDTH // 2] = 0.0
    start = VectorFlowRegressor(random_state=0).fit(first, signal)
    raw = start.predict_raw(first)
    more = VectorFlowRegressor(random_state=0).fit(rest, signal, offset=raw)
    assert start.score(first, signal) < 0.8
    assert more.score(rest, signal, offset=raw) > 0.99


# ---- one number a row, and one an output -------------------------------------------


def test_multinomial_offsets_are_one_for_each_class(rows):
    X, signal, offset = rows
    offsets = np.column_stack([offset, 3 * signal, -offset]) * 2
    y = (offsets + np.random.default_rng(5).gumbel(size=(N, 3))).argmax(axis=1)
    model = VectorFlowClassifier(random_state=0).fit(X, y, offset=offsets)
    assert model.score(X, y, offset=offsets) > model.score(X, y) + 0.2
    assert np.abs(model.coef_).max() < 1.0
    with pytest.raises(ValueError, match=r"offset must have shape \(800, 3\)"):
        model.fit(X, y, offset=offset)
    with pytest.raises(ValueError, match=r"offset must have shape \(800,\) or \(800, 3\)"):
        model.fit(X, y, offset=offsets[:, :2])
    with pytest.raises(ValueError, match="offset must have shape"):
        model.predict(X, offset=offset)


@pytest.mark.parametrize("loss", [OneVsRestLogLoss(), SampledLogLoss(n_negatives=2)], ids=["all", "sampled"])
def test_labels_take_offsets_of_both_kinds(rows, loss):
    X, signal, offset = rows
    rng = np.random.default_rng(6)
    offsets = np.column_stack([4 * offset, -4 * offset, 0 * offset, -4 + 0 * offset])
    y = (rng.random((N, 4)) < expit(offsets + signal[:, None])).astype(int)
    one = VectorFlowClassifier(loss=loss, random_state=0, max_iter=8).fit(X, y, offset=offsets)
    raw = one.decision_function(X)
    assert one.decision_function(X, offset=offsets) == pytest.approx(raw + offsets, abs=1e-5)
    assert np.all(np.abs(np.corrcoef(np.column_stack([raw[:, :2], offset]).T)[:2, 2]) < 0.3)
    assert one.decision_function(X, offset=offset) == pytest.approx(raw + offset[:, None], abs=1e-5)


def test_an_offset_of_a_density_moves_its_means(rows):
    X, signal, offset = rows
    model = VectorFlowRegressor(loss=MixtureDensity(2), random_state=0).fit(X, signal + 9 * offset, offset=9 * offset)
    assert model.predict(X, offset=offset) == pytest.approx(model.predict(X) + offset)
    raw, moved = model.predict_raw(X), model.predict_raw(X, offset=offset)
    assert np.array_equal(raw[:, [0, 1, 4, 5]], moved[:, [0, 1, 4, 5]])


# ---- times to an event ---------------------------------------------------------------


def _times(signal, offset, seed):
    rng = np.random.default_rng(seed)
    time = rng.exponential(np.exp(-(signal + offset)))
    return {"event": time < 3.0, "time": np.minimum(time, 3.0)}


def test_cox_with_an_offset_is_statsmodels(rows):
    import statsmodels.api as sm

    X, signal, offset = rows
    y = _times(signal, offset, 7)
    model = VectorFlowSurvivalEstimator("cox", solver="exact", alpha=0.0, exact_tol=1e-9, random_state=0)
    model.fit(X, y, offset=offset)
    other = sm.PHReg(y["time"], X.toarray().astype(float), status=y["event"], offset=offset, ties="efron").fit()
    assert model.coef_ == pytest.approx(other.params, abs=1e-3)
    assert model.predict(X, offset=offset) == pytest.approx(model.predict(X) + offset, abs=1e-5)
    assert model.score(X, y, offset=offset) > model.score(X, y) + 0.05
    # the baseline is that of rows without an offset
    survival = model.predict_survival_function(X, return_array=True, times=[1.0], offset=offset)[:, 0]
    assert survival.mean() == pytest.approx(np.mean(np.exp(-np.exp(signal + offset))), abs=0.03)


@pytest.mark.parametrize("distribution", ["exponential", "weibull", "lognormal", "piecewise_exponential", "discrete"])
def test_an_offset_moves_every_curve(rows, distribution):
    X, signal, offset = rows
    sign = -1.0 if distribution in ("weibull", "lognormal") else 1.0  # of log times, and of hazards
    model = VectorFlowSurvivalEstimator(distribution, random_state=0)
    model.fit(X, _times(signal, sign * 2 * offset, 8), offset=2 * offset)
    risk, moved = model.predict(X), model.predict(X, offset=offset)
    assert abs(np.corrcoef(risk, offset)[0, 1]) < 0.2
    assert np.corrcoef(risk, signal)[0, 1] > 0.8
    assert moved == pytest.approx(risk + sign * offset, abs=1e-5)
    for values in (
        model.predict_survival_function(X, return_array=True, times=[0.5], offset=offset)[:, 0],
        -model.predict_cumulative_hazard_function(X, return_array=True, times=[0.5], offset=offset)[:, 0],
    ):
        assert np.corrcoef(values, moved)[0, 1] < -0.6
    later = model.predict_median(X) < model.predict_median(X, offset=-sign * np.ones(N))
    assert np.all(later | ~np.isfinite(model.predict_median(X)))


def test_a_ranker_goes_on_from_scores(rows):
    X, signal, offset = rows
    qid = np.repeat(np.arange(N // 10), 10)
    y = np.clip(np.round(signal + 2 * offset), 0, 4)
    model = VectorFlowRanker(random_state=0).fit(X, y, qid=qid, offset=2 * offset)
    assert abs(np.corrcoef(model.predict(X), offset)[0, 1]) < 0.2
    assert model.score(X, y, qid=qid, offset=2 * offset) > model.score(X, y, qid=qid) + 0.05
    model.partial_fit(X, y, qid=qid, offset=2 * offset)


# ---- where rows come from ----------------------------------------------------------


def _blocks(X, y, offset):
    return [(X[k : k + 200], y[k : k + 200], None, offset[k : k + 200]) for k in range(0, N, 200)]


@pytest.mark.parametrize("buffer_bytes", [2**28, 2**13], ids=["held", "streamed"])
def test_sources_bring_offsets(rows, buffer_bytes, tmp_path):
    X, signal, offset = rows
    y = signal + 5 * offset
    blocks = _blocks(X, y, 5 * offset)
    options = {"buffer_bytes": buffer_bytes}
    sources = [BatchSource(lambda: iter(blocks), **options), CSRSource(X, y=y, offset=5 * offset, **options)]
    sources.append(BatchSource(lambda: iter(blocks), cache=tmp_path / "cache", **options))
    write_cache(BatchSource(lambda: iter(blocks)), tmp_path / "other")
    sources.append(CSRSource.open(tmp_path / "other", **options))
    for source in sources:
        model = VectorFlowRegressor(random_state=0).fit(source)
        assert model.predict(source) == pytest.approx(model.predict(X, offset=5 * offset), abs=1e-5)
        assert model.score(source) > 0.98
        assert abs(np.corrcoef(model.predict(X), offset)[0, 1]) < 0.1
    exact = VectorFlowRegressor(loss="poisson", solver="exact", alpha=0.1, random_state=0)
    counts = np.round(np.exp(np.clip(y, -3, 3)))
    there = copy.deepcopy(exact).fit(BatchSource(lambda: iter(_blocks(X, counts, offset)), **options))
    here = exact.fit(X, counts, offset=offset)
    assert there.coef_ == pytest.approx(here.coef_, abs=1e-4)


def test_a_column_of_a_parquet_file_is_the_offset(rows, tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")

    from sklearn_vectorflow.io import ParquetSource

    _, signal, offset = rows
    table = pyarrow.table({"x": signal, "y": signal + offset, "known": offset})
    parquet.write_table(table, tmp_path / "rows.parquet")
    source = ParquetSource(tmp_path / "rows.parquet", "y", offset="known")
    model = VectorFlowRegressor(random_state=0).fit(source)
    assert model.n_features_in_ == 1
    assert model.score(source) > 0.99
    assert model.coef_[0] == pytest.approx(1.0, abs=0.02)


def test_either_all_blocks_have_offsets_or_none_has(rows):
    X, signal, offset = rows
    blocks = [*_blocks(X, signal, offset), (X[:200], signal[:200])]
    with pytest.raises(ValueError, match="all blocks"):
        VectorFlowRegressor().fit(BatchSource(lambda: iter(blocks)))


def test_offsets_beside_a_source_are_refused(rows):
    X, signal, offset = rows
    source = BatchSource(lambda: iter(_blocks(X, signal, offset)))
    model = VectorFlowRegressor(random_state=0)
    for call in (lambda: model.fit(source, offset=offset), lambda: model.partial_fit(source, offset=offset)):
        with pytest.raises(ValueError, match="offset must be None for a source"):
            call()
    model.fit(source)
    with pytest.raises(ValueError, match="offset must be None for a source"):
        model.predict(source, offset=offset)


@pytest.mark.parametrize("store", [lambda model: model, lambda model: pickle.loads(pickle.dumps(model))])
def test_partial_fit_row_by_row_keeps_offsets_of_the_first_rows(rows, store):
    X, signal, offset = rows
    model = VectorFlowRegressor(random_state=0)
    for start in range(0, N, 50):
        some = slice(start, start + 50)
        known = None if start == 50 else 9 * offset[some]
        y = signal[some] + (0 if known is None else known)
        model = store(model.partial_fit(X[some], y, offset=known))
    assert abs(np.corrcoef(model.predict(X), offset)[0, 1]) < 0.1
    assert np.corrcoef(model.predict(X), signal)[0, 1] > 0.95


def test_new_classes_of_rows_with_offsets_are_refused_and_new_columns_are_not(rows):
    X, signal, offset = rows
    y = np.digitize(signal, [0.0])
    model = VectorFlowClassifier(random_state=0, grow=True)
    model.partial_fit(X[:100], y[:100], classes=[0, 1], offset=offset[:100])
    wider = sparse.hstack([X, sparse.csr_matrix((N, 5))], format="csr", dtype=np.float32)
    model.partial_fit(wider[100:200], y[100:200], offset=offset[100:200])
    before = model.decision_function(wider)
    for known in (None, offset[:200]):
        with pytest.raises(ValueError, match="rows have offsets" if known is None else "offset must have shape"):
            model.partial_fit(wider[:200], np.digitize(signal[:200], [0.0, 0.5]), offset=known)
    assert np.array_equal(model.decision_function(wider), before)


def test_validation_rows_have_their_offsets(rows):
    X, signal, offset = rows
    train, test = slice(0, 600), slice(600, N)
    y = signal + 9 * offset
    model = VectorFlowRegressor(random_state=0, solver="sgd")
    model.fit(X[train], y[train], offset=9 * offset[train], X_val=X[test], y_val=y[test], offset_val=9 * offset[test])
    assert model.best_validation_score_ > -0.05
    held_out = VectorFlowRegressor(random_state=0, early_stopping=True).fit(X, y, offset=9 * offset)
    assert held_out.best_validation_score_ > -0.05
    with pytest.warns(UserWarning, match="offset_val"):
        model.fit(X[train], y[train], offset=9 * offset[train], X_val=X[test], y_val=y[test])
    with pytest.raises(ValueError, match="offset_val needs X_val"):
        model.fit(X[train], y[train], offset_val=offset[test])


# ---- units -----------------------------------------------------------------------------


def test_targets_far_from_zero_beside_offsets_of_their_size(rows):
    X, signal, offset = rows
    known = 1e7 + 1e5 * offset
    for solver in ("sgd", "exact"):
        model = VectorFlowRegressor(random_state=0, solver=solver).fit(X, signal + known, offset=known)
        assert model.predict(X) == pytest.approx(signal, abs=0.5)
        left = model.predict(X, offset=known) - known
        assert left == pytest.approx(model.predict(X), abs=1e-6)
    far = VectorFlowRegressor(random_state=0).fit(X, signal + 1e7 + offset, offset=offset)
    assert far.predict(X, offset=offset) - 1e7 - offset == pytest.approx(signal, abs=0.5)


def test_targets_in_different_units_beside_offsets(rows):
    X, signal, offset = rows
    units = np.array([1.0, 1e4])
    y = np.column_stack([signal, signal]) * units
    known = np.column_stack([offset, offset]) * units
    model = VectorFlowRegressor(random_state=0, solver="sgd").fit(X, y + known, offset=known)
    left = model.predict(X) / units
    ridge = Ridge(1e-3).fit(X, signal).predict(X)
    assert left == pytest.approx(np.column_stack([ridge, ridge]), abs=0.4)
    assert model.predict(X, offset=known) == pytest.approx(model.predict(X) + known, rel=1e-6)


# ---- conventions -------------------------------------------------------------------------


def test_offsets_are_routed_as_metadata(rows):
    X, signal, offset = rows
    y = np.random.default_rng(9).random(N) < expit(signal + 4 * offset)
    with sklearn.config_context(enable_metadata_routing=True):
        model = VectorFlowClassifier(random_state=0)
        model.set_fit_request(offset=True).set_score_request(offset=True)
        routed = cross_validate(model, X, y, params={"offset": 4 * offset})["test_score"]
    plain = cross_validate(VectorFlowClassifier(random_state=0), X, y)["test_score"]
    assert routed.mean() > plain.mean() + 0.1


@pytest.mark.parametrize(
    ("offset", "error", "message"),
    [
        (np.zeros(N - 1), ValueError, "offset must have shape"),
        (np.zeros((N, 2)), ValueError, "offset must have shape"),
        (np.zeros((N, 1, 1)), ValueError, "offset must have shape"),
        (3.0, ValueError, "offset must have shape"),
        (np.full(N, np.nan), ValueError, "offset contains NaN"),
        (np.full(N, np.inf), ValueError, "offset contains NaN or infinity"),
        (["a"] * N, TypeError, "offset must be numbers"),
        (np.zeros(N, complex), TypeError, "offset must be real numbers"),
        ([[1.0], [1.0, 2.0]], TypeError, "offset must be numbers"),
        (np.zeros(N, "datetime64[s]"), TypeError, "offset must be numbers, got dtype datetime64"),
        (np.zeros(N, "timedelta64[s]"), TypeError, "offset must be numbers, got dtype timedelta64"),
        (np.ma.masked_equal(np.arange(N), 3), ValueError, "offset has masked entries"),
    ],
)
def test_bad_offsets_are_refused(rows, offset, error, message):
    X, signal, _ = rows
    model = VectorFlowRegressor(random_state=0).fit(X, signal)
    for call in (model.predict, lambda X, offset: model.fit(X, signal, offset=offset)):
        with pytest.raises(error, match=message):
            call(X, offset=offset)


@pytest.mark.parametrize(
    ("loss", "exposure", "message"),
    [
        ("squared_error", np.ones(N), "exposure needs a loss with a logarithmic link"),
        ("poisson", np.zeros(N), "exposure must be > 0"),
        ("poisson", -np.ones(N), "exposure must be > 0"),
        ("poisson", np.ones(3), "exposure must have shape"),
        ("poisson", np.ones((N, 2)), "exposure must have shape"),
        ("poisson", np.full(N, np.nan), "exposure contains NaN"),
    ],
)
def test_bad_exposures_are_refused(rows, loss, exposure, message):
    X, signal, _ = rows
    with pytest.raises(ValueError, match=message):
        VectorFlowRegressor(loss=loss).fit(X, np.abs(signal), exposure=exposure)


def test_huge_offsets_end_in_an_error_and_leave_the_model(rows):
    X, signal, offset = rows
    model = VectorFlowRegressor(loss="poisson", random_state=0).fit(X, np.abs(signal))
    before = model.predict(X)
    with pytest.raises(ValueError, match="diverged|not finite"):
        model.fit(X, np.abs(signal), offset=1e5 + np.zeros(N) + 1e5 * offset)
    assert np.array_equal(model.predict(X), before)


def test_the_engine_refuses_offsets_of_other_rows_or_outputs(rows):
    X, signal, _ = rows
    with pytest.raises(ValueError, match="number of rows"):
        Targets(np.zeros((3, 1)), 1, None, None, np.zeros((2, 1)))
    model = VectorFlowRegressor(random_state=0, solver="sgd").fit(X, signal)
    model._in_units_of_net = lambda offset: np.zeros((N, 2))
    with pytest.raises(ValueError, match="offsets are of 2 outputs"):
        model.partial_fit(X, signal, offset=signal)


@pytest.mark.threads
def test_threads_share_offsets(rows):
    X, signal, offset = rows
    X, signal, offset = sparse.vstack([X] * 60, format="csr"), np.tile(signal, 60), np.tile(offset, 60)
    y = np.random.default_rng(10).random(len(signal)) < expit(signal + 4 * offset)

    def loss(n_jobs, **shape):
        model = VectorFlowClassifier(random_state=0, n_jobs=n_jobs, max_iter=4, tol=None, **shape)
        probability = model.fit(X, y, offset=4 * offset).predict_proba(X, offset=4 * offset)[:, 1]
        return -np.mean(np.log(np.where(y, probability, 1 - probability)))

    for shape in ({}, {"hidden_layer_sizes": 8}, {"batch_size": 16}):
        assert loss(2, **shape) == pytest.approx(loss(1, **shape), abs=0.005)


def test_a_constant_offset_shifts_the_intercept_alone(rows):
    X, signal, _ = rows
    y = np.random.default_rng(11).random(N) < expit(signal)
    plain = VectorFlowClassifier(random_state=0).fit(X, y)
    moved = VectorFlowClassifier(random_state=0).fit(X, y, offset=np.full(N, logit(0.9)))
    assert moved.coef_ == pytest.approx(plain.coef_, abs=2e-3)
    assert moved.intercept_ == pytest.approx(plain.intercept_ - logit(0.9), abs=2e-3)


QUANTILES = [0.1, 0.5, 0.9]


@pytest.mark.parametrize("intercept", [True, False])
def test_one_offset_moves_all_quantiles(rows, intercept):
    X, signal, offset = rows
    y = signal + np.random.default_rng(1).normal(size=N)
    model = VectorFlowRegressor(loss=QuantileLoss(QUANTILES), fit_intercept=intercept, random_state=0)
    beside, plain = clone(model).fit(X, y + offset, offset=offset), model.fit(X, y)
    assert beside.predict(X) == pytest.approx(plain.predict(X), abs=1e-2)
    assert beside.predict(X, offset=offset) == pytest.approx(plain.predict(X) + offset[:, None], abs=1e-2)


@pytest.mark.parametrize("far", [0.0, 1e6])
def test_quantiles_have_offsets_of_their_own(rows, far):
    X, signal, offset = rows
    y = signal + np.random.default_rng(1).normal(size=N)
    of_each = offset[:, None] + [-5.0, 0.0, 5.0]
    model = VectorFlowRegressor(loss=QuantileLoss(QUANTILES), alpha=1e-3, random_state=0)
    beside, plain = clone(model).fit(X, y + far + offset, offset=of_each), model.fit(X, y + far)
    assert beside.intercept_ - plain.intercept_ == pytest.approx([5.0, 0.0, -5.0], abs=0.3)
    found, expected = beside.predict(X, offset=of_each) - offset[:, None], plain.predict(X)
    for k, quantile in enumerate(QUANTILES):
        losses = [mean_pinball_loss(y + far, one[:, k], alpha=quantile) for one in (found, expected)]
        assert losses[0] == pytest.approx(losses[1], rel=0.05)


def test_checks_of_exposures_name_what_is_wrong(rows):
    X, signal, offset = rows
    y, ones = np.abs(signal), np.ones(N)
    model = VectorFlowRegressor(loss="poisson")
    with pytest.raises(ValueError, match=r"offset_val must have shape \(800,\)"):
        model.fit(X, y, X_val=X, y_val=y, offset_val=offset[1:], exposure_val=ones)
    with pytest.raises(ValueError, match=r"^exposure_val needs X_val\.$"):
        model.fit(X, y, exposure_val=ones)
    for wrong in (5, np.array(1.0)):
        with pytest.raises(TypeError, match="sequence or array-like|at least 1 dimension"):
            model.fit(wrong, y, exposure=ones)


def test_blocks_whose_offsets_differ_in_shape_are_named(rows):
    X, signal, offset = rows
    blocks = [(X[:400], signal[:400], None, offset[:400]), (X[400:], signal[400:], None, offset[400:, None])]
    for buffer_bytes in (1 << 10, 1 << 30):
        with pytest.raises(ValueError, match="equally many columns in all blocks, got shapes"):
            VectorFlowRegressor().fit(BatchSource(lambda: iter(blocks), buffer_bytes=buffer_bytes))


def test_first_rows_of_a_file_have_offsets_of_the_outputs_of_the_net(rows):
    X, signal, offset = rows
    model = VectorFlowRegressor(random_state=0).partial_fit(X[:9], signal[:9], offset=offset[:9])
    part = model._first_rows.parts[0]
    part.offset = np.column_stack([part.offset, part.offset])
    with pytest.raises(ValueError, match=r"first rows have offsets of shape \(9, 2\)"):
        pickle.loads(pickle.dumps(model))


# ---- where raw outputs are looked at beside training ----------------------------------------


def test_losses_and_ranks_of_validation_queries_are_those_beside_their_offsets(rows):
    X, signal, offset = rows
    qid, y = np.repeat(np.arange(N // 10), 10), np.clip(np.round(signal + 2 * offset), 0, 4)
    held_out = {"X_val": X[:200], "y_val": y[:200], "qid_val": qid[:200], "offset_val": 2 * offset[:200]}
    model = VectorFlowRanker(max_iter=2, tol=None, random_state=0, eval_at=5)
    model.fit(X, y, qid=qid, offset=2 * offset, **held_out)
    raw = model.predict(X[:200], offset=2 * offset[:200])
    loss = LambdaRank()(y[:200], raw, None, np.arange(0, 201, 10))[0] / 20
    assert model.validation_scores_[-1] == pytest.approx(-loss, rel=1e-5)
    score = model.score(X[:200], y[:200], qid=qid[:200], k=5, offset=2 * offset[:200])
    assert model.validation_ndcg_[5][-1] == pytest.approx(score)


def test_the_baseline_of_cox_is_that_of_rows_without_an_offset(rows):
    X, signal, offset = rows
    y = _times(signal, offset, 12)
    model = VectorFlowSurvivalEstimator("cox", solver="exact", alpha=1e-3, exact_tol=1e-9, random_state=0)
    plain, moved = clone(model).fit(X, y), clone(model).fit(X, y, offset=np.ones(N))
    times = np.array([0.2, 1.0, 2.0])
    assert moved.cum_baseline_hazard_(times) == pytest.approx(plain.cum_baseline_hazard_(times) / np.e, rel=1e-4)


def test_constant_models_and_gradients_before_training_have_offsets(rows):
    X, signal, offset = rows
    y = np.random.default_rng(13).random(N) < expit(offset)
    model = VectorFlowClassifier(random_state=0).fit(X, y, offset=offset)
    data = model._data(X, y, None, offset=offset, reset=False)
    assert model._constant_loss(data, 0.5) == pytest.approx(log_loss(y, expit(offset + 0.5)))
    sizes = model._size_of(Start(None, 0.5))(data.encoded, None, data.offset)
    assert sizes == pytest.approx(np.abs(expit(offset + 0.5) - y))
