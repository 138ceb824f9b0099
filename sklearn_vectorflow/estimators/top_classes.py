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
        """Return the k most likely classes, or labels, of each row, the most likely first.

        Scores are exact. Only those of a few rows are in memory at a time.

        Parameters
        ----------
        X : {array-like, sparse matrix, data frame} of shape (n_rows, n_features), or source
            Rows.
        k : int, default=5
            Number of classes to return, at most `n_classes`.
        return_scores : bool, default=False
            Whether to also return the raw outputs of the classes, as in :meth:`decision_function`. For a single raw
            output f of two classes they are -f and f.
        offset : array-like of shape (n_rows,) or (n_rows, n_outputs), default=None
            Added to the raw outputs, as in :meth:`fit`.

        Returns
        -------
        classes : ndarray of shape (n_rows, k)
            Entries of `classes_`. Among equal scores, the first class comes first.
        scores : ndarray of float64, shape (n_rows, k)
            Raw outputs of these classes, only if `return_scores`.

        Raises
        ------
        TypeError, ValueError
            If k is not an integer from 1 to n_classes.
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
