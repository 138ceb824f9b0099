# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, freethreading_compatible=True
"""Losses of whole distributions. Their formulas stand in sklearn_vectorflow/losses/density.py."""
from libc.math cimport M_PI, exp, fabs, fmax, fmin, log
from libc.stdint cimport int64_t

from sklearn_vectorflow.engine.contract cimport vf_loss, vf_loss_fn
from sklearn_vectorflow.engine.losses.capsule cimport make_capsule

cdef double LARGEST = 10.0  # of the logarithm of a width, and of its inverse


cdef double log_normal(double y, double mean, double log_width) noexcept nogil:
    cdef double bounded = fmin(fmax(log_width, -LARGEST), LARGEST), z = (y - mean) * exp(-bounded)
    return -0.5 * z * z - bounded - 0.5 * log(2.0 * M_PI)


cdef double log_sum_exp(const double *values, int64_t n) noexcept nogil:
    cdef double largest = values[0], total = 0.0
    cdef int64_t k
    for k in range(1, n):
        largest = fmax(largest, values[k])
    for k in range(n):
        total += exp(values[k] - largest)
    return largest + log(total)


cdef double mixture_of_row(double y, const double *raw, double weight, double *gradient, int64_t n) noexcept nogil:
    """The loss of a row; raw has n logits, n means and n logarithms of widths."""
    cdef double shares = log_sum_exp(raw, n), total, blame, z, width
    cdef int64_t k
    for k in range(n):  # log densities of the components, until they are gradients
        gradient[k] = raw[k] - shares + log_normal(y, raw[n + k], raw[2 * n + k])
    total = log_sum_exp(gradient, n)
    for k in range(n):
        blame = exp(gradient[k] - total)
        width = exp(fmin(fmax(raw[2 * n + k], -LARGEST), LARGEST))
        z = (y - raw[n + k]) / width
        gradient[k] = weight * (exp(raw[k] - shares) - blame)
        gradient[n + k] = -weight * blame * z / width
        gradient[2 * n + k] = weight * blame * (1.0 - z * z) if fabs(raw[2 * n + k]) < LARGEST else 0.0
        total += 0.0 * raw[2 * n + k]  # fmin and fmax hide NaN
    return -weight * total


cdef double mixture_density(int64_t n, const double *y, const double *raw, const double *weight,
                            double *gradient, const vf_loss *loss) noexcept nogil:
    cdef int64_t row, width = loss.n_outputs
    cdef double total = 0.0
    for row in range(n):
        total += mixture_of_row(y[row], raw + row * width, weight[row], gradient + row * width, width // 3)
    return total


KERNELS = {"mixture_density": make_capsule(mixture_density)}
