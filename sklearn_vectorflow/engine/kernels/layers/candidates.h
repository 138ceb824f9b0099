/* Which outputs a step computes where there are too many for all: each row's own, and some
 * drawn at random for all rows of the step. Those a row owns are not drawn against it.
 * Drawing takes constant time: Walker (1977), doi:10.1145/355744.355749; Vose (1991),
 * doi:10.1109/32.92917. */
#ifndef VF_CANDIDATES_H
#define VF_CANDIDATES_H

#include "kernels/random.h"

typedef struct {
    int64_t n_outputs;
    int64_t n_draws;         /* a step, with replacement; the same output counts once */
    const float *keep;       /* (n_outputs) else alias; NULL: every output is taken, none drawn */
    const int32_t *alias;    /* (n_outputs) */
    const float *correction; /* (n_outputs) log of the probability that a step draws it; NULL: none */
    int32_t independent;     /* outputs are classified one by one: targets are indicators, and what
                                rows own is corrected too */
} vf_sampler;

/* A step's candidates: for each row its own, then the drawn ones. `slot` numbers the different
 * outputs of the step, and from `first` on, `next` leads through the entries of each. */
typedef struct {
    int64_t most;                     /* room for a row */
    int64_t n_drawn, n_slots;
    int32_t *drawn;                   /* (n_draws) */
    uint32_t *mark, stamp;            /* (n_outputs): when an output was met last */
    int32_t *slot_of;                 /* (n_outputs), of those met in this step */
    int32_t *outputs;                 /* (n_rows, most) */
    int64_t *n_candidates, *n_own;    /* (n_rows) */
    int32_t *slot_output;             /* (slots) */
    int64_t *first, *next;            /* (slots), (n_rows, most); -1 ends */
} vf_candidates;

static inline uint32_t vf_new_stamp(const vf_sampler *s, vf_candidates *c) {
    if (++c->stamp == 0) {
        memset(c->mark, 0, (size_t)s->n_outputs * sizeof(uint32_t));
        c->stamp = 1;
    }
    return c->stamp;
}

/* Whether an output is met for the first time since the last stamp. */
static inline int vf_is_new(vf_candidates *c, int32_t output) {
    if (c->mark[output] == c->stamp)
        return 0;
    c->mark[output] = c->stamp;
    return 1;
}

static inline int32_t vf_draw_output(const vf_sampler *s, uint64_t *random) {
    const uint64_t bits = vf_next(random);
    const int32_t output = (int32_t)(((bits >> 32) * (uint64_t)s->n_outputs) >> 32);
    return vf_unit(bits << 32) < s->keep[output] ? output : s->alias[output];
}

/* Draws a step's outputs; those taken always are in `drawn` from the start. */
static inline void vf_draw_outputs(const vf_sampler *s, vf_candidates *c, uint64_t *random) {
    if (s->keep == NULL)
        return;
    vf_new_stamp(s, c);
    c->n_drawn = 0;
    for (int64_t k = 0; k < s->n_draws; k++) {
        const int32_t output = vf_draw_output(s, random);
        if (vf_is_new(c, output))
            c->drawn[c->n_drawn++] = output;
    }
}

/* The candidates of row r, whose own are already at the front of its place in `outputs`. */
static inline void vf_add_candidates(const vf_sampler *s, vf_candidates *c, int64_t r, int64_t n_own) {
    int32_t *outputs = c->outputs + r * c->most;
    int64_t n = 0;
    vf_new_stamp(s, c);
    for (int64_t k = 0; k < n_own; k++)
        if (vf_is_new(c, outputs[k]))
            outputs[n++] = outputs[k];
    c->n_own[r] = n;
    for (int64_t k = 0; k < c->n_drawn; k++)
        if (vf_is_new(c, c->drawn[k]))
            outputs[n++] = c->drawn[k];
    c->n_candidates[r] = n;
}

/* Finds the entries of each output among those of n rows. */
static inline void vf_link_candidates(const vf_sampler *s, vf_candidates *c, int64_t n) {
    vf_new_stamp(s, c);
    c->n_slots = 0;
    for (int64_t r = 0; r < n; r++)
        for (int64_t entry = r * c->most; entry < r * c->most + c->n_candidates[r]; entry++) {
            const int32_t output = c->outputs[entry];
            if (vf_is_new(c, output)) {
                c->slot_of[output] = (int32_t)c->n_slots;
                c->slot_output[c->n_slots] = output;
                c->first[c->n_slots++] = -1;
            }
            c->next[entry] = c->first[c->slot_of[output]];
            c->first[c->slot_of[output]] = entry;
        }
}

/* A row's targets and raw outputs as the loss sees them: of its candidates. */
static inline void vf_load_candidates(const vf_sampler *s, const vf_candidates *c, int64_t r, const float *scores,
                                      double *y, double *raw) {
    const int32_t *outputs = c->outputs + r * c->most;
    const int64_t corrected = s->independent ? 0 : c->n_own[r];
    y[0] = 0.0; /* of one class a row, the place among the candidates */
    for (int64_t k = 0; k < c->n_candidates[r]; k++) {
        raw[k] = scores[k];
        if (s->correction && k >= corrected)
            raw[k] -= s->correction[outputs[k]];
        if (s->independent)
            y[k] = k < c->n_own[r];
    }
}

#endif
