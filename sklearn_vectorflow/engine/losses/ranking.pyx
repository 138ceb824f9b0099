# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, freethreading_compatible=True
"""Losses of groups of rows that are ranked. Their formulas stand in sklearn_vectorflow/losses/ranking.py."""
from libc.math cimport M_LN2, NAN, exp, exp2, expm1, fabs, fmax, log1p, log2, sqrt
from libc.stdint cimport int64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memset

from sklearn_vectorflow.engine.contract cimport vf_loss, vf_loss_fn
from sklearn_vectorflow.engine.losses.capsule cimport make_capsule

# A loss of one group, whose gradient is zero at first.
ctypedef double (*group_fn)(int64_t n, const double *y, const double *raw, const double *weight,
                            double *gradient, const vf_loss *loss) noexcept nogil


cdef double each_group(group_fn of_group, const double *y, const double *raw, const double *weight,
                       double *gradient, const vf_loss *loss) noexcept nogil:
    cdef int64_t g, k, start, end
    cdef double total = 0.0
    for g in range(loss.n_groups):
        start = loss.starts[g]
        end = loss.starts[g + 1]
        memset(gradient + start, 0, (end - start) * sizeof(double))
        total += of_group(end - start, y + start, raw + start, weight + start, gradient + start, loss)
        for k in range(start, end):
            total += 0.0 * raw[k]  # NaN shows also in rows that no comparison holds for
    return total


cdef inline double add_pair(int64_t i, int64_t j, double strength, const double *raw, double *gradient) noexcept nogil:
    """strength * log(1 + exp(-(raw[i] - raw[j]))), and its gradient."""
    cdef double margin = raw[i] - raw[j], e = exp(-fabs(margin))
    cdef double slope = strength * ((e if margin > 0.0 else 1.0) / (1.0 + e))
    gradient[i] -= slope
    gradient[j] += slope
    return strength * (fmax(-margin, 0.0) + log1p(e))


cdef double pairwise_of_group(int64_t n, const double *y, const double *raw, const double *weight,
                              double *gradient, const vf_loss *loss) noexcept nogil:
    cdef int64_t i, j
    cdef double total = 0.0, pairs = 0.0, mean = 0.0
    for i in range(n):
        mean += weight[i] / n
        for j in range(n):
            if y[i] > y[j]:
                pairs += weight[i] * weight[j]
    if pairs == 0.0:
        return 0.0
    for i in range(n):
        for j in range(n):
            if y[i] > y[j]:
                total += add_pair(i, j, mean * weight[i] * weight[j] / pairs, raw, gradient)
    return total


cdef void discounts(int64_t n, const double *values, double *out) noexcept nogil:
    """1 / log2(1 + rank) of every row among decreasing values; of ties, the first row comes first."""
    cdef int64_t i, j, rank
    for i in range(n):
        rank = 1
        for j in range(n):
            rank += values[j] > values[i] or (values[j] == values[i] and j < i)
        out[i] = 1.0 / log2(1.0 + rank)


cdef double lambdarank_of_group(int64_t n, const double *y, const double *raw, const double *weight,
                                double *gradient, const vf_loss *loss) noexcept nogil:
    cdef int64_t i, j
    cdef double total = 0.0, best = 0.0, largest = 0.0, change, last = 1.0 / log2(1.0 + loss.parameters[0])
    cdef double smoothing = loss.parameters[1] / n
    cdef double *discount = <double *>malloc(2 * n * sizeof(double))
    cdef double *gain = discount + n
    if discount == NULL:
        return NAN
    discounts(n, y, discount)
    for i in range(n):
        largest = fmax(largest, y[i])
    for i in range(n):  # 2^y - 1, over the power of the largest y: it stays finite
        gain[i] = -exp2(y[i] - largest) * expm1(-y[i] * M_LN2)
        best += gain[i] * discount[i]
    discounts(n, raw, discount)
    for i in range(n):
        for j in range(n):
            if y[i] > y[j] and fmax(discount[i], discount[j]) >= last:
                change = (gain[i] - gain[j]) * (fabs(discount[i] - discount[j]) + smoothing) / best
                total += add_pair(i, j, sqrt(weight[i] * weight[j]) * change, raw, gradient)
    free(discount)
    return total


cdef double warp_of_row(int64_t i, int64_t n, double share, const double *y, const double *raw, const double *weight,
                        double *gradient) noexcept nogil:
    """The hinges of the rows above row i, together weighted by the harmonic number of their count."""
    cdef int64_t j, k, rank = 0
    cdef double total = 0.0, harmonic = 0.0, strength
    for j in range(n):
        rank += y[i] > y[j] and raw[j] > raw[i] - 1.0
    for k in range(rank):
        harmonic += 1.0 / (k + 1)
    for j in range(n):
        if y[i] > y[j] and raw[j] > raw[i] - 1.0:
            strength = share * harmonic / rank * sqrt(weight[i] * weight[j])
            total += strength * (1.0 - raw[i] + raw[j])
            gradient[i] -= strength
            gradient[j] += strength
    return total


cdef double warp_of_group(int64_t n, const double *y, const double *raw, const double *weight,
                          double *gradient, const vf_loss *loss) noexcept nogil:
    cdef int64_t i, n_above = 0
    cdef double total = 0.0, lowest = y[0]
    for i in range(n):
        lowest = min(lowest, y[i])
    for i in range(n):
        n_above += y[i] > lowest
    for i in range(n):
        if y[i] > lowest:
            total += warp_of_row(i, n, 1.0 / n_above, y, raw, weight, gradient)
    return total


cdef double pairwise_logistic(int64_t n, const double *y, const double *raw, const double *weight,
                              double *gradient, const vf_loss *loss) noexcept nogil:
    return each_group(pairwise_of_group, y, raw, weight, gradient, loss)


cdef double lambdarank(int64_t n, const double *y, const double *raw, const double *weight,
                       double *gradient, const vf_loss *loss) noexcept nogil:
    return each_group(lambdarank_of_group, y, raw, weight, gradient, loss)


cdef double warp(int64_t n, const double *y, const double *raw, const double *weight,
                 double *gradient, const vf_loss *loss) noexcept nogil:
    return each_group(warp_of_group, y, raw, weight, gradient, loss)


KERNELS = {
    "pairwise_logistic": make_capsule(pairwise_logistic),
    "lambdarank": make_capsule(lambdarank),
    "warp": make_capsule(warp),
}
