# cython: language_level=3
cimport cython
from libc.stdint cimport int32_t, int64_t

from sklearn_vectorflow.engine.kernels.optimizers.optimizers cimport vf_clock
from sklearn_vectorflow.engine.kernels.optimizers.record cimport vf_linear
from sklearn_vectorflow.engine.net.copies cimport Hot
from sklearn_vectorflow.engine.net.plan cimport Net, Node

# A worker's copies of records of a layer or of its intercepts.
cdef struct Part:
    float *own            # NULL: it has none
    float *before         # what they were when they were merged last
    int64_t n             # records
    bint is_hot           # those of the hot features, in their order; else of all inputs of the layer

# When a worker merges next.
cdef struct Turn:
    int64_t until_merge, wait  # rows
    int64_t rows, n_merges     # of hot features: rows since the last one, and how many there were
    int64_t part_rows, part    # of the other features: rows since the last one, and which part that was


@cython.final
cdef class Replica:
    cdef readonly Hot hot
    cdef Net net
    cdef Node *nodes      # the net's, with layers of this worker's own
    cdef int *leader      # by node: the first one whose records lie in the same lines
    cdef Part *weights    # by node
    cdef Part *biases     # by node
    cdef int64_t *places  # by node that reads rows: where its copies begin, counted in records from its first one
    cdef readonly int64_t inner_period, part_period
    cdef double offset
    cdef Turn *turn       # in memory of its own: every row changes it, and objects of two workers lie side by side
    cdef double unseen
    cdef list arrays
    cdef void *_take(self, size_t n_bytes, make=*) except NULL
    cdef float *_records(self, const vf_linear *layer, int64_t n) except NULL
    cdef _take_part(self, Part *part, const vf_linear *layer, int64_t n)
    cdef _take_weights(self, int i)
    cdef void _copy(self, Part *part, const vf_linear *layer, const int32_t *features) noexcept nogil
    cdef int32_t *_inner_lock(self) noexcept nogil
    cdef bint due(self, int64_t n_rows) noexcept nogil
    cdef void merge(self, const vf_clock *clock) noexcept nogil
    cdef int64_t _most_unseen(self, int64_t step) noexcept nogil
    cdef void _merge_tiers(self, int64_t n_tiers, const vf_clock *clock) noexcept nogil
    cdef void _merge_tier(self, int64_t tier, const vf_clock *clock) noexcept nogil
    cdef void _merge_part(self, int64_t part, const vf_clock *clock) noexcept nogil
    cdef void _merge_inner(self, const vf_clock *clock) noexcept nogil
