/*
 * Element-wise functions of two values. An operand is a vector as long as the output, or one value for all of it
 * (step 0); wider broadcasts are loops over these. Minimum and maximum give NaN when either side is NaN; pow is the C
 * library's powf (exact for the exponents 1 and 2, within its error bound else). The others are one IEEE operation: the
 * same bits in every kernel.
 */
#ifndef LP_KERNELS_BINARY_H
#define LP_KERNELS_BINARY_H

#include "core/cpu.h"

#include <stddef.h>
#include <stdint.h>

enum lp_binary_kind {
    LP_BINARY_ADD,
    LP_BINARY_SUB,
    LP_BINARY_MUL,
    LP_BINARY_DIV,
    LP_BINARY_MIN,
    LP_BINARY_MAX,
    LP_BINARY_POW,
    LP_BINARY_PRELU, /* a < 0: a * b, else a */
    LP_BINARY_COUNT,
};

/** y[i] = f(a[i * a_step], b[i * b_step]), steps 0 or 1; y may be a or b where the step is 1. Any thread. */
typedef void lp_binary_run(const float *a, size_t a_step, const float *b, size_t b_step, size_t count, float *y);

struct lp_binary_kernel {
    const char *name;
    lp_binary_run *run[LP_BINARY_COUNT]; /* NULL: the next kernel down the list is as fast */
};

#define LP_BINARY_KERNEL(isa, usable) extern const struct lp_binary_kernel lp_binary_f32_##isa;
#include "kernels/binary/kernels.inc"
#undef LP_BINARY_KERNEL

/** Kernels this CPU can run, best first, the scalar one last; for selection, tests and benches. */
uint32_t lp_binary_kernels(const struct lp_cpu *cpu, const struct lp_binary_kernel **ret_kernels, uint32_t kernels_max);

/** Best function for a kind, and the name of the kernel it is from (NULL: not wanted). Never NULL. */
lp_binary_run *lp_binary_select(const struct lp_cpu *cpu, enum lp_binary_kind kind, const char **ret_name);

#endif
