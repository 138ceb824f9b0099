/* Where the kernels of linear layers, and of pairs of their inputs, are found: by rule, and by what weights have to catch up on. */
#ifndef VF_LINEAR_KERNELS_H
#define VF_LINEAR_KERNELS_H

#include "kernels/layers/pairs.h"

enum { VF_N_LAZY = 3 }; /* VF_EAGER, VF_DECAYING, VF_LAZY */

extern const vf_linear_kernels vf_kernels_fixed[VF_N_LAZY], vf_kernels_sgd[VF_N_LAZY], vf_kernels_adagrad[VF_N_LAZY],
    vf_kernels_rowwise[VF_N_LAZY], vf_kernels_adam[VF_N_LAZY], vf_kernels_ftrl[VF_N_LAZY],
    vf_kernels_adam_rowwise[VF_N_LAZY];

extern const vf_pairs_kernels vf_pairs_fixed[VF_N_LAZY], vf_pairs_sgd[VF_N_LAZY], vf_pairs_adagrad[VF_N_LAZY],
    vf_pairs_rowwise[VF_N_LAZY], vf_pairs_adam[VF_N_LAZY], vf_pairs_ftrl[VF_N_LAZY], vf_pairs_adam_rowwise[VF_N_LAZY];

/* In the order of the rules' enum. */
static const vf_linear_kernels *const VF_KERNELS[] = {
    vf_kernels_fixed, vf_kernels_sgd, vf_kernels_adagrad, vf_kernels_rowwise, vf_kernels_adam, vf_kernels_ftrl,
    vf_kernels_adam_rowwise,
};

static const vf_pairs_kernels *const VF_PAIRS_KERNELS[] = {
    vf_pairs_fixed, vf_pairs_sgd, vf_pairs_adagrad, vf_pairs_rowwise, vf_pairs_adam, vf_pairs_ftrl,
    vf_pairs_adam_rowwise,
};

#endif
