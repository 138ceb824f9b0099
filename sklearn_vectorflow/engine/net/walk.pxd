# cython: language_level=3
from libc.stdint cimport int32_t, int64_t

from sklearn_vectorflow.engine.net.buffers cimport Buffers, Held
from sklearn_vectorflow.engine.data cimport Rows
from sklearn_vectorflow.engine.kernels.layers.outputs cimport vf_outputs
from sklearn_vectorflow.engine.kernels.rows.batch_gradient cimport vf_gathered
from sklearn_vectorflow.engine.kernels.rows.rows cimport vf_row
from sklearn_vectorflow.engine.net.plan cimport Node


cdef class Walk(Buffers):
    cdef vf_row _row_of(self, int i, Rows rows, int64_t row, int64_t r) noexcept nogil
    cdef vf_row _sparse_row(self, int i, Rows rows, int64_t row, int64_t r) noexcept nogil
    cdef void _join(self, Node *node, Held *held, Rows rows, int64_t row, int64_t r) noexcept nogil
    cdef vf_row _placed(self, int i, int64_t row, vf_row x) noexcept nogil
    cdef void _place_gathered(self, int i, vf_gathered *g) noexcept nogil
    cdef void _forget_rows(self) noexcept nogil
    cdef void _prefetch(self, Rows rows, int64_t row, int64_t part, int64_t n_parts) noexcept nogil
    cdef void _forward(self, Rows rows, int64_t row, int64_t r) noexcept nogil
    cdef void _read_intercepts(self) noexcept nogil
    cdef void _forward_other(self, int i, Rows rows, int64_t row, int64_t r, float *out) noexcept nogil
    cdef vf_row _in_fields(self, int i, int64_t row, vf_row x) noexcept nogil
    cdef void _forward_pairs(self, int i, Rows rows, int64_t row, int64_t r, float *out) noexcept nogil
    cdef float *_out_of(self, int i, int64_t r) noexcept nogil
    cdef vf_outputs _outputs(self, int i) noexcept nogil
    cdef const int32_t *_candidates(self, int64_t r) noexcept nogil
    cdef void _drop(self, int i, int64_t r, float *out) noexcept nogil
    cdef void _backward(self, int i, Rows rows, int64_t n) noexcept nogil
    cdef void _pass_back(self, int i, int64_t n) noexcept nogil
    cdef void _pass_back_weighted(self, int i, int64_t n) noexcept nogil
    cdef void _update(self, int i, Rows rows, int64_t n) noexcept nogil
    cdef void _pass_on(self, int i, int parent, int64_t first, int64_t n) noexcept nogil
    cdef vf_row _row_to_step(self, int i, Rows rows, int64_t r) noexcept nogil
    cdef bint _steps_bias(self, int i) noexcept nogil
    cdef bint _has_copies(self, int i) noexcept nogil
    cdef bint _has_places(self, int i) noexcept nogil
    cdef void _update_bias(self, int i) noexcept nogil
    cdef void _update_directly(self, int i, Rows rows) noexcept nogil
    cdef void _update_pairs(self, int i, vf_row x) noexcept nogil
    cdef void _update_fields(self, int i, vf_row x) noexcept nogil
    cdef void _update_gathered(self, int i, Rows rows, int64_t n) noexcept nogil
    cdef void _gather(self, int i, vf_gathered *g, Rows rows, int64_t n) noexcept nogil
    cdef int64_t _most_gathered(self, int i, Rows rows, int64_t n) noexcept nogil
    cdef void _step_gathered(self, int i, vf_gathered *g) noexcept nogil
    cdef void _step_pairs(self, int i, vf_gathered *g) noexcept nogil
    cdef void _update_outputs(self, int i, Rows rows, int64_t n) noexcept nogil
    cdef void _step_bias(self, int i, int64_t n) noexcept nogil
