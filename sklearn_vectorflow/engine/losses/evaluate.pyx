# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, freethreading_compatible=True
"""One block through a loss of the C contract, called from Python."""
from time import monotonic, sleep

from libc.stdint cimport int64_t, uintptr_t
from libc.stdlib cimport calloc, free

from sklearn_vectorflow.engine.contract cimport VF_LOSS_VERSION, vf_loss, vf_loss_fn, vf_node
from sklearn_vectorflow.engine.losses.capsule cimport make_capsule, open_capsule

VERSION = VF_LOSS_VERSION

cdef enum:
    READY = 1
    GO = 2
    DONE = 3


def capsule_of_address(uintptr_t address):
    """Return the capsule of a loss function that was compiled at run time."""
    return make_capsule(<vf_loss_fn>address)


cdef class Block:
    """A block of rows and a loss, ready to be evaluated.

    Parameters
    ----------
    capsule : PyCapsule of the loss contract
    parameters : float64, shape (n_parameters,)
    y : float64, shape (n_rows, n_targets)
    raw, gradient : float64, shape (n_rows, n_outputs)
    weight : float64, shape (n_rows,)
    starts : int64, shape (n_groups + 1,), or None
        Row at which each group starts, and the number of rows.
    nodes : sequence of (outputs, gradient), float64, shape (n_rows, width)
        Of the nodes that the loss reads; gradients are zero.
    """
    cdef vf_loss loss
    cdef int64_t n
    cdef const double *y
    cdef const double *raw
    cdef const double *weight
    cdef double *gradient
    cdef vf_node *nodes
    cdef tuple arrays
    cdef volatile int stage

    def __init__(self, capsule, const double[::1] parameters, const double[:, ::1] y, const double[:, ::1] raw,
                 const double[::1] weight, double[:, ::1] gradient, const int64_t[::1] starts=None, nodes=()):
        self.loss = open_capsule(capsule)[0]
        if not y.shape[0] == raw.shape[0] == weight.shape[0] == gradient.shape[0]:
            raise ValueError("y, raw, weight and gradient differ in their number of rows")
        if gradient.shape[1] != raw.shape[1]:
            raise ValueError("gradient and raw differ in their number of outputs")
        self.arrays = (capsule, parameters, y, raw, weight, gradient, starts, nodes)
        self.n = raw.shape[0]
        self.loss.owner = <const void *>self
        self.loss.n_targets = y.shape[1]
        self.loss.n_outputs = raw.shape[1]
        self.loss.n_parameters = parameters.shape[0]
        self.loss.parameters = &parameters[0] if parameters.shape[0] else NULL
        if starts is not None:
            self.loss.n_groups = starts.shape[0] - 1
            self.loss.starts = &starts[0]
        self._set_nodes(nodes)
        if self.n:
            self.y, self.raw, self.weight, self.gradient = &y[0, 0], &raw[0, 0], &weight[0], &gradient[0, 0]

    cdef _set_nodes(self, nodes):
        cdef const double[:, ::1] outputs
        cdef double[:, ::1] gradient
        free(self.nodes)
        self.nodes = <vf_node *>calloc(len(nodes) + 1, sizeof(vf_node))
        if self.nodes == NULL:
            raise MemoryError
        self.loss.n_nodes = len(nodes)
        self.loss.nodes = self.nodes
        for k, (outputs, gradient) in enumerate(nodes):
            if not self.n == outputs.shape[0] == gradient.shape[0] or outputs.shape[1] != gradient.shape[1]:
                raise ValueError("outputs and gradient of a node differ in shape, or have other rows than raw")
            if self.n and outputs.shape[1]:
                self.nodes[<int>k] = vf_node(outputs.shape[1], &outputs[0, 0], &gradient[0, 0])

    def __dealloc__(self):
        free(self.nodes)

    cdef double run(self) noexcept nogil:
        if self.n == 0:
            return 0.0
        return self.loss.evaluate(self.n, self.y, self.raw, self.weight, self.gradient, &self.loss)

    def evaluate(self):
        """Return the sum of weighted losses; its gradient is in the array given for it."""
        cdef double total
        with nogil:
            total = self.run()
        return total

    def wait_and_evaluate(self):
        """Evaluate once `ends_beside_the_gil` says so; for a thread of its own."""
        with nogil:
            self.stage = READY
            while self.stage == READY:
                pass
            self.run()
            self.stage = DONE

    def ends_beside_the_gil(self, double seconds):
        """Tell whether the loss, in another thread, ends while this one holds the GIL."""
        cdef double until
        while self.stage != READY:
            sleep(0.001)
        until = monotonic() + seconds
        self.stage = GO
        while self.stage != DONE and monotonic() < until:
            pass
        return self.stage == DONE
