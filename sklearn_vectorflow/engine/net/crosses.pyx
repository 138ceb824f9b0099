# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, freethreading_compatible=True
"""Crosses of groups of columns, on the fly for a net's nodes, and written down as CSR."""
from libc.stdint cimport int32_t, int64_t, uintptr_t
from libc.stdlib cimport calloc, free, malloc

from sklearn_vectorflow.engine.data cimport Rows
from sklearn_vectorflow.engine.kernels.layers.crosses cimport VF_MOST_FACTORS, vf_cross_count, vf_cross_row
from sklearn_vectorflow.engine.kernels.rows.rows cimport vf_input_dropout, vf_load, vf_row

MOST_FACTORS = VF_MOST_FACTORS
MOST_ENTRIES = 2**24  # of a row


cdef class Crosses:
    """Which columns are crossed with which.

    Parameters
    ----------
    group_of : ndarray of int32, shape (n_columns,)
        The group of every column, -1 for none.
    starts, factors : ndarray of int32, shape (n_crosses + 1,) and (n_factors,)
        Groups of every cross, at most `MOST_FACTORS`, equal ones next to each other.
    n_groups : int
    n_features : int
        Features that crosses are hashed into.
    """

    def __init__(self, const int32_t[::1] group_of, const int32_t[::1] starts, const int32_t[::1] factors,
                 int32_t n_groups, int64_t n_features):
        self.arrays = (group_of, starts, factors)
        self.crosses.group_of = &group_of[0]
        self.crosses.starts = &starts[0]
        self.crosses.factors = &factors[0]
        self.crosses.n_groups = n_groups
        self.crosses.n_crosses = starts.shape[0] - 1
        self.crosses.n_features = n_features

    cdef int64_t most(self, Rows rows) except -1:
        """The most entries any row's crosses have."""
        cdef int64_t row, most = 0
        cdef vf_row x
        cdef vf_input_dropout none = vf_input_dropout(rate=0.0, seed=0)
        cdef int64_t *counts = <int64_t *>malloc((self.crosses.n_groups + 1) * sizeof(int64_t))
        cdef int32_t *indices = <int32_t *>malloc((rows.longest + 1) * sizeof(int32_t))
        cdef float *values = <float *>malloc((rows.longest + 1) * sizeof(float))
        if counts == NULL or indices == NULL or values == NULL:
            free(counts)
            free(indices)
            free(values)
            raise MemoryError
        with nogil:
            for row in range(rows.rows.n_rows):
                x = vf_load(&rows.rows, row, indices, values, &none)
                most = max(most, vf_cross_count(&self.crosses, x, counts))
        free(counts)
        free(indices)
        free(values)
        if most > MOST_ENTRIES:
            raise ValueError(f"Crosses of one row of X are {most}, at most {MOST_ENTRIES} are possible; cross fewer groups.")
        return most

    def longest(self, Rows rows):
        """Return the most entries any row's crosses have."""
        return self.most(rows)

    def write(self, Rows rows, int64_t longest, int64_t[::1] lengths, int32_t[::1] indices=None,
              float[::1] values=None, const int64_t[::1] indptr=None):
        """Write the crossed rows' lengths or, with an indptr, their entries."""
        cdef int64_t row, length, k
        cdef bint entries = indptr is not None
        cdef vf_row x
        cdef vf_input_dropout none = vf_input_dropout(rate=0.0, seed=0)
        cdef Bags bags = Bags(self, rows.longest, longest)
        cdef int32_t *row_indices = <int32_t *>bags._take((rows.longest + 1) * sizeof(int32_t))
        cdef float *row_values = <float *>bags._take((rows.longest + 1) * sizeof(float))
        cdef int32_t *own_indices = <int32_t *>bags._take((longest + 1) * sizeof(int32_t))
        cdef float *own_values = <float *>bags._take((longest + 1) * sizeof(float))
        with nogil:
            for row in range(rows.rows.n_rows):
                x = vf_load(&rows.rows, row, row_indices, row_values, &none)
                length = vf_cross_row(&self.crosses, x, &bags.bags, own_indices, own_values)
                if entries:
                    for k in range(length):
                        indices[indptr[row] + k] = own_indices[k]
                        values[indptr[row] + k] = own_values[k]
                else:
                    lengths[row] = length


cdef class Bags:
    """Scratch in which one thread crosses rows.

    Parameters
    ----------
    crosses : Crosses
    longest : int
        Entries of the longest row of X.
    longest_crossed : int
        Entries of the longest crossed row.
    """

    def __cinit__(self, Crosses crosses, int64_t longest, int64_t longest_crossed):
        self.owned = []
        self.bags.bag = <int64_t *>self._take((crosses.crosses.n_groups + 2) * sizeof(int64_t))
        self.bags.columns = <int32_t *>self._take((longest + 1) * sizeof(int32_t))
        self.bags.values = <float *>self._take((longest + 1) * sizeof(float))
        self.bags.capacity = 16
        while self.bags.capacity < 2 * longest_crossed:
            self.bags.capacity *= 2
        self.bags.slot_of = <int32_t *>self._take(self.bags.capacity * sizeof(int32_t))
        self.bags.home_of = <int32_t *>self._take((longest_crossed + 1) * sizeof(int32_t))

    def __dealloc__(self):
        for address in self.owned or ():
            free(<void *><uintptr_t>address)

    cdef void *_take(self, size_t n_bytes) except NULL:
        cdef void *memory = calloc(n_bytes, 1)
        if memory == NULL:
            raise MemoryError
        self.owned.append(<uintptr_t>memory)
        return memory
