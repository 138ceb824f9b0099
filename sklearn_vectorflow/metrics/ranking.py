"""Measures of rankings within queries."""

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import check_consistent_length
from sklearn.utils.validation import column_or_1d

from sklearn_vectorflow.validation.arrays import check_names_of_groups, check_sample_weight
from sklearn_vectorflow.validation.scalars import check_integer


def mean_ndcg(
    y: ArrayLike,
    score: ArrayLike,
    qid: ArrayLike,
    *,
    k: int | None = None,
    sample_weight: ArrayLike | None = None,
) -> float:
    """Compute the normalised discounted cumulative gain (NDCG), averaged over queries.

    The gain of a row is ``2**y - 1``, its discount ``1 / log2(1 + rank)``. Rows with equal scores share the mean of
    their discounts, so the order of rows does not matter. As in LightGBM, a query without relevant rows counts as 1.

    Parameters
    ----------
    y : array-like of shape (n_rows,)
        Relevance of each row to its query, >= 0.
    score : array-like of shape (n_rows,)
        Scores. Within a query, rows with higher scores come first.
    qid : array-like of shape (n_rows,)
        Query of each row. The rows may have any order.
    k : int, default=None
        Number of top-ranked rows of each query to count. None counts all.
    sample_weight : array-like of shape (n_rows,), default=None
        Weights of the rows, >= 0. The weight of a query is the mean of those of its rows.

    Returns
    -------
    ndcg : float
        Mean NDCG in [0, 1].

    References
    ----------
    Järvelin and Kekäläinen (2002), "Cumulated gain-based evaluation of IR techniques", doi:10.1145/582415.582418.

    Examples
    --------
    >>> from sklearn_vectorflow.metrics import mean_ndcg
    >>> mean_ndcg([0, 1, 0, 2], [0.1, 0.9, 0.3, 0.7], [0, 0, 1, 1])
    1.0
    """
    check_consistent_length(y, score, qid)
    y, score = column_or_1d(y, dtype=np.float64), column_or_1d(score, dtype=np.float64)
    if k is not None:
        check_integer("k", k, 1)
    if not np.all(np.isfinite(score)):
        raise ValueError("score contains NaN or infinity.")
    if not np.all((y >= 0) & np.isfinite(y)):
        raise ValueError("y must be finite relevances >= 0 without NaN.")
    if len(y) == 0:
        raise ValueError("y must have at least one row, got 0.")
    qid = column_or_1d(qid)
    check_names_of_groups(qid, "qid")
    _, query = np.unique(qid, return_inverse=True)
    gain = _gains(y, query)
    dcg, ideal = _dcg(query, gain, score, k), _dcg(query, gain, gain, k)
    ndcg = np.divide(dcg, ideal, out=np.ones_like(dcg), where=ideal > 0)
    weight = check_sample_weight(sample_weight, len(y))
    if weight is None:
        return float(ndcg.mean())
    return float(np.average(ndcg, weights=np.bincount(query, weight) / np.bincount(query)))


def _gains(y, query):
    """The gains ``2**y - 1``, over two to the largest y of the query: they stay finite, and ratios are the same."""
    largest = np.zeros(query.max() + 1)
    np.maximum.at(largest, query, y)
    return np.exp2(y - largest[query]) * -np.expm1(-y * np.log(2.0))


def _dcg(query, gain, score, k):
    """The discounted cumulative gain of every query; equal scores share their discounts."""
    order = np.lexsort((-score, query))
    query, gain, score = query[order], gain[order], score[order]
    new_query = np.concatenate([[True], query[1:] != query[:-1]])
    rank = np.arange(len(query)) - np.flatnonzero(new_query)[query]
    discount = 1.0 / np.log2(2.0 + rank)
    if k is not None:
        discount[rank >= k] = 0.0
    new_tie = new_query | np.concatenate([[True], score[1:] != score[:-1]])
    starts = np.flatnonzero(new_tie)
    shared = np.add.reduceat(discount, starts) / np.diff(np.append(starts, len(query)))
    return np.bincount(query, weights=gain * shared[np.cumsum(new_tie) - 1])
