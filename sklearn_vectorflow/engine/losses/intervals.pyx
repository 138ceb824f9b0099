# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, freethreading_compatible=True
"""Losses of times cut into intervals. Their formulas stand in sklearn_vectorflow/losses/intervals.py.

With J intervals, the raw outputs are J + 1, a row's own log hazard (or logit) and the
intervals', which are added; or J, each interval's. Several causes have so many outputs each.
"""
from libc.math cimport INFINITY, exp, fmax, fmin, log1p
from libc.stdint cimport int64_t

from sklearn_vectorflow.engine.contract cimport vf_loss, vf_loss_fn
from sklearn_vectorflow.engine.losses.capsule cimport make_capsule


cdef double piecewise_exponential(int64_t n, const double *y, const double *raw, const double *weight,
                                  double *gradient, const vf_loss *loss) noexcept nogil:
    """Targets are (event, time, entry); parameters are the log of the unit of time, the number of causes K, J,
    and the J - 1 edges between the intervals.

    An event is the number of its cause, from 1 on. Outputs are those of each cause, side by side: first the
    row's own where there are any, then the intervals'."""
    cdef int64_t r, j, c, n_causes = <int64_t>loss.parameters[1], n_intervals = <int64_t>loss.parameters[2]
    cdef int64_t n_outputs = loss.n_outputs, n_own = n_outputs - n_causes * n_intervals
    cdef double total = 0.0, log_hazard, expected, slope, start, end, own, row, w, log_unit = loss.parameters[0]
    cdef double entry, time, cause
    cdef const double *edges = loss.parameters + 3
    cdef const double *f
    cdef double *g
    for r in range(n):
        cause, time, entry, w = y[3 * r], y[3 * r + 1], y[3 * r + 2], weight[r]
        for c in range(n_causes):
            f = raw + r * n_outputs + n_own + c * n_intervals
            g = gradient + r * n_outputs + n_own + c * n_intervals
            row = (raw[r * n_outputs + c] if n_own else 0.0) - log_unit
            own = start = 0.0
            for j in range(n_intervals):
                end = edges[j] if j < n_intervals - 1 else INFINITY
                slope = 0.0
                if entry < end and time > start:
                    log_hazard = row + f[j]
                    expected = exp(log_hazard) * (fmin(time, end) - fmax(entry, start))
                    slope = expected
                    if time <= end and cause == c + 1:
                        total -= w * log_hazard
                        slope -= 1.0
                    total += w * expected
                g[j] = w * slope
                own += w * slope
                start = end
            if n_own:
                gradient[r * n_outputs + c] = own
    return total


cdef double discrete(int64_t n, const double *y, const double *raw, const double *weight,
                     double *gradient, const vf_loss *loss) noexcept nogil:
    """Targets are (event, first interval at risk, intervals survived or had the event in);
    parameters are J."""
    cdef int64_t r, j, n_intervals = <int64_t>loss.parameters[0], n_outputs = loss.n_outputs, first, last
    cdef int64_t shared = n_outputs - n_intervals
    cdef double total = 0.0, logit, e, slope
    cdef const double *f
    cdef double *g
    for r in range(n):
        f = raw + r * n_outputs
        g = gradient + r * n_outputs
        first = <int64_t>y[3 * r + 1]
        last = <int64_t>y[3 * r + 2]
        for j in range(n_outputs):
            g[j] = 0.0
            total += 0.0 * f[j]  # NaN shows also in rows that were never at risk
        for j in range(first, last):
            logit = f[shared + j] + (f[0] if shared else 0.0)
            e = exp(-logit if logit > 0.0 else logit)
            total += weight[r] * (fmax(logit, 0.0) + log1p(e))
            slope = (1.0 if logit > 0.0 else e) / (1.0 + e)
            if j == last - 1 and y[3 * r] > 0.0:
                total -= weight[r] * logit
                slope -= 1.0
            g[shared + j] = weight[r] * slope
            if shared:
                g[0] += weight[r] * slope
    return total


KERNELS = {
    "piecewise_exponential": make_capsule(piecewise_exponential),
    "discrete": make_capsule(discrete),
}
