"""Linear models and shallow nets for extremely sparse rows, as scikit-learn estimators."""

from pathlib import Path

try:
    from sklearn_vectorflow.engine import data as _compiled  # noqa: F401
except ImportError as error:
    folder = Path(__file__).parent
    if not (folder.parent / "pyproject.toml").exists():
        raise
    raise ImportError(
        f"{folder} holds the sources of sklearn_vectorflow, whose compiled modules are not beside them. Python found "
        "it before any installed package because it started in the checkout. Start Python elsewhere, or make an "
        "editable install (see CONTRIBUTING.md)."
    ) from error

from sklearn_vectorflow.estimators.classifier import VectorFlowClassifier
from sklearn_vectorflow.estimators.loading import load, trusted_types
from sklearn_vectorflow.estimators.ranker import VectorFlowRanker
from sklearn_vectorflow.estimators.regressor import VectorFlowRegressor
from sklearn_vectorflow.estimators.survival import VectorFlowSurvivalEstimator

__version__ = "0.1.0"

__all__ = [
    "VectorFlowClassifier",
    "VectorFlowRanker",
    "VectorFlowRegressor",
    "VectorFlowSurvivalEstimator",
    "get_include",
    "load",
    "trusted_types",
]


def get_include() -> str:
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
