# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, freethreading_compatible=True
"""Rows in the svmlight format as a CSR triplet, read in one pass without the GIL."""
from libc.stdint cimport INT32_MAX, int32_t, int64_t
from libc.string cimport memchr

cdef extern from "text/number.h" nogil:
    enum: VF_NO_NUMBER, VF_NUMBER, VF_LONG_NUMBER
    int vf_read_number(const char **at, const char *end, double *out)
    int64_t vf_read_integer(const char **at, const char *end)

cdef extern from "text/letters.h" nogil:
    void vf_count_letters(const char *text, int64_t n, int64_t *n_colons, int64_t *n_lines)

ctypedef fused value_t:
    float
    double

PROBLEMS = (
    None,
    "the label is not a finite number",
    "qid is not an integer from 0 to 2**63 - 1",
    "a column index is not an integer or is beyond the last column",
    "a column index is not followed by ':' and a finite number",
    "column indices do not increase",
    "what follows a number is not a space",
    "the column index is 0 where columns count from 1",
    "the value is too large for float32",
    "what follows a number is not a space: set multilabel=True if rows have several labels between commas",
    "labels are not integers between commas, or one is beyond the last label",
)

cdef struct Found:
    int problem
    int64_t line, n_rows, n_nonzero, least, largest, n_queries, n_labels, largest_label

cdef struct Labels:
    int32_t *numbers         # NULL if every row has one target
    int64_t *ends            # of rows in numbers
    int64_t most             # numbers must be less


cdef bint _is_space(char c) noexcept nogil:
    return c == 32 or c == 9 or c == 13 or c == 11 or c == 12


cdef bint _ends(char c) noexcept nogil:
    """Whether a token ends here."""
    return c == 10 or c == 35 or _is_space(c)


cdef double _long_number(const char *start, int64_t length) noexcept with gil:
    return float(start[:length])


cdef int _number(const char **at, const char *end, double *out) noexcept nogil:
    """Reads a finite number; 0 if there is none."""
    cdef const char *start = at[0]
    cdef int kind = vf_read_number(at, end, out)
    if kind == VF_LONG_NUMBER:
        out[0] = _long_number(start, at[0] - start)
    return kind != VF_NO_NUMBER and out[0] - out[0] == 0.0


cdef int _target(const char **at, const char *end, double *target) noexcept nogil:
    """Reads the one target of a row; returns a problem."""
    if not _number(at, end, target):
        return 1
    if at[0][0] == 44:
        return 9
    return 0 if _ends(at[0][0]) else 6


cdef int _labels(const char **at, const char *end, Labels *labels, Found *found) noexcept nogil:
    """Reads the labels of a row, which may have none; returns a problem."""
    cdef const char *start = at[0]
    cdef double number
    if at[0][0] == 113:  # qid: comes first
        return 0
    while True:
        if not _number(at, end, &number):
            return 10
        if at[0][0] == 58 and found.n_labels == labels.ends[found.n_rows]:  # a column comes first
            at[0] = start
            return 0
        if not (0 <= number < labels.most) or number != <int64_t>number:
            return 10
        labels.numbers[found.n_labels] = <int32_t>number
        found.n_labels += 1
        found.largest_label = max(found.largest_label, <int64_t>number)
        if at[0][0] != 44:
            return 0 if _ends(at[0][0]) else 6
        at[0] += 1


cdef int _line(const char **at, const char *end, bint zero_based, int64_t n_indices, value_t *values, int32_t *indices, double *targets,
               Labels *labels, int64_t *queries, Found *found) noexcept nogil:
    """Reads the row at at[0], not a blank one, up to its end or its comment; returns a problem."""
    cdef double number
    cdef int64_t index, last = -1, n_nonzero = found.n_nonzero
    cdef int problem = _target(at, end, &targets[found.n_rows]) if labels.numbers == NULL else _labels(at, end, labels, found)
    if problem:
        return problem
    queries[found.n_rows] = -1
    while True:
        while _is_space(at[0][0]):
            at[0] += 1
        if at[0][0] == 10 or at[0][0] == 35:
            if last >= 0:  # they increase: the first and the last are the extremes
                found.least = min(found.least, indices[found.n_nonzero])
                found.largest = max(found.largest, last)
                found.n_nonzero = n_nonzero
            return 0
        if last < 0 and at[0][0] == 113 and queries[found.n_rows] < 0:  # qid:
            if at[0][1] != 105 or at[0][2] != 100 or at[0][3] != 58:
                return 2
            at[0] += 4
            queries[found.n_rows] = vf_read_integer(at, end)
            if queries[found.n_rows] < 0:
                return 2
            found.n_queries += 1
            if not _ends(at[0][0]):
                return 6
            continue
        index = vf_read_integer(at, end)
        if index < 0 or index >= n_indices:
            return 3
        if at[0][0] != 58:
            return 4
        at[0] += 1
        if not _number(at, end, &number):
            return 4
        if not _ends(at[0][0]):
            return 6
        if index <= last:
            return 5
        if index == 0 and not zero_based:
            return 7
        values[n_nonzero] = <value_t>number
        if values[n_nonzero] - values[n_nonzero] != 0:
            return 8
        indices[n_nonzero] = index
        n_nonzero += 1
        last = index


def count(const unsigned char[::1] text):
    """Return the numbers of colons and of newlines."""
    cdef int64_t n_colons, n_lines
    with nogil:
        vf_count_letters(<const char *>&text[0], text.shape[0], &n_colons, &n_lines)
    return n_colons, n_lines


def parse(const unsigned char[::1] text, bint zero_based, int64_t n_indices, value_t[::1] values, int32_t[::1] indices, int64_t[::1] indptr,
          double[::1] targets, int64_t[::1] queries, int32_t[::1] numbers=None, int64_t[::1] ends=None, int64_t n_labels=INT32_MAX):
    """Parse whole lines into arrays that are long enough.

    Parameters
    ----------
    text : bytes
        Ends in a newline.
    zero_based : bool
        Whether an index of 0 is allowed.
    n_indices : int
        Indices must be less, at most 2**31 - 1.
    values, indices : ndarray
        At least as long as there are colons.
    indptr, targets, queries : ndarray
        At least as long as there are lines, indptr by one more. Queries are -1 where absent.
    numbers, ends : ndarray, default=None
        Labels of rows that may have several, and where each row's start, as `indptr`: at least as long as there are
        lines and commas, and as lines and one more. None if every row has one target.
    n_labels : int, default=2**31 - 1
        Labels must be less.

    Returns
    -------
    problem, line : int
        An index into `PROBLEMS`, and the line it is in, from 0.
    n_rows, n_nonzero, least, largest, n_queries, largest_label : int
        Least and largest are those of the columns' indices.
    """
    cdef Found found = Found(problem=0, line=0, n_rows=0, n_nonzero=0, least=INT32_MAX, largest=-1, n_queries=0, n_labels=0,
                             largest_label=-1)
    cdef Labels labels = Labels(numbers=NULL, ends=NULL, most=n_labels)
    cdef const char *at = <const char *>&text[0]
    cdef const char *end = at + text.shape[0]
    if numbers is not None:
        labels.numbers, labels.ends = &numbers[0], &ends[0]
        ends[0] = 0
    with nogil:
        indptr[0] = 0
        while at < end:
            while _is_space(at[0]):
                at += 1
            if at[0] != 10 and at[0] != 35:
                found.problem = _line(&at, end, zero_based, n_indices, &values[0], &indices[0], &targets[0], &labels, &queries[0],
                                      &found)
                if found.problem:
                    break
                found.n_rows += 1
                indptr[found.n_rows] = found.n_nonzero
                if labels.numbers != NULL:
                    labels.ends[found.n_rows] = found.n_labels
            at = <const char *>memchr(at, 10, end - at) + 1
            found.line += 1
    return found.problem, found.line, found.n_rows, found.n_nonzero, found.least, found.largest, found.n_queries, found.largest_label
