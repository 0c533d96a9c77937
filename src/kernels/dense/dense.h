/*
 * One fully connected layer, y = act(x * W + b), in fp32. Weights are packed once at load in the order the kernel reads
 * them, the bias is the first value of the accumulator, and relu happens in the store.
 *
 * Every kernel takes any width and any number of rows, touches nothing outside x and y, needs no alignment, and lets
 * NaN and infinities through (relu too: NaN stays NaN). In the packed kernels a row's bits do not depend on the rows
 * beside it: each output is one accumulator over rising k, whatever the batch.
 */
#ifndef LP_KERNELS_DENSE_H
#define LP_KERNELS_DENSE_H

#include "core/cpu.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Wider layers read a row once for each block of columns, which narrowing it beforehand makes cheaper. */
enum { LP_DENSE_DOUBLES_OUT_MAX = 32 };

/** A packed layer; `packed` is what the kernel's pack wrote. */
struct lp_dense_layer {
    const float *packed; /* borrowed, 64-byte aligned */
    uint32_t in_width, out_width;
    /* Floats from a row to the next, so that a layer reads a slice and writes a part of a concatenation; 0: the width,
     * otherwise at least the width. */
    size_t x_stride, y_stride;
    bool relu;
};

struct lp_dense_kernel {
    const char *name; /* "avx512", ... */

    /** Floats that pack writes; 0 when the product overflows. */
    size_t (*packed_floats)(uint32_t in_width, uint32_t out_width);

    /** @param weight [in_width][out_width] row-major; @param bias [out_width], NULL: zeros; @param packed out */
    void (*pack)(const float *weight, const float *bias, uint32_t in_width, uint32_t out_width, float *packed);

    /** @param x [row_count][x_stride]; @param y out, [row_count][y_stride], where only the widths are read and
     * written; they do not overlap. Any thread. */
    void (*run)(const struct lp_dense_layer *layer, const float *x, uint32_t row_count, float *y);

    /** The same of rows of doubles, each rounded to float first; for layers of 2 to LP_DENSE_DOUBLES_OUT_MAX outputs.
     * NULL where a pass over the rows before it is as good. */
    void (*run_doubles)(const struct lp_dense_layer *layer, const double *x, uint32_t row_count, float *y);
};

#define LP_DENSE_KERNEL(isa, usable) extern const struct lp_dense_kernel lp_dense_f32_##isa;
#include "kernels/dense/kernels.inc"
#undef LP_DENSE_KERNEL

static inline size_t lp_dense_x_stride(const struct lp_dense_layer *layer)
{
    return layer->x_stride != 0 ? layer->x_stride : layer->in_width;
}
static inline size_t lp_dense_y_stride(const struct lp_dense_layer *layer)
{
    return layer->y_stride != 0 ? layer->y_stride : layer->out_width;
}

/** Kernels this CPU can run, best first, the scalar one last; for selection, tests and benches. */
uint32_t lp_dense_kernels(const struct lp_cpu *cpu, const struct lp_dense_kernel **ret_kernels, uint32_t kernels_max);

/** The kernel for layers on this CPU; the rule and its reasons are in select.c. Never NULL. */
const struct lp_dense_kernel *lp_dense_select(const struct lp_cpu *cpu);

/**
 * Make OpenBLAS single-threaded in its callers' threads. @param ret_build its own description, static
 * @return false when it is not the pthread build: then nothing was changed, and it must not be used
 */
bool lp_dense_openblas_setup(const char **ret_build);

#endif
