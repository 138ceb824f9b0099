# cython: language_level=3
from libc.stdint cimport int64_t

from sklearn_vectorflow.engine.kernels.optimizers.misses cimport vf_copies
from sklearn_vectorflow.engine.kernels.optimizers.optimizers cimport vf_clock
from sklearn_vectorflow.engine.kernels.optimizers.record cimport vf_linear
from sklearn_vectorflow.engine.kernels.rows.batch_gradient cimport vf_gathered
from sklearn_vectorflow.engine.kernels.rows.rows cimport vf_row

cdef extern from "kernels/layers/pairs.h" nogil:
    ctypedef struct vf_pairs:
        const vf_linear *layer
        const vf_clock *clock
        vf_copies copies
        int64_t rank
        float *step
    ctypedef struct vf_pairs_kernels:
        void (*forward)(const vf_pairs *, vf_row, float *, float *) noexcept nogil
        void (*read)(const vf_pairs *, vf_row) noexcept nogil
        void (*update)(const vf_pairs *, vf_row, const float *, const float *) noexcept nogil
        void (*backward)(const vf_pairs *, const float *, int64_t, int64_t, const float *, const double *,
                         double *) noexcept nogil
    void vf_gather_pairs(vf_gathered *g, vf_row row, const double *delta, const float *sums, int64_t n_outputs,
                         int64_t rank)
