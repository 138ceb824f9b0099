# cython: language_level=3
from libc.stdint cimport int32_t, int64_t

from sklearn_vectorflow.engine.data cimport Targets
from sklearn_vectorflow.engine.kernels.nets.walk cimport vf_single
from sklearn_vectorflow.engine.kernels.optimizers.misses cimport vf_copies
from sklearn_vectorflow.engine.kernels.optimizers.record cimport vf_linear
from sklearn_vectorflow.engine.kernels.rows.batch_gradient cimport vf_gathered
from sklearn_vectorflow.engine.kernels.sharing.slots cimport vf_hot
from sklearn_vectorflow.engine.net.plan cimport Node
from sklearn_vectorflow.engine.net.walk cimport Walk

cdef extern from "kernels/nets/row_places.h" nogil:
    ctypedef struct vf_spread:
        const float *record
        int64_t stride, n_asked
        int32_t straddles
        const vf_hot *hot
        int64_t first

cdef extern from "kernels/nets/deep.h" nogil:
    ctypedef struct vf_intercepts:
        const vf_linear *layer
        int rule
        int64_t n
        float *numbers
        float *square
        float *first
        float *touches
    ctypedef struct vf_inner:
        const vf_linear *layer
        int rule, activation
        int64_t n_in, n_out, stride
        float *weights
        float *square
        float *first
        float *touches
        float *bias[2]
        float *left
        float *rate
        float *now
        unsigned int *touched
        float *units
        float *delta
        float *out
        float *gradient
        vf_intercepts intercepts
    ctypedef struct vf_wide:
        const vf_linear *layer
        vf_copies copies
        vf_intercepts intercepts
    ctypedef struct vf_deep:
        vf_single data
        int lazy
        vf_spread spread
        vf_intercepts intercepts
        vf_wide wide
        int64_t n_layers
        vf_inner *layers

cdef extern from "kernels/nets/hidden_batch.h" nogil:
    ctypedef struct vf_hidden_batch:
        int64_t stride
        vf_gathered *features
        int64_t *place
        int *slots
        float *units
        float *delta
        float *gradient
        float *squares
        float *total
        int *order


cdef class Deep(Walk):
    cdef int *chain           # nodes: the hidden layer that reads rows, and the inner ones behind it
    cdef int wide             # the node beside it, -1: none
    cdef vf_deep deep
    cdef vf_hidden_batch batch
    cdef bint _find_chain(self)
    cdef bint _find_front(self, int end)
    cdef bint _serves(self)
    cdef bint _serves_wide(self, int rule)
    cdef vf_spread _spread(self, int i, int64_t most_asked) noexcept nogil
    cdef _take_layers(self)
    cdef _take_inner(self, vf_inner *inner, Node *node)
    cdef _take_intercepts(self, vf_intercepts *intercepts, Node *node)
    cdef _take_batch(self)
    cdef bint _has_kernel(self, Targets targets)
    cdef void _open(self, vf_single data) noexcept nogil
    cdef void _open_inner(self) noexcept nogil
    cdef void _close(self) noexcept nogil
    cdef double _train_by_kernel(self, int64_t n) noexcept nogil
