# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, freethreading_compatible=True
"""One block through a loss of the C contract, called from Python."""
from cpython.pycapsule cimport PyCapsule_GetPointer

from sklearn_vectorflow.engine.contract cimport VF_LOSS_CAPSULE, vf_loss


def evaluate(capsule, const double[::1] parameters, const double[:, ::1] y, const double[:, ::1] raw,
             const double[::1] weight, double[:, ::1] gradient):
    """Return the sum of weighted losses and write its gradient.

    Parameters
    ----------
    capsule : PyCapsule of the loss contract
    parameters : float64, shape (n_parameters,)
    y : float64, shape (n_rows, n_targets)
    raw, gradient : float64, shape (n_rows, n_outputs)
    weight : float64, shape (n_rows,)
    """
    cdef vf_loss loss = (<const vf_loss *>PyCapsule_GetPointer(capsule, VF_LOSS_CAPSULE))[0]
    cdef double total
    if not y.shape[0] == raw.shape[0] == weight.shape[0] == gradient.shape[0]:
        raise ValueError("y, raw, weight and gradient differ in their number of rows")
    if gradient.shape[1] != raw.shape[1]:
        raise ValueError("gradient and raw differ in their number of outputs")
    if raw.shape[0] == 0:
        return 0.0
    loss.n_targets = y.shape[1]
    loss.n_outputs = raw.shape[1]
    loss.parameters = &parameters[0] if parameters.shape[0] else NULL
    with nogil:
        total = loss.evaluate(raw.shape[0], &y[0, 0], &raw[0, 0], &weight[0], &gradient[0, 0], &loss)
    return total
