# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, freethreading_compatible=True
"""Outputs drawn for a step, where there are too many to compute all (kernels/layers/candidates.h)."""
import numpy as np

from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t, uintptr_t
from libc.stdlib cimport calloc, free

from sklearn_vectorflow.engine.kernels.layers.candidates cimport vf_candidates, vf_draw_outputs, vf_sampler
from sklearn_vectorflow.engine.kernels.random cimport vf_mix


def alias_table(const double[::1] probability):
    """Return Walker's alias table of a distribution: by number, the probability of staying with it, else the other.

    Parameters
    ----------
    probability : float64, shape (n,)
        It sums to one.

    Returns
    -------
    keep : ndarray of float32, shape (n,)
    alias : ndarray of int32, shape (n,)
    """
    cdef int64_t n = probability.shape[0], k, n_small = 0, n_large = 0
    cdef int32_t small, large
    keep, alias = np.ones(n, dtype=np.float32), np.arange(n, dtype=np.int32)
    cdef float[::1] keep_of = keep
    cdef int32_t[::1] alias_of = alias
    cdef double[::1] left = n * np.asarray(probability)
    cdef int32_t[::1] smalls = np.empty(n, dtype=np.int32), larges = np.empty(n, dtype=np.int32)
    for k in range(n):
        if left[k] < 1.0:
            smalls[n_small] = k
            n_small += 1
        else:
            larges[n_large] = k
            n_large += 1
    while n_small and n_large:
        n_small -= 1
        small, large = smalls[n_small], larges[n_large - 1]
        keep_of[small], alias_of[small] = left[small], large
        left[large] -= 1.0 - left[small]
        if left[large] < 1.0:
            n_large -= 1
            smalls[n_small] = large
            n_small += 1
    return keep, alias


cdef class Sampler:
    """What a step draws outputs from.

    Parameters
    ----------
    n_outputs : int
    n_draws : int
        Outputs drawn a step, with replacement.
    table : tuple of ndarray, or None
        See `alias_table`; None takes every output every time.
    correction : ndarray of float32, shape (n_outputs,), or None
        Logarithm of the probability that a step draws an output.
    independent : bool
        Whether outputs are classified one by one.
    """

    def __init__(self, int64_t n_outputs, int64_t n_draws, table, correction, bint independent):
        cdef const float[::1] keep, corrections
        cdef const int32_t[::1] alias
        self.arrays = (table, correction)
        self.sampler.n_outputs = n_outputs
        self.sampler.n_draws = n_outputs if table is None else n_draws
        self.sampler.independent = independent
        self.sampler.keep = self.sampler.correction = NULL
        self.sampler.alias = NULL
        if table is not None:
            keep, alias = table
            self.sampler.keep, self.sampler.alias = &keep[0], &alias[0]
        if correction is not None:
            corrections = correction
            self.sampler.correction = &corrections[0]

    cdef int64_t most_candidates(self, int64_t most_own):
        """The most candidates of a row, if a row owns so many outputs at most."""
        return min(self.sampler.n_outputs, self.sampler.n_draws + most_own)

    def draws(self, seed, n_steps):
        """Return the different outputs of each of some steps, in the order a worker of this seed draws them."""
        cdef Candidates mine = Candidates(self, 1, 1)
        cdef vf_candidates *c = &mine.candidates
        cdef uint64_t random = vf_mix(seed)
        steps = []
        for _ in range(n_steps):
            vf_draw_outputs(&self.sampler, c, &random)
            steps.append(np.array([c.drawn[k] for k in range(c.n_drawn)], dtype=np.int32))
        return steps


cdef class Candidates:
    """One thread's candidates of a step.

    Parameters
    ----------
    sampler : Sampler
    n_rows : int
        Rows of a step.
    most : int
        Candidates of a row, at most.
    """

    def __cinit__(self, Sampler sampler, int64_t n_rows, int64_t most):
        cdef vf_candidates *c = &self.candidates
        cdef int64_t n_outputs = sampler.sampler.n_outputs, k
        self.owned = []
        c.most = most
        c.drawn = <int32_t *>self._take(sampler.sampler.n_draws * sizeof(int32_t))
        c.mark = <uint32_t *>self._take(n_outputs * sizeof(uint32_t))
        c.slot_of = <int32_t *>self._take(n_outputs * sizeof(int32_t))
        c.outputs = <int32_t *>self._take(n_rows * most * sizeof(int32_t))
        c.n_candidates = <int64_t *>self._take(n_rows * sizeof(int64_t))
        c.n_own = <int64_t *>self._take(n_rows * sizeof(int64_t))
        c.slot_output = <int32_t *>self._take(min(n_rows * most, n_outputs) * sizeof(int32_t))
        c.first = <int64_t *>self._take(min(n_rows * most, n_outputs) * sizeof(int64_t))
        c.next = <int64_t *>self._take(n_rows * most * sizeof(int64_t))
        if sampler.sampler.keep == NULL:
            c.n_drawn = n_outputs
            for k in range(n_outputs):
                c.drawn[k] = k

    def __dealloc__(self):
        for address in self.owned or ():
            free(<void *><uintptr_t>address)

    cdef void *_take(self, size_t n_bytes) except NULL:
        cdef void *memory = calloc(max(n_bytes, 64), 1)
        if memory == NULL:
            raise MemoryError
        self.owned.append(<uintptr_t>memory)
        return memory
