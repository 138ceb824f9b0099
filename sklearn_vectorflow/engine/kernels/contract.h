/* The loss contract: one C function for every loss, built in or a plug-in's.
 *
 * `evaluate` sees a block of n rows and returns the sum of their weighted losses;
 * it writes the gradient of that sum with respect to every raw value. It must not
 * touch Python objects: it runs without the GIL, in several threads at once. A sum
 * that is NaN or infinite stops training.
 *
 * A plug-in hands out a PyCapsule named VF_LOSS_CAPSULE that points to a vf_loss
 * with `version`, `evaluate` and perhaps `context` set. The engine copies it and
 * fills in the rest. Every change of this file's layout raises VF_LOSS_VERSION. */
#ifndef VF_CONTRACT_H
#define VF_CONTRACT_H

#include <stdint.h>

#define VF_LOSS_VERSION 2
#define VF_LOSS_CAPSULE "sklearn_vectorflow.loss"

struct vf_loss;

/* A node inside the net, for a loss that reads it: its outputs for the rows of the block,
 * and what the loss adds to its gradient. */
typedef struct vf_node {
    int64_t width;
    const double *outputs; /* (n, width) */
    double *gradient;      /* (n, width), zero at first; may be written */
} vf_node;

typedef double (*vf_loss_fn)(
    int64_t n,
    const double *y,      /* (n, n_targets) */
    const double *raw,    /* (n, n_outputs) */
    const double *weight, /* (n) */
    double *gradient,     /* (n, n_outputs), written */
    const struct vf_loss *loss);

typedef struct vf_loss {
    int32_t version; /* VF_LOSS_VERSION when it was compiled; first in every version */
    int32_t n_targets, n_outputs, n_parameters;
    const double *parameters; /* (n_parameters) */
    vf_loss_fn evaluate;
    const void *context;   /* the plug-in's own, handed back as it is */
    int64_t n_groups;      /* of this block; 0 if rows are independent */
    const int64_t *starts; /* (n_groups + 1), the row at which each group starts; last, n */
    int64_t n_nodes;
    const vf_node *nodes;  /* (n_nodes), in the order in which the loss names what it reads */
    const void *owner;     /* PyObject that keeps the block's arrays alive; the engine's own */
} vf_loss;

#endif
