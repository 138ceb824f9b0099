# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, freethreading_compatible=True
"""Losses of numbers. Their formulas stand in sklearn_vectorflow/losses/regression.py.

Every output has its own target; several outputs add up.
"""
from libc.math cimport INFINITY, copysign, exp, fabs, isinf, log
from libc.stdint cimport int64_t

from sklearn_vectorflow.engine.contract cimport vf_loss, vf_loss_fn
from sklearn_vectorflow.engine.losses.capsule cimport make_capsule


cdef inline double times_exp(double y, double x) noexcept nogil:
    """y exp(x) for y >= 0, also where only the exponential overflows."""
    if x > 700.0:
        return exp(x + log(y)) if y > 0.0 else 0.0
    return y * exp(x)


cdef double squared_error(int64_t n, const double *y, const double *raw, const double *weight,
                          double *gradient, const vf_loss *loss) noexcept nogil:
    cdef int64_t r, c, k
    cdef double total = 0.0, error
    for r in range(n):
        for c in range(loss.n_outputs):
            k = r * loss.n_outputs + c
            error = raw[k] - y[k]
            total += weight[r] * 0.5 * error * error
            gradient[k] = weight[r] * error
    return total


cdef double absolute_error(int64_t n, const double *y, const double *raw, const double *weight,
                           double *gradient, const vf_loss *loss) noexcept nogil:
    cdef int64_t r, c, k
    cdef double total = 0.0, error
    for r in range(n):
        for c in range(loss.n_outputs):
            k = r * loss.n_outputs + c
            error = raw[k] - y[k]
            total += weight[r] * fabs(error)
            gradient[k] = weight[r] * ((error > 0.0) - <double>(error < 0.0))
    return total


cdef double huber(int64_t n, const double *y, const double *raw, const double *weight,
                  double *gradient, const vf_loss *loss) noexcept nogil:
    cdef int64_t r, c, k
    cdef double total = 0.0, error, delta = loss.parameters[0]
    for r in range(n):
        for c in range(loss.n_outputs):
            k = r * loss.n_outputs + c
            error = raw[k] - y[k]
            if fabs(error) <= delta:
                total += weight[r] * 0.5 * error * error
                gradient[k] = weight[r] * error
            else:
                total += weight[r] * delta * (fabs(error) - 0.5 * delta)
                gradient[k] = weight[r] * (delta if error > 0.0 else -delta)
    return total


cdef double epsilon_insensitive(int64_t n, const double *y, const double *raw, const double *weight,
                                double *gradient, const vf_loss *loss) noexcept nogil:
    cdef int64_t r, c, k
    cdef double total = 0.0, error, excess, epsilon = loss.parameters[0]
    for r in range(n):
        for c in range(loss.n_outputs):
            k = r * loss.n_outputs + c
            error = raw[k] - y[k]
            excess = fabs(error) - epsilon
            total += weight[r] * (0.0 if excess <= 0.0 else excess)
            gradient[k] = 0.0 if excess <= 0.0 else weight[r] * copysign(1.0, error)
    return total


cdef double squared_epsilon_insensitive(int64_t n, const double *y, const double *raw, const double *weight,
                                        double *gradient, const vf_loss *loss) noexcept nogil:
    cdef int64_t r, c, k
    cdef double total = 0.0, error, excess, epsilon = loss.parameters[0]
    for r in range(n):
        for c in range(loss.n_outputs):
            k = r * loss.n_outputs + c
            error = raw[k] - y[k]
            excess = fabs(error) - epsilon
            total += weight[r] * (0.0 if excess <= 0.0 else excess * excess)
            gradient[k] = 0.0 if excess <= 0.0 else weight[r] * copysign(2.0 * excess, error)
    return total


cdef double quantile(int64_t n, const double *y, const double *raw, const double *weight,
                     double *gradient, const vf_loss *loss) noexcept nogil:
    """Parameters are the quantiles: one for all targets, or one for each output of a single target."""
    cdef int64_t r, c, k, n_targets = loss.n_targets
    cdef bint several = loss.n_outputs > n_targets
    cdef double total = 0.0, error, slope, q = loss.parameters[0]
    for r in range(n):
        for c in range(loss.n_outputs):
            k = r * loss.n_outputs + c
            if several:
                q = loss.parameters[c]
            error = raw[k] - y[r if several else k]
            slope = 1.0 - q if error > 0.0 else (-q if error < 0.0 else 0.0)
            total += weight[r] * (slope * error if error == error else error)
            gradient[k] = weight[r] * slope
    return total


cdef double poisson(int64_t n, const double *y, const double *raw, const double *weight,
                    double *gradient, const vf_loss *loss) noexcept nogil:
    cdef int64_t r, c, k
    cdef double total = 0.0, mean
    for r in range(n):
        for c in range(loss.n_outputs):
            k = r * loss.n_outputs + c
            mean = exp(raw[k])
            total += weight[r] * (mean - y[k] * raw[k])
            gradient[k] = weight[r] * (mean - y[k])
    return total


cdef double gamma(int64_t n, const double *y, const double *raw, const double *weight,
                  double *gradient, const vf_loss *loss) noexcept nogil:
    cdef int64_t r, c, k
    cdef double total = 0.0, ratio
    for r in range(n):
        for c in range(loss.n_outputs):
            k = r * loss.n_outputs + c
            ratio = times_exp(y[k], -raw[k])
            total += weight[r] * (raw[k] + ratio)
            gradient[k] = weight[r] * (1.0 - ratio)
    return total


cdef double tweedie(int64_t n, const double *y, const double *raw, const double *weight,
                    double *gradient, const vf_loss *loss) noexcept nogil:
    cdef int64_t r, c, k
    cdef double total = 0.0, power = loss.parameters[0], up, down
    for r in range(n):
        for c in range(loss.n_outputs):
            k = r * loss.n_outputs + c
            up = exp((2.0 - power) * raw[k])
            down = times_exp(y[k], (1.0 - power) * raw[k])
            if isinf(up) and up == down:  # far out, where the loss only grows
                total += weight[r] * INFINITY
                gradient[k] = weight[r] * copysign(INFINITY, raw[k])
                continue
            total += weight[r] * (up / (2.0 - power) - down / (1.0 - power))
            gradient[k] = weight[r] * (up - down)
    return total


KERNELS = {
    "squared_error": make_capsule(squared_error),
    "absolute_error": make_capsule(absolute_error),
    "huber": make_capsule(huber),
    "epsilon_insensitive": make_capsule(epsilon_insensitive),
    "squared_epsilon_insensitive": make_capsule(squared_epsilon_insensitive),
    "quantile": make_capsule(quantile),
    "poisson": make_capsule(poisson),
    "gamma": make_capsule(gamma),
    "tweedie": make_capsule(tweedie),
}
