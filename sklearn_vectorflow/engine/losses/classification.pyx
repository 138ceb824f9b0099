# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, freethreading_compatible=True
"""Losses of classes. Their formulas stand in sklearn_vectorflow/losses/classification.py.

A target is one class index per row, or an indicator per output (multilabel).
"""
from libc.math cimport exp, fmax, log
from libc.stdint cimport int64_t

from sklearn_vectorflow.engine.contract cimport vf_loss, vf_loss_fn
from sklearn_vectorflow.engine.kernels.losses.classes cimport VF_CLASSES, vf_softmax, vf_softplus
from sklearn_vectorflow.engine.losses.capsule cimport make_capsule


cdef inline double positive(const double *y, int64_t row, int64_t output, const vf_loss *loss) noexcept nogil:
    """1 if the row belongs to the output's class, else 0."""
    if loss.n_targets == loss.n_outputs:
        return y[row * loss.n_targets + output]
    return 1.0 if y[row] == output else 0.0


cdef inline double log1p_of_exp(double e) noexcept nogil:
    """log(1 + e) for e in [0, 1], of full precision (Goldberg 1991, doi:10.1145/103162.103163,
    theorem 4); libm's log1p takes three times as long."""
    cdef double u = 1.0 + e
    return e if u == 1.0 else log(u) * (e / (u - 1.0))


cdef double log_loss(int64_t n, const double *y, const double *raw, const double *weight,
                     double *gradient, const vf_loss *loss) noexcept nogil:
    cdef int64_t r, c, k
    cdef double total = 0.0, target, e
    if loss.n_outputs >= VF_CLASSES:
        return log_losses(n, y, raw, weight, gradient, loss)
    for r in range(n):
        for c in range(loss.n_outputs):
            k = r * loss.n_outputs + c
            target = positive(y, r, c, loss)
            e = exp(-raw[k] if raw[k] > 0 else raw[k])
            total += weight[r] * ((raw[k] if raw[k] > 0 else 0.0) + log1p_of_exp(e) - target * raw[k])
            gradient[k] = weight[r] * ((1.0 if raw[k] > 0 else e) / (1.0 + e) - target)
    return total


cdef double log_losses(int64_t n, const double *y, const double *raw, const double *weight,
                       double *gradient, const vf_loss *loss) noexcept nogil:
    """The same of many outputs."""
    cdef int64_t r, c, k, n_outputs = loss.n_outputs
    cdef double total = 0.0, row, target
    for r in range(n):
        k = r * n_outputs
        row = vf_softplus(n_outputs, raw + k, weight[r], gradient + k)
        if loss.n_targets == n_outputs:
            for c in range(n_outputs):
                target = y[k + c]
                row -= target * raw[k + c]
                gradient[k + c] -= weight[r] * target
        elif 0 <= y[r] < n_outputs:
            k += <int64_t>y[r]
            row -= raw[k]
            gradient[k] -= weight[r]
        total += weight[r] * row
    return total


cdef double multinomial(int64_t n, const double *y, const double *raw, const double *weight,
                        double *gradient, const vf_loss *loss) noexcept nogil:
    cdef int64_t r, at, n_outputs = loss.n_outputs
    cdef double total = 0.0
    for r in range(n):
        at = r * n_outputs
        total += weight[r] * vf_softmax(n_outputs, raw + at, weight[r], gradient + at)
        at += <int64_t>y[r]
        total -= weight[r] * raw[at]
        gradient[at] -= weight[r]
    return total


cdef double hinge(int64_t n, const double *y, const double *raw, const double *weight,
                  double *gradient, const vf_loss *loss) noexcept nogil:
    cdef int64_t r, c, k
    cdef double total = 0.0, sign, slack
    for r in range(n):
        for c in range(loss.n_outputs):
            k = r * loss.n_outputs + c
            sign = 2.0 * positive(y, r, c, loss) - 1.0
            slack = fmax(1.0 - sign * raw[k], 0.0) if raw[k] == raw[k] else raw[k]
            total += weight[r] * slack
            gradient[k] = -weight[r] * sign if slack > 0.0 else 0.0
    return total


cdef double squared_hinge(int64_t n, const double *y, const double *raw, const double *weight,
                          double *gradient, const vf_loss *loss) noexcept nogil:
    cdef int64_t r, c, k
    cdef double total = 0.0, sign, slack
    for r in range(n):
        for c in range(loss.n_outputs):
            k = r * loss.n_outputs + c
            sign = 2.0 * positive(y, r, c, loss) - 1.0
            slack = fmax(1.0 - sign * raw[k], 0.0) if raw[k] == raw[k] else raw[k]
            total += weight[r] * slack * slack
            gradient[k] = -2.0 * weight[r] * sign * slack
    return total


cdef double modified_huber(int64_t n, const double *y, const double *raw, const double *weight,
                           double *gradient, const vf_loss *loss) noexcept nogil:
    cdef int64_t r, c, k
    cdef double total = 0.0, sign, margin
    for r in range(n):
        for c in range(loss.n_outputs):
            k = r * loss.n_outputs + c
            sign = 2.0 * positive(y, r, c, loss) - 1.0
            margin = sign * raw[k]
            if margin >= 1.0:
                gradient[k] = 0.0
            elif margin >= -1.0:
                total += weight[r] * (1.0 - margin) * (1.0 - margin)
                gradient[k] = -2.0 * weight[r] * sign * (1.0 - margin)
            else:  # also NaN, which must show in the sum
                total += -4.0 * weight[r] * margin
                gradient[k] = -4.0 * weight[r] * sign
    return total


KERNELS = {
    "log_loss": make_capsule(log_loss),
    "multinomial": make_capsule(multinomial),
    "hinge": make_capsule(hinge),
    "squared_hinge": make_capsule(squared_hinge),
    "modified_huber": make_capsule(modified_huber),
}
