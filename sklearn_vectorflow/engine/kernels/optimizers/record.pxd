# cython: language_level=3
from libc.stdint cimport int32_t, int64_t

from sklearn_vectorflow.engine.kernels.optimizers.optimizers cimport vf_optimizer
from sklearn_vectorflow.engine.kernels.optimizers.penalties cimport vf_penalty

cdef extern from "kernels/optimizers/record.h" nogil:
    ctypedef struct vf_linear:
        float *record
        float *values
        int64_t n_in
        int32_t n_out, stride, size, slot1, slot2, row_slot, clock_slot, average_slot
        int64_t average_from
        int32_t gives_means, is_divided
        vf_optimizer optimizer
        vf_penalty penalty
