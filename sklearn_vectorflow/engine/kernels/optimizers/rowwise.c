/* Kernels of linear layers under AdaGrad with one sum of squares a feature. */
#include "kernels/layers/linear.h"
#include "kernels/layers/pairs_rules.h"

VF_DEFINE_SINGLE(rowwise_lazy, VF_ADAGRAD_ROWWISE, VF_LAZY)
VF_DEFINE_RULE(rowwise, VF_ADAGRAD_ROWWISE, &VF_SINGLE_rowwise_lazy)
VF_DEFINE_PAIRS(rowwise, VF_ADAGRAD_ROWWISE)
