# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, freethreading_compatible=True
"""Losses of parametric times to an event. Their formulas stand in sklearn_vectorflow/losses/survival.py.

A row's targets are (kind, log time), or (kind, log time, log upper, log entry) where some
rows are interval-censored or enter late; log upper is read for intervals alone, and an
entry of -inf is none. parameters[0] is the logarithm of the unit of time.
"""
from libc.math cimport INFINITY, erfc, exp, expm1, fabs, fmax, log, log1p
from libc.stdint cimport int64_t

from sklearn_vectorflow.engine.contract cimport vf_loss, vf_loss_fn
from sklearn_vectorflow.engine.losses.capsule cimport make_capsule

cdef enum:  # in the order of targets/times.py
    IS_CENSORED
    IS_EVENT
    IS_INTERVAL

KINDS = {"CENSORED": IS_CENSORED, "EVENT": IS_EVENT, "INTERVAL": IS_INTERVAL}

cdef enum Family:
    WEIBULL
    LOGNORMAL
    LOGLOGISTIC

cdef double HALF_LOG_2PI = 0.91893853320467274
cdef double SQRT_HALF = 0.70710678118654752
cdef double FAR = 25.0  # from here on the normal tail's series has all digits


cdef struct Tail:
    double log_survival, hazard


cdef inline Tail logistic_tail(double z) noexcept nogil:
    """The logistic distribution's, beyond z."""
    cdef double e = exp(-fabs(z))
    return Tail(-(fmax(z, 0.0) + log1p(e)), (1.0 if z > 0.0 else e) / (1.0 + e))


cdef inline Tail normal_tail(double z) noexcept nogil:
    """The normal distribution's, beyond z; far out by the series of Mills' ratio."""
    cdef double survival, q, series
    if z < FAR:
        survival = 0.5 * erfc(z * SQRT_HALF)
        return Tail(
            log1p(-0.5 * erfc(-z * SQRT_HALF)) if z < -1.0 else log(survival),
            exp(-0.5 * z * z - HALF_LOG_2PI) / survival)
    q = 1.0 / (z * z)
    series = 1.0 - q * (1.0 - q * (3.0 - q * (15.0 - q * (105.0 - q * 945.0))))
    return Tail(-0.5 * z * z - HALF_LOG_2PI - log(z) + log(series), z / series)


cdef inline Tail tail(const Family family, double z) noexcept nogil:
    """log S(z) and the hazard -d log S / dz of the standardised logarithm of time."""
    cdef double e
    if family == WEIBULL:
        e = exp(z)
        return Tail(-e, e)
    if family == LOGLOGISTIC:
        return logistic_tail(z)
    return normal_tail(z)


cdef inline double log_density(const Family family, double z, double *slope) noexcept nogil:
    """log density of the standardised logarithm of time, and its slope."""
    cdef double e
    cdef Tail beyond
    if family == WEIBULL:
        e = exp(z)
        slope[0] = 1.0 - e
        return z - e
    if family == LOGLOGISTIC:
        beyond = logistic_tail(z)
        slope[0] = 1.0 - 2.0 * beyond.hazard
        return z + 2.0 * beyond.log_survival
    slope[0] = -z
    return -0.5 * z * z - HALF_LOG_2PI


cdef inline double interval(const Family family, double z_low, double z_high, double *slope_low,
                            double *slope_high) noexcept nogil:
    """log(S(z_low) - S(z_high)) and its slopes; z_low may be -inf."""
    cdef Tail low = Tail(0.0, 0.0), high = tail(family, z_high)
    cdef double distance, rest
    if z_low > -INFINITY:
        low = tail(family, z_low)
    distance = low.log_survival - high.log_survival
    rest = -expm1(-distance)  # the share of S(z_low) that the interval takes
    slope_low[0] = -low.hazard / rest
    slope_high[0] = high.hazard * exp(-distance) / rest if distance < 700.0 else 0.0
    return low.log_survival + (log(rest) if distance < 0.7 else log1p(-exp(-distance)))


cdef inline double times_or_zero(double slope, double z) noexcept nogil:
    """Their product, zero where an infinite factor would make it NaN."""
    return slope * z if slope != 0.0 else 0.0


cdef inline double row_loss(const Family family, const double *y, int64_t n_targets, double mu, double log_shape,
                            double *by_mu, double *by_log_shape) noexcept nogil:
    """Negative log-likelihood of a row, of log time = mu + standardised / shape."""
    cdef double shape = exp(log_shape), z = shape * (y[1] - mu), value, slope, z_high, slope_high
    cdef Tail beyond
    if y[0] == IS_EVENT:
        value = y[1] - log_shape - log_density(family, z, &slope)
        by_mu[0] = shape * slope
        by_log_shape[0] = -1.0 - slope * z
    elif y[0] == IS_CENSORED:
        beyond = tail(family, z)
        value = -beyond.log_survival
        by_mu[0] = -times_or_zero(beyond.hazard, shape)
        by_log_shape[0] = times_or_zero(beyond.hazard, z)
    else:
        z_high = shape * (y[2] - mu)
        value = -interval(family, z, z_high, &slope, &slope_high)
        by_mu[0] = times_or_zero(slope, shape) + times_or_zero(slope_high, shape)
        by_log_shape[0] = -(times_or_zero(slope, z) + times_or_zero(slope_high, z_high))
    if n_targets > 2 and y[3] > -INFINITY:
        z = shape * (y[3] - mu)
        beyond = tail(family, z)
        value += beyond.log_survival
        by_mu[0] += times_or_zero(beyond.hazard, shape)
        by_log_shape[0] -= times_or_zero(beyond.hazard, z)
    return value


cdef inline double block(const Family family, double sign, int64_t n, const double *y, const double *raw,
                         const double *weight, double *gradient, const vf_loss *loss) noexcept nogil:
    """Raw outputs are (mu, sign * log shape)."""
    cdef int64_t r
    cdef double total = 0.0, by_mu = 0.0, by_log_shape = 0.0
    for r in range(n):
        total += weight[r] * row_loss(family, y + r * loss.n_targets, loss.n_targets, raw[2 * r] + loss.parameters[0],
                                      sign * raw[2 * r + 1], &by_mu, &by_log_shape)
        gradient[2 * r] = weight[r] * by_mu
        gradient[2 * r + 1] = weight[r] * sign * by_log_shape
    return total


cdef double weibull(int64_t n, const double *y, const double *raw, const double *weight,
                    double *gradient, const vf_loss *loss) noexcept nogil:
    return block(WEIBULL, 1.0, n, y, raw, weight, gradient, loss)


cdef double loglogistic(int64_t n, const double *y, const double *raw, const double *weight,
                        double *gradient, const vf_loss *loss) noexcept nogil:
    return block(LOGLOGISTIC, 1.0, n, y, raw, weight, gradient, loss)


cdef double lognormal(int64_t n, const double *y, const double *raw, const double *weight,
                      double *gradient, const vf_loss *loss) noexcept nogil:
    return block(LOGNORMAL, -1.0, n, y, raw, weight, gradient, loss)


cdef double exponential(int64_t n, const double *y, const double *raw, const double *weight,
                        double *gradient, const vf_loss *loss) noexcept nogil:
    """The raw output is the log hazard: a Weibull distribution's -mu, its shape being 1."""
    cdef int64_t r
    cdef double total = 0.0, by_mu = 0.0, by_log_shape = 0.0, log_hazard, e
    cdef const double *t
    for r in range(n):
        t = y + r * loss.n_targets
        log_hazard = raw[r] - loss.parameters[0]
        if loss.n_targets == 2:
            e = exp(t[1] + log_hazard)
            total += weight[r] * (e - t[0] * log_hazard)
            gradient[r] = weight[r] * (e - t[0])
        else:
            total += weight[r] * row_loss(WEIBULL, t, loss.n_targets, -log_hazard, 0.0, &by_mu, &by_log_shape)
            gradient[r] = -weight[r] * by_mu
    return total


KERNELS = {
    "exponential": make_capsule(exponential),
    "weibull": make_capsule(weibull),
    "lognormal": make_capsule(lognormal),
    "loglogistic": make_capsule(loglogistic),
}
