# cython: language_level=3
"""What text/cells.h offers."""
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t

cdef extern from "text/cells.h" nogil:
    ctypedef struct vf_murmur:
        pass
    ctypedef struct vf_bytes:
        const uint8_t *data
        int64_t length
    ctypedef struct vf_strings:
        int32_t layout
        const void *places
        const uint8_t *data
        int64_t size
        const uint8_t **buffers
        const int64_t *sizes
        int64_t n_buffers
    ctypedef struct vf_word_rules:
        const uint32_t *letters
        uint32_t n_letters
        int32_t shortest, from_n, to_n
    ctypedef struct vf_words:
        uint8_t *text
        int64_t *starts
        int64_t *ends
    ctypedef struct vf_sketch:
        uint32_t *counters
        int32_t bits
    ctypedef struct vf_met:
        uint64_t *keys
        int32_t bits
        int64_t size
    ctypedef struct vf_sink:
        int32_t purpose, failed
        uint32_t mask, sign_bit, least_count
        vf_sketch sketch
        int64_t size
        int32_t *indices
        float *values
        int64_t *ends
        uint8_t *text
        const vf_met *before
        vf_met met
    ctypedef struct vf_cells:
        int32_t kind, keep_missing, first_bucket
        int64_t first, valid_first, list_valid_first
        vf_strings strings
        const int64_t *integers
        const int32_t *codes
        const uint32_t *hashes
        const double *numbers
        const uint8_t *valid
        const int64_t *starts
        const uint8_t *list_valid
        vf_word_rules rules
        vf_murmur prefix
        uint32_t name_hash, missing_hash
    cdef enum:
        VF_SKETCH_DEPTH
        VF_OFFSETS
        VF_WIDE_OFFSETS
        VF_VIEWS
        VF_PLACES
        VF_INSIDE
        VF_STRING_CELLS
        VF_TEXT_CELLS
        VF_INTEGER_CELLS
        VF_CODE_CELLS
        VF_NUMBER_CELLS
        VF_TO_MATRIX
        VF_TO_COUNTS
        VF_TO_NAMES
    void vf_take_names_of(vf_sink *sink, const int64_t *ends, const uint8_t *text, const int32_t *hashes, int64_t n,
                          int64_t most)
    vf_murmur vf_murmur_prefix(const uint8_t *data, int64_t length, uint32_t seed)
    uint32_t vf_murmur_hash(vf_murmur prefix, const uint8_t *data, int64_t length)
    ctypedef struct vf_entries:
        pass
    int vf_strings_fit(const vf_strings *strings, const uint8_t *valid, int64_t valid_first, int64_t at, int64_t n)
    vf_bytes vf_string_at(const vf_strings *strings, int32_t layout, int64_t at)
    void VF_PREFETCH_READ(const void *address)
    void vf_place(uint8_t *place, const uint8_t *data, int64_t length)
    void vf_hash_each(const vf_cells *cells, int64_t n, uint32_t *hashes, uint8_t *missing)
    void vf_encode(const vf_cells *cells, int64_t n_columns, int64_t n_rows, vf_entries *entries, vf_words *words,
                   vf_sink *sink, int32_t *lengths)
    void vf_encode_cells(const vf_cells *cells, int64_t n_columns, int64_t n_rows, vf_entries *entries,
                         const vf_sink *sink, int32_t *indices, float *values, int32_t *ends)
