"""ONNX models predict as the estimators they are of."""

import numpy as np
import pytest
from scipy import sparse

from sklearn_vectorflow import VectorFlowClassifier, VectorFlowRanker, VectorFlowRegressor, VectorFlowSurvivalEstimator
from sklearn_vectorflow import layers as L
from sklearn_vectorflow.losses import LogLoss, RegressionLoss, SampledSoftmaxLoss
from sklearn_vectorflow.onnx import to_onnx

onnx = pytest.importorskip("onnx")
runtime = pytest.importorskip("onnxruntime")

N_ROWS, N_FEATURES = 200, 50
X = sparse.random(N_ROWS, N_FEATURES, 0.1, format="csr", dtype=np.float32, random_state=0)
Y = np.asarray(X @ np.sin(np.arange(N_FEATURES)))
CLASSES = np.digitize(Y, np.quantile(Y, [0.3, 0.6]))
LABELS = np.column_stack([Y > 0, CLASSES == 1]).astype(int)
NAMES = np.array(["low", "middle", "höher"])[CLASSES]
SMALL = {"max_iter": 5, "tol": None, "random_state": 0}


def graph():
    """Two layers on the rows, and all that can follow."""
    deep = L.Tanh()(L.Linear(4)(L.Input()))
    wide = L.Linear(4)(L.Input())
    joined = L.Concat()([L.Multiply()([deep, wide]), L.Add()([deep, wide, deep]), L.Dropout(0.5)(wide)])
    return L.Linear()(L.ReLU()(joined))


MODELS = {
    "two classes": lambda: VectorFlowClassifier(**SMALL).fit(X, Y > 0),
    "two outputs": lambda: VectorFlowClassifier(loss="multinomial", **SMALL).fit(X, Y > 0),
    "classes": lambda: VectorFlowClassifier(**SMALL).fit(X, NAMES),
    "one against the rest": lambda: VectorFlowClassifier(loss="one_vs_rest", **SMALL).fit(X, CLASSES),
    "labels": lambda: VectorFlowClassifier(**SMALL).fit(X, LABELS),
    "modified Huber": lambda: VectorFlowClassifier(loss="modified_huber", **SMALL).fit(X, CLASSES),
    "hinge": lambda: VectorFlowClassifier(loss="hinge", **SMALL).fit(X, CLASSES),
    "hidden": lambda: VectorFlowClassifier((6, 5), activation="selu", **SMALL).fit(X, CLASSES),
    "sampled": lambda: VectorFlowClassifier(loss=SampledSoftmaxLoss(1), **SMALL).fit(X, np.arange(N_ROWS) % 20),
    "sparse": lambda: VectorFlowClassifier(alpha=0.01, l1_ratio=1.0, **SMALL).fit(X, CLASSES).sparsify(),
    "numbers": lambda: VectorFlowRegressor(**SMALL).fit(X, Y),
    "far from zero": lambda: VectorFlowRegressor(**SMALL).fit(X, np.column_stack([1e5 + Y, 1000 * Y])),
    "counts": lambda: VectorFlowRegressor(loss="poisson", **SMALL).fit(X, np.round(np.exp(Y))),
    "graph": lambda: VectorFlowRegressor(network=graph(), **SMALL).fit(X, Y),
    "logistic": lambda: VectorFlowRegressor((3,), activation="logistic", **SMALL).fit(X, Y),
    "without intercepts": lambda: VectorFlowRegressor(fit_intercept=False, **SMALL).fit(X, Y),
    "ranks": lambda: VectorFlowRanker(**SMALL).fit(X, CLASSES, qid=np.arange(N_ROWS) // 10),
}


def run(exported, rows):
    session = runtime.InferenceSession(exported.SerializeToString(), providers=["CPUExecutionProvider"])
    given = {"indices": rows.indices.astype("i8"), "offsets": rows.indptr.astype("i8"), "values": rows.data}
    return session.run(None, given)[0]


@pytest.mark.filterwarnings("ignore:The fit ended worse")
@pytest.mark.parametrize("name", MODELS)
def test_a_runtime_predicts_the_same(name):
    model = MODELS[name]()
    for method in ("predict", "predict_proba", "decision_function"):
        if not hasattr(model, method):
            continue
        exported, expected = to_onnx(model, method), getattr(model, method)(X)
        assert [one.name for one in exported.graph.output] == [method]
        found = run(exported, X)
        assert found.shape == expected.shape
        if expected.dtype.kind in "US":
            np.testing.assert_array_equal(found, expected)
        else:
            np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
    default = to_onnx(model).graph.output[0].name
    assert default == ("predict_proba" if hasattr(model, "predict_proba") else "predict")


def test_rows_that_are_empty_or_repeat_columns():
    model = VectorFlowClassifier((4,), **SMALL).fit(X, CLASSES)
    exported = to_onnx(model)
    starts, columns = np.array([0, 0, 3, 3, 5, 5, 5]), np.array([7, 3, 7, 0, 49])
    rows = sparse.csr_matrix((np.arange(1.0, 6.0, dtype=np.float32), columns, starts), shape=(6, N_FEATURES))
    assert run(exported, rows[:0]).shape == (0, 3)
    for some in (rows, rows[:1], rows[1:2], X[:1]):
        np.testing.assert_allclose(run(exported, some), model.predict_proba(some), rtol=1e-5, atol=1e-5)


class OwnLink(RegressionLoss):
    kernel = "squared_error"

    def inverse_link(self, raw):
        return raw**2


class OwnProbabilities(LogLoss):
    def predict_proba(self, raw):
        return LogLoss.predict_proba(self, raw)


@pytest.mark.parametrize(
    ["model", "error", "match"],
    [
        (lambda: VectorFlowRegressor(network=L.FactorizationMachine(2)(L.Input())).fit(X, Y), ValueError, "Factoriz"),
        (lambda: VectorFlowRegressor(network=L.Linear()(L.Input(slice(0, 9)))).fit(X, Y), ValueError, "Input.*ONNX"),
        (lambda: VectorFlowRegressor(loss="mixture_density", **SMALL).fit(X, Y), ValueError, "inverse_link"),
        (lambda: VectorFlowClassifier(loss=OwnProbabilities(), **SMALL).fit(X, Y > 0), ValueError, "predict_proba"),
        (lambda: VectorFlowSurvivalEstimator(**SMALL).fit(X, (Y > 0, np.exp(Y))), TypeError, "Survival"),
        (lambda: X, TypeError, "Only VectorFlowClassifier"),
        (lambda: VectorFlowRegressor(), ValueError, "not fitted"),
    ],
)
@pytest.mark.filterwarnings("ignore:The fit ended worse")
def test_what_has_no_such_form_is_refused(model, error, match):
    with pytest.raises(error, match=match):
        to_onnx(model())


def test_methods_that_are_not_there():
    with pytest.raises(ValueError, match="method must be one of"):
        to_onnx(VectorFlowRegressor(**SMALL).fit(X, Y), "predict_proba")


def test_without_onnx_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "onnx", None)
    with pytest.raises(ImportError, match=r"pip install 'sklearn-vectorflow\[onnx\]'"):
        to_onnx(VectorFlowRegressor(**SMALL).fit(X, Y))
