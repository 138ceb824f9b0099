# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, freethreading_compatible=True
"""Hot features: those of which every thread trains a copy of its own (kernels/replicas.h)."""
import numpy as np

from libc.stdint cimport int32_t

from sklearn_vectorflow.engine.kernels cimport vf_hot_place, vf_hot_slot


cdef class HotTable:
    """Which features are hot, for all threads of a fit.

    Parameters
    ----------
    features : ndarray of int32, shape (n_hot,)
        Distinct, the most frequent first. Some may be left out: a lookup is one read.
    every, first : int
        Rows between two merges, and the features that each merges; every second merges twice
        as many, every fourth four times, and so on: the more frequent, the more often.
    """

    def __cinit__(self, features, int64_t every, int64_t first):
        cdef int bits = max(4, int(4 * len(features)).bit_length())
        cdef int32_t[:, ::1] slots = np.full((1 << bits, 2), -1, dtype=np.int32)
        cdef int32_t[::1] kept = np.zeros(max(len(features), 1), dtype=np.int32)
        cdef int32_t feature
        cdef unsigned int place
        self.every = every
        self.first = first
        self.hot.shift = 32 - bits
        self.hot.slots = <const vf_hot_slot *>&slots[0, 0]
        self.features = &kept[0]
        self.arrays = slots, kept
        self.n_copies = 0
        for feature in features:
            place = vf_hot_place(feature, self.hot.shift)
            if slots[place, 0] < 0:
                slots[place, 0] = feature
                slots[place, 1] = <int32_t>self.n_copies
                kept[self.n_copies] = feature
                self.n_copies += 1
