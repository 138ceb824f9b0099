# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, freethreading_compatible=True
"""Full passes in double precision: sums over rows and over columns of a sparse matrix.

A matrix stands here twice, by rows and by columns, so that each sum belongs to one call and runs
in one order: ranges can be handed to any number of threads, and the bits stay the same.
"""
from libc.stdint cimport int32_t, int64_t, uint16_t
from libc.stdlib cimport free, malloc

from sklearn_vectorflow.engine.kernels.rows.lines cimport (
    vf_sum_lines_f32_i32, vf_spread_line_f32_i32, vf_sum_lines_f32_i64, vf_spread_line_f32_i64, vf_sum_lines_f64_i32,
    vf_spread_line_f64_i32, vf_sum_lines_f64_i64, vf_spread_line_f64_i64,
)


ctypedef fused value_t:
    float
    double

ctypedef fused index_t:
    int32_t
    int64_t

ctypedef fused pointer_t:
    int32_t
    int64_t

ctypedef fused column_t:
    uint16_t
    int32_t
    int64_t


def count_columns(const index_t[::1] indices, int64_t start, int64_t end, int32_t[::1] counts):
    """Add to each column's count of the entries [start, end)."""
    cdef int64_t k
    with nogil:
        for k in range(start, end):
            counts[indices[k]] += 1


def kept_lengths(const index_t[::1] indices, const pointer_t[::1] indptr, const int32_t[::1] place,
                 int64_t[::1] lengths, int64_t from_row, int64_t to_row):
    """Write how many entries of each row have a place."""
    cdef int64_t row, k, n
    with nogil:
        for row in range(from_row, to_row):
            n = 0
            for k in range(indptr[row], indptr[row + 1]):
                n += place[indices[k]] >= 0
            lengths[row] = n


def keep(const value_t[::1] values, const index_t[::1] indices, const pointer_t[::1] indptr, const int32_t[::1] place,
         const int64_t[::1] new_indptr, int32_t[::1] new_indices, value_t[::1] new_values, int64_t from_row,
         int64_t to_row):
    """Write the entries of rows that have a place, under its number."""
    cdef int64_t row, k, at
    cdef int32_t column
    with nogil:
        for row in range(from_row, to_row):
            at = new_indptr[row]
            for k in range(indptr[row], indptr[row + 1]):
                column = place[indices[k]]
                if column >= 0:
                    new_indices[at] = column
                    new_values[at] = values[k]
                    at += 1


def transpose(const value_t[::1] values, const index_t[::1] indices, const pointer_t[::1] indptr, int64_t[::1] at,
              int32_t[::1] rows, value_t[::1] transposed, int64_t from_row, int64_t to_row):
    """Write rows' entries column by column; `at` says where the next one of each column goes."""
    cdef int64_t row, k, to
    with nogil:
        for row in range(from_row, to_row):
            for k in range(indptr[row], indptr[row + 1]):
                to = at[indices[k]]
                at[indices[k]] = to + 1
                rows[to] = <int32_t>row
                transposed[to] = values[k]


cdef inline double _sum(const value_t *values, const index_t *indices, int64_t n, const double *factors) noexcept nogil:
    """Four sums, so that none waits for its own additions."""
    cdef double a = 0.0, b = 0.0, c = 0.0, d = 0.0
    cdef int64_t k = 0
    while k + 4 <= n:
        a += values[k] * factors[indices[k]]
        b += values[k + 1] * factors[indices[k + 1]]
        c += values[k + 2] * factors[indices[k + 2]]
        d += values[k + 3] * factors[indices[k + 3]]
        k += 4
    while k < n:
        a += values[k] * factors[indices[k]]
        k += 1
    return (a + b) + (c + d)


cdef inline double _sum_of_squares(const value_t *values, const index_t *indices, int64_t n,
                                   const double *factors) noexcept nogil:
    cdef double total = 0.0, value
    cdef int64_t k
    for k in range(n):
        value = values[k]
        total += value * value * factors[indices[k]]
    return total


cdef inline void _sums(const value_t *values, const index_t *indices, int64_t n, const double *factors,
                       int64_t width, bint squares, double *out) noexcept nogil:
    if value_t is float and index_t is int32_t:
        vf_sum_lines_f32_i32(values, indices, n, factors, width, squares, out)
    elif value_t is float:
        vf_sum_lines_f32_i64(values, indices, n, factors, width, squares, out)
    elif index_t is int32_t:
        vf_sum_lines_f64_i32(values, indices, n, factors, width, squares, out)
    else:
        vf_sum_lines_f64_i64(values, indices, n, factors, width, squares, out)


cdef inline void _spread(const value_t *values, const index_t *indices, int64_t n, const double *factors,
                         int64_t width, bint squares, double *out) noexcept nogil:
    """Add a row's entries times its factors to their columns' sums."""
    cdef int64_t k
    cdef double value
    if width == 1:
        for k in range(n):
            value = values[k]
            out[indices[k]] += (value * value if squares else value) * factors[0]
    elif value_t is float and index_t is int32_t:
        vf_spread_line_f32_i32(values, indices, n, factors, width, squares, out)
    elif value_t is float:
        vf_spread_line_f32_i64(values, indices, n, factors, width, squares, out)
    elif index_t is int32_t:
        vf_spread_line_f64_i32(values, indices, n, factors, width, squares, out)
    else:
        vf_spread_line_f64_i64(values, indices, n, factors, width, squares, out)


def product(const value_t[::1] values, const index_t[::1] indices, const pointer_t[::1] indptr,
            const double[:, ::1] factors, double[:, ::1] out, int64_t first, int64_t last, bint squares=False):
    """Write rows [first, last) of the matrix, or of its squared values, times a dense one."""
    cdef int64_t row, start, n, width = out.shape[1]
    if last <= first or width == 0:
        return
    if factors.shape[0] == 0 or values.shape[0] == 0:
        out[first:last] = 0.0
        return
    with nogil:
        for row in range(first, last):
            start = indptr[row]
            n = indptr[row + 1] - start
            if width != 1:
                _sums(&values[0] + start, &indices[0] + start, n, &factors[0, 0], width, squares, &out[row, 0])
            elif squares:
                out[row, 0] = _sum_of_squares(&values[0] + start, &indices[0] + start, n, &factors[0, 0])
            else:
                out[row, 0] = _sum(&values[0] + start, &indices[0] + start, n, &factors[0, 0])


def add_transposed(const value_t[::1] values, const index_t[::1] indices, const pointer_t[::1] indptr,
                   const double[:, ::1] factors, double[:, ::1] out, int64_t first, int64_t last, bint squares=False):
    """Add the transpose of rows [first, last), or of their squared values, times a dense matrix."""
    cdef int64_t row, start, width = out.shape[1]
    if last <= first or width == 0 or values.shape[0] == 0:
        return
    with nogil:
        for row in range(first, last):
            start = indptr[row]
            _spread(&values[0] + start, &indices[0] + start, indptr[row + 1] - start, &factors[row, 0], width, squares,
                    &out[0, 0])


cdef inline void _spread_pair(const value_t *values, const index_t *indices, int64_t n, double one, double other,
                              double *out) noexcept nogil:
    cdef int64_t k
    cdef double value
    cdef double *to
    for k in range(n):
        value = values[k]
        to = out + 2 * <int64_t>indices[k]
        to[0] += value * one
        to[1] += value * value * other


def add_up(const double[:, ::1] sums, double[::1] out, int64_t first, int64_t last):
    """Write totals of sums over parts of the rows, of numbers [first, last)."""
    cdef int64_t part, k
    with nogil:
        for k in range(first, last):
            out[k] = sums[0, k]
        for part in range(1, sums.shape[0]):
            for k in range(first, last):
                out[k] += sums[part, k]


def add_transposed_pair(const value_t[::1] values, const index_t[::1] indices, const pointer_t[::1] indptr,
                        const double[:, ::1] one, const double[:, ::1] other, double[:, :, ::1] out, int64_t first,
                        int64_t last):
    """Add the transpose of rows [first, last) times one dense matrix, and that of squared values times another.

    Both are in `out`, of shape (n_columns, width, 2).
    """
    cdef int64_t row, k, c, width = out.shape[1]
    cdef double value, square
    cdef double *to
    if last <= first or width == 0 or values.shape[0] == 0:
        return
    with nogil:
        for row in range(first, last):
            if width == 1:
                _spread_pair(&values[0] + indptr[row], &indices[0] + indptr[row], indptr[row + 1] - indptr[row],
                             one[row, 0], other[row, 0], &out[0, 0, 0])
                continue
            for k in range(indptr[row], indptr[row + 1]):
                value = values[k]
                square = value * value
                to = &out[0, 0, 0] + <int64_t>indices[k] * 2 * width
                for c in range(width):
                    to[2 * c] += value * one[row, c]
                    to[2 * c + 1] += square * other[row, c]


def add_curved(const value_t[::1] values, const index_t[::1] indices, const pointer_t[::1] indptr,
               const double[::1] factors, double shift, const double[::1] weight, double[::1] changes,
               double[::1] out, int64_t first, int64_t last):
    """Add X^T (weight (X factors + shift)), of rows [first, last) in one pass; return the sum of what is spread.

    X factors + shift is written to `changes`.
    """
    cdef int64_t row, start, n
    cdef double change, total = 0.0
    if last <= first:
        return 0.0
    with nogil:
        for row in range(first, last):
            start = indptr[row]
            n = indptr[row + 1] - start
            change = shift
            if n:
                change += _sum(&values[0] + start, &indices[0] + start, n, &factors[0])
            changes[row] = change
            change *= weight[row]
            total += change
            if n:
                _spread(&values[0] + start, &indices[0] + start, n, &change, 1, False, &out[0])
    return total


def gram(const value_t[::1] values, const column_t[::1] indices, const pointer_t[::1] indptr,
         const int32_t[::1] place, bint ones, const double[::1] weight, double[:, ::1] out, int64_t first, int64_t last,
         bint all_ones=False):
    """Add the weighted products of some columns with each other, over rows [first, last).

    Those of two columns are added up once, before the diagonal or behind it: the matrix plus its transpose, with the
    diagonal once, has them all. `place` says where a column is among them, -1 if it is not; a column of ones may stand
    before them. all_ones: values are not read, since all are one.
    """
    cdef int64_t row, k, i, j, n, longest = 0
    cdef double value
    cdef double *own
    cdef double *some
    cdef int32_t *columns
    for row in range(first, last):
        longest = max(longest, indptr[row + 1] - indptr[row])
    some = <double *>malloc((longest + 1) * sizeof(double))
    columns = <int32_t *>malloc((longest + 1) * sizeof(int32_t))
    if some == NULL or columns == NULL:
        free(some)
        free(columns)
        raise MemoryError
    with nogil:
        for row in range(first, last):
            if weight[row] == 0.0:
                continue
            n = 0
            if ones:
                columns[0] = 0
                some[0] = 1.0
                n = 1
            for k in range(indptr[row], indptr[row + 1]):
                if place[indices[k]] >= 0:
                    columns[n] = place[indices[k]]
                    some[n] = 1.0 if all_ones else values[k]
                    n += 1
            for i in range(n):
                value = weight[row] * some[i]
                own = &out[columns[i], 0]
                for j in range(i + 1):
                    own[columns[j]] += value * some[j]
    free(some)
    free(columns)


def softmax_product(const double[:, ::1] probability, const double[::1] weight, double[:, ::1] values, int64_t first,
                    int64_t last):
    """Multiply changes of raw outputs by the curvature of the multinomial loss, in place."""
    cdef int64_t row, c, width = values.shape[1]
    cdef double mean
    with nogil:
        for row in range(first, last):
            mean = 0.0
            for c in range(width):
                mean += probability[row, c] * values[row, c]
            for c in range(width):
                values[row, c] = weight[row] * probability[row, c] * (values[row, c] - mean)


def block_product(const double[:, :, ::1] curvature, double[:, ::1] values, int64_t first, int64_t last):
    """Multiply changes of raw outputs by a matrix for every row, in place."""
    cdef int64_t row, i, j, width = values.shape[1]
    cdef double *before = <double *>malloc((width + 1) * sizeof(double))
    if before == NULL:
        raise MemoryError
    with nogil:
        for row in range(first, last):
            for j in range(width):
                before[j] = values[row, j]
            for i in range(width):
                values[row, i] = 0.0
                for j in range(width):
                    values[row, i] += curvature[row, i, j] * before[j]
    free(before)
