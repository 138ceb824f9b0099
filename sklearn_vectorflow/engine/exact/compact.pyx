# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, freethreading_compatible=True
"""Full passes over a copy of the rows whose columns are numbered by how frequent they are.

Common columns come first. Their numbers take two bytes, and their weights and sums stay in a core's own cache.
Entries of rare columns are kept apart, in blocks of rows, by column: a pass over them reads weights in their order, and
what is random, numbers of a block's rows, stays in the cache. Where all values are one, none are stored.
"""
from libc.stdint cimport int32_t, int64_t, uint16_t
from libc.string cimport memset

from sklearn_vectorflow.engine.kernels.platform cimport VF_PREFETCH_READ

cdef enum:
    AHEAD = 16  # entries of rare columns whose weights are asked for ahead
    DIGIT = 2048  # numbers that columns are sorted by at a time
    SHIFT = 11

ctypedef fused value_t:
    float
    double

ctypedef fused index_t:
    int32_t
    int64_t

ctypedef fused pointer_t:
    int32_t
    int64_t


# ---- the copy ---------------------------------------------------------------------------


def placed(const value_t[::1] values, const index_t[::1] indices, const int32_t[::1] place, int32_t n_common,
           int32_t[::1] columns):
    """Write the places of entries' columns; return how many are common, and whether all values are one."""
    cdef int64_t k, n = 0
    cdef bint ones = True
    with nogil:
        for k in range(indices.shape[0]):
            columns[k] = place[indices[k]]
            n += 0 <= columns[k] < n_common
            ones &= values[k] == 1
    return n, bool(ones)


def fill(const value_t[::1] values, const int32_t[::1] columns, const pointer_t[::1] indptr, int32_t n_common,
         int64_t[::1] starts, uint16_t[::1] common, value_t[::1] of_common, int32_t[::1] rare, uint16_t[::1] rows,
         value_t[::1] of_rare, bint ones):
    """Write entries of common columns row by row, and apart those of rare ones; return how many these are."""
    cdef int64_t row, k, to = 0, at = 0, start = indptr[0]
    cdef int32_t column
    with nogil:
        starts[0] = 0
        for row in range(starts.shape[0] - 1):
            for k in range(indptr[row] - start, indptr[row + 1] - start):
                column = columns[k]
                if column < 0:
                    continue
                if column < n_common:
                    common[to] = <uint16_t>column
                    if not ones:
                        of_common[to] = values[k]
                    to += 1
                else:
                    rare[at] = column
                    rows[at] = <uint16_t>row
                    if not ones:
                        of_rare[at] = values[k]
                    at += 1
            starts[row + 1] = to
    return at


def sort_by_column(int32_t[::1] columns, uint16_t[::1] rows, value_t[::1] values, int32_t[::1] other_columns,
                   uint16_t[::1] other_rows, value_t[::1] other_values, bint ones, int32_t largest):
    """Sort entries by column, and keep those of a column in their order; return whether the others are the sorted."""
    cdef int64_t counts[DIGIT]
    cdef int64_t k, n = columns.shape[0], total, to
    cdef int32_t shift = 0, digit
    cdef int32_t *from_columns = &columns[0]
    cdef int32_t *to_columns = &other_columns[0]
    cdef uint16_t *from_rows = &rows[0]
    cdef uint16_t *to_rows = &other_rows[0]
    cdef value_t *from_values = &values[0]
    cdef value_t *to_values = &other_values[0]
    cdef bint swapped = False
    with nogil:
        while largest >> shift:
            memset(counts, 0, sizeof(counts))
            for k in range(n):
                counts[(from_columns[k] >> shift) & (DIGIT - 1)] += 1
            total = 0
            for digit in range(DIGIT):
                to = counts[digit]
                counts[digit] = total
                total += to
            for k in range(n):
                digit = (from_columns[k] >> shift) & (DIGIT - 1)
                to = counts[digit]
                counts[digit] = to + 1
                to_columns[to] = from_columns[k]
                to_rows[to] = from_rows[k]
                if not ones:
                    to_values[to] = from_values[k]
            from_columns, to_columns = to_columns, from_columns
            from_rows, to_rows = to_rows, from_rows
            from_values, to_values = to_values, from_values
            swapped = not swapped
            shift += SHIFT
    return swapped


# ---- common columns ---------------------------------------------------------------------


cdef inline double _sum(const value_t *values, const uint16_t *columns, int64_t n, bint ones,
                        const double *factors) noexcept nogil:
    """Four sums, so that none waits for its own additions."""
    cdef double a = 0.0, b = 0.0, c = 0.0, d = 0.0
    cdef int64_t k = 0
    if ones:
        while k + 4 <= n:
            a += factors[columns[k]]
            b += factors[columns[k + 1]]
            c += factors[columns[k + 2]]
            d += factors[columns[k + 3]]
            k += 4
        while k < n:
            a += factors[columns[k]]
            k += 1
        return (a + b) + (c + d)
    while k + 4 <= n:
        a += values[k] * factors[columns[k]]
        b += values[k + 1] * factors[columns[k + 1]]
        c += values[k + 2] * factors[columns[k + 2]]
        d += values[k + 3] * factors[columns[k + 3]]
        k += 4
    while k < n:
        a += values[k] * factors[columns[k]]
        k += 1
    return (a + b) + (c + d)


cdef inline void _spread(const value_t *values, const uint16_t *columns, int64_t n, bint ones, bint squares,
                         double factor, double *sums) noexcept nogil:
    """Add a row's entries times a factor to their columns' sums."""
    cdef int64_t k
    cdef double value
    if ones:
        for k in range(n):
            sums[columns[k]] += factor
    elif squares:
        for k in range(n):
            value = values[k]
            sums[columns[k]] += value * value * factor
    else:
        for k in range(n):
            sums[columns[k]] += values[k] * factor


def product(const value_t[::1] values, const uint16_t[::1] columns, const int64_t[::1] starts, bint ones,
            const double[::1] factors, double[::1] out):
    """Add the common columns of rows times factors."""
    cdef int64_t row, start
    with nogil:
        for row in range(out.shape[0]):
            start = starts[row]
            out[row] += _sum(&values[0] + (0 if ones else start), &columns[0] + start, starts[row + 1] - start, ones,
                             &factors[0])


def spread(const value_t[::1] values, const uint16_t[::1] columns, const int64_t[::1] starts, bint ones, bint squares,
           const double[::1] by_row, double[::1] sums):
    """Add the common columns' sums of rows, or of their squares, times a number for each."""
    cdef int64_t row, start
    with nogil:
        for row in range(by_row.shape[0]):
            start = starts[row]
            _spread(&values[0] + (0 if ones else start), &columns[0] + start, starts[row + 1] - start, ones, squares,
                    by_row[row], &sums[0])


def spread_pair(const value_t[::1] values, const uint16_t[::1] columns, const int64_t[::1] starts, bint ones,
                const double[::1] one, const double[::1] other, double[::1] sums):
    """Add, in pairs, the common columns' sums of rows times one number each and of their squares times another."""
    cdef int64_t row, k
    cdef double value, factor, of_squares
    cdef double *to
    with nogil:
        for row in range(one.shape[0]):
            factor, of_squares = one[row], other[row]
            if ones:
                for k in range(starts[row], starts[row + 1]):
                    to = &sums[0] + 2 * <int64_t>columns[k]
                    to[0] += factor
                    to[1] += of_squares
            else:
                for k in range(starts[row], starts[row + 1]):
                    to = &sums[0] + 2 * <int64_t>columns[k]
                    value = values[k]
                    to[0] += value * factor
                    to[1] += value * value * of_squares


def curved(const value_t[::1] values, const uint16_t[::1] columns, const int64_t[::1] starts, bint ones,
           const double[::1] factors, const double[::1] weight, double[::1] change, double[::1] weighted,
           double[::1] sums):
    """Do `product` and, with the result times a weight for each row, `spread`; return the sum of what is spread."""
    cdef int64_t row, start, n
    cdef double total = 0.0, own
    cdef const value_t *some
    with nogil:
        for row in range(change.shape[0]):
            start = starts[row]
            n = starts[row + 1] - start
            some = &values[0] + (0 if ones else start)
            own = change[row] + _sum(some, &columns[0] + start, n, ones, &factors[0])
            change[row] = own
            own *= weight[row]
            weighted[row] = own
            total += own
            _spread(some, &columns[0] + start, n, ones, False, own, &sums[0])
    return total


# ---- rare columns -----------------------------------------------------------------------


def rare_product(const value_t[::1] values, const int32_t[::1] columns, const uint16_t[::1] rows, bint ones,
                 const double[::1] factors, double[::1] out):
    """Add entries of rare columns times factors."""
    cdef int64_t k, n = columns.shape[0]
    with nogil:
        for k in range(n):
            if k + AHEAD < n:
                VF_PREFETCH_READ(&factors[0] + columns[k + AHEAD])
            out[rows[k]] += factors[columns[k]] * (1.0 if ones else values[k])


def rare_spread(const value_t[::1] values, const int32_t[::1] columns, const uint16_t[::1] rows, bint ones,
                bint squares, const double[::1] by_row, double[::1] out, int64_t first, int64_t last):
    """Add entries [first, last) of rare columns, or their squares, times a number for each row to their columns."""
    cdef int64_t k
    cdef double value = 1.0
    with nogil:
        for k in range(first, last):
            if not ones:
                value = values[k]
                if squares:
                    value *= value
            out[columns[k]] += value * by_row[rows[k]]
