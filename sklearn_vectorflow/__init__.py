"""Linear models and shallow nets for extremely sparse rows, as scikit-learn estimators."""
from pathlib import Path

from sklearn_vectorflow.classifier import VectorFlowClassifier
from sklearn_vectorflow.ranker import VectorFlowRanker
from sklearn_vectorflow.regressor import VectorFlowRegressor
from sklearn_vectorflow.survival import VectorFlowSurvivalEstimator

__version__ = "0.1.0"

__all__ = [
    "VectorFlowClassifier",
    "VectorFlowRanker",
    "VectorFlowRegressor",
    "VectorFlowSurvivalEstimator",
    "get_include",
]


def get_include():
    """Return the folder with the C header of the loss contract, for compilers.

    Losses compiled elsewhere include ``kernels/contract.h`` from it, or, in Cython, cimport
    ``sklearn_vectorflow.engine.contract`` and ``sklearn_vectorflow.engine.losses.capsule``.

    Returns
    -------
    folder : str

    Examples
    --------
    >>> import os, sklearn_vectorflow
    >>> os.path.exists(os.path.join(sklearn_vectorflow.get_include(), "kernels", "contract.h"))
    True
    """
    return str(Path(__file__).parent / "engine")
