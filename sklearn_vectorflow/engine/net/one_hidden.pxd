# cython: language_level=3
from libc.stdint cimport int64_t

from sklearn_vectorflow.engine.data cimport Targets
from sklearn_vectorflow.engine.kernels.nets.walk cimport vf_single
from sklearn_vectorflow.engine.kernels.optimizers.record cimport vf_linear
from sklearn_vectorflow.engine.kernels.rows.batch_gradient cimport vf_gathered
from sklearn_vectorflow.engine.kernels.sharing.slots cimport vf_hot
from sklearn_vectorflow.engine.net.plan cimport Node
from sklearn_vectorflow.engine.net.walk cimport Walk

cdef extern from "kernels/nets/one_hidden.h" nogil:
    ctypedef struct vf_inner:
        int64_t n_units, n_outputs
        float *weights
        float *state
        float *left
        float *rate
        float *now
        unsigned int *touched
        float *intercepts
        float *output_intercepts
        float *output_state
        float *units
        float *delta
        float *gradient
    ctypedef struct vf_hidden:
        vf_single data
        const vf_linear *output
        const vf_linear *output_bias
        int activation, lazy
        float **at
        const vf_hot *hot
        float *own

cdef extern from "kernels/nets/hidden_batch.h" nogil:
    ctypedef struct vf_hidden_batch:
        int64_t stride
        vf_gathered *features
        float **record
        int *slots
        float *units
        float *delta
        float *gradient
        float *squares
        float *total
        int *order


cdef class OneHidden(Walk):
    cdef vf_hidden hidden
    cdef vf_inner inner
    cdef vf_hidden_batch batch
    cdef _take_batch(self, Node *first, int64_t n_outputs)
    cdef bint _serves(self)
    cdef bint _has_one_hidden(self, Targets targets)
    cdef float *_bias_of(self, int which) noexcept nogil
    cdef void _open(self, vf_single data) noexcept nogil
    cdef void _open_inner(self) noexcept nogil
    cdef void _close(self) noexcept nogil
    cdef double _train_hidden(self, int64_t n) noexcept nogil
