/* Kernels of linear layers under Adam with one second moment a feature. */
#include "kernels/layers/linear.h"
#include "kernels/layers/pairs_rules.h"

VF_DEFINE_WIDE_RULE(adam_rowwise, VF_ADAM_ROWWISE)
VF_DEFINE_PAIRS(adam_rowwise, VF_ADAM_ROWWISE)
