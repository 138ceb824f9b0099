# cython: language_level=3
from libc.stdint cimport int32_t, int64_t

cdef extern from "kernels/layers/fields.h" nogil:
    ctypedef struct vf_fields:
        const int32_t *field
        int64_t n_fields, n_outputs, rank
        int32_t passes_back
        int32_t *indices
        float *values
        int64_t *next
        int64_t *starts
        int32_t *present
        int64_t n_present
        float *gradient
        float *own
        double *delta
