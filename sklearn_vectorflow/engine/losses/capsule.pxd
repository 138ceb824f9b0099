# cython: language_level=3
"""Capsules of the loss contract: made by whoever compiles a loss, opened by the engine."""
from cpython.mem cimport PyMem_Calloc
from cpython.pycapsule cimport PyCapsule_GetPointer, PyCapsule_IsValid, PyCapsule_New

from sklearn_vectorflow.engine.contract cimport VF_LOSS_CAPSULE, VF_LOSS_VERSION, vf_loss, vf_loss_fn


cdef inline object make_capsule(vf_loss_fn evaluate):
    """A loss as a PyCapsule of the contract; it lives as long as the module."""
    cdef vf_loss *loss = <vf_loss *>PyMem_Calloc(1, sizeof(vf_loss))
    if loss == NULL:
        raise MemoryError
    loss.version = VF_LOSS_VERSION
    loss.evaluate = evaluate
    return PyCapsule_New(loss, VF_LOSS_CAPSULE, NULL)


cdef inline vf_loss *open_capsule(capsule) except NULL:
    """The loss in a capsule, if this package and the plug-in agree on the contract."""
    cdef vf_loss *loss
    if not PyCapsule_IsValid(capsule, VF_LOSS_CAPSULE):
        raise TypeError(f"kernel must be a PyCapsule named '{(<bytes>VF_LOSS_CAPSULE).decode()}', got {capsule!r}.")
    loss = <vf_loss *>PyCapsule_GetPointer(capsule, VF_LOSS_CAPSULE)
    if loss.version != VF_LOSS_VERSION:
        raise ImportError(
            f"A compiled loss was built against version {loss.version} of the loss contract, and this "
            f"sklearn_vectorflow has version {VF_LOSS_VERSION}: build the loss again against the installed package."
        )
    if loss.evaluate == NULL:
        raise TypeError("kernel must point to a loss function, got one whose `evaluate` is NULL.")
    return loss
