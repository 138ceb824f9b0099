/* Activations in place. Derivatives are taken from the output, so the
 * pre-activation need not be kept. */
#ifndef VF_ACTIVATIONS_H
#define VF_ACTIVATIONS_H

#include "kernels/elementary.h"

enum { VF_RELU, VF_TANH, VF_SELU, VF_LOGISTIC };

/* Klambauer et al. (2017), arXiv:1706.02515 */
#define VF_SELU_ALPHA 1.67326324f
#define VF_SELU_SCALE 1.05070098f

VF_INLINE float vf_activation(const int kind, float x) {
    if (kind == VF_RELU)
        return x > 0.0f ? x : 0.0f;
    const float size = fabsf(x);
    if (kind == VF_TANH) {
        const float t = vf_expm1_negative(-2.0f * size);
        return copysignf(-t / (2.0f + t), x);
    }
    const float e = vf_expm1_negative(-size); /* exp(-|x|) - 1 */
    if (kind == VF_SELU)
        return VF_SELU_SCALE * (x > 0.0f ? x : VF_SELU_ALPHA * e);
    return (x > 0.0f ? 1.0f : 1.0f + e) / (2.0f + e);
}

VF_INLINE float vf_derivative(const int kind, float y) {
    if (kind == VF_RELU)
        return y > 0.0f ? 1.0f : 0.0f;
    if (kind == VF_TANH)
        return 1.0f - y * y;
    if (kind == VF_SELU)
        return y > 0.0f ? VF_SELU_SCALE : y + VF_SELU_SCALE * VF_SELU_ALPHA;
    return y * (1.0f - y);
}

#define VF_EACH_ACTIVATION(kind, statement)                \
    switch (kind) {                                        \
    case VF_RELU: { enum { K = VF_RELU }; statement break; }         \
    case VF_TANH: { enum { K = VF_TANH }; statement break; }         \
    case VF_SELU: { enum { K = VF_SELU }; statement break; }         \
    case VF_LOGISTIC: { enum { K = VF_LOGISTIC }; statement break; } \
    }

VF_SIMD static void vf_activate(int kind, const float *VF_RESTRICT x, float *VF_RESTRICT y, int64_t n) {
    VF_EACH_ACTIVATION(kind, for (int64_t i = 0; i < n; i++) y[i] = vf_activation(K, x[i]);)
}

/* Adds to the gradient of the input: gradient of the output times the derivative. */
VF_SIMD static void vf_activate_back(int kind, const float *VF_RESTRICT y, const double *VF_RESTRICT output_gradient,
                                     double *VF_RESTRICT input_gradient, int64_t n) {
    VF_EACH_ACTIVATION(kind, for (int64_t i = 0; i < n; i++)
                                 input_gradient[i] += output_gradient[i] * (double)vf_derivative(K, y[i]);)
}

#endif
