/*
 * Element-wise activations and softmax over fp32.
 *
 * y may be x. NaN stays NaN. The vector forms round exp by a degree-7 polynomial after Cody-Waite reduction (Cephes
 * expf); sigmoid divides by 1 + exp(-|x|), tanh and elu go through expm1, so that nothing cancels near 0, and
 * gelu_tanh is x * sigmoid(2u). Against the exact value (tests/kernels/test_activation.c: every 4093rd float, all with
 * --stride 1):
 *
 *     relu, leaky_relu, thresholded_relu, clip, abs, neg, floor, ceil, round, sign, sqrt, reciprocal   correctly
 * rounded hard_sigmoid, hard_silu      2^-23 and 2^-23 |x|, absolute gelu, gelu_tanh, whose argument is itself rounded
 * 16 ULP down to -3, then 1e-6 of |x| * exp(-x^2 / 2) the others                   4 ULP
 *
 * or 1e-38 where the result is denormal.
 */
#ifndef LP_KERNELS_ACTIVATION_H
#define LP_KERNELS_ACTIVATION_H

#include "core/cpu.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum lp_activation_kind {
    LP_ACT_RELU,       /* max(x, 0); NaN stays */
    LP_ACT_LEAKY_RELU, /* x < 0: alpha * x */
    LP_ACT_ELU,        /* x < 0: alpha * expm1(x) */
    LP_ACT_TANH,
    LP_ACT_SIGMOID,          /* 1 / (1 + exp(-x)) */
    LP_ACT_GELU,             /* x / 2 * erfc(-x / sqrt(2)) */
    LP_ACT_GELU_TANH,        /* x / 2 * (1 + tanh(u)), u = sqrt(2 / pi) * (x + 0.044715 x^3) */
    LP_ACT_SILU,             /* x * sigmoid(x) */
    LP_ACT_SOFTPLUS,         /* log(1 + exp(x)) */
    LP_ACT_SELU,             /* beta * (x < 0: alpha * expm1(x), else x) */
    LP_ACT_CELU,             /* x < 0: alpha * expm1(x / alpha), alpha not 0 */
    LP_ACT_SOFTSIGN,         /* x / (1 + |x|) */
    LP_ACT_HARD_SIGMOID,     /* max(0, min(1, alpha * x + beta)) */
    LP_ACT_HARD_SILU,        /* x * max(0, min(1, x / 6 + 1 / 2)) */
    LP_ACT_MISH,             /* x * tanh(softplus(x)) */
    LP_ACT_THRESHOLDED_RELU, /* x > alpha: x, else 0 */
    LP_ACT_CLIP,             /* min(max(x, alpha), beta); infinities mean no bound; beta wins */
    LP_ACT_EXP,
    LP_ACT_LOG,
    LP_ACT_SQRT,
    LP_ACT_ABS,
    LP_ACT_NEG,
    LP_ACT_RECIPROCAL,
    LP_ACT_ERF,
    LP_ACT_FLOOR,
    LP_ACT_CEIL,
    LP_ACT_ROUND, /* halves to even */
    LP_ACT_SIGN,  /* -1, 0, 1 */
    LP_ACT_COUNT,
};

/** @param alpha, beta as the kind's comment names them, else unused. y may be x. Any thread. */
typedef void lp_activation_run(const float *x, size_t count, float alpha, float beta, float *y);
typedef void lp_softmax_run(const float *x, uint32_t row_count, uint32_t width, float *y);

struct lp_activation_kernel {
    const char *name;
    lp_activation_run *run[LP_ACT_COUNT]; /* NULL: the next kernel down the list is as fast */
    /** exp(x - max) / sum along each row of [row_count][width]; a row with NaN or +inf gives NaN. y may be x. */
    lp_softmax_run *softmax;
    /** x - max - log(sum(exp(x - max))) along each row, the same rules. */
    lp_softmax_run *log_softmax;
};

#define LP_ACTIVATION_KERNEL(isa, usable) extern const struct lp_activation_kernel lp_activation_f32_##isa;
#include "kernels/activation/kernels.inc"
#undef LP_ACTIVATION_KERNEL

/** Kernels this CPU can run, best first, the scalar one last; for selection, tests and benches. */
uint32_t lp_activation_kernels(const struct lp_cpu *cpu, const struct lp_activation_kernel **ret_kernels,
                               uint32_t kernels_max);

/** Best function for a kind, and the name of the kernel it is from (NULL: not wanted). Never NULL. */
lp_activation_run *lp_activation_select(const struct lp_cpu *cpu, enum lp_activation_kind kind, const char **ret_name);
lp_softmax_run *lp_softmax_select(const struct lp_cpu *cpu);
lp_softmax_run *lp_log_softmax_select(const struct lp_cpu *cpu);

#endif
