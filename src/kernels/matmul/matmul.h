/*
 * Many small matrix products, y = a * b, where both are computed (dot and FM interactions, attention): one product a
 * record, [m][k] x [k][n], or [m][k] x [n][k] transposed. Float, one accumulator over rising k for each output (fused
 * multiply-add in the vector kernels, which sum the transposed form in lanes); NaN and infinities pass. A record's bits
 * do not depend on the records beside it.
 */
#ifndef LP_KERNELS_MATMUL_H
#define LP_KERNELS_MATMUL_H

#include "core/cpu.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct lp_matmul {
    uint32_t m, k, n;
    bool transpose_b;
    size_t a_row, b_row, y_row;          /* floats from a matrix row to the next; 0: as many as it holds */
    size_t a_stride, b_stride, y_stride; /* floats from a record to the next; 0 for a or b: the same for all */
};

/** y does not overlap a or b. Any thread. */
typedef void lp_matmul_run(const struct lp_matmul *shape, const float *a, const float *b, uint32_t record_count,
                           float *y);

struct lp_matmul_kernel {
    const char *name;
    lp_matmul_run *run;
};

#define LP_MATMUL_KERNEL(isa, usable) extern const struct lp_matmul_kernel lp_matmul_f32_##isa;
#include "kernels/matmul/kernels.inc"
#undef LP_MATMUL_KERNEL

/** Kernels this CPU can run, best first, the scalar one last; for selection, tests and benches. */
uint32_t lp_matmul_kernels(const struct lp_cpu *cpu, const struct lp_matmul_kernel **ret_kernels, uint32_t kernels_max);

/** The first of them. Never NULL. */
const struct lp_matmul_kernel *lp_matmul_select(const struct lp_cpu *cpu);

#endif
