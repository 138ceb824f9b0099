"""Crosses of features as a transformer."""

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from sklearn_vectorflow.io.encoded import encoded, first_block, frames_of
from sklearn_vectorflow.io.matrix import as_matrix
from sklearn_vectorflow.io.source import is_source
from sklearn_vectorflow.layers.crosses import plan_crosses
from sklearn_vectorflow.preprocessing.encoding.sources import frozen
from sklearn_vectorflow.validation.types import Array, RowsLike, SparseMatrix


class FeatureCrosser(TransformerMixin, BaseEstimator, auto_wrap_output_keys=None):  # type: ignore[call-arg]
    """Crosses (products) of columns from different groups, hashed into a sparse matrix.

    The transformer learns only the columns of the data. Its features are, bit for bit, those of the layer
    :class:`sklearn_vectorflow.layers.Crosses`, which computes them during training instead of storing them. It ignores
    ``set_config(transform_output=...)``: its output is always sparse.

    Parameters
    ----------
    crosses : list of tuple
        Crosses, each a tuple of one to eight groups. If a cross has a group twice, its features are the pairs of
        distinct columns of this group.
    groups : dict of {name: columns} or array-like of shape (n_columns,)
        Columns of X in each group, as a slice, column numbers or feature names (like
        ``ColumnTransformer.output_indices_``), or the group of each column.
    n_features : int, default=2**22
        Number of columns into which crosses are hashed.

    Attributes
    ----------
    n_features_in_ : int
        Number of columns seen during `fit`.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns, if X was a data frame with string column names.

    Examples
    --------
    >>> from scipy.sparse import csr_matrix
    >>> from sklearn_vectorflow.preprocessing import FeatureCrosser
    >>> X = csr_matrix([[1.0, 0.0, 2.0, 3.0]])
    >>> crosser = FeatureCrosser([("a", "b")], {"a": [0, 1], "b": [2, 3]}, n_features=1000)
    >>> crosser.fit_transform(X).data
    array([2., 3.], dtype=float32)
    """

    def __init__(
        self, crosses: Sequence[Sequence[Any]], groups: Mapping[Any, Any] | ArrayLike, n_features: int = 2**22
    ) -> None:
        self.crosses = crosses
        self.groups = groups
        self.n_features = n_features

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.requires_fit = True
        return tags

    def fit(self, X: RowsLike, y: Any = None) -> Self:
        """Check crosses and groups against the columns of X.

        Parameters
        ----------
        X : {array-like, sparse matrix, data frame} of shape (n_rows, n_columns), or source
            Rows. Of a source (see :mod:`sklearn_vectorflow.io`), `fit` reads the first block.
        y : None
            Ignored.

        Returns
        -------
        self : object
            The transformer.

        Raises
        ------
        TypeError, ValueError
            If groups or crosses are invalid for X.
        """
        if is_source(X):
            X = first_block(frames_of(X, tables=False)).X
        as_matrix(self, X, reset=True)
        self._plan()
        return self

    def transform(self, X: RowsLike) -> SparseMatrix:
        """Return the crossed rows.

        Parameters
        ----------
        X : {array-like, sparse matrix, data frame} of shape (n_rows, n_columns), or source
            Rows.

        Returns
        -------
        crossed : csr_matrix of float32, shape (n_rows, `n_features`)
            Crosses. No column occurs twice in a row, but columns are not sorted. For a source, the result is a source
            that computes the crosses of each block when it is read.
        """
        check_is_fitted(self, "n_features_in_")
        if is_source(X):
            return encoded(X, frozen(self), tables=False)
        matrix = as_matrix(self, X, reset=False)
        if not matrix.rows.canonical:
            matrix = matrix.summed()
        plan, n_rows = self._plan(), matrix.shape[0]
        longest = plan.longest(matrix.rows)
        lengths = np.empty(n_rows, dtype=np.int64)
        plan.write(matrix.rows, longest, lengths)
        indptr = np.concatenate([[0], np.cumsum(lengths)])
        indices, values = np.empty(indptr[-1], dtype=np.int32), np.empty(indptr[-1], dtype=np.float32)
        plan.write(matrix.rows, longest, lengths, indices, values, indptr)
        return sparse.csr_matrix((values, indices, indptr), shape=(n_rows, self.n_features))

    def get_feature_names_out(self, input_features: ArrayLike | None = None) -> Array:
        """Return the names of the hashed features.

        Returns
        -------
        names : ndarray of str objects, shape (`n_features`,)
        """
        check_is_fitted(self, "n_features_in_")
        return np.array([f"cross{k}" for k in range(self.n_features)], dtype=object)

    def _plan(self):
        return plan_crosses(
            "FeatureCrosser",
            self.crosses,
            self.groups,
            self.n_features,
            self.n_features_in_,
            getattr(self, "feature_names_in_", None),
        )
