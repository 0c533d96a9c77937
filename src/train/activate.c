#include "train/activate.h"

#include "kernels/activation/activation.h"

#include <math.h>
#include <string.h>

static const enum lp_activation_kind kinds[] = {
    [LP_ACTIVATION_RELU] = LP_ACT_RELU,
    [LP_ACTIVATION_LEAKY_RELU] = LP_ACT_LEAKY_RELU,
    [LP_ACTIVATION_ELU] = LP_ACT_ELU,
    [LP_ACTIVATION_TANH] = LP_ACT_TANH,
    [LP_ACTIVATION_SIGMOID] = LP_ACT_SIGMOID,
    [LP_ACTIVATION_GELU] = LP_ACT_GELU,
    [LP_ACTIVATION_GELU_TANH] = LP_ACT_GELU_TANH,
    [LP_ACTIVATION_SILU] = LP_ACT_SILU,
    [LP_ACTIVATION_SOFTPLUS] = LP_ACT_SOFTPLUS,
};

static void run(enum lp_activation_kind kind, float alpha, const float *z, size_t count, float *y)
{
    lp_activation_select(lp_cpu_get(), kind, NULL)(z, count, alpha, 0, y);
}

/* Derivatives that need z and not f(z); `slope` holds sigmoid(z) where `sigmoid` is set. */
static float gelu_slope(float z)
{
    return (float)(0.5 * erfc(-z * M_SQRT1_2)) + z * 0.3989422804014327f * expf(-0.5f * z * z);
}

static float gelu_tanh_slope(float z)
{
    float u = 0.7978845608028654f * (z + 0.044715f * z * z * z), t = tanhf(u);
    float du = 0.7978845608028654f * (1 + 3 * 0.044715f * z * z);
    return 0.5f * (1 + t) + 0.5f * z * (1 - t * t) * du;
}

static void slope_of_z(enum lp_activation activation, const float *z, size_t count, float *slope)
{
    switch (activation) {
    case LP_ACTIVATION_SOFTPLUS: run(LP_ACT_SIGMOID, 0, z, count, slope); break;
    case LP_ACTIVATION_SILU:
        run(LP_ACT_SIGMOID, 0, z, count, slope);
        for (size_t i = 0; i < count; i++) slope[i] = slope[i] * (1 + z[i] * (1 - slope[i]));
        break;
    case LP_ACTIVATION_GELU:
        for (size_t i = 0; i < count; i++) slope[i] = gelu_slope(z[i]);
        break;
    case LP_ACTIVATION_GELU_TANH:
        for (size_t i = 0; i < count; i++) slope[i] = gelu_tanh_slope(z[i]);
        break;
    default: break;
    }
}

static void slope_of_h(enum lp_activation activation, float alpha, const float *h, size_t count, float *slope)
{
    switch (activation) {
    case LP_ACTIVATION_NONE:
        for (size_t i = 0; i < count; i++) slope[i] = 1;
        break;
    case LP_ACTIVATION_RELU:
        for (size_t i = 0; i < count; i++) slope[i] = h[i] > 0 ? 1.0f : 0.0f;
        break;
    case LP_ACTIVATION_LEAKY_RELU: /* alpha may be negative, then the sign of h says nothing: the caller passes z */
        for (size_t i = 0; i < count; i++) slope[i] = h[i] < 0 ? alpha : 1.0f;
        break;
    case LP_ACTIVATION_ELU:
        for (size_t i = 0; i < count; i++) slope[i] = h[i] < 0 ? h[i] + alpha : 1.0f;
        break;
    case LP_ACTIVATION_TANH:
        for (size_t i = 0; i < count; i++) slope[i] = 1 - h[i] * h[i];
        break;
    case LP_ACTIVATION_SIGMOID:
        for (size_t i = 0; i < count; i++) slope[i] = h[i] * (1 - h[i]);
        break;
    default: break;
    }
}

void lp_train_activate(enum lp_activation activation, float alpha, const float *z, size_t count, float *h, float *slope)
{
    if (slope != NULL) slope_of_z(activation, z, count, slope);
    if (slope != NULL && activation == LP_ACTIVATION_LEAKY_RELU) slope_of_h(activation, alpha, z, count, slope);
    if (activation != LP_ACTIVATION_NONE) run(kinds[activation], alpha, z, count, h);
    else if (h != z) memcpy(h, z, count * sizeof *h);
    if (slope != NULL && activation != LP_ACTIVATION_LEAKY_RELU) slope_of_h(activation, alpha, h, count, slope);
}
