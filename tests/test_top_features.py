"""The columns with the largest weights, their names and counts."""

import sys
import warnings

import numpy as np
import pytest
from scipy import sparse
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction.text import CountVectorizer

from sklearn_vectorflow import (
    VectorFlowClassifier,
    VectorFlowRanker,
    VectorFlowRegressor,
    VectorFlowSurvivalEstimator,
)
from sklearn_vectorflow.layers import Input, Linear
from sklearn_vectorflow.preprocessing import FeatureCrosser, HashingEncoder

pd = pytest.importorskip("pandas")

RNG = np.random.default_rng(0)
X = sparse.random(200, 30, 0.3, format="csr", random_state=0)
Y = X @ np.where(np.arange(30) < 4, [[5.0], [-4.0]], 0.0).T[:, :1].ravel() + 0.1 * RNG.standard_normal(200)
CLASSES = np.array(["a", "b", "c"])[np.argmax(X[:, :3].toarray(), axis=1)]


def expected(coef, n):
    order = sorted(range(len(coef)), key=lambda j: (-abs(coef[j]), j))[:n]
    return [j for j in order if coef[j]]


@pytest.mark.parametrize("n", [1, 5, 30, 100])
def test_the_largest_weights_come_first(n):
    model = VectorFlowRegressor(solver="exact").fit(X, Y)
    table = model.top_features(n)
    assert list(table.columns) == ["output", "column", "name", "weight"]
    assert table["column"].tolist() == expected(model.coef_, n)
    np.testing.assert_array_equal(table["weight"], model.coef_[table["column"]])
    assert table["name"].tolist() == [f"x{j}" for j in table["column"]]
    assert set(table["output"]) == {""}


def test_every_class_has_its_own():
    model = VectorFlowClassifier(solver="exact", loss="multinomial").fit(X, CLASSES)
    table = model.top_features(4)
    assert table["output"].tolist() == [label for label in "abc" for _ in range(4)]
    for k, label in enumerate("abc"):
        assert table["column"][table["output"] == label].tolist() == expected(model.coef_[k], 4)
    one = model.top_features(4, output="b")
    assert one["column"].tolist() == table["column"][table["output"] == "b"].tolist()
    with pytest.raises(ValueError, match=r"output must be None or one of \['a', 'b', 'c'\], got 'd'"):
        model.top_features(output="d")


def test_two_classes_have_the_weights_of_the_second():
    model = VectorFlowClassifier(solver="exact").fit(X, Y > 0)
    assert set(model.top_features(3)["output"]) == {True}


def test_sparsified_models_have_the_same():
    model = VectorFlowRegressor(optimizer="ftrl", alpha=0.3, l1_ratio=1.0, random_state=0).fit(X, Y)
    before = model.top_features(30)
    assert 0 < len(before) == np.count_nonzero(model.coef_) < 30
    pd.testing.assert_frame_equal(model.sparsify().top_features(30), before, check_dtype=False)


def test_targets_in_units_apart_have_weights_in_their_own():
    targets = np.column_stack([Y, 1e4 * Y])
    model = VectorFlowRegressor(solver="exact").fit(X, targets)
    weights = model.top_features(1)["weight"]
    assert weights[1] / weights[0] == pytest.approx(1e4, rel=0.01)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_all_estimators_have_it():
    ranker = VectorFlowRanker(max_iter=2).fit(X, np.digitize(Y, [0, 1]), qid=np.repeat(np.arange(20), 10))
    survival = VectorFlowSurvivalEstimator("weibull", max_iter=2).fit(X, (Y > 0, np.exp(Y)))
    for model in (ranker, survival):
        assert model.top_features(2)["column"].tolist() == expected(np.ravel(model.coef_), 2)


def test_names_of_frames_and_encoders():
    frame = pd.DataFrame(X.toarray(), columns=[f"column {j}" for j in range(30)])
    model = VectorFlowRegressor(solver="exact").fit(frame, Y)
    table = model.top_features(3)
    assert table["name"].tolist() == [f"column {j}" for j in table["column"]]
    words = CountVectorizer()
    texts = ["good film", "bad film", "good", "bad plot"]
    model = VectorFlowClassifier(solver="exact", alpha=0.1).fit(words.fit_transform(texts), [1, 0, 1, 0])
    assert set(model.top_features(2, encoder=words)["name"]) == {"good", "bad"}
    crosser = FeatureCrosser([("l", "r")], {"l": slice(0, 15), "r": slice(15, 30)}, 64).fit(X)
    model = VectorFlowRegressor(max_iter=2, tol=None).fit(crosser.transform(X), Y)
    table = model.top_features(3, encoder=crosser)
    assert table["name"].tolist() == [f"cross{j}" for j in table["column"]]


def hashed(n_bits=3, **options):
    rows = [f"c{k}" for k in range(12) for _ in range(k + 1)]
    frame = pd.DataFrame({"kind": rows, "size": np.linspace(0, 1, len(rows))})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        encoder = HashingEncoder(n_bits, columns={"kind": "categorical", "size": "numeric"}, **options).fit(frame)
    encoded = encoder.transform(frame)
    return encoder, VectorFlowRegressor(max_iter=2, tol=None).fit(encoded, np.arange(float(len(rows))))


def test_names_that_share_a_hashed_column_are_shown_together():
    encoder, model = hashed(collect_names=100)
    table = model.top_features(8, encoder=encoder)
    assert "count" not in table
    for column, name in zip(table["column"], table["name"]):
        assert [one.lstrip("-") for one in name.split(" | ")] == encoder.feature_names_from([column])[0]
    shown = [name.lstrip("-") for names in table["name"] for name in names.split(" | ")]
    assert sorted(shown) == sorted([f"kind=c{k}" for k in range(12)] + ["size"])


@pytest.mark.parametrize("alternate_sign", [True, False])
def test_weights_are_those_of_names_whatever_the_sign_of_their_values(alternate_sign):
    encoder, model = hashed(collect_names=100, alternate_sign=alternate_sign)
    kinds = pd.DataFrame({"kind": [f"c{k}" for k in range(12)] + [None] * 2, "size": [np.nan] * 12 + [1.0, 0.0]})
    effects = model.predict(encoder.transform(kinds)) - model.intercept_
    names = [f"kind=c{k}" for k in range(12)] + ["size"]
    negative = 0
    for shown, weight in model.top_features(8, encoder=encoder)[["name", "weight"]].to_numpy():
        for name in shown.split(" | "):
            sign = -1 if name.startswith("-") else 1
            negative += sign < 0
            effect = effects[names.index(name.lstrip("-"))]
            assert effect == pytest.approx(sign * weight, rel=1e-4, abs=1e-5)
    assert (negative > 0) == alternate_sign


def test_counts_are_those_of_the_rows():
    encoder, model = hashed(14, collect_names=100, min_count=3, sketch_bits=16)
    table = model.top_features(30, encoder=encoder).set_index("name")
    assert {f"kind=c{k}": float(k + 1) for k in range(2, 12)}.items() <= table["count"].to_dict().items()
    assert {name for name in table.index if name} == {f"kind=c{k}" for k in range(2, 12)} | {"size"}


def test_what_knows_no_names_is_refused():
    encoder, model = hashed()
    with pytest.raises(ValueError, match="collect_names > 0"):
        model.top_features(encoder=encoder)
    with pytest.raises(ValueError, match="encoder makes 8 columns, but the model was fitted on 16"):
        hashed(4, collect_names=9)[1].top_features(encoder=encoder)
    with pytest.raises(ValueError, match="encoder makes 2 columns, but the model was fitted on 8"):
        model.top_features(encoder=CountVectorizer().fit(["good film"]))
    with pytest.raises(NotFittedError, match="HashingEncoder"):
        model.top_features(encoder=HashingEncoder(3, collect_names=9))
    with pytest.raises(TypeError, match="get_feature_names_out, .* got 'words'"):
        model.top_features(encoder="words")


@pytest.mark.parametrize("params", [{"hidden_layer_sizes": (4,)}, {"network": Linear()(Input([0, 1]))}])
def test_nets_are_refused(params):
    model = VectorFlowRegressor(max_iter=1, tol=None, **params).fit(X, Y)
    with pytest.raises(ValueError, match=r"top_features needs a linear model, .* network_\[name\]"):
        model.top_features()


def test_bad_calls_are_refused():
    with pytest.raises(NotFittedError):
        VectorFlowRegressor().top_features()
    with pytest.raises(ValueError, match="n must be at least 1, got 0"):
        VectorFlowRegressor(solver="exact").fit(X, Y).top_features(0)


def test_without_pandas_it_is_an_array(monkeypatch):
    model = VectorFlowRegressor(solver="exact").fit(X, Y)
    frame = model.top_features(3)
    monkeypatch.setitem(sys.modules, "pandas", None)
    array = model.top_features(3)
    assert array.dtype.names == ("output", "column", "name", "weight")
    assert array["column"].tolist() == frame["column"].tolist()
    assert array["name"].tolist() == frame["name"].tolist()
