# cython: language_level=3
from libc.stdint cimport int32_t, int64_t

from sklearn_vectorflow.engine.kernels.optimizers.record cimport vf_linear
from sklearn_vectorflow.engine.net.copies cimport Hot
from sklearn_vectorflow.engine.net.walk cimport Walk


cdef class SharedRows(Walk):
    cdef Hot hot              # None: weights are no other thread's
    cdef float *hot_own       # (n_hot, stride): records of hot features
    cdef float *hot_before    # the same when they were merged last
    cdef bint loaded
    cdef int64_t until_merge, n_merges
    cdef float *bias_before   # of `own_bias`
    cdef vf_linear own_bias
    cdef int32_t *own_places  # room for a row; NULL: rows name the shared records
    cdef int64_t first_place  # of the copies, counted from the layer's first record
    cdef bint _can_share(self)
    cdef void _open_rows(self) noexcept nogil
    cdef void _merge_if_due(self, int64_t n) noexcept nogil
    cdef void _merge(self, int64_t n_tiers) noexcept nogil
    cdef void _merge_all(self) noexcept nogil
