/* Kernels of linear layers under Adam. */
#include "kernels/layers/linear.h"

VF_DEFINE_LONE(adam_lazy, VF_ADAM, VF_LAZY)
VF_DEFINE_RULE(adam, VF_ADAM, &VF_SINGLE_adam_lazy)
