/* Kernels of linear layers under SGD. */
#include "kernels/layers/linear.h"
#include "kernels/layers/pairs_rules.h"

VF_DEFINE_SINGLE(sgd_lazy, VF_SGD, VF_LAZY)
VF_DEFINE_RULE(sgd, VF_SGD, &VF_SINGLE_sgd_lazy)
VF_DEFINE_PAIRS(sgd, VF_SGD)
