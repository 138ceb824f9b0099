# cython: language_level=3
from libc.stdint cimport int32_t, int64_t, uint64_t

from sklearn_vectorflow.engine.data cimport Rows, Targets
from sklearn_vectorflow.engine.kernels.optimizers.optimizers cimport vf_schedule
from sklearn_vectorflow.engine.kernels.rows.rows cimport vf_row
from sklearn_vectorflow.engine.kernels.sharing.meeting cimport vf_meeting
from sklearn_vectorflow.engine.net.plan cimport Clock, Net
from sklearn_vectorflow.engine.net.slice_rows cimport SliceRows
from sklearn_vectorflow.engine.net.worker cimport Worker

# The rows that a node gives to layers of weights in a window, their entries by the member that steps them.
cdef struct Ledger:
    int32_t *indices
    float *values
    int64_t *starts  # (rows, members + 1)
    int64_t used
    int32_t shift    # features whose records share cache lines

# What members share.
cdef struct Shared:
    int32_t n_members
    int64_t batch_size, most_rows, unit_rows
    double growth            # of windows, see Team
    float **out              # by node: (most_rows, width); the others alike
    double **gradient
    float **mask
    float **sums
    Ledger *ledgers          # by node + 1: the first is that of rows of X
    double *losses           # by unit of the window
    int64_t *queue           # rows of the slice
    char *ends_group
    int64_t n_rows, ahead    # of the slice
    uint64_t seed
    vf_schedule schedule
    double loss              # of the slice so far
    int64_t n_means
    bint failed
    vf_meeting meeting


cdef class Team:
    cdef Net net
    cdef Shared *shared
    cdef readonly list members
    cdef SliceRows slice
    cdef list owned
    cdef Rows rows
    cdef Targets targets
    cdef Clock clock
    cdef void *_take(self, size_t n_bytes) except NULL
    cdef _take_ledger(self, int i, Member first, int64_t most_nonzeros)


cdef class Member(Worker):
    cdef Shared *team
    cdef int32_t place
    cdef int64_t first           # row of the window that is row 0 of the batch at hand
    cdef int64_t *steps          # of the window: the row each begins with, and where the last one ends
    cdef int64_t *units          # the same of pieces of work
    cdef double *scales          # by unit: of gradients
    cdef int64_t n_steps, n_units
    cdef readonly bint failed
    cdef void _run(self, Rows rows, Targets targets) noexcept nogil
    cdef int64_t _most_rows(self) noexcept nogil
    cdef void _finish_window(self) noexcept nogil
    cdef int64_t _cut(self, int64_t begin) noexcept nogil
    cdef void _cut_step(self, int64_t begin, int64_t n) noexcept nogil
    cdef void _aim(self, int64_t begin, int64_t first) noexcept nogil
    cdef void _read_units(self, Rows rows, Targets targets, int64_t begin) noexcept nogil
    cdef void _read_unit(self, Rows rows, Targets targets, int64_t begin, int64_t unit) noexcept nogil
    cdef void _note(self, Rows rows, int64_t row, int64_t r) noexcept nogil
    cdef void _step_own(self, Rows rows, int64_t begin) noexcept nogil
