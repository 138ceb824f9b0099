"""Raw outputs of fitted estimators, and what comes straight from them: predictors and weights."""

import numpy as np
from sklearn.utils.validation import check_is_fitted

from sklearn_vectorflow.io.blocks import join_targets
from sklearn_vectorflow.io.cache import as_source
from sklearn_vectorflow.io.matrix import as_matrix, n_values
from sklearn_vectorflow.io.source import check_alone, is_source
from sklearn_vectorflow.network.forward import RawOutputs, map_raw, raw_outputs
from sklearn_vectorflow.serving import Predictor
from sklearn_vectorflow.threads import Crew, n_workers
from sklearn_vectorflow.validation.errors import brief
from sklearn_vectorflow.validation.types import Array

SERVED = ("predict", "predict_proba", "decision_function")  # methods that `predictor` is for


class FittedMixin:
    """Outputs and weights of the net of a fitted estimator."""

    def _raw(self, X, offset=None):
        """Return raw outputs, float64 of shape (n_rows, n_outputs), with an offset as users give it."""
        if isinstance(X, RawOutputs) and offset is None:
            return X.raw
        check_is_fitted(self, "network_")
        if is_source(X):
            check_alone(offset=offset)
            return read_raw(self, X).raw
        raw = X.raw if isinstance(X, RawOutputs) else self._run(X, raw_outputs)
        offset = self._offset(offset, len(raw))
        return raw if offset is None else raw + offset

    def _map_raw(self, X, function, offset=None):
        """Return what a function of raw outputs, shape (n, n_outputs), makes of rows, block after block."""
        if isinstance(X, RawOutputs):
            return [function(self._raw(X, offset))]
        check_is_fitted(self, "network_")
        if is_source(X):
            check_alone(offset=offset)
            with as_source(X).checked() as blocks:
                return [part for block in blocks for part in self._map_raw(block.matrix, function, block.offset)]

        def of_matrix(network, matrix, crew):
            known = self._offset(offset, matrix.shape[0])

            def of_block(raw, start, end):
                return function(raw if known is None else raw + known[start:end])

            return map_raw(network, matrix, crew, of_block)

        return self._run(X, of_matrix)

    def _predict_rows(self, X, function, offset=None):
        """Return what a function of raw outputs, float64, predicts for rows, each by itself."""
        parts = self._map_raw(X, lambda raw: function(raw.astype(np.float64, copy=False)), offset)
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def _run(self, X, outputs):
        """Return what a function of (network, matrix, crew) gives, for rows in memory and threads enough for them."""
        model = self._draft()  # a thread that fits may swap the model meanwhile
        work = n_values(X) * sum(n_out for _, n_out in model.network_.shapes())
        with Crew(n_workers(model.n_jobs, work)) as crew:
            matrix = as_matrix(model, X, reset=False, run=crew.map if crew.n_workers > 1 else None)
            return outputs(model.network_, matrix, crew)

    def predictor(self, method: str = "predict") -> Predictor:
        """Return a fast form of a prediction method, for serving rows one by one.

        Parameters
        ----------
        method : str, default="predict"
            Name of the method.

        Returns
        -------
        predictor : Predictor
            A callable that takes CSR rows and returns what the method returns. It saves the fixed costs of a call:
            checks of the type and of column names, threads, and setting up the net.

        Raises
        ------
        ValueError
            If the estimator has no such method.
        """
        check_is_fitted(self, "network_")
        if method not in SERVED or not hasattr(self, method):
            offered = [name for name in SERVED if hasattr(self, name)]
            raise ValueError(f"method must be one of {offered}, got {brief(method)}.")
        return Predictor(self, method)

    # ---- weights -------------------------------------------------------------------

    @property
    def coefs_(self) -> list[Array]:
        """Weights of each linear layer, of shape (n_in, n_out), as views."""
        check_is_fitted(self, "network_")
        return self.network_.weights()

    @property
    def intercepts_(self) -> list[Array]:
        """Intercepts of each linear layer, of shape (n_out,), as views."""
        check_is_fitted(self, "network_")
        return self.network_.intercepts()


def rows_to_score(estimator, X, y, sample_weight, offset):
    """Return rows, targets and weights as scores take them.

    Rows of a source, which brings all of them, and rows with offsets are their raw outputs.
    """
    if is_source(X):
        check_alone(y=y, sample_weight=sample_weight, offset=offset)
        X = read_raw(estimator, X)
        return X, X.y, X.weight
    return (X if offset is None else RawOutputs(estimator._raw(X, offset), y, sample_weight)), y, sample_weight


def read_raw(estimator, X):
    """Return raw outputs, targets and weights of a source's rows."""
    with as_source(X).checked() as blocks:
        parts = [(estimator._raw(block.matrix, block.offset), block.y, block.weight) for block in blocks]
    raw, y, weight = zip(*parts)
    return RawOutputs(np.concatenate(raw), join_targets(y), join_targets(weight))
