# cython: language_level=3, freethreading_compatible=True
"""A Python function in the form of a compiled loss: the GIL is taken once a block."""
from cpython.buffer cimport PyBUF_WRITABLE
from cpython.mem cimport PyMem_Free
from cpython.pycapsule cimport PyCapsule_GetPointer, PyCapsule_SetDestructor
from cpython.ref cimport Py_DECREF, Py_INCREF
from libc.math cimport NAN
from libc.stdint cimport int64_t, uint64_t

from sklearn_vectorflow.engine.contract cimport VF_LOSS_CAPSULE, vf_loss, vf_node
from sklearn_vectorflow.engine.kernels.denormals cimport vf_keep_denormals, vf_restore_denormals
from sklearn_vectorflow.engine.losses.capsule cimport make_capsule


cdef class Window:
    """Doubles or int64 that somebody else owns, of shape (n_rows, n_columns), as a buffer.

    The owner lives as long as an array made from the window.
    """
    cdef void *address
    cdef object owner
    cdef const char *format
    cdef bint writable
    cdef Py_ssize_t[2] shape
    cdef Py_ssize_t[2] strides

    def __getbuffer__(self, Py_buffer *buffer, int flags):
        if flags & PyBUF_WRITABLE and not self.writable:
            raise BufferError("these numbers may only be read")
        buffer.buf = self.address
        buffer.format = <char *>self.format
        buffer.internal = NULL
        buffer.itemsize = 8
        buffer.len = 8 * self.shape[0] * self.shape[1]
        buffer.ndim = 2
        buffer.obj = self
        buffer.readonly = not self.writable
        buffer.shape = self.shape
        buffer.strides = self.strides
        buffer.suboffsets = NULL

    def __releasebuffer__(self, Py_buffer *buffer):
        pass


cdef Window look_at(const void *address, int64_t n_rows, int64_t n_columns, const void *owner, const char *format,
                    bint writable):
    cdef Window window = Window.__new__(Window)
    window.address = <void *>address
    window.owner = <object>owner
    window.format = format
    window.writable = writable
    window.shape[0], window.shape[1] = n_rows, n_columns
    window.strides[0], window.strides[1] = 8 * n_columns, 8
    return window


cdef class Bridge:
    """What the compiled side calls: a function of windows, and the error it raised first.

    Parameters
    ----------
    function : callable
        Takes windows of y, raw, weight, gradient and starts (or None), and a list of the nodes read,
        each as windows of outputs and gradient; writes gradients and returns the loss, a float.
    """
    cdef object function
    cdef public object error

    def __init__(self, function):
        self.function = function
        self.error = None

    cdef double call(self, int64_t n, const double *y, const double *raw, const double *weight, double *gradient,
                     const vf_loss *loss):
        cdef const void *owner = loss.owner
        cdef int64_t k
        cdef vf_node node
        starts, nodes = None, []
        if loss.n_groups:
            starts = look_at(loss.starts, loss.n_groups + 1, 1, owner, "q", False)
        for k in range(loss.n_nodes):
            node = loss.nodes[k]
            nodes.append((look_at(node.outputs, n, node.width, owner, "d", False),
                          look_at(node.gradient, n, node.width, owner, "d", True)))
        return self.function(
            look_at(y, n, loss.n_targets, owner, "d", False), look_at(raw, n, loss.n_outputs, owner, "d", False),
            look_at(weight, n, 1, owner, "d", False), look_at(gradient, n, loss.n_outputs, owner, "d", True), starts,
            nodes,
        )


cdef double call_python(int64_t n, const double *y, const double *raw, const double *weight,
                        double *gradient, const vf_loss *loss) noexcept with gil:
    """NaN, which stops the worker, if the function raises or has raised in another thread."""
    cdef Bridge bridge = <Bridge>loss.context
    cdef uint64_t mode
    if bridge.error is not None:
        return NAN
    mode = vf_keep_denormals()
    try:
        return bridge.call(n, y, raw, weight, gradient, loss)
    except BaseException as error:
        bridge.error = error
        return NAN
    finally:
        vf_restore_denormals(mode)


cdef void release(object capsule) noexcept:
    cdef vf_loss *loss = <vf_loss *>PyCapsule_GetPointer(capsule, VF_LOSS_CAPSULE)
    Py_DECREF(<object>loss.context)
    PyMem_Free(loss)


def capsule_of_bridge(Bridge bridge):
    """Return the capsule of a loss that calls a bridge, which lives as long as it."""
    capsule = make_capsule(call_python)
    cdef vf_loss *loss = <vf_loss *>PyCapsule_GetPointer(capsule, VF_LOSS_CAPSULE)
    Py_INCREF(bridge)
    loss.context = <const void *>bridge
    PyCapsule_SetDestructor(capsule, release)
    return capsule
