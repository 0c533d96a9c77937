/* Reference: the C library's float functions, one value at a time. */
#include "kernels/activation/activation.h"

#include <math.h>

#define OF(name) static inline __attribute__((always_inline)) float name(float x, float alpha, float beta)
#define UNUSED (void)alpha, (void)beta

OF(relu)
{
    UNUSED;
    return x < 0.0f ? 0.0f : x;
}
OF(leaky_relu)
{
    UNUSED;
    return x < 0.0f ? alpha * x : x;
}
OF(elu)
{
    UNUSED;
    return x < 0.0f ? alpha * expm1f(x) : x;
}
OF(hyperbolic)
{
    UNUSED;
    return tanhf(x);
}
OF(sigmoid)
{
    UNUSED;
    float e = expf(-fabsf(x));
    return (x < 0.0f ? e : 1.0f) / (1.0f + e);
}
/* erfc keeps the relative error of the negative tail, where 1 + erf would cancel. */
OF(gelu)
{
    UNUSED;
    return 0.5f * x * erfcf(-x * 0.70710678118654752440f);
}
OF(gelu_tanh) { return x * sigmoid(x * (1.5957691216057308f + 0.07135481627159942f * x * x), alpha, beta); }
OF(silu) { return x * sigmoid(x, alpha, beta); }
OF(softplus)
{
    UNUSED;
    return (x > 0.0f ? x : 0.0f) + log1pf(expf(-fabsf(x)));
}
OF(selu) { return beta * (x < 0.0f ? alpha * expm1f(x) : x); }
OF(celu)
{
    UNUSED;
    return x < 0.0f ? alpha * expm1f(x / alpha) : x;
}
OF(softsign)
{
    UNUSED;
    return isinf(x) ? copysignf(1.0f, x) : x / (1.0f + fabsf(x));
}
OF(clip)
{
    x = x < alpha ? alpha : x;
    return x > beta ? beta : x;
}
OF(hard_sigmoid) { return clip(alpha * x + beta, 0.0f, 1.0f); }
OF(hard_silu)
{
    UNUSED;
    return x == -INFINITY ? 0.0f : x * clip(x * (1.0f / 6.0f) + 0.5f, 0.0f, 1.0f);
}
/* tanh(log(1 + e)) = (e^2 + 2 e) / (e^2 + 2 e + 2), divided by e^2 for x > 0: neither form overflows or cancels. */
OF(mish)
{
    UNUSED;
    float e = expf(-fabsf(x));
    if (x < 0.0f) return x < -104.0f ? -0.0f : x * (e * (e + 2.0f) / (e * (e + 2.0f) + 2.0f));
    return x * ((1.0f + 2.0f * e) / (1.0f + 2.0f * e + 2.0f * e * e));
}
OF(thresholded_relu)
{
    UNUSED;
    return x <= alpha ? 0.0f : x;
}
OF(exponential)
{
    UNUSED;
    return expf(x);
}
OF(logarithm)
{
    UNUSED;
    return logf(x);
}
OF(root)
{
    UNUSED;
    return sqrtf(x);
}
OF(magnitude)
{
    UNUSED;
    return fabsf(x);
}
OF(negative)
{
    UNUSED;
    return -x;
}
OF(reciprocal)
{
    UNUSED;
    return 1.0f / x;
}
OF(error_function)
{
    UNUSED;
    return erff(x);
}
OF(down)
{
    UNUSED;
    return floorf(x);
}
OF(up)
{
    UNUSED;
    return ceilf(x);
}
OF(nearest)
{
    UNUSED;
    return rintf(x);
}
OF(sign)
{
    UNUSED;
    return x > 0.0f ? 1.0f : x < 0.0f ? -1.0f : x;
}

#define RUN(name, of)                                                                 \
    static void name(const float *x, size_t count, float alpha, float beta, float *y) \
    {                                                                                 \
        for (size_t i = 0; i < count; i++) y[i] = of(x[i], alpha, beta);              \
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
RUN(run_selu, selu)
RUN(run_celu, celu)
RUN(run_softsign, softsign)
RUN(run_hard_sigmoid, hard_sigmoid)
RUN(run_hard_silu, hard_silu)
RUN(run_mish, mish)
RUN(run_thresholded_relu, thresholded_relu)
RUN(run_clip, clip)
RUN(run_exp, exponential)
RUN(run_log, logarithm)
RUN(run_sqrt, root)
RUN(run_abs, magnitude)
RUN(run_neg, negative)
RUN(run_reciprocal, reciprocal)
RUN(run_erf, error_function)
RUN(run_floor, down)
RUN(run_ceil, up)
RUN(run_round, nearest)
RUN(run_sign, sign)

static void softmax_row(const float *x, uint32_t width, float *y)
{
    float max = -INFINITY, sum = 0.0f;
    for (uint32_t i = 0; i < width; i++) max = x[i] > max ? x[i] : max;
    for (uint32_t i = 0; i < width; i++) sum += y[i] = expf(x[i] - max);
    for (uint32_t i = 0; i < width; i++) y[i] /= sum;
}

static void log_softmax_row(const float *x, uint32_t width, float *y)
{
    float max = -INFINITY, sum = 0.0f;
    for (uint32_t i = 0; i < width; i++) max = x[i] > max ? x[i] : max;
    for (uint32_t i = 0; i < width; i++) sum += expf(x[i] - max);
    float log_sum = logf(sum);
    for (uint32_t i = 0; i < width; i++) y[i] = x[i] - max - log_sum;
}

static void softmax(const float *x, uint32_t row_count, uint32_t width, float *y)
{
    for (uint32_t r = 0; r < row_count; r++) softmax_row(x + (size_t)r * width, width, y + (size_t)r * width);
}

static void log_softmax(const float *x, uint32_t row_count, uint32_t width, float *y)
{
    for (uint32_t r = 0; r < row_count; r++) log_softmax_row(x + (size_t)r * width, width, y + (size_t)r * width);
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
            [LP_ACT_SOFTPLUS] = run_softplus,
            [LP_ACT_SELU] = run_selu,
            [LP_ACT_CELU] = run_celu,
            [LP_ACT_SOFTSIGN] = run_softsign,
            [LP_ACT_HARD_SIGMOID] = run_hard_sigmoid,
            [LP_ACT_HARD_SILU] = run_hard_silu,
            [LP_ACT_MISH] = run_mish,
            [LP_ACT_THRESHOLDED_RELU] = run_thresholded_relu,
            [LP_ACT_CLIP] = run_clip,
            [LP_ACT_EXP] = run_exp,
            [LP_ACT_LOG] = run_log,
            [LP_ACT_SQRT] = run_sqrt,
            [LP_ACT_ABS] = run_abs,
            [LP_ACT_NEG] = run_neg,
            [LP_ACT_RECIPROCAL] = run_reciprocal,
            [LP_ACT_ERF] = run_erf,
            [LP_ACT_FLOOR] = run_floor,
            [LP_ACT_CEIL] = run_ceil,
            [LP_ACT_ROUND] = run_round,
            [LP_ACT_SIGN] = run_sign},
    .softmax = softmax,
    .log_softmax = log_softmax,
};
