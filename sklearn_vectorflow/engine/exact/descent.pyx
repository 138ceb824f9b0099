# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, freethreading_compatible=True
"""Coordinate descent on a quadratic model of losses, with L1, L2 and bounds.

What outputs change by is kept for every row, so a coordinate costs the entries of its column.
"""
from libc.math cimport fabs
from libc.stdint cimport int32_t, int64_t

cdef enum:
    DIAGONAL
    SOFTMAX
    FULL

MODES = {"diagonal": DIAGONAL, "softmax": SOFTMAX, "full": FULL}

ctypedef fused value_t:
    float
    double


cdef struct Rows:
    int mode
    int64_t width
    const double *curvature  # (n, width); (n, width, width) if FULL; probabilities if SOFTMAX
    const double *weight     # (n)
    double *change           # (n, width): of raw outputs
    double *mean             # (n): of the change, under the probabilities


cdef inline double curved(const Rows *rows, int64_t row, int64_t output) noexcept nogil:
    """What the gradient by a row's output has changed by."""
    cdef const double *own
    cdef const double *change = rows.change + row * rows.width
    cdef double total = 0.0
    cdef int64_t k
    if rows.mode == DIAGONAL:
        return rows.curvature[row * rows.width + output] * change[output]
    if rows.mode == SOFTMAX:
        return rows.weight[row] * rows.curvature[row * rows.width + output] * (change[output] - rows.mean[row])
    own = rows.curvature + (row * rows.width + output) * rows.width
    for k in range(rows.width):
        total += own[k] * change[k]
    return total


cdef inline double shrunk(double value, double threshold) noexcept nogil:
    if value > threshold:
        return value - threshold
    if value < -threshold:
        return value + threshold
    return 0.0


cdef class Coordinates:
    """A quadratic model with corners that is minimised by one coordinate after another."""

    cdef double one(self, int64_t k) noexcept nogil:
        """Minimise by a coordinate; return by about how much the model fell, or less."""
        return 0.0

    def cycle(self, const int32_t[::1] some):
        """Take some coordinates in turn; return by about how much the model fell, or less."""
        cdef int64_t k
        cdef double fallen = 0.0
        with nogil:
            for k in range(some.shape[0]):
                fallen += self.one(some[k])
        return fallen


cdef class Model(Coordinates):
    """A quadratic model around a point.

    Parameters
    ----------
    values, rows, starts : ndarray
        A sparse matrix by columns.
    mode : str
        How outputs depend on each other.
    curvature : float64, shape (n_rows, n_outputs) or (n_rows, n_outputs, n_outputs)
    weight : float64, shape (n_rows,)
    scale : float
        What sums over rows are multiplied by.
    column, output : int32, shape (n,)
        Of every coordinate.
    gradient, second, l1, l2, lower, upper, start : float64, shape (n,)
        Of every coordinate: slope and second derivative, penalties, least value, and value now.
    moved : float64, shape (n,)
        What coordinates change by; zeros.
    change : float64, shape (n_rows, n_outputs)
        What raw outputs change by; zeros.
    mean : float64, shape (n_rows,)
        Zeros.
    """
    cdef const float[::1] floats
    cdef const double[::1] doubles
    cdef const int32_t[::1] rows_of, column, output
    cdef const int64_t[::1] starts
    cdef const double[::1] gradient, second, l1, l2, lower, upper, start
    cdef double[::1] moved
    cdef Rows rows
    cdef double scale
    cdef bint narrow  # whether values are floats
    cdef tuple arrays

    def __init__(self, values, const int32_t[::1] rows, const int64_t[::1] starts, mode, const double[::1] curvature,
                 const double[::1] weight, double scale, const int32_t[::1] column, const int32_t[::1] output,
                 const double[::1] gradient, const double[::1] second, const double[::1] l1, const double[::1] l2,
                 const double[::1] lower, const double[::1] upper, const double[::1] start, double[::1] moved,
                 double[:, ::1] change, double[::1] mean):
        self.narrow = values.itemsize == 4
        if self.narrow:
            self.floats = values
        else:
            self.doubles = values
        self.rows_of, self.starts, self.column, self.output = rows, starts, column, output
        self.gradient, self.second, self.l1, self.l2 = gradient, second, l1, l2
        self.lower, self.upper = lower, upper
        self.start, self.moved, self.scale = start, moved, scale
        self.rows.mode, self.rows.width = MODES[mode], change.shape[1]
        self.rows.curvature, self.rows.weight = &curvature[0], &weight[0]
        self.rows.change, self.rows.mean = &change[0, 0], &mean[0]
        self.arrays = (curvature, weight, change, mean)

    cdef double step(self, const value_t *values, int64_t k) noexcept nogil:
        """Minimise by a coordinate; return by about how much the model fell, or less."""
        cdef int64_t at, row, first = self.starts[self.column[k]], last = self.starts[self.column[k] + 1]
        cdef int64_t output = self.output[k], width = self.rows.width
        cdef double slope = 0.0, value, target, change
        for at in range(first, last):
            slope += values[at] * curved(&self.rows, self.rows_of[at], output)
        value = self.start[k] + self.moved[k]
        slope = self.gradient[k] + slope * self.scale + self.l2[k] * self.moved[k]
        target = max(shrunk(value - slope / self.second[k], self.l1[k] / self.second[k]), self.lower[k])
        target = min(target, self.upper[k])
        change = target - value
        if change == 0.0:
            return 0.0
        self.moved[k] = target - self.start[k]  # zero is reached exactly
        for at in range(first, last):
            row = self.rows_of[at]
            self.rows.change[row * width + output] += values[at] * change
            if self.rows.mode == SOFTMAX:
                self.rows.mean[row] += self.rows.curvature[row * width + output] * values[at] * change
        return 0.5 * self.second[k] * change * change

    cdef double one(self, int64_t k) noexcept nogil:
        if self.narrow:
            return self.step(&self.floats[0], k)
        return self.step(&self.doubles[0], k)


cdef class DenseModel(Coordinates):
    """A quadratic model whose matrix of second derivatives is stored, so that a coordinate that stays costs nothing.

    Parameters
    ----------
    matrix : float64, shape (n, n)
        Second derivatives, L2 among them.
    slope : float64, shape (n,)
        Gradient of the model where it is now; kept up to date.
    l1, lower, upper, start : float64, shape (n,)
        Of every coordinate: penalty, least and largest value, and value at the start.
    moved : float64, shape (n,)
        What coordinates have changed by.
    """
    cdef const double[:, ::1] matrix
    cdef const double[::1] l1, lower, upper, start
    cdef double[::1] slope, moved

    def __init__(self, const double[:, ::1] matrix, double[::1] slope, const double[::1] l1, const double[::1] lower,
                 const double[::1] upper, const double[::1] start, double[::1] moved):
        self.matrix, self.slope, self.l1, self.lower, self.upper = matrix, slope, l1, lower, upper
        self.start, self.moved = start, moved

    cdef double one(self, int64_t k) noexcept nogil:
        cdef const double *own = &self.matrix[k, 0]
        cdef double *slope = &self.slope[0]
        cdef double second = own[k], value = self.start[k] + self.moved[k], target, change
        cdef int64_t at, n = self.slope.shape[0]
        target = max(shrunk(value - slope[k] / second, self.l1[k] / second), self.lower[k])
        target = min(target, self.upper[k])
        change = target - value
        if change == 0.0:
            return 0.0
        self.moved[k] = target - self.start[k]  # zero is reached exactly
        for at in range(n):
            slope[at] += change * own[at]
        return 0.5 * second * change * change
