/*
 * AVX2: q - z as int16 in scratch, weights widened to int16 at load, vpmaddwd of pairs (a product of u8 and s8 pairs,
 * vpmaddubsw, would saturate): 255 * 128 * 2 fits int32 with room, so the sums are exact. Tiles of 4 rows x 16 columns,
 * one row takes four blocks of 16 columns at once. Packed: [columns] bias, [columns] factor, columns padded to 8, then
 * blocks of 16 columns (the last of 8 where at most 8 are left), each [in_width / 2 rounded up][columns][2].
 * Rows to u8 for the AVX-VNNI kernel are here too.
 */
#include "kernels/dense_i8/private.h"

#include <float.h>
#include <immintrin.h>
#include <math.h>
#include <string.h>

enum { LANES = 8, BLOCK = 16, TILE_ROWS = 4, VECTORS_MAX = 8 };

#define INLINE static inline __attribute__((always_inline))

static size_t round_up(size_t n, size_t to) { return (n + to - 1) / to * to; }

/* All ones in the first `left` lanes. */
INLINE __m256i tail_mask(size_t left)
{
    int32_t lanes = left >= LANES ? LANES : (int32_t)left;
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(lanes), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

static float reduce(__m256 v, int largest)
{
    __m128 b = _mm256_castps256_ps128(v), c = _mm256_extractf128_ps(v, 1);
    b = largest ? _mm_max_ps(b, c) : _mm_min_ps(b, c);
    c = _mm_movehl_ps(b, b);
    b = largest ? _mm_max_ps(b, c) : _mm_min_ps(b, c);
    c = _mm_movehdup_ps(b);
    return _mm_cvtss_f32(largest ? _mm_max_ss(b, c) : _mm_min_ss(b, c));
}

/* The row's scale and zero point; NaN as scale: the row has no result. */
static float dynamic_scale(const float *x, uint32_t width, int32_t *ret_zero)
{
    __m256 low = _mm256_setzero_ps(), high = low, nan = low;
    for (uint32_t k = 0; k < width; k += LANES) {
        __m256 v = _mm256_maskload_ps(x + k, tail_mask(width - k));
        low = _mm256_min_ps(low, v);
        high = _mm256_max_ps(high, v);
        nan = _mm256_or_ps(nan, _mm256_cmp_ps(v, v, _CMP_UNORD_Q));
    }
    float bottom = reduce(low, 0), range = reduce(high, 1) - bottom;
    *ret_zero = 0;
    if (_mm256_movemask_ps(nan) != 0 || !(range <= FLT_MAX)) return NAN;
    float scale = range < 255.0f * FLT_MIN ? 1.0f : range / 255.0f;
    __m128 zero = _mm_min_ss(_mm_set_ss(-bottom / scale), _mm_set_ss(255.0f));
    *ret_zero = _mm_cvtss_si32(zero);
    return scale;
}

struct quantizer {
    __m256 inverse, scale, low, high, nan;
};

/* x / scale where it matters for rounding; NaN is only looked for there, where it always is. */
INLINE __m256 quotient(struct quantizer *with, __m256 x)
{
    const __m256 sign = _mm256_set1_ps(-0.0f);
    __m256 product = _mm256_mul_ps(x, with->inverse);
    __m256 whole = _mm256_round_ps(product, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    __m256 off = _mm256_andnot_ps(sign, _mm256_sub_ps(product, whole));
    __m256 doubtful = _mm256_cmp_ps(off, _mm256_set1_ps(LP_DENSE_I8_SURE), _CMP_NLE_UQ);
    if (__builtin_expect(_mm256_movemask_ps(doubtful) == 0, 1)) return product;
    with->nan = _mm256_or_ps(with->nan, _mm256_cmp_ps(x, x, _CMP_UNORD_Q));
    return _mm256_div_ps(x, with->scale);
}

/* q - z of 8 values, zeros behind the row. */
INLINE __m256i quantize_8(struct quantizer *with, const float *x, size_t left)
{
    __m256i mask = tail_mask(left);
    __m256 v = _mm256_maskload_ps(x, mask);
    v = _mm256_min_ps(_mm256_max_ps(quotient(with, v), with->low), with->high);
    return _mm256_and_si256(_mm256_cvtps_epi32(v), mask);
}

INLINE struct quantizer quantizer_of(float scale, int32_t zero)
{
    return (struct quantizer){.inverse = _mm256_set1_ps(lp_dense_i8_inverse(scale)),
                              .scale = _mm256_set1_ps(scale),
                              .low = _mm256_set1_ps((float)-zero),
                              .high = _mm256_set1_ps((float)(255 - zero)),
                              .nan = _mm256_setzero_ps()};
}

static int row_to_words(const float *x, uint32_t width, float scale, int32_t zero, unsigned char *to)
{
    struct quantizer with = quantizer_of(scale, zero);
    for (uint32_t k = 0; k < width; k += LANES) {
        __m256i q = quantize_8(&with, x + k, width - k);
        __m128i words = _mm_packs_epi32(_mm256_castsi256_si128(q), _mm256_extracti128_si256(q, 1));
        _mm_store_si128((__m128i *)(void *)(to + 2 * (size_t)k), words);
    }
    return _mm256_movemask_ps(with.nan);
}

static int row_to_bytes(const float *x, uint32_t width, float scale, int32_t zero, unsigned char *to)
{
    struct quantizer with = quantizer_of(scale, zero);
    const __m256i offset = _mm256_set1_epi32(zero);
    for (uint32_t k = 0; k < width; k += LANES) {
        __m256i q = _mm256_add_epi32(quantize_8(&with, x + k, width - k), offset);
        __m128i words = _mm_packs_epi32(_mm256_castsi256_si128(q), _mm256_extracti128_si256(q, 1));
        _mm_storel_epi64((__m128i *)(void *)(to + k), _mm_packus_epi16(words, words));
    }
    return _mm256_movemask_ps(with.nan);
}

INLINE void quantize(const struct lp_dense_i8_layer *layer, const float *x, uint32_t row_count,
                     const struct lp_dense_i8_rows *rows, const bool words)
{
    size_t x_stride = lp_dense_i8_x_stride(layer);
    for (uint32_t r = 0; r < row_count; r++, x += x_stride) {
        int32_t zero = layer->input_zero_point;
        float scale = layer->dynamic ? dynamic_scale(x, layer->in_width, &zero) : layer->input_scale;
        unsigned char *to = rows->values + r * rows->row_bytes;
        if (!(scale > 0.0f)) memset(to, 0, rows->row_bytes);
        else if ((words ? row_to_words : row_to_bytes)(x, layer->in_width, scale, zero, to) != 0) scale = NAN;
        rows->scales[r] = scale;
        rows->zeros[r] = zero;
    }
}

void lp_dense_i8_quantize_avx2(const struct lp_dense_i8_layer *layer, const float *x, uint32_t row_count,
                               const struct lp_dense_i8_rows *rows)
{
    quantize(layer, x, row_count, rows, false);
}

static size_t packed_bytes(uint32_t in_width, uint32_t out_width)
{
    size_t columns = round_up(out_width, LANES), bytes;
    if (in_width > LP_DENSE_I8_IN_MAX) return 0;
    if (__builtin_mul_overflow(2 * round_up(in_width, 2) + 2 * sizeof(float), columns, &bytes)) return 0;
    return bytes;
}

static void pack(const int8_t *weight, const float *weight_scale, uint32_t weight_scale_count, const float *bias,
                 uint32_t in_width, uint32_t out_width, void *packed)
{
    size_t columns = round_up(out_width, LANES), pairs = round_up(in_width, 2) / 2;
    float *to_bias = packed, *to_factor = to_bias + columns;
    int16_t *to = (int16_t *)(void *)(to_factor + columns);
    memset(packed, 0, packed_bytes(in_width, out_width));
    for (uint32_t n = 0; n < out_width; n++) {
        to_bias[n] = bias != NULL ? bias[n] : 0.0f;
        to_factor[n] = weight_scale[weight_scale_count == 1 ? 0 : n];
    }
    for (uint32_t first = 0; first < out_width; first += BLOCK) {
        uint32_t left = out_width - first, width = left > LANES ? BLOCK : LANES, used = left < width ? left : width;
        for (uint32_t k = 0; k < in_width; k++) {
            int16_t *pair = to + (size_t)(k / 2) * width * 2 + k % 2;
            for (uint32_t n = 0; n < used; n++) pair[n * 2] = weight[(size_t)k * out_width + first + n];
        }
        to += pairs * width * 2;
    }
}

static size_t scratch_bytes(uint32_t in_width, uint32_t row_count)
{
    return lp_dense_i8_rows_bytes(row_count, sizeof(int16_t), in_width);
}

struct tile {
    const float *bias, *factor, *scales;
    const int16_t *weight;
    const unsigned char *q;
    float *y;
    size_t pairs, row_bytes, y_stride;
    size_t last; /* columns of the last vector */
};

INLINE __m256i pair_of(const unsigned char *q)
{
    int32_t pair;
    memcpy(&pair, q, sizeof pair);
    return _mm256_set1_epi32(pair);
}

/* rows x (vectors * 8) outputs; a block's pairs are `width` columns. */
INLINE void run_tile(const struct tile *t, const int rows, const int vectors, const size_t width, const bool relu)
{
    __m256i acc[TILE_ROWS][VECTORS_MAX];
    const size_t pairs = t->pairs, block = pairs * width * 2, row_bytes = t->row_bytes;
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++) {
#pragma GCC unroll 8
        for (int v = 0; v < vectors; v++) acc[r][v] = _mm256_setzero_si256();
    }
    const int16_t *weight = t->weight;
    const unsigned char *q = t->q;
    for (size_t k = 0; k < pairs; k++, weight += width * 2, q += 4) {
        __m256i w[VECTORS_MAX];
#pragma GCC unroll 8
        for (int v = 0; v < vectors; v++)
            w[v] = _mm256_loadu_si256(
                (const __m256i *)(const void *)(weight + (size_t)(v / 2) * block + (size_t)(v % 2) * LANES * 2));
#pragma GCC unroll 8
        for (int r = 0; r < rows; r++) {
            __m256i pair = pair_of(q + (size_t)r * row_bytes);
#pragma GCC unroll 8
            for (int v = 0; v < vectors; v++) acc[r][v] = _mm256_add_epi32(acc[r][v], _mm256_madd_epi16(pair, w[v]));
        }
    }
#pragma GCC unroll 8
    for (int v = 0; v < vectors; v++) {
        __m256 factor = _mm256_loadu_ps(t->factor + LANES * v), bias = _mm256_loadu_ps(t->bias + LANES * v);
#pragma GCC unroll 8
        for (int r = 0; r < rows; r++) {
            __m256 scale = _mm256_mul_ps(_mm256_set1_ps(t->scales[r]), factor);
            __m256 value = _mm256_add_ps(_mm256_mul_ps(scale, _mm256_cvtepi32_ps(acc[r][v])), bias);
            float *to = t->y + (size_t)r * t->y_stride + LANES * v;
            if (relu) value = _mm256_max_ps(_mm256_setzero_ps(), value); /* NaN as the second operand stays */
            if (v < vectors - 1 || t->last == LANES) _mm256_storeu_ps(to, value);
            else _mm256_maskstore_ps(to, tail_mask(t->last), value);
        }
    }
}

/* `rows` rows of one block of 1 or 2 vectors. */
INLINE void run_rows(struct tile t, uint32_t rows, const int vectors, const bool relu)
{
    const size_t width = (size_t)vectors * LANES;
    for (; rows >= TILE_ROWS; rows -= TILE_ROWS) {
        run_tile(&t, TILE_ROWS, vectors, width, relu);
        t.scales += TILE_ROWS;
        t.q += TILE_ROWS * t.row_bytes;
        t.y += TILE_ROWS * t.y_stride;
    }
    switch (rows) {
    case 3: run_tile(&t, 3, vectors, width, relu); break;
    case 2: run_tile(&t, 2, vectors, width, relu); break;
    case 1: run_tile(&t, 1, vectors, width, relu); break;
    default: break;
    }
}

INLINE void step_columns(struct tile *t, size_t columns)
{
    t->bias += columns;
    t->factor += columns;
    t->weight += columns * t->pairs * 2;
    t->y += columns;
}

INLINE void run_blocks(struct tile t, uint32_t rows, uint32_t out, const bool relu)
{
    uint32_t first = 0;
    t.last = LANES;
    /* One row leaves too few accumulators to hide the latency: take four blocks at once while they are whole. */
    for (; rows == 1 && out - first >= 4 * BLOCK; first += 4 * BLOCK) {
        run_tile(&t, 1, 8, BLOCK, relu);
        step_columns(&t, 4 * BLOCK);
    }
    for (; first < out; first += BLOCK) {
        uint32_t left = out - first;
        t.last = left >= BLOCK ? LANES : (left - 1) % LANES + 1;
        if (left > LANES) run_rows(t, rows, 2, relu);
        else run_rows(t, rows, 1, relu);
        step_columns(&t, BLOCK);
    }
}

static void run(const struct lp_dense_i8_layer *layer, const float *x, uint32_t row_count, float *y, void *scratch)
{
    if (row_count == 0 || layer->out_width == 0) return;
    struct lp_dense_i8_rows rows = lp_dense_i8_rows_at(scratch, row_count, sizeof(int16_t), layer->in_width);
    quantize(layer, x, row_count, &rows, true);
    size_t columns = round_up(layer->out_width, LANES);
    const float *bias = layer->packed;
    struct tile t = {.bias = bias,
                     .factor = bias + columns,
                     .scales = rows.scales,
                     .weight = (const int16_t *)(const void *)(bias + 2 * columns),
                     .q = rows.values,
                     .y = y,
                     .pairs = ((size_t)layer->in_width + 1) / 2,
                     .row_bytes = rows.row_bytes,
                     .y_stride = lp_dense_i8_y_stride(layer)};
    if (layer->relu) run_blocks(t, row_count, layer->out_width, true);
    else run_blocks(t, row_count, layer->out_width, false);
}

const struct lp_dense_i8_kernel lp_dense_i8_avx2 = {"avx2", packed_bytes, pack, scratch_bytes, run};
