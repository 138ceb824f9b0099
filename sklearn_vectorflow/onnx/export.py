"""Fitted estimators as ONNX models."""

from typing import Any

from sklearn.utils.validation import check_is_fitted

from sklearn_vectorflow.estimators.base import BaseVectorFlow
from sklearn_vectorflow.onnx.network import raw_outputs
from sklearn_vectorflow.onnx.outputs import METHODS
from sklearn_vectorflow.onnx.writer import Writer
from sklearn_vectorflow.validation.errors import brief
from sklearn_vectorflow.validation.scalars import check_choice


def to_onnx(estimator: Any, method: str | None = None) -> Any:
    """Convert a prediction method of a fitted estimator to an ONNX model.

    The inputs of the model are the three arrays of a CSR matrix. Its output is the prediction in single precision.

    - ``indices``, int64 of shape (n_values,): column of each value.
    - ``offsets``, int64 of shape (n_rows + 1,): row pointers.
    - ``values``, float32 of shape (n_values,): values.

    The model gathers the weights of each value's column and sums up the products of each row. The dense layers of a net
    follow. Runtimes must support operator set 18.

    Parameters
    ----------
    estimator : VectorFlowClassifier, VectorFlowRegressor or VectorFlowRanker
        Fitted estimator. Its net may have linear layers, activations, dropout, sums, products and concatenations, on
        all columns.
    method : {"predict", "predict_proba", "decision_function"}, default=None
        Method to convert. None means `predict_proba` if the estimator has it, else `predict`.

    Returns
    -------
    model : onnx.ModelProto
        Model for ``onnx.save``. Its output has the name of the method.

    Raises
    ------
    ImportError
        If onnx is not installed.
    TypeError, ValueError
        If the estimator, its loss or a layer of its net cannot be converted.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy import sparse
    >>> from sklearn_vectorflow import VectorFlowRegressor
    >>> from sklearn_vectorflow.onnx import to_onnx
    >>> X = sparse.random(100, 1000, density=0.01, format="csr", random_state=0, dtype=np.float32)
    >>> model = VectorFlowRegressor(random_state=0).fit(X, X.sum(axis=1).A1)
    >>> exported = to_onnx(model)  # doctest: +SKIP
    >>> [one.name for one in exported.graph.input]  # doctest: +SKIP
    ['indices', 'offsets', 'values']
    """
    if not isinstance(estimator, BaseVectorFlow) or type(estimator) not in METHODS:
        names = ", ".join(kind.__name__ for kind in METHODS)
        raise TypeError(f"Only {names} can be written as ONNX, got {brief(estimator)}.")
    check_is_fitted(estimator, "network_")
    offered = {name: write for name, write in METHODS[type(estimator)].items() if hasattr(estimator, name)}
    method = next(iter(offered)) if method is None else method
    check_choice("method", method, offered)
    writer = Writer()
    return writer.model(offered[method](estimator, writer, raw_outputs(estimator.network_, writer)), method)
