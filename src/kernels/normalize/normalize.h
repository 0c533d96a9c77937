/*
 * Linear normalization of doubles, y = (x - center) / scale, and whether every x is inside its bounds. A subtraction
 * and a division, each rounded once: the bits are those of the formula in any language. x and y do not overlap; no
 * alignment is needed; nothing outside x and y is touched. NaN and infinities go through as IEEE 754 has them; a NaN is
 * not inside any bounds.
 */
#ifndef LP_KERNELS_NORMALIZE_H
#define LP_KERNELS_NORMALIZE_H

#include "core/cpu.h"

#include <stdbool.h>
#include <stdint.h>

/** Parameters by element: each [count]. */
struct lp_normalize_each {
    const double *low, *high, *center, *scale;
};

/** One set of parameters for all elements. */
struct lp_normalize_same {
    double low, high, center, scale;
};

struct lp_normalize_kernel {
    const char *name;
    /** @return every low <= x <= high */
    bool (*each)(const double *x, const struct lp_normalize_each *by, uint32_t count, double *y);
    /** As each; center 0 and scale 1 copy. */
    bool (*same)(const double *x, const struct lp_normalize_same *by, uint32_t count, double *y);
};

#define LP_NORMALIZE_KERNEL(isa, usable) extern const struct lp_normalize_kernel lp_normalize_f64_##isa;
#include "kernels/normalize/kernels.inc"
#undef LP_NORMALIZE_KERNEL

/** Kernels this CPU can run, best first, the scalar one last; for selection, tests and benches. */
uint32_t lp_normalize_kernels(const struct lp_cpu *cpu, const struct lp_normalize_kernel **ret_kernels,
                              uint32_t kernels_max);

/** Never NULL. */
const struct lp_normalize_kernel *lp_normalize_select(const struct lp_cpu *cpu);

#endif
