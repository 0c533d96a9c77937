/* AVX2 and FMA: tiles of 6 rows x 16 columns, 12 sums in registers. vector.inc has the loops. */
#include "kernels/train/train.h"

#include <immintrin.h>

enum { LANES = 8 };
#define TILE_ROWS 6
#define V __m256
#define LOAD _mm256_load_ps
#define STORE _mm256_store_ps
#define SET _mm256_set1_ps
#define ZERO _mm256_setzero_ps()
#define ADD _mm256_add_ps
#define MUL _mm256_mul_ps
#define DIV _mm256_div_ps
#define FMA _mm256_fmadd_ps
#define SQRT _mm256_sqrt_ps
#define MAX _mm256_max_ps
#define GATE(gate, c) _mm256_and_ps(_mm256_cmp_ps((gate), ZERO, _CMP_NLE_UQ), (c))

static inline __m256 sign(__m256 w)
{
    __m256 some = _mm256_cmp_ps(w, ZERO, _CMP_NEQ_UQ);
    return _mm256_and_ps(some, _mm256_or_ps(_mm256_and_ps(w, SET(-0.0f)), SET(1.0f)));
}
#define SIGN sign

static inline float lanes(__m256 v)
{
    __m128 b = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    b = _mm_add_ps(b, _mm_movehl_ps(b, b));
    return _mm_cvtss_f32(_mm_add_ss(b, _mm_movehdup_ps(b)));
}
#define SUM lanes

/* Eight rows become eight columns: pairs, quadruples, halves. */
static void turn_block(const float *from, size_t from_row, float *to, size_t to_row)
{
    __m256 row[8], pair[8], quad[8];
#pragma GCC unroll 8
    for (size_t i = 0; i < 8; i++) row[i] = _mm256_loadu_ps(from + i * from_row);
#pragma GCC unroll 4
    for (int i = 0; i < 8; i += 2) {
        pair[i] = _mm256_unpacklo_ps(row[i], row[i + 1]);
        pair[i + 1] = _mm256_unpackhi_ps(row[i], row[i + 1]);
    }
#pragma GCC unroll 2
    for (int i = 0; i < 8; i += 4) {
        quad[i] = _mm256_shuffle_ps(pair[i], pair[i + 2], 0x44);
        quad[i + 1] = _mm256_shuffle_ps(pair[i], pair[i + 2], 0xEE);
        quad[i + 2] = _mm256_shuffle_ps(pair[i + 1], pair[i + 3], 0x44);
        quad[i + 3] = _mm256_shuffle_ps(pair[i + 1], pair[i + 3], 0xEE);
    }
#pragma GCC unroll 4
    for (size_t i = 0; i < 4; i++) {
        _mm256_storeu_ps(to + i * to_row, _mm256_permute2f128_ps(quad[i], quad[i + 4], 0x20));
        _mm256_storeu_ps(to + (i + 4) * to_row, _mm256_permute2f128_ps(quad[i], quad[i + 4], 0x31));
    }
}

#include "kernels/train/vector.inc"

const struct lp_train_kernel lp_train_f32_avx2 = {"avx2", product, dot, column_sums, add, turn, adam, momentum};
