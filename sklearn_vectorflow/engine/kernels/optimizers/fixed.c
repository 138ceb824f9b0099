/* Kernels of linear layers that are not trained. */
#include "kernels/layers/linear.h"
#include "kernels/layers/pairs_rules.h"

VF_DEFINE_FIXED(fixed)
VF_DEFINE_FIXED_PAIRS(fixed)
