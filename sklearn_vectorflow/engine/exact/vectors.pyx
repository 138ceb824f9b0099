# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, freethreading_compatible=True
"""Arithmetic of conjugate gradients on ranges of long vectors: each reads and writes a number once."""
from libc.stdint cimport int64_t


def finish_product(double[::1] product, double total, const double[::1] l2, const double[::1] toward, int64_t width,
                   int64_t first, int64_t last):
    """Divide the product by a total and add that with L2, of lines of a width; return its own with the direction."""
    cdef int64_t line, k
    cdef double found = 0.0, own
    with nogil:
        for line in range(first, last):
            own = l2[line]
            for k in range(line * width, (line + 1) * width):
                product[k] = product[k] / total + own * toward[k]
                found += product[k] * toward[k]
    return found


def advance(double length, const double[::1] toward, const double[::1] product, const double[::1] inverse,
            double[::1] direction, double[::1] residual, double[::1] solved, int64_t first, int64_t last):
    """Go along a direction; return the product of what is left and what it is once divided by a diagonal."""
    cdef int64_t k
    cdef double found = 0.0
    with nogil:
        for k in range(first, last):
            direction[k] += length * toward[k]
            residual[k] -= length * product[k]
            solved[k] = residual[k] * inverse[k]
            found += residual[k] * solved[k]
    return found


def turn(double ratio, const double[::1] solved, double[::1] toward, int64_t first, int64_t last):
    """Multiply a direction, and add another."""
    cdef int64_t k
    with nogil:
        for k in range(first, last):
            toward[k] = ratio * toward[k] + solved[k]
