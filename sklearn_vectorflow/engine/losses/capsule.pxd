# cython: language_level=3
from cpython.mem cimport PyMem_Calloc
from cpython.pycapsule cimport PyCapsule_New

from sklearn_vectorflow.engine.contract cimport VF_LOSS_CAPSULE, VF_LOSS_VERSION, vf_loss, vf_loss_fn


cdef inline object make_capsule(vf_loss_fn evaluate):
    """A loss as a PyCapsule of the contract; it lives as long as the module."""
    cdef vf_loss *loss = <vf_loss *>PyMem_Calloc(1, sizeof(vf_loss))
    if loss == NULL:
        raise MemoryError
    loss.version = VF_LOSS_VERSION
    loss.evaluate = evaluate
    return PyCapsule_New(loss, VF_LOSS_CAPSULE, NULL)
