/*
 * AVX2 + FMA: rows rounded to bf16 but kept as floats in scratch, weights widened as they are read (half the bytes of
 * fp32 to stream). Packed: [columns] bias, columns padded to 8, then blocks of 16 columns (the last of 8 where at most
 * 8 are left), each [in_width / 2 rounded up][columns][2]: a 32-bit lane holds two inputs' weights, the even one in its
 * low half. Tiles of 4 rows x 16 columns, one row takes two blocks of 16 at once. Columns are masked in the store.
 */
#include "kernels/dense_bf16/dense_bf16.h"

#include <immintrin.h>
#include <string.h>

enum { LANES = 8, BLOCK = 16, TILE_ROWS = 4, VECTORS_MAX = 4, ROW_ALIGN_FLOATS = 16 };

#define INLINE static inline __attribute__((always_inline))

static size_t round_up(size_t n, size_t to) { return (n + to - 1) / to * to; }

static size_t packed_bytes(uint32_t in_width, uint32_t out_width)
{
    size_t bytes, row = round_up(in_width, 2) * sizeof(uint16_t) + sizeof(float);
    if (__builtin_mul_overflow(row, round_up(out_width, LANES), &bytes)) return 0;
    return bytes;
}

static void pack(const uint16_t *weight, const float *bias, uint32_t in_width, uint32_t out_width, void *packed)
{
    float *to_bias = packed;
    uint16_t *to = (uint16_t *)(void *)(to_bias + round_up(out_width, LANES));
    memset(packed, 0, packed_bytes(in_width, out_width));
    for (uint32_t n = 0; bias != NULL && n < out_width; n++) to_bias[n] = bias[n];
    for (uint32_t first = 0; first < out_width; first += BLOCK) {
        uint32_t left = out_width - first, width = left > LANES ? BLOCK : LANES, used = left < width ? left : width;
        for (uint32_t k = 0; k < in_width; k++) {
            uint16_t *pair = to + (size_t)(k / 2) * width * 2 + k % 2;
            for (uint32_t n = 0; n < used; n++) pair[n * 2] = weight[(size_t)k * out_width + first + n];
        }
        to += round_up(in_width, 2) * width;
    }
}

static size_t row_floats_of(uint32_t in_width) { return round_up(in_width, ROW_ALIGN_FLOATS); }

static size_t scratch_bytes(uint32_t in_width, uint32_t row_count)
{
    return row_floats_of(in_width) * row_count * sizeof(float);
}

INLINE __m256i tail_mask(size_t left)
{
    int32_t lanes = left >= LANES ? LANES : (int32_t)left;
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(lanes), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

/* Nearest, halves to even; NaN as it is. Behind the row: zeros. */
static void round_row(const float *x, uint32_t width, float *to)
{
    for (uint32_t k = 0; k < row_floats_of(width); k += LANES) {
        __m256 v = _mm256_maskload_ps(x + k, tail_mask(k < width ? width - k : 0));
        __m256i bits = _mm256_castps_si256(v),
                odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
        bits = _mm256_add_epi32(bits, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7FFF)));
        bits = _mm256_and_si256(bits, _mm256_set1_epi32((int32_t)0xFFFF0000u));
        __m256 nan = _mm256_cmp_ps(v, v, _CMP_UNORD_Q);
        _mm256_store_ps(to + k, _mm256_blendv_ps(_mm256_castsi256_ps(bits), v, nan));
    }
}

struct tile {
    const float *bias, *x;
    const uint16_t *weight;
    float *y;
    size_t pairs, row_floats, y_stride;
    size_t last; /* columns of the last vector */
};

/* rows x (vectors * 8) outputs; a block's pairs are `width` columns. */
INLINE void run_tile(const struct tile *t, const int rows, const int vectors, const size_t width, const bool relu)
{
    __m256 acc[TILE_ROWS][VECTORS_MAX];
    const size_t pairs = t->pairs, block = pairs * width * 2, row_floats = t->row_floats;
    const __m256i upper = _mm256_set1_epi32((int32_t)0xFFFF0000u);
#pragma GCC unroll 4
    for (int r = 0; r < rows; r++) {
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++) acc[r][v] = _mm256_loadu_ps(t->bias + LANES * v);
    }
    const uint16_t *weight = t->weight;
    const float *x = t->x;
    for (size_t k = 0; k < pairs; k++, weight += width * 2, x += 2) {
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++) {
            const uint16_t *from = weight + (size_t)(v / 2) * block + (size_t)(v % 2) * LANES * 2;
            __m256i both = _mm256_loadu_si256((const __m256i *)(const void *)from);
            __m256 even = _mm256_castsi256_ps(_mm256_slli_epi32(both, 16));
            __m256 odd = _mm256_castsi256_ps(_mm256_and_si256(both, upper));
#pragma GCC unroll 4
            for (int r = 0; r < rows; r++) {
                const float *pair = x + (size_t)r * row_floats;
                acc[r][v] = _mm256_fmadd_ps(_mm256_broadcast_ss(pair), even, acc[r][v]);
                acc[r][v] = _mm256_fmadd_ps(_mm256_broadcast_ss(pair + 1), odd, acc[r][v]);
            }
        }
    }
#pragma GCC unroll 4
    for (int r = 0; r < rows; r++) {
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++) {
            /* Relu keeps NaN: max returns its second operand when either is NaN. */
            __m256 value = relu ? _mm256_max_ps(_mm256_setzero_ps(), acc[r][v]) : acc[r][v];
            float *to = t->y + (size_t)r * t->y_stride + LANES * v;
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
        t.x += TILE_ROWS * t.row_floats;
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
    t->weight += columns * t->pairs * 2;
    t->y += columns;
}

INLINE void run_blocks(struct tile t, uint32_t rows, uint32_t out, const bool relu)
{
    uint32_t first = 0;
    t.last = LANES;
    /* One row leaves too few accumulators to hide the latency: take two blocks at once while they are whole. */
    for (; rows == 1 && out - first >= 2 * BLOCK; first += 2 * BLOCK) {
        run_tile(&t, 1, 4, BLOCK, relu);
        step_columns(&t, 2 * BLOCK);
    }
    for (; first < out; first += BLOCK) {
        uint32_t left = out - first;
        t.last = left >= BLOCK ? LANES : (left - 1) % LANES + 1;
        if (left > LANES) run_rows(t, rows, 2, relu);
        else run_rows(t, rows, 1, relu);
        step_columns(&t, BLOCK);
    }
}

static void run(const struct lp_dense_bf16_layer *layer, const float *x, uint32_t row_count, float *y, void *scratch)
{
    if (row_count == 0 || layer->out_width == 0) return;
    size_t row_floats = row_floats_of(layer->in_width), x_stride = lp_dense_bf16_x_stride(layer);
    float *rows = scratch;
    for (uint32_t r = 0; r < row_count; r++) round_row(x + r * x_stride, layer->in_width, rows + r * row_floats);
    const float *bias = layer->packed;
    struct tile t = {.bias = bias,
                     .x = rows,
                     .weight = (const uint16_t *)(const void *)(bias + round_up(layer->out_width, LANES)),
                     .y = y,
                     .pairs = ((size_t)layer->in_width + 1) / 2,
                     .row_floats = row_floats,
                     .y_stride = lp_dense_bf16_y_stride(layer)};
    if (layer->relu) run_blocks(t, row_count, layer->out_width, true);
    else run_blocks(t, row_count, layer->out_width, false);
}

const struct lp_dense_bf16_kernel lp_dense_bf16_avx2 = {"avx2", packed_bytes, pack, scratch_bytes, run};
