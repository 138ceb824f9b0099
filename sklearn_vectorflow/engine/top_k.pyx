# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, freethreading_compatible=True
"""The largest of many numbers."""
import numpy as np

from libc.stdint cimport int64_t


cdef inline bint is_less(float score, int64_t index, float other, int64_t other_index) noexcept nogil:
    """Whether an entry comes after another: of equal ones, the later does."""
    return score < other or (score == other and index > other_index)


cdef void sink(float *scores, int64_t *indices, int64_t k) noexcept nogil:
    """Restores the heap, whose root is the least, after its root was replaced."""
    cdef int64_t at = 0, child, index = indices[0]
    cdef float score = scores[0]
    while 2 * at + 1 < k:
        child = 2 * at + 1
        if child + 1 < k and is_less(scores[child + 1], indices[child + 1], scores[child], indices[child]):
            child += 1
        if not is_less(scores[child], indices[child], score, index):
            break
        scores[at], indices[at] = scores[child], indices[child]
        at = child
    scores[at], indices[at] = score, index


cdef void rise(float *scores, int64_t *indices, int64_t at) noexcept nogil:
    """Restores the heap after its last entry was added."""
    cdef int64_t parent, index = indices[at]
    cdef float score = scores[at]
    while at > 0:
        parent = (at - 1) // 2
        if not is_less(score, index, scores[parent], indices[parent]):
            break
        scores[at], indices[at] = scores[parent], indices[parent]
        at = parent
    scores[at], indices[at] = score, index


def top_k(const float[:, ::1] values, int64_t k):
    """Return the places of the k largest numbers of each row, largest first, and the numbers.

    Of equal numbers the first come first.

    Parameters
    ----------
    values : float32, shape (n_rows, n), n >= k >= 1

    Returns
    -------
    indices : ndarray of int64, shape (n_rows, k)
    scores : ndarray of float32, shape (n_rows, k)
    """
    cdef int64_t n_rows = values.shape[0], n = values.shape[1], row, column, left, index
    cdef float score
    indices, scores = np.empty((n_rows, k), dtype=np.int64), np.empty((n_rows, k), dtype=np.float32)
    cdef int64_t[:, ::1] heap_indices = indices
    cdef float[:, ::1] heap_scores = scores
    cdef const float *of_row
    with nogil:
        for row in range(n_rows):
            of_row = &values[row, 0]
            for column in range(k):
                heap_scores[row, column], heap_indices[row, column] = of_row[column], column
                rise(&heap_scores[row, 0], &heap_indices[row, 0], column)
            for column in range(k, n):
                if of_row[column] > heap_scores[row, 0]:
                    heap_scores[row, 0], heap_indices[row, 0] = of_row[column], column
                    sink(&heap_scores[row, 0], &heap_indices[row, 0], k)
            for left in range(k - 1, 0, -1):  # the least goes to the end
                score, index = heap_scores[row, 0], heap_indices[row, 0]
                heap_scores[row, 0], heap_indices[row, 0] = heap_scores[row, left], heap_indices[row, left]
                heap_scores[row, left], heap_indices[row, left] = score, index
                sink(&heap_scores[row, 0], &heap_indices[row, 0], left)
    return indices, scores
