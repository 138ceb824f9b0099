/* Kernels of linear layers under Adam. */
#include "kernels/layers/linear.h"

VF_DEFINE_RULE(adam, VF_ADAM)
