# cython: language_level=3
from libc.stdint cimport int32_t, int64_t

from sklearn_vectorflow.engine.kernels.rows.rows cimport vf_row

cdef extern from "kernels/sharing/meeting.h" nogil:
    ctypedef struct vf_meeting:
        int32_t taken
    ctypedef struct vf_progress:
        int32_t done
    void vf_meet(vf_meeting *meeting, int32_t n)
    void vf_await(vf_progress *progress, int32_t n)
    void vf_part_done(vf_progress *progress)
    int32_t vf_owner_of(int32_t feature, int32_t shift, int32_t n)
    void vf_divide_row(vf_row x, int32_t shift, int32_t n, int64_t at, int64_t *starts, int32_t *indices, float *values)
