/*
 * AVX512-BF16: vdpbf16ps in tiles of 8 rows x 32 columns (16 accumulators of 16 floats); one or two rows take several
 * blocks at once. The instruction reads and writes denormals as zero and rounds to nearest whatever MXCSR says.
 */
#include "kernels/lanes/lanes.h"

#include <stdbool.h>

enum { BLOCK = 2 * LANES, TILE_ROWS = 8, ACC_VECTORS = 8, ONE_ROW_VECTORS = 8, TWO_ROW_VECTORS = 4, ROW_ALIGN = 32 };

typedef uint16_t part;
typedef __m512bh pairs;

static void round_row(const float *x, uint32_t width, size_t count, part *to)
{
    for (size_t k = 0; k < count; k += LANES) {
        lanes values = k < width ? load_part(x + k, width - k) : zeros();
        __m256bh rounded = _mm512_cvtneps_pbh(values);
        memcpy(to + k, &rounded, sizeof rounded);
    }
}

INLINE pairs load_pairs(const void *from)
{
    __m512i bits = _mm512_loadu_si512(from);
    pairs loaded;
    memcpy(&loaded, &bits, sizeof loaded);
    return loaded;
}

INLINE lanes add_pairs(lanes sums, const part *x, pairs weights)
{
    int32_t both;
    memcpy(&both, x, sizeof both);
    __m512i bits = _mm512_set1_epi32(both);
    pairs pair;
    memcpy(&pair, &bits, sizeof pair);
    return _mm512_dpbf16_ps(sums, pair, weights);
}

#include "kernels/dense_bf16/pairs.inc"

const struct lp_dense_bf16_kernel lp_dense_bf16_avx512 = {"avx512bf16", packed_bytes, pack, scratch_bytes, run};
