/* Kernels of linear layers under Adam. */
#include "kernels/layers/linear.h"
#include "kernels/layers/pairs_rules.h"

VF_DEFINE_SINGLE(adam_lazy, VF_ADAM, VF_LAZY)
VF_DEFINE_RULE(adam, VF_ADAM, &VF_SINGLE_adam_lazy)
VF_DEFINE_PAIRS(adam, VF_ADAM)
