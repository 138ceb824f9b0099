/* What a thread keeps to work on pairs of features with fields; field_pairs.h has the arithmetic. */
#ifndef VF_FIELDS_H
#define VF_FIELDS_H

#include <stdint.h>

typedef struct {
    const int32_t *field; /* by feature of the layer */
    int64_t n_fields, n_outputs, rank;
    int32_t passes_back; /* to units below: also to those that are zero, whose fields the row may not have */
    int32_t *indices; /* a row in the order of its fields */
    float *values;
    int64_t *next;    /* (n_fields + 1): where a field's next entry goes */
    int64_t *starts;  /* by field of the row: where its entries begin; then, where the last one's end */
    int32_t *present; /* fields of the row, increasing */
    int64_t n_present;
    float *gradient, *own; /* scratch of a record's size, as is */
    double *delta;
} vf_fields;

#endif
