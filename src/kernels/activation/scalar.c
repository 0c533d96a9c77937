/* Reference: the C library's float functions, one value at a time. */
#include "kernels/activation/activation.h"

#include <math.h>

static inline float relu(float x, float alpha)
{
    (void)alpha;
    return x < 0.0f ? 0.0f : x;
}
static inline float leaky_relu(float x, float alpha) { return x < 0.0f ? alpha * x : x; }
static inline float elu(float x, float alpha) { return x < 0.0f ? alpha * expm1f(x) : x; }
static inline float hyperbolic(float x, float alpha)
{
    (void)alpha;
    return tanhf(x);
}
static inline float sigmoid(float x, float alpha)
{
    (void)alpha;
    float e = expf(-fabsf(x));
    return (x < 0.0f ? e : 1.0f) / (1.0f + e);
}
/* erfc keeps the relative error of the negative tail, where 1 + erf would cancel. */
static inline float gelu(float x, float alpha)
{
    (void)alpha;
    return 0.5f * x * erfcf(-x * 0.70710678118654752440f);
}
static inline float gelu_tanh(float x, float alpha)
{
    return x * sigmoid(x * (1.5957691216057308f + 0.07135481627159942f * x * x), alpha);
}
static inline float silu(float x, float alpha) { return x * sigmoid(x, alpha); }
static inline float softplus(float x, float alpha)
{
    (void)alpha;
    return (x > 0.0f ? x : 0.0f) + log1pf(expf(-fabsf(x)));
}

#define RUN(name, of)                                                     \
    static void name(const float *x, size_t count, float alpha, float *y) \
    {                                                                     \
        for (size_t i = 0; i < count; i++) y[i] = of(x[i], alpha);        \
    }
RUN(run_relu, relu)
RUN(run_leaky_relu, leaky_relu)
RUN(run_elu, elu)
RUN(run_tanh, hyperbolic)
RUN(run_sigmoid, sigmoid)
RUN(run_gelu, gelu)
RUN(run_gelu_tanh, gelu_tanh)
RUN(run_silu, silu)
RUN(run_softplus, softplus)

static void softmax_row(const float *x, uint32_t width, float *y)
{
    float max = -INFINITY, sum = 0.0f;
    for (uint32_t i = 0; i < width; i++) max = x[i] > max ? x[i] : max;
    for (uint32_t i = 0; i < width; i++) sum += y[i] = expf(x[i] - max);
    for (uint32_t i = 0; i < width; i++) y[i] /= sum;
}

static void softmax(const float *x, uint32_t row_count, uint32_t width, float *y)
{
    for (uint32_t r = 0; r < row_count; r++) softmax_row(x + (size_t)r * width, width, y + (size_t)r * width);
}

const struct lp_activation_kernel lp_activation_f32_scalar = {
    .name = "scalar",
    .run = {[LP_ACT_RELU] = run_relu,
            [LP_ACT_LEAKY_RELU] = run_leaky_relu,
            [LP_ACT_ELU] = run_elu,
            [LP_ACT_TANH] = run_tanh,
            [LP_ACT_SIGMOID] = run_sigmoid,
            [LP_ACT_GELU] = run_gelu,
            [LP_ACT_GELU_TANH] = run_gelu_tanh,
            [LP_ACT_SILU] = run_silu,
            [LP_ACT_SOFTPLUS] = run_softplus},
    .softmax = softmax,
};
