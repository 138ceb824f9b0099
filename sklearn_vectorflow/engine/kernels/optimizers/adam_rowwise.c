/* Kernels of linear layers under Adam with one second moment a feature. */
#include "kernels/layers/linear.h"

VF_DEFINE_WIDE_RULE(adam_rowwise, VF_ADAM_ROWWISE)
