"""Light predictors of whole pipelines give what the pipelines do."""

import pickle
import threading

import numpy as np
import pytest
from sklearn.compose import make_column_transformer
from sklearn.feature_extraction import DictVectorizer, FeatureHasher
from sklearn.feature_extraction.text import HashingVectorizer, TfidfTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from sklearn_vectorflow import VectorFlowClassifier, VectorFlowRegressor
from sklearn_vectorflow.preprocessing import HashingEncoder, Numeric, Text
from sklearn_vectorflow.serving import Predictor, make_predictor

pd = pytest.importorskip("pandas")

N_ROWS = 60
TEXTS = [f"word{k % 7} and word{k % 3} {'ä' * (k % 2)}" for k in range(N_ROWS)]
Y = np.arange(N_ROWS) % 3
FRAME = pd.DataFrame(
    {
        "city": pd.Categorical([["Rome", "Oslo", None][k % 3] for k in range(N_ROWS)]),
        "size": np.arange(N_ROWS) % 5 + 0.5,
        "user": np.arange(N_ROWS) % 7,
        "tags": [["a", "b"][: k % 3] for k in range(N_ROWS)],
        "title": TEXTS,
        "new": np.arange(N_ROWS) % 2 == 0,
    }
)
KINDS = {"city": "categorical", "size": Numeric("standard"), "user": "categorical", "tags": "tokens", "title": Text()}
KINDS |= {"new": "categorical"}
DICTS = [{"a": float(k % 4 + 1), f"b{k % 3}": 1.0} for k in range(N_ROWS)]


def classifier():
    return VectorFlowClassifier(max_iter=3, tol=None, random_state=0)


PIPELINES = {
    "text": lambda: (make_pipeline(HashingVectorizer(n_features=512), classifier()), TEXTS),
    "tf-idf": lambda: (make_pipeline(HashingVectorizer(n_features=512), TfidfTransformer(), classifier()), TEXTS),
    "frame": lambda: (make_pipeline(HashingEncoder(10, columns=KINDS), classifier()), FRAME),
    "all columns": lambda: (make_pipeline(HashingEncoder(10), "passthrough", classifier()), FRAME[["city", "size"]]),
    "dicts": lambda: (make_pipeline(DictVectorizer(), classifier()), DICTS),
    "hashed dicts": lambda: (make_pipeline(FeatureHasher(128), classifier()), DICTS),
    "several": lambda: (
        make_pipeline(make_column_transformer((OneHotEncoder(), ["user"]), (StandardScaler(), ["size"])), classifier()),
        FRAME,
    ),
}


@pytest.fixture(scope="module", params=PIPELINES)
def fitted(request):
    pipeline, X = PIPELINES[request.param]()
    return pipeline.fit(X, Y), X


def rows_of(X):
    """The rows, each as what a server is asked for."""
    return X.to_dict("records") if isinstance(X, pd.DataFrame) else X


@pytest.mark.parametrize("method", ["predict", "predict_proba", "decision_function"])
def test_single_rows_and_batches_are_predicted_as_by_the_pipeline(fitted, method):
    pipeline, X = fitted
    predictor, expected = make_predictor(pipeline, method), getattr(pipeline, method)(X)
    np.testing.assert_allclose(predictor(X), expected, rtol=1e-6)
    for row, one in zip(rows_of(X)[:10], expected):
        np.testing.assert_allclose(predictor(row), one[None], rtol=1e-6)


def test_pickles_and_threads(fitted):
    pipeline, X = fitted
    predictor = pickle.loads(pickle.dumps(make_predictor(pipeline, "predict_proba")))
    rows, expected, found = rows_of(X), pipeline.predict_proba(X), {}

    def serve(first):
        found[first] = [predictor(row) for row in rows[first::4]]

    threads = [threading.Thread(target=serve, args=(first,)) for first in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for first in range(4):
        np.testing.assert_allclose(np.concatenate(found[first]), expected[first::4], rtol=1e-6)


def test_fitting_the_pipeline_anew_leaves_it_as_it_is():
    pipeline = make_pipeline(HashingEncoder(10, columns={"size": Numeric("standard")}), classifier()).fit(FRAME, Y)
    predictor, expected = make_predictor(pipeline, "decision_function"), pipeline.decision_function(FRAME)
    pipeline.fit(FRAME.assign(size=-10 * FRAME["size"] - 100), Y)
    np.testing.assert_array_equal(predictor(FRAME), expected)


def test_of_an_estimator_it_is_its_predictor():
    X = HashingVectorizer(n_features=512).transform(TEXTS)
    model = classifier().fit(X, Y)
    predictor = make_predictor(model, "predict_proba")
    assert type(predictor) is Predictor
    np.testing.assert_array_equal(predictor(X), model.predict_proba(X))
    alone = make_predictor(make_pipeline(model), "predict_proba")
    np.testing.assert_array_equal(alone(X), model.predict_proba(X))


def test_bad_input():
    vectorizer = HashingVectorizer(n_features=512)
    with pytest.raises(TypeError, match="end in one, got LogisticRegression"):
        make_predictor(make_pipeline(vectorizer, LogisticRegression()).fit(TEXTS, Y))
    regressor = make_pipeline(vectorizer, VectorFlowRegressor(max_iter=1, tol=None)).fit(TEXTS, Y)
    with pytest.raises(ValueError, match=r"method must be one of \['predict'\]"):
        make_predictor(regressor, "predict_proba")
    frames = make_pipeline(HashingEncoder(10, columns=KINDS), classifier()).fit(FRAME, Y)
    row = FRAME.to_dict("records")[0]
    del row["city"]
    with pytest.raises(ValueError, match=r"X lacks columns seen during fit: \['city'\]"):
        make_predictor(frames)(row)
    with pytest.raises(TypeError, match="Column 'size' of X must hold numbers, got 'large'"):
        make_predictor(frames)({**row, "city": "Rome", "size": "large"})
    with pytest.raises(ValueError, match="0 feature"):
        make_predictor(frames)({})
