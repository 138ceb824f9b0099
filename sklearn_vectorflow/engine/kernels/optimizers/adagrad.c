/* Kernels of linear layers under AdaGrad. */
#include "kernels/layers/linear.h"

VF_DEFINE_LONE(adagrad_lazy, VF_ADAGRAD, VF_LAZY)
VF_DEFINE_RULE(adagrad, VF_ADAGRAD, &VF_SINGLE_adagrad_lazy)
