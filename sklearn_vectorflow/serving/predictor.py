"""Predictions of single rows and small batches with low fixed costs of a call."""

import copy
import threading
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from sklearn_vectorflow.engine.net import plan as engine
from sklearn_vectorflow.engine.net.worker import Worker
from sklearn_vectorflow.layers import Crosses
from sklearn_vectorflow.network.forward import RawOutputs, rows_ahead
from sklearn_vectorflow.serving.requests import Requests
from sklearn_vectorflow.validation.types import Array, SparseMatrix

Row = Mapping[Any, float] | tuple[ArrayLike, ArrayLike]


class Predictor:
    """A fast form of a prediction method of a fitted estimator. Create it with the estimator's method ``predictor``.

    It returns the same predictions as the method and runs in the caller's thread. Several threads may call it at once.
    It does work that does not depend on the rows only once, and checks only what memory safety requires. Later training
    does not affect it: create a new one after ``partial_fit``.

    Parameters
    ----------
    estimator : estimator
        Fitted estimator.
    method : str
        Name of a method that takes only X.
    """

    def __init__(self, estimator: Any, method: str) -> None:
        self._made_of = copy.copy(estimator), method  # whose classes stay when the estimator is fitted anew
        self._predict = getattr(*self._made_of)
        self._network = estimator.network_
        self._n_outputs = self._network.n_outputs
        names = getattr(estimator, "feature_names_in_", ())
        self._requests = Requests(self._network, names)
        self._crossed = any(isinstance(place.layer, Crosses) for place in self._network.graph.places)
        self._own = threading.local()

    def __reduce__(self):
        return Predictor, self._made_of

    def __call__(self, X: SparseMatrix | Row | list[Row]) -> Array:
        """Predict for rows.

        Parameters
        ----------
        X : CSR matrix or array of shape (n_rows, n_features), dict, tuple (columns, values), or list
            A matrix, one row, or a list of rows. A row is a dict from columns to values, or a pair of an array of
            columns and an array of values. The keys of a dict are column numbers or, if the model was fitted to a data
            frame, column names. Values of other types than float32 and float64 are converted.

        Returns
        -------
        prediction : ndarray
            What the method returns for X.

        Raises
        ------
        TypeError
            If X has another type, or does not contain numbers.
        ValueError
            If X has another number of columns than in `fit`, unknown names or column numbers, or values that are not
            finite.
        """
        rows = self._requests.read(X)
        raw = np.empty((rows.n_rows, self._n_outputs), dtype=np.float32)
        if rows.n_rows:
            ahead = rows_ahead(rows, self._network) if rows.n_rows > 1 else 0
            self._worker(rows).predict(rows, engine.Clock(), 0, rows.n_rows, raw, ahead)
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
