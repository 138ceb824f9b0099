"""VectorFlowSearchCV: successive halving whose fits go on."""

import pickle

import numpy as np
import pytest
from scipy import sparse, stats
from sklearn.base import clone
from sklearn.exceptions import FitFailedWarning, NotFittedError
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.model_selection import GroupKFold, HalvingGridSearchCV, KFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from sklearn_vectorflow import VectorFlowClassifier, VectorFlowRanker, VectorFlowRegressor, VectorFlowSurvivalEstimator
from sklearn_vectorflow.io import BatchSource
from sklearn_vectorflow.search import VectorFlowSearchCV
from sklearn_vectorflow.search.rounds import ranks_of, rounds_of

X = sparse.random(900, 60, 0.2, format="csr", random_state=0)
SCORES = X @ np.random.default_rng(0).standard_normal((60, 3))
Y, LABELS = SCORES[:, 0], SCORES.argmax(axis=1)
GRID = {"alpha": [1e-5, 1e-3, 1e-1], "learning_rate": [0.03, 0.3, 1.0]}
TRAIN, TEST = slice(0, 700), slice(700, 900)

SEARCHES = [
    VectorFlowSearchCV(kind(random_state=0), {"alpha": [1e-3, 1e-2, 1e-1]}, max_epochs=3, validation_fraction=0.3)
    for kind in (VectorFlowClassifier, VectorFlowRegressor)
]


@pytest.mark.filterwarnings("ignore:Steps of one size")  # strengths are given, for columns around 100
@parametrize_with_checks(SEARCHES)
def test_scikit_learn_checks(estimator, check):
    check(estimator)


# ---- rounds ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "n, factor, fewest, most, rounds",
    [
        (9, 3, 1, 9, [(9, 1), (3, 3), (1, 9)]),
        (9, 3, 1, 20, [(9, 1), (3, 3), (1, 20)]),
        (100, 3, 1, 9, [(100, 1), (34, 3), (12, 9)]),
        (5, 2, 3, 10, [(5, 3), (3, 6), (2, 10)]),
        (4, 4, 1, 3, [(4, 1), (1, 3)]),
        (1, 3, 1, 7, [(1, 7)]),
        (8, 2, 5, 3, [(8, 3)]),
    ],
)
def test_rounds(n, factor, fewest, most, rounds):
    assert rounds_of(n, factor, fewest, most) == rounds


def test_candidates_that_were_trained_for_longer_rank_first():
    assert ranks_of(np.array([0.9, 0.5, np.nan, 0.7, 0.8]), [1, 9, 9, 3, 3]).tolist() == [4, 1, 5, 3, 2]


class Counting(VectorFlowClassifier):
    """Writes down how many epochs each fit has, and of what."""

    log = []

    def fit(self, X, y, sample_weight=None):
        Counting.log.append((self.alpha, self.max_iter, hasattr(self, "network_")))
        return super().fit(X, y, sample_weight)


def test_fits_go_on_and_repeat_nothing():
    Counting.log.clear()
    grid = {"alpha": [1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0]}
    search = VectorFlowSearchCV(Counting(random_state=0), grid, factor=2, max_epochs=4, refit=False, random_state=0)
    search.fit(X, LABELS)
    assert search.rounds_ == [(6, 1), (3, 2), (2, 4)]
    epochs = {alpha: [n for one, n, _ in Counting.log if one == alpha] for alpha in grid["alpha"]}
    assert sorted(epochs.values()) == [[1], [1], [1], [1, 1], [1, 1, 2], [1, 1, 2]]
    assert [goes_on for _, _, goes_on in Counting.log] == [False] * 6 + [True] * 5
    for parameters, n in zip(search.cv_results_["params"], search.cv_results_["n_epochs"]):
        assert n == sum(epochs[parameters["alpha"]])


def test_that_of_scikit_learn_starts_anew():
    Counting.log.clear()
    halving = HalvingGridSearchCV(
        Counting(random_state=0, warm_start=True, tol=None),
        {"alpha": [1e-5, 1e-3, 1e-1]},
        resource="max_iter",
        min_resources=1,
        max_resources=3,
        refit=False,
        cv=2,
        random_state=0,
    )
    halving.fit(X, LABELS)
    assert sorted({n for _, n, _ in Counting.log}) == [1, 3]
    assert not any(goes_on for _, _, goes_on in Counting.log)


@pytest.mark.parametrize(
    "estimator",
    [
        VectorFlowClassifier(random_state=0),
        VectorFlowClassifier(random_state=0, optimizer="adagrad"),
        VectorFlowClassifier(6, random_state=0, batch_size=5),
        VectorFlowClassifier(random_state=np.random.RandomState(3), shuffle=False, tol=1.0),
    ],
)
def test_the_winner_is_what_one_fit_gives(estimator):
    search = VectorFlowSearchCV(estimator, {"alpha": [1e-5, 1e-2, 1.0]}, max_epochs=9)
    search.fit(X[TRAIN], LABELS[TRAIN], X_val=X[TEST], y_val=LABELS[TEST])
    assert search.cv_results_["n_epochs"][search.best_index_] == 9
    seed = estimator.random_state
    seed = np.random.RandomState(seed) if isinstance(seed, int) else clone(estimator).random_state
    alone = clone(estimator).set_params(
        max_iter=9, tol=None, early_stopping=False, random_state=seed, **search.best_params_
    )
    alone.fit(X[TRAIN], LABELS[TRAIN])
    for mine, theirs in zip(search.best_estimator_.coefs_, alone.coefs_):
        np.testing.assert_allclose(mine, theirs, rtol=1e-4, atol=1e-5)
    assert search.best_score_ == pytest.approx(alone.score(X[TEST], LABELS[TEST]), abs=0.006)


def test_refit_takes_the_same_steps_on_all_rows():
    search = VectorFlowSearchCV(VectorFlowRegressor(random_state=0), GRID, max_epochs=5, random_state=0).fit(X, Y)
    alone = VectorFlowRegressor(max_iter=5, tol=None, early_stopping=False, **search.best_params_)
    alone.set_params(random_state=np.random.RandomState(0)).fit(X, Y)
    np.testing.assert_array_equal(search.best_estimator_.coef_, alone.coef_)
    assert search.refit_time_ > 0
    parameters = search.best_estimator_.get_params()
    assert {name: parameters[name] for name in ("max_iter", "warm_start", "random_state")} == {
        "max_iter": 5,
        "warm_start": False,
        "random_state": 0,
    }


def test_it_finds_what_is_best():
    grid = {"alpha": [1e-4, 10.0, 100.0], "learning_rate": [1e-4, 0.3]}
    search = VectorFlowSearchCV(VectorFlowRegressor(random_state=0), grid, max_epochs=10, random_state=0).fit(X, Y)
    assert search.best_params_ == {"alpha": 1e-4, "learning_rate": 0.3}
    assert search.best_score_ > 0.95
    assert search.score(X, Y) > 0.95


# ---- what it is given ------------------------------------------------------------------------


def test_folds_are_those_of_cross_validation():
    search = VectorFlowSearchCV(VectorFlowRegressor(random_state=0), GRID, max_epochs=1, cv=KFold(3)).fit(X, Y)
    assert search.n_splits_ == 3
    model = VectorFlowRegressor(max_iter=1, tol=None, **search.best_params_)
    scores = cross_val_score(model.set_params(random_state=np.random.RandomState(0)), X, Y, cv=KFold(3))
    found = [search.cv_results_[f"split{k}_test_score"][search.best_index_] for k in range(3)]
    np.testing.assert_allclose(found, scores, rtol=1e-6)
    assert search.best_score_ == pytest.approx(np.mean(scores))
    assert search.cv_results_["std_test_score"][search.best_index_] == pytest.approx(np.std(scores))


def test_results_have_an_entry_for_each_candidate():
    grids = [{"alpha": [1e-3, 1e-2]}, {"alpha": [1.0], "optimizer": ["adagrad"]}]
    results = VectorFlowSearchCV(VectorFlowRegressor(), grids, max_epochs=3).fit(X, Y).cv_results_
    assert {len(values) for values in results.values()} == {3}
    assert results["param_alpha"].tolist() == [1e-3, 1e-2, 1.0]
    assert results["param_optimizer"].tolist() == [None, None, "adagrad"]
    assert results["param_optimizer"].mask.tolist() == [True, True, False]
    assert sorted(results["rank_test_score"]) == [1, 2, 3]
    assert np.all(results["fit_time"] > 0)


def test_distributions_are_drawn():
    ranges = {"alpha": stats.loguniform(1e-6, 1e-1), "average": [True, False]}
    searches = [
        VectorFlowSearchCV(VectorFlowRegressor(optimizer="adagrad", random_state=0), ranges, **options).fit(X, Y)
        for options in 2 * [{"n_candidates": 7, "max_epochs": 4, "random_state": 0}]
    ]
    assert len({parameters["alpha"] for parameters in searches[0].cv_results_["params"]}) == 7
    assert searches[0].best_params_ == searches[1].best_params_
    with pytest.raises(ValueError, match="n_candidates must be a number for parameters with distributions: alpha"):
        VectorFlowSearchCV(VectorFlowRegressor(), ranges).fit(X, Y)


def test_several_jobs_find_the_same():
    one, two = (
        VectorFlowSearchCV(VectorFlowClassifier(random_state=0), GRID, cv=2, max_epochs=4, n_jobs=n).fit(X, LABELS)
        for n in (None, 2)
    )
    np.testing.assert_allclose(one.cv_results_["mean_test_score"], two.cv_results_["mean_test_score"], atol=0.01)
    assert one.best_params_ == two.best_params_


def test_weights_count_in_training_and_in_scores():
    weight = (np.arange(900) % 2).astype(float)
    odd = VectorFlowSearchCV(VectorFlowRegressor(random_state=0), GRID, max_epochs=3).fit(
        X[TRAIN], Y[TRAIN], weight[TRAIN], X_val=X[TEST], y_val=Y[TEST], sample_weight_val=weight[TEST]
    )
    wrong = np.where(weight > 0, Y, 1e3)  # where nothing counts
    same = VectorFlowSearchCV(VectorFlowRegressor(random_state=0), GRID, max_epochs=3).fit(
        X[TRAIN], wrong[TRAIN], weight[TRAIN], X_val=X[TEST], y_val=wrong[TEST], sample_weight_val=weight[TEST]
    )
    np.testing.assert_allclose(odd.cv_results_["mean_test_score"], same.cv_results_["mean_test_score"], rtol=1e-6)


def test_offsets_count_in_training_and_in_scores():
    offset = 3.0 * np.random.default_rng(1).normal(size=900)
    given = VectorFlowSearchCV(VectorFlowRegressor(random_state=0), GRID, max_epochs=3).fit(
        X[TRAIN],
        (Y + offset)[TRAIN],
        offset=offset[TRAIN],
        X_val=X[TEST],
        y_val=(Y + offset)[TEST],
        offset_val=offset[TEST],
    )
    assert given.best_score_ > 0.9
    assert given.score(X[TEST], (Y + offset)[TEST], offset=offset[TEST]) == given.best_score_
    split = VectorFlowSearchCV(VectorFlowRegressor(random_state=0), GRID, max_epochs=3, cv=2)
    assert split.fit(X, Y + offset, offset=offset).best_score_ > 0.9
    assert split.fit(X, Y + offset).best_score_ < 0.5


@pytest.mark.parametrize("cv", [None, 3, GroupKFold(3)])
def test_splits_keep_queries_whole(cv):
    qid, seen = np.repeat(np.arange(90), 10), []

    class Noting(VectorFlowRanker):
        def fit(self, X, y, sample_weight=None, *, qid=None):
            seen.append(set(qid))
            return super().fit(X, y, sample_weight, qid=qid)

        def score(self, X, y, sample_weight=None, *, qid=None):
            assert not seen[-1] & set(qid)
            assert len(seen[-1] | set(qid)) == 90
            return super().score(X, y, sample_weight, qid=qid)

    grid = {"alpha": [1e-4, 1.0]}
    search = VectorFlowSearchCV(Noting(random_state=0), grid, max_epochs=2, cv=cv, refit=False, random_state=0)
    search.fit(X, LABELS, qid=qid)
    assert len(seen) == 2 * search.n_splits_ + search.n_splits_ * (len(search.rounds_) - 1)
    assert search.best_score_ > 0.8


def test_groups_of_losses_that_see_them_together():
    groups = np.repeat(np.arange(300), 3)
    sizes = []

    class Noting(VectorFlowRegressor):
        def fit(self, X, y, sample_weight=None, *, groups=None):
            sizes.append(np.unique(groups, return_counts=True)[1])
            return super().fit(X, y, sample_weight, groups=groups)

    search = VectorFlowSearchCV(Noting(random_state=0), {"alpha": [1e-4, 1e-2]}, max_epochs=2, cv=2)
    search.fit(X, Y, groups=groups)
    assert all(np.all(of_fit == 3) for of_fit in sizes)


def test_what_is_given_beside_rows_must_be_taken():
    search = VectorFlowSearchCV(VectorFlowRegressor(), GRID)
    with pytest.raises(ValueError, match="qid was given, but fit of VectorFlowRegressor.* does not accept it"):
        search.fit(X, Y, qid=np.arange(900))
    with pytest.raises(ValueError, match="offset_val needs X_val"):
        search.fit(X, Y, offset=Y, offset_val=Y)
    with pytest.raises(ValueError, match="offset must be None for a source"):
        search.fit([(X, Y)], offset=Y, X_val=X, y_val=Y)
    with pytest.raises(ValueError, match="offset was given, but scoring='r2' does not accept it"):
        VectorFlowSearchCV(VectorFlowRegressor(), GRID, scoring="r2").fit(X, Y, offset=Y)


def test_sources_are_searched_with_validation_rows():
    def source(some):
        return BatchSource(lambda: [(X[some], LABELS[some])])

    search = VectorFlowSearchCV(VectorFlowClassifier(random_state=0), GRID, max_epochs=3)
    search.fit(source(TRAIN), X_val=source(TEST))
    assert search.best_estimator_.score(X[TEST], LABELS[TEST]) == search.best_score_
    with pytest.raises(ValueError, match="A source X needs X_val"):
        search.fit(source(TRAIN))


def test_other_estimators_and_scores():
    search = VectorFlowSearchCV(
        SGDClassifier(loss="log_loss", random_state=0),
        {"alpha": [1e-5, 1e-3, 1e-1], "eta0": [0.01, 0.1]},
        scoring="neg_log_loss",
        max_epochs=6,
        random_state=0,
    ).fit(X, LABELS)
    assert search.best_score_ < 0
    assert search.score(X, LABELS) < 0
    np.testing.assert_array_equal(search.predict_proba(X), search.best_estimator_.predict_proba(X))


def test_structured_times():
    y = np.array([(True, time) for time in np.exp(Y)], dtype=[("event", bool), ("time", float)])
    search = VectorFlowSearchCV(VectorFlowSurvivalEstimator(random_state=0), {"alpha": [1e-4, 10.0]}, max_epochs=4)
    assert search.fit(X, y).best_params_ == {"alpha": 1e-4}


def test_labels_and_classes_of_one_row_are_divided_by_chance():
    search = VectorFlowSearchCV(VectorFlowClassifier(random_state=0), {"alpha": [1e-4, 1.0]}, max_epochs=2)
    assert search.fit(X, (SCORES > 0).astype(int)).predict(X).shape == (900, 3)
    rare = LABELS.copy()
    rare[0] = 7
    assert 7 in VectorFlowSearchCV(VectorFlowClassifier(), {"alpha": [1e-4]}, random_state=0).fit(X, rare).classes_


# ---- as an estimator ---------------------------------------------------------------------------


def test_methods_are_those_of_the_best_model():
    search = VectorFlowSearchCV(VectorFlowClassifier(4, random_state=0), {"alpha": [1e-4, 1.0]}, max_epochs=3)
    with pytest.raises(NotFittedError):
        search.predict(X)
    search.fit(X, LABELS)
    for method in ("predict", "predict_proba", "predict_log_proba", "decision_function", "transform"):
        np.testing.assert_array_equal(getattr(search, method)(X), getattr(search.best_estimator_, method)(X))
    assert search.classes_.tolist() == [0, 1, 2]
    assert search.n_features_in_ == 60
    again = pickle.loads(pickle.dumps(search))
    np.testing.assert_array_equal(again.predict(X), search.predict(X))
    assert not hasattr(VectorFlowSearchCV(VectorFlowClassifier(loss="hinge"), {}), "predict_proba")
    pipeline = make_pipeline(MaxAbsScaler(), search).fit(X, LABELS)
    assert pipeline.predict(X).shape == (900,)


def test_the_estimator_given_is_left_alone():
    estimator = VectorFlowClassifier(random_state=np.random.RandomState(0))
    state = estimator.random_state.get_state()[1].copy()
    optimizers = {"optimizer": ["ftrl", "adagrad"]}
    VectorFlowSearchCV(estimator, optimizers, max_epochs=3).fit(X, LABELS)
    np.testing.assert_array_equal(estimator.random_state.get_state()[1], state)
    assert not hasattr(estimator, "network_")
    assert estimator.max_iter == 20


def test_verbose_prints_rounds(capsys):
    VectorFlowSearchCV(VectorFlowRegressor(), GRID, max_epochs=3, verbose=1).fit(X, Y)
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(", best")[0] for line in lines] == [
        "[VectorFlowSearchCV] 9 candidate(s), 1 epoch(s)",
        "[VectorFlowSearchCV] 3 candidate(s), 3 epoch(s)",
    ]


# ---- what goes wrong -----------------------------------------------------------------------------


class Fragile(VectorFlowRegressor):
    """Fails once it has had an epoch, or at once, by its alpha."""

    def fit(self, X, y, sample_weight=None):
        if self.alpha == 1.0 or self.alpha == 1e-5 and hasattr(self, "network_"):
            raise ValueError(f"alpha={self.alpha} is bad.")
        return super().fit(X, y, sample_weight)


def test_candidates_that_fail_are_given_up():
    search = VectorFlowSearchCV(Fragile(random_state=0), {"alpha": [1e-5, 1e-2, 1.0]}, factor=2, max_epochs=4)
    with pytest.warns(FitFailedWarning) as warned:
        search.fit(X, Y)
    assert ["alpha=1.0 is bad" in f"{one.message}" for one in warned] == [True, False]
    assert search.best_params_ == {"alpha": 1e-2}
    assert search.cv_results_["n_epochs"].tolist() == [1, 4, 0]
    assert np.isnan(search.cv_results_["mean_test_score"][2])
    assert search.cv_results_["rank_test_score"].tolist() == [2, 1, 3]
    with pytest.raises(ValueError, match="alpha=1.0 is bad"):
        search.set_params(error_score="raise").fit(X, Y)
    with pytest.raises(ValueError, match=r"All fits failed: alpha=1.0 is bad"):
        VectorFlowSearchCV(Fragile(), {"alpha": [1.0]}).fit(X, Y)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.FitFailedWarning")
def test_a_last_round_that_fails_leaves_the_best_of_those_before():
    search = VectorFlowSearchCV(Fragile(random_state=0), {"alpha": [1e-5, 1e3]}, factor=2, max_epochs=4)
    search.fit(X, Y)
    assert search.cv_results_["n_epochs"].tolist() == [1, 1]
    assert search.best_params_ == {"alpha": 1e-5}
    assert search.best_estimator_.max_iter == 1


@pytest.mark.parametrize(
    "options, error, message",
    [
        ({"estimator": MaxAbsScaler()}, ValueError, "lacks max_iter and warm_start"),
        ({"estimator": LogisticRegression(), "max_epochs": 0}, ValueError, "max_epochs must be at least 1"),
        ({"param_distributions": {"max_iter": [3]}}, ValueError, "param_distributions has max_iter, which the search"),
        ({"param_distributions": {"tol": [1], "warm_start": [1]}}, ValueError, "has tol, warm_start"),
        ({"param_distributions": 3}, TypeError, "param_distributions must be a dict or a list"),
        ({"param_distributions": {"nothing": [3]}}, ValueError, "Invalid parameter 'nothing'"),
        ({"n_candidates": 0}, ValueError, "n_candidates must be at least 1"),
        ({"n_candidates": "many"}, TypeError, "n_candidates must be 'all' or an integer"),
        ({"factor": 1}, ValueError, "factor must be at least 2"),
        ({"min_epochs": 1.5}, TypeError, "min_epochs must be an integer"),
        ({"validation_fraction": 1.0}, ValueError, "validation_fraction must be in"),
        ({"refit": "yes"}, TypeError, "refit must be True or False"),
        ({"error_score": 0.0}, ValueError, "error_score must be 'raise' or NaN"),
    ],
)
def test_bad_parameters(options, error, message):
    given = {"estimator": VectorFlowRegressor(), "param_distributions": GRID, **options}
    with pytest.raises(error, match=message):
        VectorFlowSearchCV(**given).fit(X, Y)


def test_bad_rows():
    search = VectorFlowSearchCV(VectorFlowRegressor(), GRID)
    with pytest.raises(ValueError, match="y_val and sample_weight_val need X_val"):
        search.fit(X, Y, y_val=Y)
    with pytest.raises(ValueError, match="requires y to be passed"):
        search.fit(X)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        search.fit(X, Y[:-1])


@pytest.mark.parametrize("alphas", [[1e-5, 1e-3, 1e-1, 1.0], [1.0, 1e-5, 1e-1, 1e-3], [1e-3, 1e-5, 1.0, 1e-1]], ids=str)
def test_candidates_with_scores_that_are_nan_go_no_further(alphas):
    def scoring(model, X, y):
        return np.nan if model.alpha in (1e-5, 1e-1) else model.score(X, y)

    search = VectorFlowSearchCV(
        VectorFlowClassifier(random_state=0), {"alpha": alphas}, factor=2, max_epochs=9, scoring=scoring, random_state=0
    )
    with pytest.warns(UserWarning, match="scoring: 2 of 4 candidates have scores that are NaN"):
        search.fit(X, LABELS)
    epochs = {one["alpha"]: n for one, n in zip(search.cv_results_["params"], search.cv_results_["n_epochs"])}
    assert search.best_params_ == {"alpha": 1e-3}
    assert epochs == {1e-5: 1, 1e-1: 1, 1.0: 2, 1e-3: 9}


def test_a_search_that_fails_leaves_the_one_before():
    search = VectorFlowSearchCV(VectorFlowClassifier(random_state=0), {"alpha": [1e-3, 1e-1]}, max_epochs=3)
    search.fit(X, LABELS)
    search.set_params(param_distributions={"alpha": [-1.0]}, scoring="accuracy", max_epochs=5)
    before = dict(vars(search))
    with pytest.raises(ValueError, match="All fits failed"):
        search.fit(X, LABELS)
    assert vars(search) == before


def test_targets_may_be_series_of_polars():
    polars = pytest.importorskip("polars")
    search = VectorFlowSearchCV(VectorFlowClassifier(random_state=0), {"alpha": [1e-3, 1e-1]}, max_epochs=3)
    search.fit(polars.DataFrame(X.toarray()), polars.Series(LABELS))
    assert search.best_score_ > 0.5
