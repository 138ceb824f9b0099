/* Kernels of linear layers under AdaGrad. */
#include "kernels/layers/linear.h"

VF_DEFINE_RULE(adagrad, VF_ADAGRAD)
