"""The estimators on Dask, for rows that are spread over processes or machines.

They need the extra ``dask``: ``pip install sklearn-vectorflow[dask]``.
"""

try:
    import distributed as _distributed  # noqa: F401
except ImportError as error:
    raise ImportError(
        "sklearn_vectorflow.dask needs dask and distributed: pip install 'sklearn-vectorflow[dask]'."
    ) from error

from sklearn_vectorflow.dask.estimators import (
    DaskVectorFlowClassifier,
    DaskVectorFlowRanker,
    DaskVectorFlowRegressor,
    DaskVectorFlowSurvivalEstimator,
)

__all__ = [
    "DaskVectorFlowClassifier",
    "DaskVectorFlowRanker",
    "DaskVectorFlowRegressor",
    "DaskVectorFlowSurvivalEstimator",
]
