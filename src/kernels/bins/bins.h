/*
 * Cumulative histogram of a column: how many values are at or above each edge. Differences of neighbours are the exact
 * counts of bins whose left edge is inclusive; counts of replicas and windows add.
 */
#ifndef LP_KERNELS_BINS_H
#define LP_KERNELS_BINS_H

#include "core/cpu.h"

#include <stdbool.h>
#include <stdint.h>

/**
 * counts_ge[e] += rows with x[r] >= edges[e]; *count += rows that are not NaN. NaN is at or above no edge; infinities
 * and denormals compare as they are, -0.0 equals 0.0.
 *
 * @param x         [row_count], any alignment
 * @param edges     [edge_count], not falling, no NaN
 * @param counts_ge in/out, [edge_count], not rising (zeros, or what earlier calls with these edges left)
 * Cost at 10 edges: under 1 ns a value (avx512, avx2); above 64 edges all kernels search by halves.
 */
typedef void lp_bins_run(const double *x, uint32_t row_count, const double *edges, uint32_t edge_count,
                         uint64_t *counts_ge, uint64_t *count);

struct lp_bins_kernel {
    const char *name;
    lp_bins_run *run;
};

enum { LP_BINS_COMPARE_EDGES_MAX = 64 };

#define LP_BINS_KERNEL(isa, usable) extern const struct lp_bins_kernel lp_bins_f64_##isa;
#include "kernels/bins/kernels.inc"
#undef LP_BINS_KERNEL

/** Kernels this CPU can run, best first, the scalar one last; for selection, tests and benches. */
uint32_t lp_bins_kernels(const struct lp_cpu *cpu, const struct lp_bins_kernel **ret_kernels, uint32_t kernels_max);

/** Never NULL. */
lp_bins_run *lp_bins_select(const struct lp_cpu *cpu);

#endif
