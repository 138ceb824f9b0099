# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, freethreading_compatible=True
"""Rounds of a linear net of one output that is small enough to be copied whole (kernels/sharing/rounds_one.h)."""
import numpy as np

from libc.stdint cimport int64_t

from sklearn_vectorflow.engine.net.copies cimport Hot
from sklearn_vectorflow.engine.net.plain_rounds cimport PlainRounds
from sklearn_vectorflow.engine.net.plan cimport Net, Node

cdef enum:
    MOST_THREADS = 8  # that merge parts at the same time


cdef class PartRounds(PlainRounds):
    """Rounds of workers with copies of all features; see `Rounds` for the other parameters.

    Parameters
    ----------
    part_rounds : int
        Rounds in which each worker would merge one part. So many parts are merged at once that each thread has some.
    """
    cdef int64_t part_rounds, parts_due, most_kept
    cdef float *kept             # by thread: room for the hot records of a part, shared and of all workers

    def __cinit__(self, Net net, Hot hot, list workers, list copies, int n_threads, int64_t part_rounds):
        cdef int k
        self.parts_due = min(MOST_THREADS, hot.hot.n_parts)
        self.part_rounds = part_rounds * self.parts_due
        edges = [hot.hot.part_hot[k] for k in range(hot.hot.n_parts + 1)]
        self.most_kept = max(np.diff(edges)) * net.nodes[0].weights.stride * (self.n_workers + 1)
        self.kept = self._take(n_threads * self.most_kept)

    cdef void _merge_others(self, int place, int64_t number) noexcept nogil:
        if number % self.part_rounds == 0:
            self._join_parts(place, number // self.part_rounds * self.parts_due, self.parts_due)

    cdef void _merge_all_others(self, int place) noexcept nogil:
        self._join_parts(place, 0, self.hot.hot.n_parts)

    cdef void _join_parts(self, int64_t k, int64_t first, int64_t n) noexcept nogil:
        """Joins every n-th of n parts from the k-th on: each of n threads some."""
        cdef Node *node = &self.net.nodes[0]
        cdef float *kept = self.kept + k * self.most_kept
        while k < n:
            node.kernels.single.join_part(&node.weights, &self.hot.hot, self.apart, self.n_workers, kept,
                                          (first + k) % self.hot.hot.n_parts)
            k += self.n_threads
