# cython: language_level=3
from libc.stdint cimport int64_t

from sklearn_vectorflow.engine.kernels.optimizers.optimizers cimport vf_clock

cdef extern from "kernels/sharing/merge_one.h" nogil:
    ctypedef struct vf_apart:
        float *records
        float *before
        float *hot_before
        float *bias[2]
        float *bias_before[2]
        vf_clock clock
        int64_t average_from
        int64_t *averaged
        vf_clock *merged
