/*
 * AVX2 + FMA: rows rounded to bf16 but kept as floats in scratch, weights widened as they are read (half the bytes of
 * fp32 to stream). Tiles of 4 rows x 16 columns, one row takes two blocks of 16 at once.
 */
#include "kernels/lanes/lanes.h"

#include <stdbool.h>

enum { BLOCK = 2 * LANES, TILE_ROWS = 4, ACC_VECTORS = 4, ONE_ROW_VECTORS = 4, TWO_ROW_VECTORS = 2, ROW_ALIGN = 16 };

typedef float part;
typedef struct {
    lanes even, odd;
} pairs;

/* Nearest, halves to even; NaN as it is. */
static void round_row(const float *x, uint32_t width, size_t count, part *to)
{
    for (size_t k = 0; k < count; k += LANES) {
        lanes v = k < width ? load_part(x + k, width - k) : zeros();
        __m256i bits = _mm256_castps_si256(v),
                odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
        bits = _mm256_add_epi32(bits, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7FFF)));
        bits = _mm256_and_si256(bits, _mm256_set1_epi32((int32_t)0xFFFF0000u));
        store(to + k, choose(unordered(v, v), v, _mm256_castsi256_ps(bits)));
    }
}

INLINE pairs load_pairs(const void *from)
{
    __m256i both = _mm256_loadu_si256((const __m256i *)from);
    __m256i upper = _mm256_and_si256(both, _mm256_set1_epi32((int32_t)0xFFFF0000u));
    return (pairs){_mm256_castsi256_ps(_mm256_slli_epi32(both, 16)), _mm256_castsi256_ps(upper)};
}

INLINE lanes add_pairs(lanes sums, const part *x, pairs weights)
{
    return fused(all_of(x[1]), weights.odd, fused(all_of(x[0]), weights.even, sums));
}

#include "kernels/dense_bf16/pairs.inc"

const struct lp_dense_bf16_kernel lp_dense_bf16_avx2 = {"avx2", packed_bytes, pack, scratch_bytes, run};
