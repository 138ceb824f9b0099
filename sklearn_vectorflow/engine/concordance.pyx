# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, freethreading_compatible=True
"""Comparable pairs of times and risks, counted in O(n log n) with a tree of sums."""
from libc.stdint cimport int64_t


cdef inline void add(double[::1] tree, int64_t place, double value) noexcept nogil:
    place += 1
    while place < tree.shape[0]:
        tree[place] += value
        place += place & -place


cdef inline double sum_below(const double[::1] tree, int64_t place) noexcept nogil:
    cdef double total = 0.0
    while place > 0:
        total += tree[place]
        place -= place & -place
    return total


def count_pairs(const int64_t[::1] order, const int64_t[::1] earlier, const int64_t[::1] later,
                const int64_t[::1] rank, const int64_t[::1] low, const int64_t[::1] high, const double[::1] weight,
                double[::1] tree, double[:, ::1] counts):
    """For rows with an event, sum the weights of the rows that outlive them, by their risk.

    Parameters
    ----------
    order : int64, shape (n_rows,)
        Rows by the time until which they are known to live.
    earlier : int64, shape (n_events,)
        Rows with an event, those with the latest first.
    later : int64, shape (n_rows,)
        The place in `order` from which on rows outlive a row.
    rank : int64, shape (n_rows,)
        Place of each row's risk among all risks.
    low, high : int64, shape (n_rows,)
        Places below which risks are smaller, and not greater, than a row's.
    weight : float64, shape (n_rows,)
    tree : float64, shape (n_rows + 1,)
        Zeros; written.
    counts : float64, shape (n_rows, 2)
        Written: weight of the rows of smaller risk, and of equal risk.
    """
    cdef int64_t k, row, added = order.shape[0]
    cdef double below
    with nogil:
        for k in range(earlier.shape[0]):
            row = earlier[k]
            while added > later[row]:
                added -= 1
                add(tree, rank[order[added]], weight[order[added]])
            below = sum_below(tree, low[row])
            counts[row, 0] = below
            counts[row, 1] = sum_below(tree, high[row]) - below
