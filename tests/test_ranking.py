"""Ranking: losses against plain loops, batches of whole queries, the estimator, real queries."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn import config_context
from sklearn.metrics import ndcg_score
from sklearn.model_selection import GroupKFold, cross_val_score
from sklearn.utils.estimator_checks import parametrize_with_checks
from sklearn.utils.validation import _num_samples

from sklearn_vectorflow import VectorFlowRanker, VectorFlowRegressor, threads
from sklearn_vectorflow.losses import LambdaRank, PairwiseLogistic, RankingLoss, RegressionLoss, WARPLoss
from sklearn_vectorflow.metrics import mean_ndcg
from sklearn_vectorflow.optimizers import SGD, Adam

from datasets import load, needs_data

N_ROWS = 240
STARTS = np.array([0, 1, 8, 8, 20, 30])


@pytest.fixture(scope="module")
def queries():
    rng = np.random.default_rng(0)
    X = sparse.random_array((N_ROWS, 30), density=0.2, rng=0, format="csr", dtype=np.float32)
    y = np.digitize(X @ rng.normal(size=30) + 0.1 * rng.normal(size=N_ROWS), [-0.5, 0.0, 0.5])
    qid = np.repeat(np.arange(40), rng.multinomial(N_ROWS - 40, np.full(40, 1 / 40)) + 1)
    return X, y, qid


# ---- losses -----------------------------------------------------------------------------


def _ranks(values):
    return np.argsort(np.argsort(-values, kind="stable"), kind="stable") + 1


def pairwise_of(y, f, w):
    pairs = [(i, j) for i in range(len(y)) for j in range(len(y)) if y[i] > y[j]]
    total = sum(w[i] * w[j] * np.log1p(np.exp(f[j] - f[i])) for i, j in pairs)
    return w.mean() * total / sum(w[i] * w[j] for i, j in pairs) if pairs else 0.0


def lambdarank_of(y, f, w, truncation=np.inf, smoothing=3.0):
    gain, rank = 2.0**y - 1, _ranks(f)
    discount = 1 / np.log2(1 + rank)
    best = np.sum(np.sort(gain)[::-1] / np.log2(2 + np.arange(len(y))))
    return sum(
        np.sqrt(w[i] * w[j])
        / best
        * (gain[i] - gain[j])
        * (abs(discount[i] - discount[j]) + smoothing / len(y))
        * np.log1p(np.exp(f[j] - f[i]))
        for i in range(len(y))
        for j in range(len(y))
        if y[i] > y[j] and min(rank[i], rank[j]) <= truncation
    )


def warp_of(y, f, w):
    above = [i for i in range(len(y)) if y[i] > y.min()]
    total = 0.0
    for i in above:
        violators = [j for j in range(len(y)) if y[j] < y[i] and f[j] > f[i] - 1]
        harmonic = sum(1 / k for k in range(1, len(violators) + 1))
        total += sum(harmonic / len(violators) * np.sqrt(w[i] * w[j]) * (1 - f[i] + f[j]) for j in violators)
    return total / max(len(above), 1)


@pytest.mark.parametrize(
    "loss, formula",
    [
        (PairwiseLogistic(), pairwise_of),
        (LambdaRank(), lambdarank_of),
        (LambdaRank(truncation=3, smoothing=0.0), lambda y, f, w: lambdarank_of(y, f, w, 3, 0.0)),
        (WARPLoss(), warp_of),
    ],
)
def test_losses_against_plain_loops(loss, formula):
    rng = np.random.default_rng(1)
    y, raw, weight = rng.integers(0, 4, 30).astype(float), rng.normal(size=30), rng.uniform(0.5, 2, 30)
    spans = [slice(a, b) for a, b in zip(STARTS[:-1], STARTS[1:]) if b > a]

    def expected(raw):
        return sum(formula(y[span], raw[span], weight[span]) for span in spans)

    total, gradient = loss(y, raw, weight, STARTS)
    assert total == pytest.approx(expected(raw), rel=1e-12)
    for row in range(30):
        up, down = raw.copy(), raw.copy()
        up[row] += 1e-6
        down[row] -= 1e-6
        assert gradient[row, 0] == pytest.approx((expected(up) - expected(down)) / 2e-6, abs=1e-7)


def test_weights_within_a_query_repeat_rows():
    y, raw = np.array([2.0, 0.0, 1.0, 1.0, 3.0]), np.array([0.3, -0.2, 0.8, 0.1, -1.0])
    times = np.array([1, 2, 1, 3, 1])
    loss, gradient = PairwiseLogistic()(y, raw, times / times.mean())
    repeated, of_repeated = PairwiseLogistic()(np.repeat(y, times), np.repeat(raw, times))
    assert loss == pytest.approx(repeated)
    assert_allclose(gradient[:, 0], np.add.reduceat(of_repeated[:, 0], np.cumsum(times) - times))


@pytest.mark.parametrize("loss", [PairwiseLogistic(), LambdaRank(), WARPLoss()])
def test_a_weight_of_a_query_repeats_it(loss):
    y, raw = np.array([2.0, 0.0, 1.0, 1.0]), np.array([0.3, -0.2, 0.8, 0.1])
    weighted, gradient = loss(y, raw, np.full(4, 2.0))
    twice, of_twice = loss(np.tile(y, 2), np.tile(raw, 2), starts=[0, 4, 8])
    assert weighted == pytest.approx(twice)
    assert_allclose(gradient, of_twice[:4] + of_twice[4:])


def test_extremes_and_ties():
    for loss in (PairwiseLogistic(), LambdaRank(), WARPLoss()):
        for raw in ([1e4, -1e4, 0.0], [-1e4, 1e4, 0.0], [0.0, 0.0, 0.0]):
            total, gradient = loss([2, 1, 0], raw)
            assert np.isfinite(total) and np.all(np.isfinite(gradient))
            assert gradient.sum() == pytest.approx(0.0, abs=1e-12)
        assert loss([1, 1, 1], [0.3, 0.2, 0.1])[0] == 0.0
        assert loss([], [])[0] == 0.0


@pytest.mark.parametrize("starts", [[0, 2], [1, 3], [0, 2, 1, 3], [3], [[0, 3]]])
def test_starts_are_checked(starts):
    with pytest.raises(ValueError, match="starts must rise from 0 to the number of rows, 3"):
        PairwiseLogistic()([2, 1, 0], [0.0, 1.0, 2.0], starts=starts)


# ---- steps of whole queries ----------------------------------------------------------------


class Recorder(RankingLoss):
    """Keeps the targets and the starts of every block."""

    def __init__(self, blocks=None):
        self.blocks = blocks

    def __call__(self, y, raw, sample_weight=None, starts=None):
        self.blocks.append((y.copy(), starts.copy()))
        return 0.0, np.zeros_like(raw)


@pytest.mark.parametrize("n_jobs", [1, 2])
@pytest.mark.parametrize("batch_size", [1, 20, 1000])
def test_steps_take_whole_queries(queries, batch_size, n_jobs, monkeypatch):
    monkeypatch.setattr(threads, "WORTHWHILE", 1)
    X, _, qid = queries
    blocks, row = [], np.arange(N_ROWS)
    weight = np.where(row % 11 == 0, 0.0, 1.0)
    VectorFlowRanker(loss=Recorder(blocks), batch_size=batch_size, max_iter=1, n_jobs=n_jobs, random_state=0).fit(
        X, row, weight, qid=qid
    )
    blocks = blocks[6:]  # before training three calls check the loss, two ask for its curvature, one for its mean
    seen = np.concatenate([rows for rows, _ in blocks]).astype(int)
    assert_array_equal(np.sort(seen), row[weight > 0])
    for rows, starts in blocks:
        assert starts[0] == 0 and starts[-1] == len(rows)
        assert len(rows) <= batch_size or len(starts) == 2
        queries_of_block = qid[rows.astype(int)]
        assert_array_equal(starts[1:-1], np.flatnonzero(np.diff(queries_of_block)) + 1)
    whole = [query for rows, _ in blocks for query in np.unique(qid[rows.astype(int)])]
    assert len(whole) == len(set(whole))  # no query in two steps
    if batch_size == 20 and n_jobs == 1:
        lengths = [len(rows) for rows, _ in blocks]
        assert np.mean(lengths) > 12  # and steps are as full as queries allow


def test_a_step_is_the_mean_over_queries(queries):
    X, y, qid = queries
    model = VectorFlowRanker(
        loss="pairwise_logistic",
        optimizer=SGD(0.5, schedule="constant"),
        alpha=0.0,
        batch_size=N_ROWS,
        max_iter=1,
        shuffle=False,
        fit_intercept=False,
    ).fit(X, y, qid=qid)
    starts = np.append(np.flatnonzero(np.diff(qid, prepend=-1)), N_ROWS)
    total, gradient = PairwiseLogistic()(y, np.zeros(N_ROWS), starts=starts)
    n_queries = len(starts) - 1
    step = -(X.T @ gradient[:, 0]) / n_queries
    assert_allclose(model.coef_ / np.linalg.norm(model.coef_), step / np.linalg.norm(step), atol=1e-5)
    assert model.loss_curve_ == pytest.approx([total / n_queries])


# ---- the estimator ----------------------------------------------------------------------------


class OneQuery(VectorFlowRanker):
    """For scikit-learn's checks, which know no queries."""

    def fit(self, X, y, sample_weight=None):
        return super().fit(X, y if y is None else np.abs(y), sample_weight, qid=np.zeros(_num_samples(X)))

    def score(self, X, y):
        return super().score(X, y, qid=np.zeros(len(y)))

    partial_fit = property()


@parametrize_with_checks([OneQuery(max_iter=2, loss="pairwise_logistic")])
def test_scikit_learn_checks(estimator, check):
    check(estimator)


@pytest.mark.parametrize("loss", ["lambdarank", "pairwise_logistic", "warp"])
@pytest.mark.parametrize("hidden", [(), (8,)])
def test_it_ranks(queries, loss, hidden):
    X, y, qid = queries
    model = VectorFlowRanker(hidden, loss=loss, max_iter=40, random_state=0).fit(X, y, qid=qid)
    chance = mean_ndcg(y, np.zeros(N_ROWS), qid)
    assert model.score(X, y, qid=qid) > chance + 0.6 * (1 - chance)
    assert model.loss_curve_[-1] < model.loss_curve_[0]
    assert model.predict(X).shape == (N_ROWS,)


def test_qid_and_group_say_the_same(queries):
    X, y, qid = queries
    by_id = VectorFlowRanker(max_iter=2, random_state=0).fit(X, y, qid=qid)
    sizes = np.bincount(qid)
    by_size = VectorFlowRanker(max_iter=2, random_state=0).fit(X, y, group=sizes)
    assert_array_equal(by_id.coef_, by_size.coef_)
    assert by_id.score(X, y, qid=qid, k=3) == by_size.score(X, y, group=sizes, k=3)
    names = np.array(["query " + str(q) for q in qid])
    assert_array_equal(VectorFlowRanker(max_iter=2, random_state=0).fit(X, y, qid=names).coef_, by_id.coef_)


def test_partial_fit_goes_on(queries):
    X, y, qid = queries
    model = VectorFlowRanker(random_state=0)
    for _ in range(4):
        model.partial_fit(X, y, qid=qid)
    assert model.n_iter_ == 4 and model.loss_curve_[-1] < model.loss_curve_[0]


def test_early_stopping_sets_whole_queries_aside(queries):
    X, y, qid = queries
    model = VectorFlowRanker(early_stopping=True, max_iter=5, random_state=0).fit(X, y, qid=qid)
    assert len(model.validation_scores_) == model.n_iter_
    given = VectorFlowRanker(early_stopping=True, max_iter=5, random_state=0).fit(
        X, y, qid=qid, X_val=X[:60], y_val=y[:60], qid_val=qid[:60]
    )
    assert np.all(np.isfinite(given.validation_scores_))


def test_ndcg_of_validation_queries_is_kept_at_several_ranks(queries):
    X, y, qid = queries
    some = {"X_val": X[:60], "y_val": y[:60], "group_val": np.unique(qid[:60], return_counts=True)[1]}
    model = VectorFlowRanker(max_iter=3, tol=None, random_state=0, eval_at=(2, 5)).fit(X, y, qid=qid, **some)
    assert [len(model.validation_ndcg_[k]) for k in (2, 5)] == [3, 3]
    for k, found in model.validation_ndcg_.items():
        assert found[-1] == pytest.approx(model.score(X[:60], y[:60], qid=qid[:60], k=k))
    held_out = VectorFlowRanker(max_iter=3, early_stopping=True, random_state=0, eval_at=3).fit(X, y, qid=qid)
    assert len(held_out.validation_ndcg_[3]) == held_out.n_iter_
    assert not hasattr(held_out.set_params(early_stopping=False).fit(X, y, qid=qid), "validation_ndcg_")
    with pytest.raises(ValueError, match="eval_at"):
        VectorFlowRanker(eval_at=0).fit(X, y, qid=qid)
    with pytest.raises(ValueError, match="group_val"):
        model.fit(X, y, qid=qid, qid_val=qid[:60], **some)


def test_a_query_weighs_in_the_score_what_its_rows_do(queries):
    X, y, qid = queries
    model = VectorFlowRanker(max_iter=1, tol=None, random_state=0).fit(X, y, qid=qid)
    first, rest = qid == qid[0], qid != qid[0]
    scores = [model.score(X[some], y[some], qid=qid[some]) for some in (first, rest)]
    n_rest = len(np.unique(qid)) - 1
    weighted = model.score(X, y, np.where(first, 5.0, 1.0), qid=qid)
    assert weighted == pytest.approx((5 * scores[0] + n_rest * scores[1]) / (5 + n_rest))
    with pytest.raises(ValueError, match="sample_weight"):
        model.score(X, y, -np.ones(len(y)), qid=qid)


def test_metadata_routing(queries):
    X, y, qid = queries
    with config_context(enable_metadata_routing=True):
        model = VectorFlowRanker(max_iter=10, random_state=0).set_fit_request(qid=True).set_score_request(qid=True)
        scores = cross_val_score(model, X, y, cv=GroupKFold(3), params={"qid": qid, "groups": qid})
    assert np.all(scores > 0.7)


class Within(RegressionLoss):
    """Squared errors within groups: what a group has in common costs nothing."""

    coupled = True

    def __call__(self, y, raw, sample_weight=None, starts=None):
        error = raw - y
        means = np.add.reduceat(error, starts[:-1]) / np.diff(starts)
        error = error - np.repeat(means, np.diff(starts))
        return 0.5 * np.sum(error**2), error


def test_groups_of_a_regressor(queries):
    X, _, qid = queries
    slope = np.random.default_rng(0).normal(size=30)
    y = X @ slope + 100.0 * qid
    model = VectorFlowRegressor(
        loss=Within(), optimizer=Adam(0.03), alpha=0, max_iter=60, tol=None, fit_intercept=False, random_state=0
    )
    assert_allclose(model.fit(X, y, groups=qid).coef_, slope, atol=0.05)
    model.partial_fit(X, y, groups=qid)
    with pytest.raises(ValueError, match=r"groups must be given: the loss Within\(\) sees rows of a group together"):
        model.fit(X, y)
    assert VectorFlowRegressor(max_iter=1).fit(X, y, groups=qid).n_iter_ == 1
    with pytest.raises(TypeError, match="instance of RegressionLoss"):
        VectorFlowRegressor(loss=PairwiseLogistic()).fit(X, y, groups=qid)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({}, "needs qid, the query of every row, or group, the sizes of the queries; got neither"),
        ({"qid": np.zeros(N_ROWS), "group": [N_ROWS]}, "got both"),
        ({"group": [10, 20]}, "add up to the 240 rows"),
        ({"group": [120.5, 119.5]}, "group must be a list of integers"),
        ({"qid": np.arange(N_ROWS) % 7}, r"must be contiguous, but qid has .*0.* in 35 places: sort the rows by qid"),
        ({"qid": np.zeros(3)}, r"qid must have one entry for each of the 240 rows, got shape \(3,\)"),
        ({"qid": np.zeros(N_ROWS), "y_val": [0]}, "need X_val"),
        ({"qid": np.zeros(N_ROWS), "qid_val": [0]}, "qid_val needs X_val"),
        ({"qid": np.zeros(N_ROWS), "X_val": np.zeros((2, 30)), "y_val": [0, 1]}, "qid_val must be given"),
        ({"qid": np.zeros(N_ROWS), "y": np.full(N_ROWS, -1)}, r"relevances in \[0, 31\] for loss LambdaRank, got -1"),
        ({"qid": np.zeros(N_ROWS), "y": np.full(N_ROWS, 32)}, "got 32"),
    ],
)
def test_bad_input(queries, arguments, message):
    X, y, _ = queries
    with pytest.raises(ValueError, match=message):
        VectorFlowRanker().fit(X, arguments.pop("y", y), **arguments)


@pytest.mark.parametrize("truncation, error", [(0, ValueError), (1.5, TypeError), (True, TypeError)])
def test_truncation_is_checked(queries, truncation, error):
    X, y, qid = queries
    with pytest.raises(error, match="LambdaRank: truncation must be"):
        VectorFlowRanker(loss=LambdaRank(truncation)).fit(X, y, qid=qid)


@pytest.mark.parametrize("smoothing, error", [(-1.0, ValueError), ("much", TypeError), (np.inf, ValueError)])
def test_smoothing_is_checked(queries, smoothing, error):
    X, y, qid = queries
    with pytest.raises(error, match="LambdaRank: smoothing must be"):
        VectorFlowRanker(loss=LambdaRank(smoothing=smoothing)).fit(X, y, qid=qid)


# ---- the default loss -----------------------------------------------------------------------------


def family(n_documents, n_levels, n_ones, seed=0):
    """Queries of equally many documents, on 50 dense columns or on some of 3,000, and how well the truth ranks them."""
    rng = np.random.default_rng(seed)
    qid = np.repeat(np.arange(6_000 // n_documents), n_documents)
    if n_ones is None:
        X = sparse.csr_matrix(rng.normal(size=(len(qid), 50)))
    else:
        columns = (3_000 * rng.random((len(qid), n_ones)) ** 1.5).astype(int)
        starts = np.arange(0, columns.size + 1, n_ones)
        X = sparse.csr_matrix((np.ones(columns.size), columns.ravel(), starts), shape=(len(qid), 3_000))
        X.sum_duplicates()
    signal = X @ rng.normal(size=X.shape[1])
    quality = signal / signal.std() + rng.normal(size=len(qid)) + rng.normal(size=qid[-1] + 1)[qid]
    shares = {2: [0.9], 5: [0.5, 0.75, 0.9, 0.97]}[n_levels]
    return X, np.digitize(quality, np.quantile(quality, shares)), qid


@pytest.mark.parametrize("n_ones", [None, 15])
@pytest.mark.parametrize("n_levels", [2, 5])
@pytest.mark.parametrize("n_documents", [5, 20, 200])
def test_the_default_loss_is_near_the_best_everywhere(n_documents, n_levels, n_ones):
    X, y, qid = family(n_documents, n_levels, n_ones)
    train = qid < 0.6 * qid[-1]

    def score(**options):
        models = [
            VectorFlowRanker(random_state=seed, **options).fit(X[train], y[train], qid=qid[train]) for seed in (0, 1)
        ]
        return np.mean([model.score(X[~train], y[~train], qid=qid[~train], k=10) for model in models])

    others = [LambdaRank(30, smoothing=0.0), PairwiseLogistic(), WARPLoss()]
    most = 0.08 if (n_documents, n_ones) == (200, 15) else 0.025  # 18 queries that tell of 3,000 columns little
    assert score() > max(score(loss=loss) for loss in others) - most


# ---- the metric ----------------------------------------------------------------------------------


@pytest.mark.parametrize("k", [None, 1, 3, 100])
def test_ndcg_is_scikit_learns(queries, k):
    _, y, qid = queries
    rng = np.random.default_rng(0)
    score = np.round(rng.normal(size=N_ROWS), 1)  # with ties
    expected = [
        ndcg_score([2.0 ** y[qid == q] - 1], [score[qid == q]], k=k) if y[qid == q].any() and sum(qid == q) > 1 else 1.0
        for q in np.unique(qid)
    ]
    shuffled = rng.permutation(N_ROWS)
    assert mean_ndcg(y, score, qid, k=k) == pytest.approx(np.mean(expected))
    assert mean_ndcg(y[shuffled], score[shuffled], qid[shuffled], k=k) == pytest.approx(np.mean(expected))


def test_ndcg_refuses_nonsense():
    with pytest.raises(ValueError, match="k must be at least 1"):
        mean_ndcg([1], [1.0], [0], k=0)
    with pytest.raises(ValueError, match="score contains NaN"):
        mean_ndcg([1, 0], [np.nan, 1], [0, 0])
    with pytest.raises(ValueError, match="relevances >= 0"):
        mean_ndcg([-1, 0], [0, 1], [0, 0])


# ---- real queries --------------------------------------------------------------------------------


@needs_data
def test_ndcg_on_real_queries_is_that_of_lightgbm():
    lightgbm = pytest.importorskip("lightgbm")
    data = load("rank_lgbm")
    X, y, qid, X_test, y_test, qid_test = (data[name] for name in ("X", "y", "qid", "Xt", "yt", "qid_t"))
    sizes = np.unique(qid, return_counts=True)[1]
    trees = lightgbm.LGBMRanker(n_jobs=1, verbose=-1, random_state=0).fit(X, y, group=sizes)
    theirs = mean_ndcg(y_test, trees.predict(X_test), qid_test, k=10)
    ours = VectorFlowRanker(random_state=0).fit(X, y, qid=qid).score(X_test, y_test, qid=qid_test, k=10)
    assert ours > theirs - 0.01


def test_ranks_and_sizes_of_queries_that_are_wrong_are_named(queries):
    X, y, qid = queries
    with pytest.raises(TypeError, match="eval_at must be an integer"):
        VectorFlowRanker(eval_at=np.array(5)).fit(X, y, qid=qid)
    with pytest.raises(ValueError, match=r"^group_val needs X_val\.$"):
        VectorFlowRanker().fit(X, y, qid=qid, group_val=[len(y)])
