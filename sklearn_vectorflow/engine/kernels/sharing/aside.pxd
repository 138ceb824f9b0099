# cython: language_level=3
from libc.stdint cimport int32_t, int64_t

from sklearn_vectorflow.engine.kernels.optimizers.record cimport vf_linear
from sklearn_vectorflow.engine.kernels.rows.rows cimport vf_rows
from sklearn_vectorflow.engine.kernels.sharing.slots cimport vf_hot

cdef extern from "kernels/sharing/aside.h" nogil:
    ctypedef struct vf_aside:
        int32_t n_pieces
        int32_t *feature
        int32_t *order
        int32_t *starts
        float *before
    void vf_ask_for_row(const vf_rows *rows, const vf_linear *layer, const vf_hot *hot, int64_t row)
    void vf_sort_aside(vf_aside *aside)
