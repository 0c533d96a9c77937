/* AVX-512: tiles of 8 rows x 32 columns, 16 sums in registers. vector.inc has the loops. */
#include "kernels/train/train.h"

#include <immintrin.h>

enum { LANES = 16 };
#define TILE_ROWS 8
#define V __m512
#define LOAD _mm512_load_ps
#define STORE _mm512_store_ps
#define SET _mm512_set1_ps
#define ZERO _mm512_setzero_ps()
#define ADD _mm512_add_ps
#define MUL _mm512_mul_ps
#define DIV _mm512_div_ps
#define FMA _mm512_fmadd_ps
#define SQRT _mm512_sqrt_ps
#define MAX _mm512_max_ps
#define SUM _mm512_reduce_add_ps
#define GATE(gate, c) _mm512_maskz_mov_ps(_mm512_cmp_ps_mask((gate), ZERO, _CMP_NLE_UQ), (c))

static inline __m512 sign(__m512 w)
{
    __mmask16 some = _mm512_cmp_ps_mask(w, ZERO, _CMP_NEQ_UQ);
    return _mm512_maskz_or_ps(some, _mm512_and_ps(w, SET(-0.0f)), SET(1.0f));
}
#define SIGN sign

/* Sixteen rows become sixteen columns: pairs, quadruples, then 128-bit parts twice. */
static void turn_block(const float *from, size_t from_row, float *to, size_t to_row)
{
    __m512 a[16], b[16];
#pragma GCC unroll 16
    for (size_t i = 0; i < 16; i++) a[i] = _mm512_loadu_ps(from + i * from_row);
#pragma GCC unroll 8
    for (int i = 0; i < 16; i += 2) {
        b[i] = _mm512_unpacklo_ps(a[i], a[i + 1]);
        b[i + 1] = _mm512_unpackhi_ps(a[i], a[i + 1]);
    }
    /* a[4q + j]: part p holds column 4p + j of rows 4q to 4q + 3. */
#pragma GCC unroll 4
    for (int i = 0; i < 16; i += 4) {
        a[i] = _mm512_shuffle_ps(b[i], b[i + 2], 0x44);
        a[i + 1] = _mm512_shuffle_ps(b[i], b[i + 2], 0xEE);
        a[i + 2] = _mm512_shuffle_ps(b[i + 1], b[i + 3], 0x44);
        a[i + 3] = _mm512_shuffle_ps(b[i + 1], b[i + 3], 0xEE);
    }
#pragma GCC unroll 4
    for (size_t j = 0; j < 4; j++) {
        __m512 low01 = _mm512_shuffle_f32x4(a[j], a[4 + j], 0x44), high01 = _mm512_shuffle_f32x4(a[j], a[4 + j], 0xEE);
        __m512 low23 = _mm512_shuffle_f32x4(a[8 + j], a[12 + j], 0x44);
        __m512 high23 = _mm512_shuffle_f32x4(a[8 + j], a[12 + j], 0xEE);
        _mm512_storeu_ps(to + j * to_row, _mm512_shuffle_f32x4(low01, low23, 0x88));
        _mm512_storeu_ps(to + (4 + j) * to_row, _mm512_shuffle_f32x4(low01, low23, 0xDD));
        _mm512_storeu_ps(to + (8 + j) * to_row, _mm512_shuffle_f32x4(high01, high23, 0x88));
        _mm512_storeu_ps(to + (12 + j) * to_row, _mm512_shuffle_f32x4(high01, high23, 0xDD));
    }
}

#include "kernels/train/vector.inc"

const struct lp_train_kernel lp_train_f32_avx512 = {"avx512", product, dot, column_sums, add, turn, adam, momentum};
