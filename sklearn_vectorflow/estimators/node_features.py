"""Outputs of a net's nodes as features."""

from typing import Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import TransformerMixin
from sklearn.utils import TransformerTags
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from sklearn_vectorflow.estimators.parameters import asks_for_linear
from sklearn_vectorflow.layers import Node
from sklearn_vectorflow.network.forward import outputs
from sklearn_vectorflow.validation.types import Array, RowsLike, TargetLike


def _is_net(estimator):
    """Raise, so that `available_if` says why not, unless the parameters ask for a net."""
    if asks_for_linear(estimator):
        raise AttributeError(
            "Only nets give outputs of hidden nodes as features, and this model is linear: set hidden_layer_sizes or "
            "network."
        )
    return True


class _Named(TransformerMixin):
    """Features with names, in the container that scikit-learn's settings ask for."""

    def __init__(self, features, names):
        self.features, self.names = features, names

    def transform(self, X):
        """Return the features of X."""
        return self.features

    def get_feature_names_out(self, input_features=None):
        """Return the names."""
        return self.names


class NodeFeaturesMixin:
    """`transform` and `get_feature_names_out` of models with hidden nodes."""

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        if not asks_for_linear(self):
            tags.transformer_tags = TransformerTags(preserves_dtype=[])
        return tags

    @available_if(_is_net)
    def fit_transform(self, X: RowsLike, y: TargetLike = None, **fit_params: Any) -> Array:
        """Fit the model and transform the training rows.

        Parameters
        ----------
        X, y, **fit_params
            As for :meth:`fit`.

        Returns
        -------
        features : ndarray of float32, shape (n_rows, width of the node)
        """
        return self.fit(X, y, **fit_params).transform(X)

    @available_if(_is_net)
    def transform(self, X: RowsLike, node: Node | str | None = None) -> Array:
        """Return the outputs of a node of the net, for instance as embeddings.

        Parameters
        ----------
        X : {array-like, sparse matrix, data frame} of shape (n_rows, n_features)
            Rows.
        node : Node or str, default=None
            A node of `network`, or the name of its layer. None means the node that the last layer with weights reads.

        Returns
        -------
        features : ndarray of float32, shape (n_rows, width of the node); or a data frame
            See :meth:`set_output`.
        """
        place = self._place(node)
        features = self._run(X, lambda *run: outputs(*run, place))  # type: ignore[call-arg]
        named = _Named(features, self.get_feature_names_out(node=node))
        vars(named).update({name: value for name, value in vars(self).items() if name == "_sklearn_output_config"})
        return named.transform(X)

    @available_if(_is_net)
    def set_output(self, *, transform: Literal["default", "pandas", "polars"] | None = None) -> Self:
        """Choose what :meth:`transform` returns.

        Parameters
        ----------
        transform : {"default", "pandas", "polars"}, default=None
            "default" is an array, the others are data frames. None keeps the setting.

        Returns
        -------
        self : object
        """
        config = vars(_Named(None, None).set_output(transform=transform)).get("_sklearn_output_config")
        if config is not None:
            self._sklearn_output_config = config  # where scikit-learn's clone looks for it
        return self

    @available_if(_is_net)
    def get_feature_names_out(
        self, input_features: ArrayLike | None = None, *, node: Node | str | None = None
    ) -> Array:
        """Return the names of the features that :meth:`transform` returns.

        Parameters
        ----------
        input_features : array-like of str, default=None
            Ignored; for compatibility with scikit-learn.
        node : Node or str, default=None
            As in :meth:`transform`.

        Returns
        -------
        names : ndarray of str objects
            Name of the node's layer (or of its class), followed by a number from 0 on.
        """
        place = self._place(node)
        stem = place.layer.name or type(place.layer).__name__.lower()
        return np.array([f"{stem}{k}" for k in range(place.width)], dtype=object)

    def _place(self, node):
        check_is_fitted(self, "network_")
        graph = self.network_.graph
        if node is None:
            place = graph.places[[place for place in graph.weighted if place.inputs][-1].inputs[0]]
        else:
            place = graph.find(node)
        if place.sparse:
            raise ValueError(
                f"node: {place.label} returns rows of X, not features. Name a node after a layer with weights."
            )
        return place
