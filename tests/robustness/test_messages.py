"""Messages name what the user gave, in their words, in a line that can be read."""

import numpy as np
import pytest
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler

from sklearn_vectorflow import (
    VectorFlowClassifier,
    VectorFlowRanker,
    VectorFlowRegressor,
    VectorFlowSurvivalEstimator,
)
from sklearn_vectorflow.losses import SampledLogLoss, SampledSoftmaxLoss
from sklearn_vectorflow.metrics import mean_ndcg
from sklearn_vectorflow.optimizers import FTRL
from sklearn_vectorflow.penalties import L2
from sklearn_vectorflow.validation.errors import brief

N_ROWS = 60
X = np.random.default_rng(0).random((N_ROWS, 4))
X[np.arange(N_ROWS), np.arange(N_ROWS) % 3] += 3.0
LABELS = np.array(["ant", "bee", "cat"])[np.arange(N_ROWS) % 3]


# ---- parameters of what has none -----------------------------------------------------------------


@pytest.mark.parametrize(
    "model, parameter, message",
    [
        (VectorFlowClassifier(), "optimizer__learning_rate", r"optimizer is 'auto', .*such as optimizer=FTRL\(\)"),
        (VectorFlowRegressor(), "penalty__strength", r"penalty is None, .*such as penalty=L2\(\)"),
        (VectorFlowRegressor(loss="huber"), "loss__delta", r"loss is 'huber', .*such as loss=HuberLoss\(\)"),
        (VectorFlowRanker(), "loss__truncation", "loss is 'lambdarank'"),
        (VectorFlowSurvivalEstimator(), "distribution__shape", r".*such as distribution=WeibullAFT\(\)"),
        (VectorFlowClassifier(penalty=[L2()]), "penalty__strength", r"penalty is \[L2\(\)\]"),
        (VectorFlowClassifier(), "alpha__x", "alpha is None, which has no parameters"),
    ],
)
def test_parameters_of_names_are_refused(model, parameter, message):
    with pytest.raises(ValueError, match=f"^{parameter} can't be set: {message}"):
        model.set_params(**{parameter: 0.1})
    with pytest.raises(ValueError, match=f"{parameter} can't be set"):
        make_pipeline(MaxAbsScaler(), model).set_params(**{f"{type(model).__name__.lower()}__{parameter}": 0.1})


def test_parameters_of_objects_are_set_with_the_object_or_after_it():
    model = VectorFlowClassifier().set_params(optimizer__learning_rate=0.5, optimizer=FTRL())
    assert model.optimizer.learning_rate == 0.5
    assert model.set_params(optimizer__beta=2.0, max_iter=3).optimizer.beta == 2.0 and model.max_iter == 3
    with pytest.raises(ValueError, match="Invalid parameter 'nonsense'"):
        model.set_params(nonsense__x=1)
    search = GridSearchCV(VectorFlowClassifier(max_iter=1), {"optimizer__learning_rate": [0.1]}, cv=2)
    with pytest.raises(ValueError, match="optimizer is 'auto'"):
        search.fit(X, LABELS)


# ---- long values ---------------------------------------------------------------------------------


LONG = np.arange(100_000)
QUERIES = {"qid": np.zeros(N_ROWS)}


@pytest.mark.parametrize(
    "call",
    [
        lambda: VectorFlowRanker().fit(X, np.zeros(N_ROWS), group=LONG),
        lambda: VectorFlowRanker().fit(X, np.zeros(N_ROWS), group=LONG.tolist()),
        lambda: VectorFlowRanker().fit(X, np.zeros(N_ROWS), group=(LONG + 0.5)),
        lambda: VectorFlowClassifier(max_iter=LONG).fit(X, LABELS),
        lambda: VectorFlowClassifier(tol=LONG.tolist()).fit(X, LABELS),
        lambda: VectorFlowClassifier(shuffle=LONG).fit(X, LABELS),
        lambda: VectorFlowClassifier(activation=LONG.tolist()).fit(X, LABELS),
        lambda: VectorFlowClassifier(loss=LONG).fit(X, LABELS),
        lambda: VectorFlowClassifier(optimizer=LONG).fit(X, LABELS),
        lambda: VectorFlowClassifier(penalty=LONG).fit(X, LABELS),
        lambda: VectorFlowClassifier(network=LONG).fit(X, LABELS),
        lambda: VectorFlowClassifier(n_jobs=LONG).fit(X, LABELS),
        lambda: VectorFlowClassifier(hidden_layer_sizes="a" * 10_000).fit(X, LABELS),
        lambda: VectorFlowClassifier(hidden_layer_sizes=["a" * 10_000]).fit(X, LABELS),
        lambda: VectorFlowClassifier(class_weight=dict.fromkeys(LONG.tolist(), 1.0)).fit(X, LABELS),
        lambda: VectorFlowClassifier(class_weight=LONG).fit(X, LABELS),
        lambda: VectorFlowClassifier(max_iter=1).fit(X, LABELS).partial_fit(X, LABELS, classes=LONG),
        lambda: VectorFlowClassifier().partial_fit(X[:1], [-1], classes=LONG),
        lambda: VectorFlowSurvivalEstimator("discrete", breakpoints=-LONG).fit(X, (X[:, 0] > 0, X[:, 0])),
        lambda: VectorFlowSurvivalEstimator().fit(X, dict.fromkeys(map(str, LONG), X[:, 0])),
        lambda: (
            VectorFlowSurvivalEstimator(max_iter=1)
            .fit(X, (X[:, 0] > 0, X[:, 0]))
            .predict_survival_function(X, times=np.append(LONG, np.nan))
        ),
        lambda: VectorFlowRegressor(penalty=L2(np.array(["a"] * 10_000))).fit(X, X[:, 0]),
    ],
)
def test_values_are_cut_to_a_line(call):
    with pytest.raises((TypeError, ValueError)) as caught:
        call()
    assert 20 < len(str(caught.value)) < 900
    assert "\n" not in str(caught.value)


def test_brief_keeps_short_values_and_both_ends_of_long_ones():
    assert brief("a") == "'a'" and brief([1, 2]) == "[1, 2]" and brief(np.array([0, 1])) == "array([0, 1])"
    assert brief(np.float64(0.5)) == "0.5" and brief(np.bool_(True)) == "True"
    assert brief("a" * 1000 + "z").startswith("'aaa") and brief("a" * 1000 + "z").endswith("z'")
    assert len(brief("a" * 1000)) < 300 and len(brief(list(range(10**6)))) < 300


# ---- sizes of queries ----------------------------------------------------------------------------


def test_whole_floats_are_sizes():
    y = np.arange(N_ROWS) % 2
    models = [VectorFlowRanker(max_iter=2).fit(X, y, group=group) for group in ([30, 30], [30.0, 30.0])]
    np.testing.assert_array_equal(models[0].coef_, models[1].coef_)


@pytest.mark.parametrize(
    "group, message",
    [
        ([30, 31], "add up to the 60 rows of y, got a sum of 61"),
        ([30.5, 29.5], r"integers >= 0, the sizes of the queries, got \[30.5, 29.5\]"),
        ([-1, 61], "integers >= 0"),
        ([np.nan, 60], "integers >= 0"),
        ([1e300], "integers >= 0"),
        (["30", "30"], "integers >= 0"),
        (60, "integers >= 0"),
        ([[30], [30]], "integers >= 0"),
        ([[30], [30, 1]], "integers >= 0"),
        (np.array([2**63], dtype=np.uint64), "integers >= 0"),
        ([], "got a sum of 0"),
    ],
)
def test_other_sizes_are_refused_for_the_right_reason(group, message):
    with pytest.raises(ValueError, match=f"^group must .*{message}"):
        VectorFlowRanker().fit(X, np.arange(N_ROWS) % 2, group=group)


@pytest.mark.parametrize("missing", [None, np.nan])
def test_missing_queries_are_refused(missing):
    qid = np.repeat(np.arange(6), 10).astype(object)
    qid[20:30] = missing
    forms = [qid] if missing is None else [qid, qid.astype(float)]
    for form in forms:
        with pytest.raises(ValueError, match=f"qid must have no missing values, got {missing} in row 20"):
            VectorFlowRanker().fit(X, np.arange(N_ROWS) % 2, qid=form)
        with pytest.raises(ValueError, match=f"qid must have no missing values, got {missing} in row 20"):
            mean_ndcg(np.arange(N_ROWS) % 2, X[:, 0], form)
    qid[20:30] = "a"
    with pytest.raises(ValueError, match="qid must be all numbers or all strings"):
        VectorFlowRanker().fit(X, np.arange(N_ROWS) % 2, qid=qid)


# ---- classes -------------------------------------------------------------------------------------


def test_the_only_row_of_a_class_stays_in_training():
    labels = LABELS.copy()
    labels[7] = "dog"
    model = VectorFlowClassifier(early_stopping=True, validation_fraction=0.2, max_iter=1)
    model.fit(X, labels)
    assert model.classes_.tolist() == ["ant", "bee", "cat", "dog"] and len(model.validation_scores_) > 0
    with pytest.raises(
        ValueError, match="validation_fraction=0.2 does not split the rows: each class has only one row"
    ):
        model.fit(X[:3], ["ant", "bee", "cat"])


@pytest.mark.parametrize("loss, full", [(SampledSoftmaxLoss, "multinomial"), (SampledLogLoss, "one_vs_rest")])
def test_sampling_all_classes_is_told(loss, full):
    with pytest.warns(UserWarning, match=f"n_negatives=100 includes all of the 3 outputs.*loss='{full}' gives"):
        VectorFlowClassifier(loss=loss(), max_iter=1).fit(X, LABELS)
    VectorFlowClassifier(loss=loss(1), max_iter=1).fit(X, LABELS)


def test_warnings_are_about_the_line_of_the_user():
    with pytest.warns(UserWarning, match="n_negatives") as caught:
        VectorFlowClassifier(loss="sampled_softmax", max_iter=1).fit(X, LABELS)
    assert caught[0].filename == __file__
