/*
 * Layer normalization over the values of a row, y = (x - mean) / sqrt(variance + epsilon) * weight + bias, the variance
 * as the mean of the squared differences (ONNX LayerNormalization, PyTorch's layer_norm). Sums in float, in lanes in
 * the vector kernels; the mean is corrected by that of the differences, so that equal values of any size give 0 and not
 * their rounding divided by itself. NaN or an infinity in a row makes the row NaN; y may be x.
 */
#ifndef LP_KERNELS_NORM_H
#define LP_KERNELS_NORM_H

#include "core/cpu.h"

#include <stddef.h>
#include <stdint.h>

struct lp_norm {
    uint32_t width;
    const float *weight; /* [width], NULL: ones */
    const float *bias;   /* [width], NULL: zeros */
    float epsilon;
};

/** @param x [row_count][width]; @param y out, the same shape. Any thread. */
typedef void lp_norm_run(const struct lp_norm *norm, const float *x, uint32_t row_count, float *y);

struct lp_norm_kernel {
    const char *name;
    lp_norm_run *run;
};

#define LP_NORM_KERNEL(isa, usable) extern const struct lp_norm_kernel lp_norm_f32_##isa;
#include "kernels/norm/kernels.inc"
#undef LP_NORM_KERNEL

/** Kernels this CPU can run, best first, the scalar one last; for selection, tests and benches. */
uint32_t lp_norm_kernels(const struct lp_cpu *cpu, const struct lp_norm_kernel **ret_kernels, uint32_t kernels_max);

/** The first of them. Never NULL. */
const struct lp_norm_kernel *lp_norm_select(const struct lp_cpu *cpu);

#endif
