/* The loss contract: one C function for every loss.
 *
 * `evaluate` sees a block of n rows and returns the sum of their weighted losses;
 * it writes the gradient of that sum with respect to every raw value. It must not
 * touch Python objects: it runs without the GIL, in several threads at once. */
#ifndef VF_CONTRACT_H
#define VF_CONTRACT_H

#include <stdint.h>

#define VF_LOSS_VERSION 1
#define VF_LOSS_CAPSULE "sklearn_vectorflow.loss"

struct vf_loss;

typedef double (*vf_loss_fn)(
    int64_t n,
    const double *y,      /* (n, n_targets) */
    const double *raw,    /* (n, n_outputs) */
    const double *weight, /* (n) */
    double *gradient,     /* (n, n_outputs), written */
    const struct vf_loss *loss);

typedef struct vf_loss {
    int32_t version; /* VF_LOSS_VERSION when it was compiled */
    int32_t n_targets, n_outputs;
    const double *parameters;
    vf_loss_fn evaluate;
} vf_loss;

#endif
