/*
 * One fully connected layer in bfloat16, y = act(sum_k(bf16(x[k]) * w[k][o]) + b[o]): weights are bf16, the input is
 * rounded to bf16 here (nearest, halves to even; denormals of bf16 may count as zero), products are exact in float, and
 * the sum is kept in float: the bias first (AMX: last), then pairs of inputs over rising k. AVX512-BF16 (vdpbf16ps) and
 * AMX flush denormal products and round a pair in their own order, so kernels agree within the bound of a float sum of
 * in + 1 terms and not to the bit; one kernel's bits do not depend on the batch. NaN and infinities pass as in float; a
 * finite x that rounds past the largest bf16 (above 3.3953e38) is infinite.
 *
 * A layer whose weights are bf16 but whose input has to stay float is a float layer: widen its weights (dense.h).
 */
#ifndef LP_KERNELS_DENSE_BF16_H
#define LP_KERNELS_DENSE_BF16_H

#include "core/cpu.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** A packed layer; `packed` is what the kernel's pack wrote. */
struct lp_dense_bf16_layer {
    const void *packed; /* borrowed, 64-byte aligned */
    uint32_t in_width, out_width;
    size_t x_stride, y_stride; /* floats from a row to the next; 0: the width */
    bool relu;
};

struct lp_dense_bf16_kernel {
    const char *name;

    /** Bytes that pack writes; 0 when the product overflows. */
    size_t (*packed_bytes)(uint32_t in_width, uint32_t out_width);

    /** @param weight [in_width][out_width] row-major, the upper halves of floats; @param bias [out_width], NULL: zeros
     */
    void (*pack)(const uint16_t *weight, const float *bias, uint32_t in_width, uint32_t out_width, void *packed);

    /** Bytes of scratch (64-byte aligned) for a call with row_count rows; grows with the rows; may be 0. */
    size_t (*scratch_bytes)(uint32_t in_width, uint32_t row_count);

    /** @param x [row_count][x_stride]; @param y out, [row_count][y_stride]; they do not overlap. Any thread. */
    void (*run)(const struct lp_dense_bf16_layer *layer, const float *x, uint32_t row_count, float *y, void *scratch);
};

#define LP_DENSE_BF16_KERNEL(isa, usable) extern const struct lp_dense_bf16_kernel lp_dense_bf16_##isa;
#include "kernels/dense_bf16/kernels.inc"
#undef LP_DENSE_BF16_KERNEL

static inline size_t lp_dense_bf16_x_stride(const struct lp_dense_bf16_layer *layer)
{
    return layer->x_stride != 0 ? layer->x_stride : layer->in_width;
}
static inline size_t lp_dense_bf16_y_stride(const struct lp_dense_bf16_layer *layer)
{
    return layer->y_stride != 0 ? layer->y_stride : layer->out_width;
}

/** Kernels this CPU can run, best first, the scalar one last; for selection, tests and benches. */
uint32_t lp_dense_bf16_kernels(const struct lp_cpu *cpu, const struct lp_dense_bf16_kernel **ret_kernels,
                               uint32_t kernels_max);

/** The first of them. Never NULL. */
const struct lp_dense_bf16_kernel *lp_dense_bf16_select(const struct lp_cpu *cpu);

#endif
