/* Kernels of linear layers under SGD. */
#include "kernels/layers/linear.h"

VF_DEFINE_RULE(sgd, VF_SGD)
