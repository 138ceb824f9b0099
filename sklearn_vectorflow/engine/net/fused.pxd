# cython: language_level=3
from libc.stdint cimport int32_t, int64_t

from sklearn_vectorflow.engine.data cimport Targets
from sklearn_vectorflow.engine.kernels.nets.walk cimport vf_single
from sklearn_vectorflow.engine.kernels.optimizers.misses cimport vf_copies
from sklearn_vectorflow.engine.kernels.optimizers.record cimport vf_linear
from sklearn_vectorflow.engine.net.deep cimport Deep, vf_spread
from sklearn_vectorflow.engine.net.plan cimport Node

cdef extern from "kernels/nets/machine.h" nogil:
    ctypedef struct vf_machine:
        vf_single data
        const vf_linear *pairs
        const vf_linear *bias
        vf_copies of_pairs
        vf_spread spread
        float *sums
        int32_t lazy

cdef extern from "kernels/nets/plain_wide.h" nogil:
    ctypedef struct vf_plain_wide:
        vf_single data
        const vf_linear *bias
        vf_spread spread
        float *worth
        float *sums
        float *delta
        float *of_bias
        int32_t lazy

# What a net is, as far as kernels here train it.
cdef enum Shape:
    OTHER
    MACHINE      # a linear layer of one output and the pairs of its inputs
    PLAIN_WIDE   # one linear layer of several outputs


cdef class Fused(Deep):
    cdef Shape shape
    cdef int linear_node, pairs_node  # of a machine
    cdef vf_machine machine
    cdef vf_plain_wide wide
    cdef Shape _find_shape(self)
    cdef bint _is_machine(self)
    cdef bint _is_plain_wide(self)
