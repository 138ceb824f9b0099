/* Kernels of linear layers under FTRL-proximal. */
#include "kernels/layers/linear.h"
#include "kernels/layers/pairs_rules.h"

VF_DEFINE_RULE(ftrl, VF_FTRL, NULL)
VF_DEFINE_PAIRS(ftrl, VF_FTRL)
