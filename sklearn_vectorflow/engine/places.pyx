# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, freethreading_compatible=True
"""Which records or columns are meant, as increasing numbers, and where some stand among others."""
import numpy as np

from libc.stdint cimport INT32_MAX, int32_t, int64_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

from sklearn_vectorflow.engine.kernels.rows.marks cimport (
    VF_MARKS, vf_count_marks, vf_list_marks32, vf_list_marks64, vf_mark32, vf_mark64, vf_marks, vf_rank32, vf_rank64
)

ctypedef fused Own:
    int32_t
    int64_t

ctypedef fused Wanted:
    int32_t
    int64_t


cdef enum:
    BLOCK = 1024  # numbers at a time


cdef inline void copy(float *to, const float *given, int64_t n) noexcept nogil:
    if n == 2:  # the most frequent record is one word
        memcpy(to, given, 2 * sizeof(float))
    else:
        memcpy(to, given, n * sizeof(float))


cdef class Marks:
    """Some of the numbers below n, collected in any order, each perhaps several times.

    Parameters
    ----------
    n : int
    """

    cdef object words
    cdef vf_marks *marks
    cdef int64_t n, n_words
    cdef readonly int64_t count

    def __init__(self, int64_t n):
        self.n, self.n_words = n, n // VF_MARKS + 1
        self.words = np.zeros((self.n_words, 2), dtype=np.int64)
        cdef int64_t[:, ::1] words = self.words
        self.marks = <vf_marks *>&words[0, 0]

    def add(self, const Own[::1] numbers):
        """Add numbers, each in [0, n)."""
        if not numbers.shape[0]:
            return
        self.count = -1
        with nogil:
            if Own is int32_t:
                vf_mark32(self.marks, <const uint32_t *>&numbers[0], numbers.shape[0])
            else:
                vf_mark64(self.marks, <const uint64_t *>&numbers[0], numbers.shape[0])

    def listed(self):
        """Return all, increasing, as int32 if it holds every number below n."""
        return self._listed32() if self.n - 1 <= INT32_MAX else self._listed64()

    def _listed32(self):
        found = np.empty(self._counted(), dtype=np.int32)
        cdef int32_t[::1] out = found
        with nogil:
            vf_list_marks32(self.marks, self.n_words, &out[0])
        return found

    def _listed64(self):
        found = np.empty(self._counted(), dtype=np.int64)
        cdef int64_t[::1] out = found
        with nogil:
            vf_list_marks64(self.marks, self.n_words, &out[0])
        return found

    def numbered(self, const Own[::1] numbers):
        """Return how many of all are less than each of some numbers in [0, n), as int32."""
        found = np.empty(numbers.shape[0], dtype=np.int32)
        cdef int32_t[::1] out = found
        if numbers.shape[0]:
            self._counted()
            with nogil:
                if Own is int32_t:
                    vf_rank32(self.marks, <const uint32_t *>&numbers[0], numbers.shape[0], &out[0])
                else:
                    vf_rank64(self.marks, <const uint64_t *>&numbers[0], numbers.shape[0], &out[0])
        return found

    def gather(self, const Own[::1] index, const float[:, ::1] record, const Wanted[::1] wanted):
        """Return what `gather` does of all these numbers: sooner, where many are wanted of them."""
        cdef int64_t k, block, start, size, at, n = index.shape[0], m = wanted.shape[0], stride = record.shape[1]
        cdef int32_t places[BLOCK]
        found = np.empty((m, stride), dtype=np.float32)
        cdef float[:, ::1] out = found
        if not m or not stride:
            return found
        if self.count < 0:
            self._counted()
        with nogil:
            for block in range((m + BLOCK - 1) // BLOCK):
                start = block * BLOCK
                size = m - start if m - start < BLOCK else BLOCK
                if Wanted is int32_t:
                    vf_rank32(self.marks, <const uint32_t *>&wanted[start], size, places)
                else:
                    vf_rank64(self.marks, <const uint64_t *>&wanted[start], size, places)
                for k in range(size):
                    at = places[k]
                    if at < n and index[at] == wanted[start + k]:
                        copy(&out[start + k, 0], &record[at, 0], stride)
                    else:
                        memset(&out[start + k, 0], 0, stride * sizeof(float))
        return found

    cdef int64_t _counted(self):
        self.count = vf_count_marks(self.marks, self.n_words)
        return self.count


cdef inline int64_t first_not_below(const Own *index, int64_t start, int64_t n, int64_t number) noexcept nogil:
    """The first place from `start` on with no smaller number, looked for in steps that double."""
    cdef int64_t step = 1, low = start, high, middle
    if start >= n or index[start] >= number:
        return start
    while low + step < n and index[low + step] < number:
        low += step
        step *= 2
    high = low + step if low + step < n else n
    while high - low > 1:
        middle = low + (high - low) // 2
        if index[middle] < number:
            low = middle
        else:
            high = middle
    return high


def gather(const Own[::1] index, const float[:, ::1] record, const Wanted[::1] wanted):
    """Return the records of some numbers, zeros where there is none.

    Parameters
    ----------
    index : ndarray of int32 or int64, shape (n,)
        Numbers of the records, increasing.
    record : ndarray of float32, shape (n, stride)
    wanted : ndarray of int32 or int64, shape (m,)
        Increasing.

    Returns
    -------
    found : ndarray of float32, shape (m, stride)
    """
    cdef int64_t k, at = 0, n = index.shape[0], m = wanted.shape[0], stride = record.shape[1]
    cdef size_t size = stride * sizeof(float)
    found = np.empty((m, stride), dtype=np.float32)
    cdef float[:, ::1] out = found
    if m and stride:
        with nogil:
            for k in range(m):
                at = first_not_below(&index[0], at, n, wanted[k])
                if at < n and index[at] == wanted[k]:
                    memcpy(&out[k, 0], &record[at, 0], size)
                else:
                    memset(&out[k, 0], 0, size)
    return found


def find(const Own[::1] index, const Wanted[::1] wanted):
    """Return where some numbers stand among others, -1 where they do not; both increase."""
    cdef int64_t k, at = 0, n = index.shape[0], m = wanted.shape[0]
    found = np.empty(m, dtype=np.int64)
    cdef int64_t[::1] out = found
    with nogil:
        for k in range(m):
            at = first_not_below(&index[0], at, n, wanted[k])
            out[k] = at if at < n and index[at] == wanted[k] else -1
    return found
