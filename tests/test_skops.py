"""skops loads every kind of model with no other trust than `trusted_types`."""

import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse
from sklearn.pipeline import make_pipeline

import sklearn_vectorflow
from sklearn_vectorflow import VectorFlowClassifier, VectorFlowRegressor, VectorFlowSurvivalEstimator, trusted_types
from sklearn_vectorflow.layers import SELU, Dropout, Input, Linear, Logistic, Multiply, Tanh
from sklearn_vectorflow.losses import MixtureDensity, QuantileLoss
from sklearn_vectorflow.optimizers import FTRL, SGD, AdaGrad, Adam
from sklearn_vectorflow.penalties import L1, L2, ElasticNet, NonNegative, Orthogonal
from sklearn_vectorflow.preprocessing import HashingEncoder, Numeric, Text

sys.path.append(str(Path(__file__).parent / "robustness"))

import mutated_pickles as pickles

skops = pytest.importorskip("skops.io")

X, Y = pickles.X, pickles.Y


def quick(kind, *args, **params):
    return kind(*args, max_iter=1, tol=None, random_state=0, **params)


def deep():
    x = Input([0, 3, 5])
    both = Multiply()([Linear(3)(Tanh()(Linear(2)(x))), Linear(3)(Logistic()(Linear(2, init=np.ones((3, 2)))(x)))])
    return Linear(3)(SELU()(Dropout(0.1)(both)))


MORE = {
    "regression": lambda: quick(VectorFlowRegressor, loss=QuantileLoss(0.3), optimizer=AdaGrad()).fit(X, Y),
    "far targets": lambda: quick(VectorFlowRegressor, average=True).fit(X, Y + 1e5),
    "density": lambda: quick(VectorFlowRegressor, loss=MixtureDensity(2), optimizer=Adam()).fit(X, Y),
    "penalties": lambda: quick(VectorFlowClassifier, penalty=[ElasticNet(0.1), NonNegative()]).fit(X, Y),
    "more penalties": lambda: quick(VectorFlowClassifier, penalty=[L1(0.1), L2(0.1)], optimizer=SGD()).fit(X, Y),
    "orthogonal": lambda: quick(VectorFlowClassifier, (4,), penalty=[Orthogonal(0.1)], warm_start=True).fit(X, Y),
    "ftrl": lambda: quick(VectorFlowClassifier, optimizer=FTRL(), solver="sgd").fit(X, Y),
    "exact": lambda: VectorFlowClassifier(solver="exact").fit(X, Y),
    "deep": lambda: quick(VectorFlowClassifier, network=deep()).fit(X, Y),
    "sampled labels": lambda: quick(VectorFlowClassifier, loss="sampled_log_loss").partial_fit(
        X, sparse.csr_array(np.eye(3, dtype=int)[Y])
    ),
    **{
        distribution: lambda distribution=distribution: quick(VectorFlowSurvivalEstimator, distribution).fit(
            X, (Y > 0, Y + 1.0)
        )
        for distribution in ("weibull", "lognormal", "loglogistic", "piecewise_exponential", "discrete", "cox")
    },
}


def made(name):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return MORE[name]() if name in MORE else pickles.model(name)


@pytest.mark.parametrize("name", [*pickles.MODELS, *MORE])
def test_every_kind_of_model_is_loaded_with_the_types_that_are_trusted(name):
    model = made(name)
    content = skops.dumps(model)
    assert set(skops.get_untrusted_types(data=content)) <= set(trusted_types())
    again = skops.loads(content, trusted=trusted_types())
    rows = pickles.ROWS if name == "encoder" else X
    method = "transform" if name in ("encoder", "crosser") else "predict"
    mine, theirs = getattr(again, method)(rows), getattr(model, method)(rows)
    assert (mine != theirs).nnz == 0 if sparse.issparse(mine) else np.array_equal(mine, theirs)


def test_a_pipeline_is_loaded_so():
    pd = pytest.importorskip("pandas")
    rows = pd.DataFrame({"text": [f"w{k % 7} a" for k in range(80)], "size": [k % 11 / 11 for k in range(80)]})
    encoder = HashingEncoder(8, columns={"text": Text(), "size": Numeric("standard")}, min_count=2, sketch_bits=4)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pipeline = make_pipeline(encoder, quick(VectorFlowRegressor)).fit(rows, Y)
    again = skops.loads(skops.dumps(pipeline), trusted=trusted_types())
    np.testing.assert_array_equal(again.predict(rows), pipeline.predict(rows))


def test_only_types_of_the_package_are_trusted():
    assert {name.rpartition(".")[0].split(".")[0] for name in trusted_types()} == {"sklearn_vectorflow", "scipy"}
    foreign = [name for name in trusted_types() if not name.startswith("sklearn_vectorflow.")]
    assert all(name.startswith("scipy.sparse._cs") for name in foreign)


def test_all_that_users_can_name_is_trusted():
    for room in ("layers", "losses", "optimizers", "penalties", "preprocessing"):
        for name, thing in vars(getattr(sklearn_vectorflow, room)).items():
            if isinstance(thing, type) and not name.startswith("_") and thing.__module__.startswith("sklearn_vector"):
                assert f"{thing.__module__}.{thing.__qualname__}" in trusted_types()
