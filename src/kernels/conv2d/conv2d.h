/*
 * Two-dimensional convolution in float, channels first (ONNX Conv), y = act(conv(x) + b): weights packed once at load.
 * One accumulator for each output: the bias first, then rising (channel, kernel row, kernel column). Padding counts as
 * zeros (with finite weights; an infinite weight may meet it as NaN). NaN and infinities pass. A record's bits do not
 * depend on the records beside it. A 1-D convolution has height 1.
 */
#ifndef LP_KERNELS_CONV2D_H
#define LP_KERNELS_CONV2D_H

#include "core/cpu.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct lp_conv2d {
    uint32_t channels, height, width;             /* of x */
    uint32_t out_channels, out_height, out_width; /* of y */
    uint32_t kernel[2], strides[2], dilations[2]; /* rows, columns; at least 1 */
    uint32_t pad_top, pad_left;                   /* the other two follow from the output's size */
    uint32_t group;                               /* divides channels and out_channels */
    size_t x_stride, y_stride;                    /* floats from a record to the next; 0: as many as it holds */
    bool relu;
    const float *packed; /* borrowed, 64-byte aligned; what the kernel's pack wrote */
};

struct lp_conv2d_kernel {
    const char *name;

    /** Floats that pack writes; 0 when the sizes overflow. `packed` and strides are not read. */
    size_t (*packed_floats)(const struct lp_conv2d *conv);

    /** @param weight [out_channels][channels / group][kernel rows][kernel columns]; @param bias [out_channels] or NULL
     */
    void (*pack)(const struct lp_conv2d *conv, const float *weight, const float *bias, float *packed);

    /** Bytes of scratch (64-byte aligned), for any number of records; 0 when the sizes overflow or none is needed. */
    size_t (*scratch_bytes)(const struct lp_conv2d *conv);

    /** x and y do not overlap. Any thread. */
    void (*run)(const struct lp_conv2d *conv, const float *x, uint32_t record_count, float *y, void *scratch);
};

#define LP_CONV2D_KERNEL(isa, usable) extern const struct lp_conv2d_kernel lp_conv2d_f32_##isa;
#include "kernels/conv2d/kernels.inc"
#undef LP_CONV2D_KERNEL

/** Kernels this CPU can run, best first, the scalar one last; for selection, tests and benches. */
uint32_t lp_conv2d_kernels(const struct lp_cpu *cpu, const struct lp_conv2d_kernel **ret_kernels, uint32_t kernels_max);

/** The first of them. Never NULL. */
const struct lp_conv2d_kernel *lp_conv2d_select(const struct lp_cpu *cpu);

#endif
