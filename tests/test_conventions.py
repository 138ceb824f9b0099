"""What scikit-learn's own estimators do, and users of it expect."""

import io
import pickle

import numpy as np
import pytest
import sklearn
from scipy import sparse
from sklearn import config_context
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import GammaRegressor, PoissonRegressor, TweedieRegressor
from sklearn.metrics import d2_tweedie_score, r2_score
from sklearn.model_selection import GroupKFold, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import get_tags

import sklearn_vectorflow
from sklearn_vectorflow import (
    VectorFlowClassifier,
    VectorFlowRanker,
    VectorFlowRegressor,
    VectorFlowSurvivalEstimator,
)
from sklearn_vectorflow.io import BatchSource
from sklearn_vectorflow.layers import Input, Linear, chain
from sklearn_vectorflow.losses import REGRESSION_LOSSES, TweedieLoss

RNG = np.random.default_rng(0)
X = sparse.random(120, 10, 0.4, format="csr", random_state=0)
Y = np.arange(120) % 3
COUNTS = RNG.poisson(np.exp(X @ RNG.standard_normal(10)))
AMOUNTS = RNG.gamma(2.0, np.exp(X @ RNG.standard_normal(10)))
QUICK = {"max_iter": 2, "tol": None, "random_state": 0}


# ---- one size ------------------------------------------------------------------------


@pytest.mark.parametrize("size", [8, np.int64(8)])
def test_a_number_is_the_size_of_one_hidden_layer(size):
    one = VectorFlowRegressor(size, **QUICK).fit(X, Y)
    several = VectorFlowRegressor((8,), **QUICK).fit(X, Y)
    np.testing.assert_array_equal(one.predict(X), several.predict(X))
    assert one.hidden_layer_sizes is size
    assert one.transform(X).shape == (120, 8)
    assert not hasattr(one, "sparsify")
    assert str(chain(8)) == str(chain((8,)))


# ---- why a method is missing ------------------------------------------------------------

MISSING = [
    (VectorFlowClassifier(loss="hinge"), "predict_proba", "loss='hinge' has no probabilities. .*log_loss"),
    (VectorFlowClassifier(loss="hinge"), "predict_log_proba", "loss='hinge' has no probabilities"),
    (VectorFlowClassifier(4), "sparsify", "Only linear models have it"),
    (VectorFlowRegressor(network=Linear()(Input())), "densify", "network defines a net"),
    (VectorFlowRegressor(), "transform", "set hidden_layer_sizes or network"),
    (VectorFlowSurvivalEstimator("cox"), "partial_fit", "distribution='cox' compares rows"),
]


@pytest.mark.parametrize("model, method, reason", MISSING)
def test_a_method_that_is_missing_says_why(model, method, reason):
    assert not hasattr(model, method)
    with pytest.raises(AttributeError, match=f"has no attribute '{method}'") as raised:
        getattr(model, method)
    assert raised.match("has no attribute")
    with pytest.raises(AttributeError, match=reason):
        raise raised.value.__cause__


@pytest.mark.parametrize(
    "model, method", [(VectorFlowClassifier(), "predict_proba"), (VectorFlowClassifier(4), "transform")]
)
def test_a_method_that_is_there_is_there(model, method):
    assert hasattr(model, method)


def test_dask_says_why_too():
    pytest.importorskip("distributed")
    from sklearn_vectorflow.dask import DaskVectorFlowClassifier

    model = DaskVectorFlowClassifier(loss="hinge")
    assert not hasattr(model, "predict_proba")
    with pytest.raises(AttributeError) as raised:
        model.predict_proba
    assert "loss='hinge' has no probabilities" in str(raised.value.__cause__.__cause__)


# ---- tags -------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", [*sorted(REGRESSION_LOSSES), TweedieLoss(0), TweedieLoss(3.0)])
def test_the_tag_of_positive_targets_is_what_fit_takes(loss):
    tagged = get_tags(VectorFlowRegressor(loss=loss)).target_tags.positive_only
    model = VectorFlowRegressor(loss=loss, **QUICK)
    if tagged:
        with pytest.raises(ValueError, match="y must be >"):
            model.fit(X, Y - 1.0)
    else:
        model.fit(X, Y - 1.0)


@pytest.mark.parametrize("loss", ["log_loss", "multinomial", "hinge", "one_vs_rest", "sampled_softmax"])
@pytest.mark.filterwarnings("ignore:.*n_negatives:UserWarning")
def test_the_tag_of_labels_is_what_fit_takes(loss):
    model = VectorFlowClassifier(loss=loss, **QUICK)
    labels = np.eye(3, dtype=int)[Y]
    if get_tags(model).classifier_tags.multi_label:
        model.fit(X, labels)
    else:
        with pytest.raises(ValueError, match="takes one class per row"):
            model.fit(X, labels)
    assert get_tags(VectorFlowClassifier(loss="log_loss")).classifier_tags.multi_label
    assert not get_tags(VectorFlowClassifier(loss="multinomial")).classifier_tags.multi_label


def test_tags_of_parameters_that_fit_refuses():
    assert not get_tags(VectorFlowRegressor(loss="none such")).target_tags.positive_only
    assert not get_tags(VectorFlowClassifier(loss=3)).classifier_tags.multi_label


# ---- scores -------------------------------------------------------------------------------


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(
    "loss, y, theirs, power",
    [
        ("poisson", COUNTS, PoissonRegressor, 1),
        ("gamma", AMOUNTS, GammaRegressor, 2),
        (TweedieLoss(1.5), COUNTS, lambda alpha: TweedieRegressor(power=1.5, alpha=alpha, link="log"), 1.5),
        (TweedieLoss(1.0), COUNTS, PoissonRegressor, 1),
    ],
)
def test_models_of_counts_and_amounts_are_scored_by_deviance(loss, y, theirs, power, weighted):
    weight = RNG.random(120) if weighted else None
    model = VectorFlowRegressor(loss=loss, solver="exact", alpha=0.01).fit(X, y, weight)
    score = model.score(X, y, weight)
    assert score == pytest.approx(d2_tweedie_score(y, model.predict(X), sample_weight=weight, power=power))
    assert score == pytest.approx(theirs(alpha=0.01).fit(X, y, weight).score(X, y, weight), abs=1e-3)
    assert score != pytest.approx(r2_score(y, model.predict(X), sample_weight=weight), abs=1e-3)
    assert model.score(BatchSource(lambda: [(X, y, weight) if weighted else (X, y)])) == pytest.approx(score)


def test_other_models_are_scored_by_r2():
    for loss in ("squared_error", "absolute_error", TweedieLoss(0)):
        model = VectorFlowRegressor(loss=loss, **QUICK).fit(X, AMOUNTS)
        assert model.score(X, AMOUNTS) == pytest.approx(r2_score(AMOUNTS, model.predict(X)))


def test_several_targets_have_the_mean_of_their_scores():
    both = np.column_stack([COUNTS, COUNTS[::-1]])
    model = VectorFlowRegressor(loss="poisson", **QUICK).fit(X, both)
    each = [d2_tweedie_score(y, p, power=1) for y, p in zip(both.T, model.predict(X).T)]
    assert model.score(X, both) == pytest.approx(np.mean(each))


def test_scores_of_constant_targets_and_tiny_predictions_are_numbers():
    model = VectorFlowRegressor(loss="poisson", **QUICK).fit(X, COUNTS)
    assert model.score(X, np.zeros(120)) == 0.0
    model.network_.intercepts()[0][:] = -1e4
    assert np.all(model.predict(X) == 0.0)
    assert model.score(X, COUNTS) < -100.0


# ---- attributes -----------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize(
    "model, y, more",
    [
        (VectorFlowRegressor(), AMOUNTS, {}),
        (VectorFlowClassifier(), Y, {}),
        (VectorFlowRanker(), Y, {"qid": np.repeat(np.arange(12), 10)}),
        (VectorFlowSurvivalEstimator(), (Y > 0, AMOUNTS + 0.1), {}),
    ],
)
def test_best_losses_and_scores(model, y, more):
    assert not hasattr(model, "best_loss_")
    model.set_params(max_iter=3, tol=None, random_state=0, solver="sgd").fit(X, y, **more)
    assert model.best_loss_ == min(model.loss_curve_)
    assert not hasattr(model, "best_validation_score_")
    model.set_params(early_stopping=True).fit(X, y, **more)
    assert model.best_validation_score_ == max(model.validation_scores_)


# ---- errors ---------------------------------------------------------------------------------


def test_columns_of_strings_are_named_and_the_encoder_is_pointed_to():
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({"a": RNG.random(120), "town": ["Rome", "Oslo", "Bonn"] * 40, "size": ["S", "M", "L"] * 40})
    message = r"column\(s\) \['town', 'size'\] of X hold strings.*HashingEncoder"
    for given in (frame, frame.astype({"town": "category", "size": "string"})):
        with pytest.raises(ValueError, match=message):
            VectorFlowRegressor().fit(given, Y)
    with pytest.raises(ValueError, match=r"column\(s\) \[1, 2\] of X hold strings.*HashingEncoder"):
        VectorFlowRegressor().fit(frame.to_numpy(), Y)
    model = VectorFlowRegressor(**QUICK).fit(frame[["a"]], Y)
    with pytest.raises(ValueError, match=r"column\(s\) \['a'\] of X hold strings"):
        model.predict(pd.DataFrame({"a": ["Rome"]}))


def test_texts_point_to_the_encoder():
    with pytest.raises(ValueError, match="X holds strings.*HashingEncoder"):
        VectorFlowClassifier().fit(["good film"] * 120, Y)


@pytest.mark.parametrize("as_sparse", [False, True])
def test_labels_of_minus_one_say_what_to_pass(as_sparse):
    labels = np.where(np.eye(3)[Y] > 0, 1, -1)
    with pytest.raises(ValueError, match=r"values 0 and 1 only, got -1. For labels of -1 and 1 pass y > 0"):
        VectorFlowClassifier().fit(X, sparse.csr_array(labels) if as_sparse else labels)
    flags = labels > 0
    model = VectorFlowClassifier(**QUICK).fit(X, sparse.csr_array(flags) if as_sparse else flags)
    np.testing.assert_array_equal(
        model.predict_proba(X), VectorFlowClassifier(**QUICK).fit(X, flags.astype(int)).predict_proba(X)
    )
    with pytest.raises(ValueError, match="got 2.$"):
        VectorFlowClassifier().fit(X, 2 * np.eye(3, dtype=int)[Y])


def test_classes_that_are_bool_or_signs_come_back():
    for y in (Y > 0, np.where(Y > 0, 1, -1)):
        predicted = VectorFlowClassifier(**QUICK).fit(X, y).predict(X)
        assert predicted.dtype == y.dtype
        assert set(predicted) <= set(y)


# ---- metadata -------------------------------------------------------------------------------


def test_groups_that_split_rows_do_not_reach_fit_unless_asked_for():
    groups = np.arange(120) % 7
    with sklearn.config_context(enable_metadata_routing=True):
        model = VectorFlowRegressor(**QUICK)
        found = cross_validate(model, X, Y, params={"groups": groups}, cv=GroupKFold(3))
        plain = cross_validate(model, X, Y, cv=GroupKFold(3).split(X, Y, groups))
        np.testing.assert_array_equal(found["test_score"], plain["test_score"])
        asking = VectorFlowRegressor(**QUICK).set_fit_request(groups=True)
        with pytest.raises(ValueError, match="groups"):  # which do not stand together
            cross_validate(asking, X, Y, params={"groups": groups}, cv=GroupKFold(3), error_score="raise")


def test_requests_are_saved(tmp_path):
    with sklearn.config_context(enable_metadata_routing=True):
        model = VectorFlowRegressor(**QUICK).set_fit_request(sample_weight=True, groups="queries").fit(X, Y)
        model.save(tmp_path / "model")
        again = sklearn_vectorflow.load(tmp_path / "model")
        assert repr(again.get_metadata_routing().fit) == repr(model.get_metadata_routing().fit)
        assert vars(again).keys() == vars(model).keys()
        assert pickle.load(io.BytesIO(pickle.dumps(again))).predict(X[:1]) == model.predict(X[:1])


@pytest.mark.parametrize("frame", ["pandas", "polars"])
def test_nets_as_transformers_give_frames(frame):
    library = pytest.importorskip(frame)
    X = np.random.default_rng(0).normal(size=(60, 3))
    net = VectorFlowRegressor(hidden_layer_sizes=4, random_state=0)
    columns = ColumnTransformer([("net", net, [0, 1]), ("rest", "passthrough", [2])]).set_output(transform=frame)
    found = clone(make_pipeline(StandardScaler(), columns)).fit_transform(X, X[:, 0])
    assert isinstance(found, library.DataFrame)
    assert list(found.columns)[:4] == [f"net__relu{k}" for k in range(4)]
    fitted = VectorFlowRegressor(hidden_layer_sizes=4, random_state=0).set_output(transform=frame).fit(X, X[:, 0])
    assert list(pickle.loads(pickle.dumps(fitted)).transform(X).columns) == [f"relu{k}" for k in range(4)]
    assert fitted.get_feature_names_out(["a", "b", "c"]).tolist() == [f"relu{k}" for k in range(4)]
    assert isinstance(fitted.set_output(transform="default").transform(X), np.ndarray)
    assert not hasattr(VectorFlowRegressor(), "set_output")
    with config_context(transform_output=frame):
        assert isinstance(fitted.set_output(transform=None).transform(X), np.ndarray)  # its own choice comes first
        assert isinstance(clone(net).fit(X, X[:, 0]).transform(X), library.DataFrame)


def test_a_model_that_exceeds_memory_says_what_would_fit():
    X = sparse.csr_matrix((120, 2**31 - 1))
    with pytest.raises(MemoryError, match=r"2,147,483,647 inputs .* GiB, .* take fewer hidden units"):
        VectorFlowClassifier(hidden_layer_sizes=10**6, **QUICK).fit(X, Y)
