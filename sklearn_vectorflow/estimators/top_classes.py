"""The likeliest classes of rows, where there are many."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from sklearn_vectorflow.engine.top_k import top_k
from sklearn_vectorflow.validation.scalars import check_flag, check_integer
from sklearn_vectorflow.validation.types import RowsLike


class TopClassesMixin:
    """`predict_top_k` of classifiers."""

    def predict_top_k(
        self, X: RowsLike, k: int = 5, return_scores: bool = False, *, offset: ArrayLike | None = None
    ) -> Any:
        """Return the k likeliest classes, or labels, of every row, the likeliest first.

        Scores are exact, and those of a few rows are in memory at once.

        Parameters
        ----------
        X : {array-like, sparse matrix, data frame} of shape (n_rows, n_features), or source
            Rows.
        k : int, default=5
            How many; at most the number of classes.
        return_scores : bool, default=False
            Whether to return the classes' raw outputs too, as :meth:`decision_function` gives
            them. A single raw output f of two classes stands for -f and f.
        offset : array-like of shape (n_rows,) or (n_rows, n_outputs), default=None
            Added to the raw outputs, as in :meth:`fit`.

        Returns
        -------
        classes : ndarray of shape (n_rows, k)
            Of `classes_`; where scores are equal, the first of them comes first.
        scores : ndarray of float64, shape (n_rows, k)
            If `return_scores`.

        Raises
        ------
        TypeError, ValueError
            If k is not an integer in 1 ... n_classes.
        """
        check_integer("k", k, 1)
        check_flag("return_scores", return_scores)
        parts = self._map_raw(X, lambda raw: self._top_k(raw, k), offset)
        indices, scores = (np.concatenate(arrays) for arrays in zip(*parts))
        classes = self.classes_[indices]
        return (classes, scores.astype(np.float64)) if return_scores else classes

    def _top_k(self, raw, k):
        """Return the places and scores of the k largest raw outputs of some rows."""
        if k > len(self.classes_):
            raise ValueError(f"k must be at most {len(self.classes_)}, the number of classes, got {k}.")
        if raw.shape[1] == 1 < len(self.classes_):
            raw = np.hstack([-raw, raw])
        return top_k(np.ascontiguousarray(raw, dtype=np.float32), k)
