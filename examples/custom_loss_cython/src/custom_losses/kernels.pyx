# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
from libc.math cimport exp
from libc.stdint cimport int64_t

from sklearn_vectorflow.engine.contract cimport vf_loss, vf_node
from sklearn_vectorflow.engine.losses.capsule cimport make_capsule


cdef double pinball(int64_t n, const double *y, const double *raw, const double *weight,
                    double *gradient, const vf_loss *loss) noexcept nogil:
    cdef double total = 0.0, error, slope, quantile = loss.parameters[0]
    cdef int64_t k
    for k in range(n * loss.n_outputs):
        error = raw[k] - y[k]
        slope = 1.0 - quantile if error > 0.0 else (-quantile if error < 0.0 else 0.0)
        gradient[k] = weight[k // loss.n_outputs] * slope
        total += gradient[k] * error if error == error else error  # NaN must show
    return total


cdef double exponential(int64_t n, const double *y, const double *raw, const double *weight,
                        double *gradient, const vf_loss *loss) noexcept nogil:
    cdef double total = 0.0, hazard, time, event
    cdef int64_t row
    for row in range(n):
        time, event = y[2 * row], y[2 * row + 1]
        hazard = exp(raw[row])
        total += weight[row] * (hazard * time - event * raw[row])
        gradient[row] = weight[row] * (hazard * time - event)
    return total


cdef double two_tasks(int64_t n, const double *y, const double *raw, const double *weight,
                      double *gradient, const vf_loss *loss) noexcept nogil:
    """The nodes are the hidden layer and the second head."""
    cdef double total = 0.0, error, expected, price = loss.parameters[0]
    cdef vf_node hidden = loss.nodes[0], count = loss.nodes[1]
    cdef int64_t row, k
    for row in range(n):
        error = raw[2 * row] - y[2 * row]
        expected = exp(count.outputs[row])
        total += weight[row] * (0.5 * error * error + expected - y[2 * row + 1] * count.outputs[row])
        gradient[2 * row] = weight[row] * error
        gradient[2 * row + 1] = 0.0
        count.gradient[row] = weight[row] * (expected - y[2 * row + 1])
        for k in range(row * hidden.width, (row + 1) * hidden.width):
            total += weight[row] * price * hidden.outputs[k] * hidden.outputs[k]
            hidden.gradient[k] = 2.0 * weight[row] * price * hidden.outputs[k]
    return total


PINBALL = make_capsule(pinball)
EXPONENTIAL = make_capsule(exponential)
TWO_TASKS = make_capsule(two_tasks)
