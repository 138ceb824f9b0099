/* Kernels of linear layers under AdaGrad. */
#include "kernels/layers/linear.h"
#include "kernels/layers/pairs_rules.h"

VF_DEFINE_SINGLE(adagrad_lazy, VF_ADAGRAD, VF_LAZY)
VF_DEFINE_RULE(adagrad, VF_ADAGRAD, &VF_SINGLE_adagrad_lazy)
VF_DEFINE_PAIRS(adagrad, VF_ADAGRAD)
