# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, freethreading_compatible=True
"""Hot features: a table of their records, and threads' copies of it (kernels/hot.h)."""
import numpy as np

from libc.stdint cimport int32_t, int64_t, uintptr_t
from libc.string cimport memcpy, memset

from sklearn_vectorflow.engine.kernels cimport VF_LOCK_STRIDE, vf_clock, vf_linear, vf_slot_of
from sklearn_vectorflow.engine.net cimport Clock, Node


cdef const void *_address(array):
    return <const void *><uintptr_t>array.__array_interface__["data"][0]


def slots_of(const int32_t[:] features, int32_t bits):
    """Return the slot of each feature in a table of 2**bits slots."""
    cdef int64_t k
    slots = np.empty(features.shape[0], dtype=np.int64)
    cdef int64_t[::1] out = slots
    for k in range(features.shape[0]):
        out[k] = vf_slot_of(features[k], bits)
    return slots


cdef class Hot:
    """The hot features of a plain net (`Net.is_plain`).

    Parameters
    ----------
    net : Net
    features : ndarray of int32, shape (2**bits,), or None
        By slot: whose record it holds, -1 for nobody's. None: all features are hot, and the
        layer's records are the table.
    n_parts : int
        In how many parts copies are merged, one after the other.
    n_workers : int
    """

    def __init__(self, Net net, features, int64_t n_parts, int64_t n_workers):
        cdef Node *node = &net.nodes[0]
        locks = np.zeros((n_parts + 1) * VF_LOCK_STRIDE, dtype=np.int32)
        self.net = net
        self.arrays = [locks, features]
        self.hot.n_parts = n_parts
        self.cycle = n_parts * PUBLISH * n_workers
        self.hot.locks = <int32_t *>_address(locks)
        if features is None:
            self.hot.n_slots = node.weights.n_in
            self.hot.records = node.weights.record
            return
        records = np.zeros((len(features), node.weights.stride), dtype=np.float32)
        self.arrays.append(records)
        self.hot.feature = <const int32_t *>_address(features)
        self.hot.n_slots = len(features)
        self.hot.bits = len(features).bit_length() - 1
        self.hot.records = <float *>_address(records)

    def load(self, Clock clock):
        """Take the records from the layer, before a pass."""
        cdef Node *node = &self.net.nodes[0]
        cdef vf_clock now = vf_clock(step=clock.step, rate=0.0, elapsed=clock.elapsed)
        with nogil:
            node.kernels.single.load(&node.weights, &now, &self.hot)

    def store(self, Clock clock):
        """Put the records back, after a pass."""
        cdef Node *node = &self.net.nodes[0]
        cdef vf_clock now = vf_clock(step=clock.step, rate=0.0, elapsed=clock.elapsed)
        with nogil:
            node.kernels.single.store(&node.weights, &now, &self.hot)


cdef class Copies:
    """One worker's copies of hot records.

    Parameters
    ----------
    hot : Hot
    offset : float
        Where among the parts merging starts, in [0, 1): apart from the other workers.
    """

    def __init__(self, Hot hot, double offset):
        stride = hot.net.nodes[0].weights.stride
        self.hot = hot
        self.part = <int64_t>(offset * hot.hot.n_parts)
        self.arrays = [np.zeros((hot.hot.n_slots, stride), dtype=np.float32) for _ in range(2)]
        # a cache line on either side keeps other threads' data off
        self.arrays += [np.zeros(stride + 2 * 16, dtype=np.float32) for _ in range(2)]
        self.apart.records = <float *>_address(self.arrays[0])
        self.apart.before = <float *>_address(self.arrays[1])
        self.apart.bias = <float *>_address(self.arrays[2]) + 16
        self.apart.bias_before = <float *>_address(self.arrays[3]) + 16

    def begin(self):
        """Copy the table's records, before a pass."""
        cdef Node *node = &self.hot.net.nodes[0]
        cdef int64_t k, n = self.hot.hot.n_slots, stride = node.weights.stride, clock_slot = node.weights.clock_slot
        cdef size_t size = stride * sizeof(float)
        with nogil:
            memcpy(self.apart.before, self.hot.hot.records, n * size)
            if clock_slot >= 0:  # the copies' clock starts at zero
                for k in range(n):
                    memset(self.apart.before + k * stride + clock_slot, 0, (stride - clock_slot) * sizeof(float))
            memcpy(self.apart.records, self.apart.before, n * size)
            self.apart.clock = vf_clock(step=0, rate=0.0, elapsed=0.0)
            if node.has_bias:
                memcpy(self.apart.bias_before, node.bias.record, size)
                memcpy(self.apart.bias, self.apart.bias_before, size)

    def finish(self):
        """Add to the table what has not been added, after a pass."""
        cdef int64_t part
        with nogil:
            for part in range(self.hot.hot.n_parts):
                self.merge(part)

    cdef void merge(self, int64_t part) noexcept nogil:
        cdef Node *node = &self.hot.net.nodes[0]
        cdef vf_linear *bias = NULL
        if node.has_bias:
            bias = &node.bias
        node.kernels.single.merge(&node.weights, bias, &self.hot.hot, &self.apart, part)

    cdef void merge_next(self, int64_t step) noexcept nogil:
        """Merges another part than last time; of the first steps, when sums grow fast, all of
        them whenever there have been half as many steps more.
        """
        cdef int64_t part
        if step < 2 * self.hot.cycle and step - self.merged_at >= step // 2:
            for part in range(self.hot.hot.n_parts):
                self.merge(part)
            self.merged_at = step
            return
        self.part = (self.part + 1) % self.hot.hot.n_parts
        self.merge(self.part)
