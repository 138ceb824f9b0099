/* Where the kernels of linear layers are found: by rule, and by what weights have to catch up on. */
#ifndef VF_LINEAR_KERNELS_H
#define VF_LINEAR_KERNELS_H

#include "kernels/nets/walk.h"

enum { VF_N_LAZY = 3 }; /* VF_EAGER, VF_DECAYING, VF_LAZY */

extern const vf_linear_kernels vf_kernels_fixed[VF_N_LAZY], vf_kernels_sgd[VF_N_LAZY], vf_kernels_adagrad[VF_N_LAZY],
    vf_kernels_rowwise[VF_N_LAZY], vf_kernels_adam[VF_N_LAZY], vf_kernels_ftrl[VF_N_LAZY],
    vf_kernels_adam_rowwise[VF_N_LAZY];

/* In the order of the rules' enum. */
static const vf_linear_kernels *const VF_KERNELS[] = {
    vf_kernels_fixed, vf_kernels_sgd, vf_kernels_adagrad, vf_kernels_rowwise, vf_kernels_adam, vf_kernels_ftrl,
    vf_kernels_adam_rowwise,
};

#endif
