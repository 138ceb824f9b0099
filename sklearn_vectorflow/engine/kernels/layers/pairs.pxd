# cython: language_level=3
from libc.stdint cimport int64_t

from sklearn_vectorflow.engine.kernels.nets.walk cimport vf_linear_kernels
from sklearn_vectorflow.engine.kernels.optimizers.misses cimport vf_copies
from sklearn_vectorflow.engine.kernels.optimizers.optimizers cimport vf_clock
from sklearn_vectorflow.engine.kernels.optimizers.record cimport vf_linear
from sklearn_vectorflow.engine.kernels.rows.batch_gradient cimport vf_gathered
from sklearn_vectorflow.engine.kernels.rows.rows cimport vf_row

cdef extern from "kernels/layers/pairs.h" nogil:
    ctypedef struct vf_pairs:
        const vf_linear *layer
        const vf_linear_kernels *kernels
        const vf_clock *clock
        vf_copies copies
        int64_t rank
        float *embedding
    void vf_pairs_forward(const vf_pairs *p, vf_row row, float *sums, float *squares, float *out)
    void vf_pairs_update(const vf_pairs *p, vf_row row, const float *sums, const double *delta, float *step)
    void vf_pairs_gather(const vf_pairs *p, vf_row row, const float *sums, const double *delta, vf_gathered *g,
                         double *step)
    void vf_pairs_back(const vf_pairs *p, const float *x, int64_t first, int64_t n, const float *sums,
                       const double *delta, double *of_x)
