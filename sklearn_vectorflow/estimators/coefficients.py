"""Weights of linear models under scikit-learn's names."""

from typing import Any, Self

from scipy import sparse
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from sklearn_vectorflow.validation.types import Array


def _is_linear(estimator):
    return estimator.network is None and len(estimator.hidden_layer_sizes) == 0


class LinearModelMixin:
    """`coef_`, `intercept_` and `sparsify` for models without hidden layers."""

    def _check_linear(self, name):
        check_is_fitted(self, "network_")
        if not self.network_.is_linear:
            raise AttributeError(f"{name} exists for linear models only; a net has coefs_ and intercepts_.")

    @property
    def coef_(self) -> Any:
        """Weights of a linear model, shape (n_outputs, n_features); a view."""
        self._check_linear("coef_")
        coef = self.network_.coef()
        return coef if sparse.issparse(coef) or not self._flat_coef or len(coef) > 1 else coef[0]

    @property
    def intercept_(self) -> Array:
        """Intercepts of a linear model, shape (n_outputs,)."""
        self._check_linear("intercept_")
        return self.network_.intercepts()[0]

    @property
    def _flat_coef(self):
        return getattr(self, "_single_target", False)

    @available_if(_is_linear)
    def sparsify(self) -> Self:
        """Turn `coef_` into a sparse matrix and give back the memory of zero weights.

        Worthwhile if more than half of the weights are zero, as L1 penalties make them.
        Training with `partial_fit` goes on from the sparse weights, but not from the optimizer's state,
        which is given back, too: its first steps are those of a new model.

        Returns
        -------
        self : object
            The fitted estimator.
        """
        with self._turn.lock:
            self._check_linear("coef_")
            self.network_.sparsify()
        return self

    @available_if(_is_linear)
    def densify(self) -> Self:
        """Turn `coef_` back into an array.

        Returns
        -------
        self : object
            The fitted estimator.
        """
        with self._turn.lock:
            self._check_linear("coef_")
            self.network_.densify()
        return self
