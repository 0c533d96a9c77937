/*
 * One fully connected layer in int8: y = act(s * ws[o] * sum_k((q[k] - z) * w[k][o]) + b[o]), where the input is made
 * u8 here, q = clamp(rne(x / s) + z, 0, 255), with a scale s and a zero point z of the layer (static) or of each row
 * (dynamic):
 *
 *     low = min(0, min x), high = max(0, max x), s = (high - low) / 255, z = clamp(rne(-low / s), 0, 255);
 *     s = 1 where high - low < 255 * 2^-126
 *
 * the formulas of ONNX's QuantizeLinear and DynamicQuantizeLinear. Quotients are those of floats, rounded to float: the
 * vector kernels multiply by the reciprocal and divide only where that comes near a half (private.h).
 *
 * The sum is exact in int32, so at most LP_DENSE_I8_IN_MAX inputs; what follows is one float product s * ws[o], one
 * product with the sum rounded to float and one sum with the bias, each rounded by itself: every kernel gives the same
 * bits, whatever the batch. A row with NaN gives NaN everywhere, as would a row whose range is not finite when the
 * scale is dynamic; a static scale saturates infinities. Relu happens in the store and keeps NaN.
 */
#ifndef LP_KERNELS_DENSE_I8_H
#define LP_KERNELS_DENSE_I8_H

#include "core/cpu.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { LP_DENSE_I8_IN_MAX = 65536 }; /* 255 * 128 * 65536 < 2^31 */

/** A packed layer; `packed` is what the kernel's pack wrote. */
struct lp_dense_i8_layer {
    const void *packed; /* borrowed, 64-byte aligned */
    uint32_t in_width, out_width;
    size_t x_stride, y_stride; /* floats from a row to the next; 0: the width */
    bool relu;
    bool dynamic;
    float input_scale;        /* static: finite, at least 2^-126 */
    int32_t input_zero_point; /* static: 0 to 255 */
};

struct lp_dense_i8_kernel {
    const char *name;

    /** Bytes that pack writes; 0 when the widths are too large. */
    size_t (*packed_bytes)(uint32_t in_width, uint32_t out_width);

    /**
     * @param weight       [in_width][out_width] row-major
     * @param weight_scale [out_width], or one for all (weight_scale_count 1)
     * @param bias         [out_width], NULL: zeros
     */
    void (*pack)(const int8_t *weight, const float *weight_scale, uint32_t weight_scale_count, const float *bias,
                 uint32_t in_width, uint32_t out_width, void *packed);

    /** Bytes of scratch (64-byte aligned) for a call with row_count rows; grows with the rows. */
    size_t (*scratch_bytes)(uint32_t in_width, uint32_t row_count);

    /** @param x [row_count][x_stride]; @param y out, [row_count][y_stride]; they do not overlap. Any thread. */
    void (*run)(const struct lp_dense_i8_layer *layer, const float *x, uint32_t row_count, float *y, void *scratch);
};

#define LP_DENSE_I8_KERNEL(isa, usable) extern const struct lp_dense_i8_kernel lp_dense_i8_##isa;
#include "kernels/dense_i8/kernels.inc"
#undef LP_DENSE_I8_KERNEL

static inline size_t lp_dense_i8_x_stride(const struct lp_dense_i8_layer *layer)
{
    return layer->x_stride != 0 ? layer->x_stride : layer->in_width;
}
static inline size_t lp_dense_i8_y_stride(const struct lp_dense_i8_layer *layer)
{
    return layer->y_stride != 0 ? layer->y_stride : layer->out_width;
}

/** Kernels this CPU can run, best first, the scalar one last; for selection, tests and benches. */
uint32_t lp_dense_i8_kernels(const struct lp_cpu *cpu, const struct lp_dense_i8_kernel **ret_kernels,
                             uint32_t kernels_max);

/** The first of them. Never NULL. */
const struct lp_dense_i8_kernel *lp_dense_i8_select(const struct lp_cpu *cpu);

#endif
