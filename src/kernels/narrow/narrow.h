/*
 * Doubles to the nearest floats, halves to even: y[i] = (float)x[i]. Exact: every kernel gives the scalar one's bits,
 * NaN stays NaN. x and y do not overlap; no alignment is needed; nothing outside x and y is touched.
 */
#ifndef LP_KERNELS_NARROW_H
#define LP_KERNELS_NARROW_H

#include "core/cpu.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef void lp_narrow_run(const double *x, size_t count, float *y);

struct lp_narrow_kernel {
    const char *name;
    lp_narrow_run *run;
};

#define LP_NARROW_KERNEL(isa, usable) extern const struct lp_narrow_kernel lp_narrow_f64_##isa;
#include "kernels/narrow/kernels.inc"
#undef LP_NARROW_KERNEL

/** Kernels this CPU can run, best first, the scalar one last; for selection, tests and benches. */
uint32_t lp_narrow_kernels(const struct lp_cpu *cpu, const struct lp_narrow_kernel **ret_kernels, uint32_t kernels_max);

/** The first of them. Never NULL. */
lp_narrow_run *lp_narrow_select(const struct lp_cpu *cpu);

#endif
