/*
 * AVX2: 6 edges and their 6 counters in registers, the column passes once for each 6 edges; a compare and a subtract
 * (true is -1) an edge and 4 values. The tail is padded with NaN, which no compare counts. Exact.
 */
#include "kernels/bins/bins.h"

#include <immintrin.h>
#include <stddef.h>

enum { LANES = 4, EDGES = 6 };

static inline __m256d load(const double *x, size_t left)
{
    if (left >= LANES) return _mm256_loadu_pd(x);
    const __m256i mask = _mm256_cmpgt_epi64(_mm256_set1_epi64x((long long)left), _mm256_setr_epi64x(0, 1, 2, 3));
    return _mm256_blendv_pd(_mm256_set1_pd(__builtin_nan("")), _mm256_maskload_pd(x, mask), _mm256_castsi256_pd(mask));
}

static inline __attribute__((always_inline)) void count_edges(const double *x, size_t rows, const double *edges,
                                                              const int edge_count, uint64_t *counts_ge)
{
    __m256d edge[EDGES];
    __m256i total[EDGES];
#pragma GCC unroll 8
    for (int e = 0; e < edge_count; e++) {
        edge[e] = _mm256_set1_pd(edges[e]);
        total[e] = _mm256_setzero_si256();
    }
    for (size_t r = 0; r < rows; r += LANES) {
        __m256d v = load(x + r, rows - r);
#pragma GCC unroll 8
        for (int e = 0; e < edge_count; e++)
            total[e] = _mm256_sub_epi64(total[e], _mm256_castpd_si256(_mm256_cmp_pd(v, edge[e], _CMP_GE_OQ)));
    }
#pragma GCC unroll 8
    for (int e = 0; e < edge_count; e++) {
        __m128i sum = _mm_add_epi64(_mm256_castsi256_si128(total[e]), _mm256_extracti128_si256(total[e], 1));
        counts_ge[e] += (uint64_t)(_mm_extract_epi64(sum, 0) + _mm_extract_epi64(sum, 1));
    }
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

const struct lp_bins_kernel lp_bins_f64_avx2 = {"avx2", run};
