/*
 * Reference: the bin of each value by a search without branches, counted where the value's last edge is. counts_ge is
 * turned into those differences and back, so that a call needs no memory of its own.
 */
#include "kernels/bins/bins.h"

#include <stddef.h>

/* How many edges are <= x; edge_count >= 1. NaN gives 0. */
static uint32_t edges_below(double x, const double *edges, uint32_t edge_count)
{
    const double *first = edges;
    uint32_t left = edge_count;
    while (left > 1) {
        uint32_t half = left / 2;
        first = first[half] <= x ? first + half : first;
        left -= half;
    }
    return (uint32_t)(first - edges) + (first[0] <= x);
}

static void run(const double *x, uint32_t row_count, const double *edges, uint32_t edge_count, uint64_t *counts_ge,
                uint64_t *count)
{
    uint64_t numbers = 0;
    for (uint32_t r = 0; r < row_count; r++) numbers += x[r] == x[r];
    *count += numbers;
    if (edge_count == 0) return;
    for (uint32_t e = 0; e + 1 < edge_count; e++) counts_ge[e] -= counts_ge[e + 1];
    for (uint32_t r = 0; r < row_count; r++) {
        uint32_t below = edges_below(x[r], edges, edge_count);
        if (below > 0) counts_ge[below - 1]++;
    }
    for (uint32_t e = edge_count - 1; e > 0; e--) counts_ge[e - 1] += counts_ge[e];
}

const struct lp_bins_kernel lp_bins_f64_scalar = {"scalar", run};
