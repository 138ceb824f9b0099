/* Kernels of linear layers under AdaGrad with one sum of squares a feature. */
#include "kernels/layers/linear.h"

VF_DEFINE_RULE(rowwise, VF_ADAGRAD_ROWWISE)
