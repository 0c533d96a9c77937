/*
 * AVX-512: 8 edges and their 8 counters in registers, the column passes once for each 8 edges; a compare and a masked
 * add an edge and 8 values. The tail is padded with NaN, which no compare counts. Exact.
 */
#include "kernels/bins/bins.h"

#include <immintrin.h>
#include <stddef.h>

enum { LANES = 8, EDGES = 8 };

static inline __m512d load(const double *x, size_t left)
{
    const __m512d nan = _mm512_set1_pd(__builtin_nan(""));
    return left >= LANES ? _mm512_loadu_pd(x) : _mm512_mask_loadu_pd(nan, (__mmask8)((1u << left) - 1), x);
}

static inline __attribute__((always_inline)) void count_edges(const double *x, size_t rows, const double *edges,
                                                              const int edge_count, uint64_t *counts_ge)
{
    __m512d edge[EDGES];
    __m512i total[EDGES];
    const __m512i one = _mm512_set1_epi64(1);
#pragma GCC unroll 8
    for (int e = 0; e < edge_count; e++) {
        edge[e] = _mm512_set1_pd(edges[e]);
        total[e] = _mm512_setzero_si512();
    }
    for (size_t r = 0; r < rows; r += LANES) {
        __m512d v = load(x + r, rows - r);
#pragma GCC unroll 8
        for (int e = 0; e < edge_count; e++)
            total[e] = _mm512_mask_add_epi64(total[e], _mm512_cmp_pd_mask(v, edge[e], _CMP_GE_OQ), total[e], one);
    }
#pragma GCC unroll 8
    for (int e = 0; e < edge_count; e++) counts_ge[e] += (uint64_t)_mm512_reduce_add_epi64(total[e]);
}

static void run(const double *x, uint32_t row_count, const double *edges, uint32_t edge_count, uint64_t *counts_ge,
                uint64_t *count)
{
    if (edge_count > LP_BINS_COMPARE_EDGES_MAX) {
        lp_bins_f64_scalar.run(x, row_count, edges, edge_count, counts_ge, count);
        return;
    }
    /* A value that is not NaN is at or above minus infinity. */
    const double lowest = -__builtin_inf();
    count_edges(x, row_count, &lowest, 1, count);
    for (; edge_count >= EDGES; edge_count -= EDGES, edges += EDGES, counts_ge += EDGES)
        count_edges(x, row_count, edges, EDGES, counts_ge);
    for (; edge_count >= 2; edge_count -= 2, edges += 2, counts_ge += 2) count_edges(x, row_count, edges, 2, counts_ge);
    if (edge_count > 0) count_edges(x, row_count, edges, 1, counts_ge);
}

const struct lp_bins_kernel lp_bins_f64_avx512 = {"avx512", run};
