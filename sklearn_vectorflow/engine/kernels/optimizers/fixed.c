/* Kernels of linear layers that are not trained. */
#include "kernels/layers/linear.h"

VF_DEFINE_FIXED(fixed)
