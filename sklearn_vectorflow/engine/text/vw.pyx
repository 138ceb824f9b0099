# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, freethreading_compatible=True
"""Rows in Vowpal Wabbit's text format as a hashed CSR triplet, read in one pass without the GIL."""
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t
from libc.string cimport memchr, memcmp

cdef extern from "text/murmur.h" nogil:
    ctypedef struct vf_murmur:
        uint32_t hash, length, rest
    uint32_t vf_murmur_hash(vf_murmur prefix, const uint8_t *data, int64_t length)

cdef extern from "text/number.h" nogil:
    enum: VF_NO_NUMBER, VF_NUMBER, VF_LONG_NUMBER
    int vf_read_number(const char **at, const char *end, double *out)

PROBLEMS = (
    None,
    "the label is not a finite number",
    "the importance is not a finite number >= 0",
    "what stands before the first '|' is neither a label, an importance nor a tag",
    "there is no '|'",
    "the namespace is none of those given",
    "what follows ':' is neither a finite number of float32 nor a string, which must not begin like a number",
    "the weight of a namespace is not a finite number",
    "rows with and without a label: what touches the first '|' is a tag, and a space ends a label",
)

cdef struct Namespaces:
    int64_t n, bits
    const uint8_t *names     # one after the other
    const int64_t *ends

cdef struct Row:
    double label, importance
    bint has_label, has_importance
    const char *tag
    const char *tag_end


cdef uint32_t _murmur(const uint8_t *key, int64_t length, uint32_t seed) noexcept nogil:
    return vf_murmur_hash(vf_murmur(hash=seed, length=0, rest=0), key, length)


cdef bint _is_space(char c) noexcept nogil:
    return c == 32 or c == 9 or c == 13


cdef double _long_number(const char *start, int64_t length) noexcept with gil:
    return float(start[:length])


cdef bint _number(const char **at, const char *end, double *out) noexcept nogil:
    """Reads a finite number that ends a token or a name; False if there is none."""
    cdef const char *start = at[0]
    cdef int kind = vf_read_number(at, end, out)
    if kind == VF_LONG_NUMBER:
        out[0] = _long_number(start, at[0] - start)
    return kind != VF_NO_NUMBER and out[0] - out[0] == 0.0 and (
        _is_space(at[0][0]) or at[0][0] == 10 or at[0][0] == 124)


cdef const char *_token_end(const char *at) noexcept nogil:
    while at[0] != 10 and at[0] != 124 and not _is_space(at[0]):
        at += 1
    return at


cdef const char *_after_spaces(const char *at) noexcept nogil:
    while _is_space(at[0]):
        at += 1
    return at


cdef int _head(const char **at, const char *end, Row *row) noexcept nogil:
    """Reads label, importance, base and tag up to the first bar."""
    cdef int n_numbers = 0
    cdef double number
    cdef const char *stop
    row.has_label = row.has_importance = False
    row.importance = 1.0
    row.tag = row.tag_end = at[0]
    while True:
        at[0] = _after_spaces(at[0])
        if at[0][0] == 124:
            return 0
        if at[0][0] == 10:
            return 4
        stop = _token_end(at[0])
        if stop[0] == 124 or (at[0][0] == 39 and _after_spaces(stop)[0] == 124):  # the last token touches the bar or is quoted
            row.tag = at[0] + (at[0][0] == 39)
            row.tag_end = at[0] = stop
            continue
        if n_numbers == 3 or at[0][0] == 39:
            return 3
        if not _number(at, end, &number):
            return 1 + min(n_numbers, 2)
        n_numbers += 1
        if n_numbers == 1:
            row.label = number
            row.has_label = True
        elif n_numbers == 2:
            row.importance = number
            row.has_importance = True
            if number < 0:
                return 2


cdef const char *_name_end(const char *at) noexcept nogil:
    while at[0] != 10 and at[0] != 124 and at[0] != 58 and not _is_space(at[0]):
        at += 1
    return at


cdef int64_t _find(Namespaces *given, const char *name, int64_t length) noexcept nogil:
    cdef int64_t k, start = 0
    for k in range(given.n):
        if given.ends[k] - start == length and memcmp(given.names + start, name, length) == 0:
            return k
        start = given.ends[k]
    return -1


cdef bint _begins_number(const char *at) noexcept nogil:
    """Whether what starts here is meant as a number, well formed or not."""
    at += at[0] == 43 or at[0] == 45
    at += at[0] == 46
    return 48 <= at[0] <= 57


cdef bint _is_word(const char *at, int64_t length, const char *word) noexcept nogil:
    """Whether a token is a word in small letters, whatever the case of its own."""
    cdef int64_t k
    for k in range(length):
        if (at[k] | 32) != word[k] or word[k] == 0:
            return False
    return word[length] == 0


cdef bint _is_string(const char *at, const char *stop) noexcept nogil:
    """Whether the value of a feature is a string."""
    cdef const char *letters = at + (at[0] == 43 or at[0] == 45)
    cdef int64_t length = stop - letters
    return length > 0 and not _begins_number(at) and not (
        _is_word(letters, length, "nan") or _is_word(letters, length, "inf") or _is_word(letters, length, "infinity"))


cdef int _features(const char **at, const char *end, Namespaces *given, float *values, int32_t *indices,
                   int64_t *n_nonzero) noexcept nogil:
    """Reads the namespaces of a row, from its first bar to its end."""
    cdef const char *start
    cdef const char *stop
    cdef int64_t group = 0
    cdef uint32_t hash, n_nameless = 0, seed = 0, mask = (<uint32_t>1 << given.bits) - 1
    cdef double number, scale = 1.0
    cdef bint is_nameless
    while at[0][0] != 10:
        if at[0][0] == 124:
            start = at[0] + 1
            stop = _name_end(start)
            group = _find(given, start, stop - start)
            if given.n and group < 0:
                return 5
            group = max(group, 0)
            seed = _murmur(<const uint8_t *>start, stop - start, 0)
            n_nameless = 0
            at[0] = stop
            scale = 1.0
            if stop[0] == 58:
                at[0] += 1
                if not _number(at, end, &scale):
                    return 7
            continue
        if _is_space(at[0][0]):
            at[0] += 1
            continue
        start = at[0]
        stop = _name_end(start)
        is_nameless = stop == start
        hash = _murmur(<const uint8_t *>start, stop - start, seed)
        at[0] = stop
        number = scale
        if stop[0] == 58:
            at[0] += 1
            start = at[0]
            if _number(at, end, &number):
                number *= scale
                if is_nameless:
                    hash += n_nameless
                    n_nameless += 1
            else:
                at[0] = _token_end(start)
                if not _is_string(start, at[0]):
                    return 6
                hash = _murmur(<const uint8_t *>start, at[0] - start, hash)  # as vw: a string counts 1 in any namespace
                number = 1.0
        values[n_nonzero[0]] = <float>number
        if values[n_nonzero[0]] - values[n_nonzero[0]] != 0:
            return 6
        indices[n_nonzero[0]] = <int32_t>((group << given.bits) + (hash & mask))
        n_nonzero[0] += 1
    return 0


def parse(const unsigned char[::1] text, int64_t bits, const unsigned char[::1] names, const int64_t[::1] ends,
          float[::1] values, int32_t[::1] indices, int64_t[::1] indptr, double[::1] labels, double[::1] importance,
          int64_t[:, ::1] tags):
    """Parse whole lines into arrays that are long enough.

    Parameters
    ----------
    text : bytes
        Ends in a newline.
    bits : int
        Of a namespace's columns.
    names, ends : bytes and ndarray
        Namespaces one after the other, and their ends. If there are none, all namespaces share
        their columns. Names must not be empty: pass a byte more.
    values, indices, indptr, labels, importance : ndarray
    tags : ndarray
        Where each row's tag begins and ends in the text.

    Returns
    -------
    problem, line : int
        An index into `PROBLEMS`, and the line it is in, from 0.
    n_rows, n_nonzero, n_labels, n_importances : int
    """
    cdef Namespaces given = Namespaces(n=ends.shape[0], bits=bits, names=&names[0], ends=NULL)
    cdef const char *begin = <const char *>&text[0]
    cdef const char *at = begin
    cdef const char *end = at + text.shape[0]
    cdef int64_t line = 0, n_rows = 0, n_nonzero = 0, n_labels = 0, n_importances = 0
    cdef int problem = 0
    cdef Row row
    if given.n:
        given.ends = &ends[0]
    with nogil:
        indptr[0] = 0
        while at < end:
            while _is_space(at[0]):
                at += 1
            if at[0] != 10:
                problem = _head(&at, end, &row)
                if problem == 0:
                    problem = _features(&at, end, &given, &values[0], &indices[0], &n_nonzero)
                if problem == 0 and n_labels != (n_rows if row.has_label else 0):
                    problem = 8
                if problem:
                    break
                labels[n_rows] = row.label if row.has_label else 0.0
                importance[n_rows] = row.importance
                tags[n_rows, 0], tags[n_rows, 1] = row.tag - begin, row.tag_end - begin
                n_labels += row.has_label
                n_importances += row.has_importance
                n_rows += 1
                indptr[n_rows] = n_nonzero
            at = <const char *>memchr(at, 10, end - at) + 1
            line += 1
    return problem, line, n_rows, n_nonzero, n_labels, n_importances
