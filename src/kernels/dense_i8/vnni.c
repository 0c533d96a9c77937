/*
 * AVX-512 VNNI: vpdpbusd in tiles of 8 rows x 32 columns (16 accumulators of 16 int32); fewer rows take smaller tiles,
 * one or two rows several blocks at once.
 */
#include "kernels/lanes/lanes.h"

#include <stdbool.h>

enum { BLOCK = 2 * LANES, TILE_ROWS = 8, ACC_VECTORS = 8, ONE_ROW_VECTORS = 8, TWO_ROW_VECTORS = 4 };

typedef __m512i wholes;
INLINE wholes no_wholes(void) { return _mm512_setzero_si512(); }
INLINE wholes load_wholes(const void *from) { return _mm512_loadu_si512(from); }
INLINE wholes add_fours(wholes sums, int32_t q, wholes weights)
{
    return _mm512_dpbusd_epi32(sums, _mm512_set1_epi32(q), weights);
}
INLINE lanes less_zero(wholes sums, wholes column_sums, int32_t zero)
{
    return _mm512_cvtepi32_ps(_mm512_sub_epi32(sums, _mm512_mullo_epi32(column_sums, _mm512_set1_epi32(zero))));
}

#include "kernels/dense_i8/fours.inc"

void lp_dense_i8_run_vnni(const struct lp_dense_i8_layer *layer, const struct lp_dense_i8_fours *fours, const float *x,
                          uint32_t row_count, float *y, void *scratch)
{
    if (row_count == 0 || layer->out_width == 0) return;
    struct lp_dense_i8_rows rows = lp_dense_i8_rows_at(scratch, row_count, 1, layer->in_width);
    lp_dense_i8_quantize_avx512(layer, x, row_count, &rows);
    run_quantized(layer, fours, &rows, row_count, y);
}

static void run(const struct lp_dense_i8_layer *layer, const float *x, uint32_t row_count, float *y, void *scratch)
{
    struct lp_dense_i8_fours fours = lp_dense_i8_fours_of(layer, LANES, FOUR);
    lp_dense_i8_run_vnni(layer, &fours, x, row_count, y, scratch);
}

const struct lp_dense_i8_kernel lp_dense_i8_vnni = {"vnni", packed_bytes, pack, scratch_bytes, run};
