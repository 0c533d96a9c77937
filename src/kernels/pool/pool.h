/*
 * Maximum and average over windows of an image, channels first (ONNX MaxPool, AveragePool). A window is taken column by
 * column: its rows first, from the top, then the columns from the left. NaN in a window makes its result NaN. The
 * average divides by the window's area within the padded image when padding counts, else by the count of values inside
 * the image; a window wholly in the padding gives -infinity (maximum) or 0. Every kernel gives the same bits.
 */
#ifndef LP_KERNELS_POOL_H
#define LP_KERNELS_POOL_H

#include "core/cpu.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct lp_pool2d {
    uint32_t channels, height, width;             /* of x */
    uint32_t out_height, out_width;               /* of y; as floor or ceil made them */
    uint32_t kernel[2], strides[2], dilations[2]; /* rows, columns; at least 1 */
    uint32_t pads[4];                             /* top, left, bottom, right */
    bool average;                                 /* else the maximum */
    bool count_pad;                               /* average: padding counts as zeros (ceil's overhang does not) */
    size_t x_stride, y_stride;                    /* floats from a record to the next; 0: as many as it holds */
};

/** x and y do not overlap. Any thread. */
typedef void lp_pool2d_run(const struct lp_pool2d *pool, const float *x, uint32_t record_count, float *y);

struct lp_pool2d_kernel {
    const char *name;
    lp_pool2d_run *run;
};

#define LP_POOL2D_KERNEL(isa, usable) extern const struct lp_pool2d_kernel lp_pool2d_f32_##isa;
#include "kernels/pool/kernels.inc"
#undef LP_POOL2D_KERNEL

/** Kernels this CPU can run, best first, the scalar one last; for selection, tests and benches. */
uint32_t lp_pool2d_kernels(const struct lp_cpu *cpu, const struct lp_pool2d_kernel **ret_kernels, uint32_t kernels_max);

/** The first of them. Never NULL. */
const struct lp_pool2d_kernel *lp_pool2d_select(const struct lp_cpu *cpu);

#endif
