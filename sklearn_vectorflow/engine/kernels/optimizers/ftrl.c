/* Kernels of linear layers under FTRL-proximal. */
#include "kernels/layers/linear.h"

VF_DEFINE_RULE(ftrl, VF_FTRL, NULL)
