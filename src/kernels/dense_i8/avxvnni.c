/*
 * AVX-VNNI, for CPUs that have vpdpbusd on 256 bits without AVX-512: tiles of 6 rows x 16 columns (12 of the 16
 * registers), one row takes several blocks of 16 columns at once.
 *
 * Tested in the EVEX encoding of the same instructions (LP_DENSE_I8_EVEX: tests/kernels), which AVX-512 CPUs have; the
 * VEX encoding was not run.
 */
#if defined(LP_DENSE_I8_EVEX)
#define LP_LANES_OF_8
#define DOT _mm256_dpbusd_epi32
#define KERNEL lp_dense_i8_evex
#else
#define DOT _mm256_dpbusd_avx_epi32
#define KERNEL lp_dense_i8_avxvnni
#endif

#include "kernels/lanes/lanes.h"

#include <stdbool.h>

enum { BLOCK = 2 * LANES, TILE_ROWS = 6, ACC_VECTORS = 8, ONE_ROW_VECTORS = 8, TWO_ROW_VECTORS = 2 };

typedef __m256i wholes;
INLINE wholes no_wholes(void) { return _mm256_setzero_si256(); }
INLINE wholes load_wholes(const void *from) { return _mm256_loadu_si256((const __m256i *)from); }
INLINE wholes add_fours(wholes sums, int32_t q, wholes weights) { return DOT(sums, _mm256_set1_epi32(q), weights); }
INLINE lanes less_zero(wholes sums, wholes column_sums, int32_t zero)
{
    return _mm256_cvtepi32_ps(_mm256_sub_epi32(sums, _mm256_mullo_epi32(column_sums, _mm256_set1_epi32(zero))));
}

#include "kernels/dense_i8/fours.inc"

static void run(const struct lp_dense_i8_layer *layer, const float *x, uint32_t row_count, float *y, void *scratch)
{
    if (row_count == 0 || layer->out_width == 0) return;
    struct lp_dense_i8_rows rows = lp_dense_i8_rows_at(scratch, row_count, 1, layer->in_width);
    struct lp_dense_i8_fours fours = lp_dense_i8_fours_of(layer, LANES, FOUR);
    lp_dense_i8_quantize_avx2(layer, x, row_count, &rows);
    run_quantized(layer, &fours, &rows, row_count, y);
}

extern const struct lp_dense_i8_kernel KERNEL;
const struct lp_dense_i8_kernel KERNEL = {"avxvnni", packed_bytes, pack, scratch_bytes, run};
