"""Predictions of single rows and small batches, where the fixed cost of a call counts."""

import copy
import threading
from typing import Any

import numpy as np
from scipy import sparse

from sklearn_vectorflow.engine.net import plan as engine
from sklearn_vectorflow.engine.net.worker import Worker
from sklearn_vectorflow.io.matrix import Matrix
from sklearn_vectorflow.layers import Crosses
from sklearn_vectorflow.network.forward import RawOutputs, readable, rows_ahead
from sklearn_vectorflow.validation.types import Array, SparseMatrix


class Predictor:
    """A method of a fitted estimator, for rows one by one.

    Made by the estimator's ``predictor``. It gives what the method gives, in the caller's thread, and may be called
    by several threads at once. What does not depend on the rows is done once. Of a call's input only what memory
    safety needs is checked. It is of the model at the time; after ``partial_fit`` make another one.

    Parameters
    ----------
    estimator : estimator
        Fitted.
    method : str
        Name of one of its methods that take X alone.
    """

    def __init__(self, estimator: Any, method: str) -> None:
        self._made_of = copy.copy(estimator), method  # whose classes stay when the estimator is fitted anew
        self._predict = getattr(*self._made_of)
        self._network = estimator.network_
        self._crossed = any(isinstance(place.layer, Crosses) for place in self._network.graph.places)
        self._own = threading.local()

    def __reduce__(self):
        return Predictor, self._made_of

    def __call__(self, X: SparseMatrix) -> Array:
        """Predict.

        Parameters
        ----------
        X : CSR matrix or array of shape (n_rows, n_features)
            Other numbers than float32 and float64 are converted.

        Returns
        -------
        prediction : ndarray
            What the method returns for X.

        Raises
        ------
        TypeError
            If X is not CSR, or holds no numbers.
        ValueError
            If X has another number of columns than in `fit`, indices outside of them, or values that are not finite.
        """
        if not sparse.issparse(X) or X.format != "csr":
            raise TypeError(f"X must be a CSR matrix or array, got {type(X).__name__}.")
        if X.ndim != 2 or X.shape[1] != self._network.n_features:
            raise ValueError(
                f"X has the shape {X.shape}, but the model was fitted on {self._network.n_features} columns."
            )
        matrix = readable(Matrix(X), self._network)
        raw = np.empty((X.shape[0], self._network.n_outputs), dtype=np.float32)
        if X.shape[0]:
            ahead = rows_ahead(matrix, self._network)
            self._worker(matrix.rows).predict(matrix.rows, engine.Clock(), 0, X.shape[0], raw, ahead)
        return self._predict(RawOutputs(raw.astype(np.float64), None, None))

    def _worker(self, rows):
        """Return this thread's worker, with room for the longest row."""
        own = self._own
        if not hasattr(own, "net"):
            own.net, own.room = self._network.fixed_net(), -1
        if rows.longest > own.room or self._crossed:
            own.room = max(2 * rows.longest, 64)
            own.net.measure(rows)
            own.worker = Worker(own.net, own.room)
        return own.worker
