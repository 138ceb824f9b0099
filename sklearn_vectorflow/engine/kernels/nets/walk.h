/* What the walk over a net calls of a linear layer; linear.h has the functions. */
#ifndef VF_WALK_H
#define VF_WALK_H

#include "kernels/contract.h"
#include "kernels/sharing/merge_one.h"
#include "kernels/rows/batch_gradient.h"
#include "kernels/rows/offsets.h"
#include "kernels/rows/rows.h"

enum { VF_AHEAD_DATA = 8 }; /* rows between asking for a row's values and using them */

/* Where the records of coming rows are: row q of the queue in entry q modulo VF_RING. */
enum { VF_RING = 8 };
typedef struct {
    int64_t *at, room;     /* room: for a row's, and as many more as lanes */
    int64_t until;         /* rows of the queue that have been looked up */
    const int64_t *latest; /* the last one's entries, how many, and of how many records are asked for */
    int64_t length, asked;
} vf_places;

/* The plainest net, one linear layer of one output, and what its training needs (plain.h). A
 * second output may be the same for all rows: an intercept alone. */
typedef struct {
    const vf_linear *weights;
    const vf_linear *intercepts[2]; /* of either output, or NULL */
    const vf_rows *rows;
    const double *targets; /* (n_rows, n_targets) */
    int64_t n_targets;
    const double *sample_weight; /* (n_rows), or NULL */
    vf_offsets offsets;
    const vf_loss *loss;
    double *y, *raw, *weight, *gradient; /* the loss's block, of one row: a loss in Python may keep it */
    const vf_input_dropout *dropout;
    vf_schedule schedule;
    vf_copies copies;
    int32_t *indices; /* room for a row */
    float *values;
    const vf_hot *hot; /* NULL, as `apart`: none */
    vf_apart *apart;   /* this thread's copies */
    struct vf_aside *aside; /* those of other features in a turn; NULL: their records are the shared ones */
    vf_places *places;
    int64_t ahead;    /* rows between asking for a row's weights and using them; 0: don't ask */
} vf_single;

/* Asks for what a coming row has beside its non-zeros. */
VF_INLINE void vf_prefetch_targets(const vf_single *net, int64_t row) {
    VF_PREFETCH_READ(net->targets + row * net->n_targets);
    vf_prefetch_offsets(&net->offsets, row);
    if (net->sample_weight)
        VF_PREFETCH_READ(net->sample_weight + row);
}

/* Sets what the loss reads of a row beside its outputs, and adds offsets to these; returns the loss. */
VF_INLINE double vf_evaluate_row(const vf_single *data, int64_t row) {
    vf_add_offsets(&data->offsets, row, data->loss->n_outputs, data->raw);
    for (int64_t k = 0; k < data->n_targets; k++)
        data->y[k] = data->targets[row * data->n_targets + k];
    *data->weight = data->sample_weight ? data->sample_weight[row] : 1.0;
    return data->loss->evaluate(1, data->y, data->raw, data->weight, data->gradient, data->loss);
}

typedef struct {
    double (*train)(const vf_single *, vf_clock *, const int64_t *, int64_t, int64_t, int64_t);
    void (*merge_tier)(const vf_linear *, const vf_linear *const *intercepts, const vf_hot *, vf_apart *, int64_t tier);
    void (*merge_part)(const vf_linear *, const vf_hot *, vf_apart *, int64_t part);
    void (*load)(const vf_linear *, const vf_linear *const *intercepts, const vf_clock *, const vf_hot *);
    void (*store)(const vf_linear *, const vf_linear *const *intercepts, const vf_clock *, const vf_hot *);
    void (*publish)(const vf_linear *, const vf_linear *const *intercepts, const vf_hot *, vf_apart *, int64_t n_tiers);
    void (*take)(const vf_linear *, const vf_linear *const *intercepts, const vf_hot *, vf_apart *, int64_t n_tiers);
    void (*join)(const vf_linear *, const vf_linear *const *intercepts, const vf_hot *, vf_apart *const *,
                 int64_t n_workers, vf_apart *before, int64_t tier);
    void (*join_part)(const vf_linear *, const vf_hot *, vf_apart *const *, int64_t n_workers, float *kept, int64_t part);
    void (*add_aside)(const vf_linear *, const vf_clock *, const vf_hot *, const vf_apart *,
                      const struct vf_aside *, int64_t piece);
} vf_single_kernels;

/* `forward` leaves what it read of the row behind for `update`; `read` does so for
 * other sets of features. `update_each` steps features by a gradient each. `merge` is that of copies (merge_wide.h). `single`
 * is for the net of this layer alone; NULL: not here. */
typedef struct {
    void (*forward)(const vf_linear *, const vf_clock *, vf_row, vf_copies, float *);
    void (*read)(const vf_linear *, const vf_clock *, vf_row, vf_copies);
    void (*update)(const vf_linear *, const vf_clock *, vf_row, vf_copies, const float *);
    void (*update_each)(const vf_linear *, const vf_clock *, const vf_gathered *, vf_copies);
    void (*backward)(const vf_linear *, const vf_clock *, const double *, double *);
    int64_t (*settle)(const vf_linear *, const vf_clock *, int64_t, int64_t);
    void (*merge)(const vf_linear *, const vf_clock *, const int32_t *, int64_t, int32_t in_place, float *,
                  float *);
    const vf_single_kernels *single;
} vf_linear_kernels;

/* The layer of n of its inputs, from `first` on. */
VF_INLINE vf_linear vf_rows_of(const vf_linear *layer, int64_t first, int64_t n) {
    vf_linear part = *layer;
    part.record += first * layer->stride;
    part.n_in = n;
    part.penalty.l1_each = layer->penalty.l1_each ? layer->penalty.l1_each + first : NULL;
    part.penalty.l2_each = layer->penalty.l2_each ? layer->penalty.l2_each + first : NULL;
    part.penalty.sign = layer->penalty.sign ? layer->penalty.sign + first : NULL;
    part.penalty.center = layer->penalty.center ? layer->penalty.center + first * layer->n_out : NULL;
    return part;
}

#endif
