# cython: language_level=3
from libc.stdint cimport int32_t, int64_t

cdef extern from "kernels/rows/lines.h" nogil:
    void vf_sum_lines_f32_i32(const float *, const int32_t *, int64_t, const double *, int64_t, bint, double *)
    void vf_spread_line_f32_i32(const float *, const int32_t *, int64_t, const double *, int64_t, bint, double *)
    void vf_sum_lines_f32_i64(const float *, const int64_t *, int64_t, const double *, int64_t, bint, double *)
    void vf_spread_line_f32_i64(const float *, const int64_t *, int64_t, const double *, int64_t, bint, double *)
    void vf_sum_lines_f64_i32(const double *, const int32_t *, int64_t, const double *, int64_t, bint, double *)
    void vf_spread_line_f64_i32(const double *, const int32_t *, int64_t, const double *, int64_t, bint, double *)
    void vf_sum_lines_f64_i64(const double *, const int64_t *, int64_t, const double *, int64_t, bint, double *)
    void vf_spread_line_f64_i64(const double *, const int64_t *, int64_t, const double *, int64_t, bint, double *)
