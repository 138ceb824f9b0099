"""Weights of linear models under scikit-learn's names."""

from typing import Any, Self

import numpy as np
from scipy import sparse
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from sklearn_vectorflow.estimators.parameters import asks_for_linear
from sklearn_vectorflow.estimators.top_features import largest_weights, named
from sklearn_vectorflow.exact.inference import table
from sklearn_vectorflow.validation.arrays import check_numbers
from sklearn_vectorflow.validation.errors import brief
from sklearn_vectorflow.validation.scalars import check_integer
from sklearn_vectorflow.validation.types import Array


def _initial(name, values, shape):
    """Return weights to start from; those of one output may lack its dimension.

    Raises
    ------
    TypeError, ValueError
        If they are no finite numbers of the shape.
    """
    values = check_numbers(name, values.toarray() if sparse.issparse(values) else values)
    if np.abs(values).max(initial=0.0) > np.finfo(np.float32).max:
        raise ValueError(f"{name} has values too large for float32, up to {np.abs(values).max():g}.")
    if values.shape == shape[1:] and shape[0] == 1 or values.shape == () and shape == (1,):
        values = values.reshape(shape)
    if values.shape != shape:
        raise ValueError(f"{name} must have shape {shape}, got {values.shape}.")
    return values


def _is_linear(estimator):
    """Raise, so that `available_if` says why not, unless the parameters ask for a linear model."""
    if not asks_for_linear(estimator):
        raise AttributeError("Only linear models have it, but hidden_layer_sizes or network defines a net.")
    return True


class LinearModelMixin:
    """`coef_`, `intercept_` and `sparsify` for models without hidden layers."""

    def _check_linear(self, name):
        check_is_fitted(self, "network_")
        if not self.network_.is_linear:
            raise AttributeError(f"{name} exists for linear models only; a net has coefs_ and intercepts_.")

    @property
    def coef_(self) -> Any:
        """Weights of a linear model, of shape (n_outputs, n_features), as a view."""
        self._check_linear("coef_")
        coef = self.network_.coef()
        return coef if sparse.issparse(coef) or not self._flat_coef or len(coef) > 1 else coef[0]

    @property
    def intercept_(self) -> Array:
        """Intercepts of a linear model, of shape (n_outputs,)."""
        self._check_linear("intercept_")
        return self.network_.intercepts()[0]

    @property
    def _flat_coef(self):
        return getattr(self, "_single_target", False)

    def _started_from(self, network, start, coef, intercept):
        """Let training start from the weights of a linear model that users give, in the units of y."""
        if coef is None and intercept is None:
            return start
        if not network.is_linear or len(network.graph.weighted) > 1:
            raise ValueError("coef_init and intercept_init need a linear model of one layer.")
        place = network.graph.weighted[0]
        if intercept is not None and not network.has_bias(place):
            raise ValueError("intercept_init needs fit_intercept=True.")
        scale, shift = self._scale_and_shift()
        if coef is not None:
            coef = _initial("coef_init", coef, (place.n_weights, place.n_in)).T / scale
        if intercept is not None:
            intercept = (_initial("intercept_init", intercept, (place.n_weights,)) - shift) / scale
        if start is not None:
            return start._replace(weights=coef, intercept=intercept)
        old = network.weights()[0], network.intercepts()[0]  # a warm start
        network.start_anew([old[0] if coef is None else coef], [old[1] if intercept is None else intercept])
        return None

    def _scale_and_shift(self):
        """Return what raw outputs are multiplied by, and what is added then, for those that users see."""
        return 1.0, 0.0

    def _labels_of_outputs(self, n):
        """Return what the raw outputs are of."""
        return [""] if n == 1 else list(range(n))

    def top_features(self, n: int = 20, output: Any = None, encoder: Any = None) -> Any:
        """Return the columns with the largest weights of a linear model, with their names.

        Weights are comparable only between columns in the same unit: scale the columns first.

        Parameters
        ----------
        n : int, default=20
            Maximum number of columns per output. Columns of weight zero are left out.
        output : object, default=None
            Class, or number of the target, whose weights to return. None returns those of all outputs in turn.
        encoder : transformer, default=None
            Transformer that made the columns: a :class:`~sklearn_vectorflow.preprocessing.HashingEncoder` fitted with
            `collect_names`, or any transformer with ``get_feature_names_out``. None takes `feature_names_in_`, or
            "x0", "x1", ... if X had no names.

        Returns
        -------
        table : DataFrame or structured array
            One row per column, in the order of decreasing absolute weight, with the fields output, column, name and
            weight. The names of features that share a hashed column are joined by " | ". The weight is that of the
            first of them, also if `alternate_sign` negates its values. A minus precedes names with the opposite weight.
            With a hashing encoder that has `min_count` there is a field count, about how often `fit` saw the names, or
            NaN if it did not count them. The result is an array if pandas is not installed.

        Raises
        ------
        ValueError
            If the model is a net or has no such output, or if the encoder makes another number of columns.
        TypeError
            If the encoder has no names.

        Examples
        --------
        >>> from sklearn.feature_extraction.text import CountVectorizer
        >>> from sklearn_vectorflow import VectorFlowClassifier
        >>> words = CountVectorizer()
        >>> X = words.fit_transform(["good film", "bad film", "good", "bad plot"])
        >>> model = VectorFlowClassifier(solver="exact", alpha=0.1).fit(X, [1, 0, 1, 0])
        >>> sorted(model.top_features(2, encoder=words)["name"])
        ['bad', 'good']
        """
        check_is_fitted(self, "network_")
        check_integer("n", n, 1)
        if not self.network_.is_linear:
            raise ValueError(
                "top_features needs a linear model, in which a column has one weight for each output. This model is a "
                "net, whose layers have weights of their own: network_[name] returns those of a layer."
            )
        coef = self.coef_ if self.coef_.ndim == 2 else self.coef_[None, :]
        labels = self._labels_of_outputs(coef.shape[0])
        if output is not None and output not in labels:
            raise ValueError(f"output must be None or one of {brief(labels)}, got {brief(output)}.")
        found = [
            (label, *largest_weights(coef[k : k + 1] if sparse.issparse(coef) else coef[k], n))
            for k, label in enumerate(labels)
            if output is None or label == output
        ]
        columns = np.concatenate([some for _, some, _ in found])
        given = getattr(self, "feature_names_in_", None)
        names, signs, counts = named(columns, encoder, self.network_.n_features, given)
        fields = {
            "output": [label for label, some, _ in found for _ in some],
            "column": columns,
            "name": names,
            "weight": signs * np.concatenate([weights for _, _, weights in found]),
        }
        return table(fields if counts is None else {**fields, "count": counts})

    @available_if(_is_linear)
    def sparsify(self) -> Self:
        """Convert `coef_` to a sparse matrix and free the memory of zero weights.

        This saves memory if more than half of the weights are zero, for instance after training with L1. It also frees
        the state of the optimizer: `partial_fit` continues from the weights, but takes its first steps like a new
        model.

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
        """Convert `coef_` back to an array.

        Returns
        -------
        self : object
            The fitted estimator.
        """
        with self._turn.lock:
            self._check_linear("coef_")
            self.network_.densify()
        return self
