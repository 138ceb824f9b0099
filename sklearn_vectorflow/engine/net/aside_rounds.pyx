# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, freethreading_compatible=True
"""Rounds of a linear net of one output that is too large to be copied whole (kernels/sharing/aside.h).

Records of features that are not hot are seldom in another core's cache, so each thread adds what its own workers' turns gained:
pieces of the features go round among the workers, and a worker adds to a piece when the one before it has.
"""
import numpy as np

from libc.stdint cimport int32_t, int64_t, uintptr_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset

from sklearn_vectorflow.engine.kernels.nets.walk cimport vf_aside as vf_given
from sklearn_vectorflow.engine.kernels.sharing.aside cimport vf_aside, vf_ask_for_row, vf_sort_aside
from sklearn_vectorflow.engine.kernels.sharing.meeting cimport vf_await, vf_part_done, vf_progress
from sklearn_vectorflow.engine.net.copies cimport Hot
from sklearn_vectorflow.engine.net.plain_rounds cimport PlainRounds
from sklearn_vectorflow.engine.net.plan cimport Net, Node
from sklearn_vectorflow.engine.net.worker cimport Worker


cdef class AsideRounds(PlainRounds):
    """Rounds of workers that set records aside for a turn; see `Rounds` for the other parameters.

    Parameters
    ----------
    most : int
        Non-zeros of features that are not hot, of a turn, at most: each worker has room for so many records.
    """
    cdef vf_aside *aside         # by worker
    cdef vf_progress *pieces     # of a pass

    def __cinit__(self, Net net, Hot hot, list workers, list copies, int n_threads, int64_t most):
        cdef int k
        cdef vf_aside *aside
        self.aside = <vf_aside *>calloc(self.n_workers, sizeof(vf_aside))
        self.pieces = <vf_progress *>calloc(self.n_workers, sizeof(vf_progress))
        if self.aside == NULL or self.pieces == NULL:
            raise MemoryError
        for k in range(self.n_workers):
            aside = &self.aside[k]
            aside.n_pieces = self.n_workers
            aside.feature = self._numbers(most)
            aside.order = self._numbers(most)
            aside.starts = self._numbers(self.n_workers + 1)
            aside.before = self._take(most * net.nodes[0].weights.stride)

    def __dealloc__(self):
        free(self.aside)
        free(self.pieces)

    def begin_pass(self):
        PlainRounds.begin_pass(self)
        memset(self.pieces, 0, self.n_workers * sizeof(vf_progress))

    cdef int32_t *_numbers(self, int64_t n) except NULL:
        array = np.zeros(n, dtype=np.int32)
        self.arrays.append(array)
        return <int32_t *><uintptr_t>array.ctypes.data

    cdef _begin_worker(self, int k, Worker worker):
        PlainRounds._begin_worker(self, k, worker)
        self.nets[k].aside = <vf_given *>&self.aside[k]

    cdef void _take_turn(self, int k, int64_t first, int64_t last) noexcept nogil:
        cdef int64_t row = self.turns[k].next_row
        PlainRounds._take_turn(self, k, first, last)
        vf_sort_aside(&self.aside[k])
        for row in range(row, min(row + self.ahead, self.slice.n_rows)):
            vf_ask_for_row(&self.rows.rows, &self.net.nodes[0].weights, &self.hot.hot, self.slice.queue[row])

    cdef void _merge_others(self, int place, int64_t number) noexcept nogil:
        """Adds the gains of the turns: each of n threads those of its workers, which come to a piece in a fixed order."""
        cdef Node *node = &self.net.nodes[0]
        cdef int k, turn, piece
        cdef int64_t done = (number - 1) * self.n_workers
        for turn in range(self.n_workers):
            k = place
            while k < self.n_workers:
                piece = (k + turn) % self.n_workers
                vf_await(&self.pieces[piece], done + turn)
                node.kernels.single.add_aside(&node.weights, &self.turns[k].clock, &self.hot.hot, self.apart[k],
                                              <vf_given *>&self.aside[k], piece)
                vf_part_done(&self.pieces[piece])
                k += self.n_threads
