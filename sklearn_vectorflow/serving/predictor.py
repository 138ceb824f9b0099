"""Predictions of single rows and small batches, where the fixed cost of a call counts."""

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
        self._n_outputs = self._network.n_outputs
        names = getattr(estimator, "feature_names_in_", ())
        self._requests = Requests(self._network, names)
        self._crossed = any(isinstance(place.layer, Crosses) for place in self._network.graph.places)
        self._own = threading.local()

    def __reduce__(self):
        return Predictor, self._made_of

    def __call__(self, X: SparseMatrix | Row | list[Row]) -> Array:
        """Predict.

        Parameters
        ----------
        X : CSR matrix or array of shape (n_rows, n_features), dict, tuple (columns, values), or list
            A matrix; or one row, as a dict of its columns and their values, or as an array of columns and an array
            of values; or a list of such rows. The keys of a dict are numbers of columns, or their names if the
            model was fitted on a data frame. Other values than float32 and float64 are converted.

        Returns
        -------
        prediction : ndarray
            What the method returns for X.

        Raises
        ------
        TypeError
            If X is none of these, or holds no numbers.
        ValueError
            If X has another number of columns than in `fit`, names or indices that are not among them, or values
            that are not finite.
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
