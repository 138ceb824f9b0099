# cython: language_level=3
from libc.stdint cimport int64_t, uint64_t

from sklearn_vectorflow.engine.data cimport Rows, Targets
from sklearn_vectorflow.engine.kernels.nets.walk cimport vf_single
from sklearn_vectorflow.engine.kernels.optimizers.optimizers cimport vf_clock, vf_schedule
from sklearn_vectorflow.engine.net.copies cimport Copies
from sklearn_vectorflow.engine.net.fused cimport Fused


cdef class Worker(Fused):
    cdef vf_schedule schedule   # of steps that `_take_rows` takes
    cdef void _take_rows(self, Rows rows, Targets targets, int64_t *queue, int64_t first, int64_t last, int64_t ahead,
                         bint by_kernel, uint64_t seed, vf_clock *clock, double *loss) noexcept nogil
    cdef void _merge_due(self, int64_t n, bint by_kernel) noexcept nogil
    cdef bint _is_single(self, Targets targets)
    cdef vf_single _single(self, Rows rows, Targets targets, vf_schedule schedule, int64_t ahead, Copies copies)
    cdef int64_t _refill(self, Rows rows, Targets targets, const int64_t[::1] order, int64_t chunk,
                         int64_t to_chunk, bint shuffle) noexcept nogil
    cdef void _queue_rows(self, Targets targets, int64_t from_row, int64_t to_row) noexcept nogil
    cdef void _queue_group(self, Targets targets, int64_t group) noexcept nogil
    cdef int64_t _next_batch(self) noexcept nogil
    cdef void _show_nodes(self, int64_t n) noexcept nogil
    cdef void _add_gradients_of_nodes(self, int64_t n, double scale) noexcept nogil
    cdef double _take_step(self, Rows rows, Targets targets, int64_t n, vf_schedule schedule, int64_t ahead) noexcept nogil
    cdef double _step(self, Rows rows, Targets targets, int64_t n, int64_t ahead) noexcept nogil
    cdef void _begin_gradients(self, int64_t n, double scale) noexcept nogil
    cdef double _evaluate(self, Targets targets, int64_t n) noexcept nogil
    cdef void _choose_candidates(self, Targets targets, int64_t n) noexcept nogil
    cdef double _evaluate_candidates(self, Targets targets, int64_t n) noexcept nogil
    cdef void _look_ahead(self, Rows rows, Targets targets, int64_t at, int64_t ahead, int64_t half) noexcept nogil
