/*
 * AVX-VNNI, for CPUs that have vpdpbusd on 256 bits without AVX-512: rows quantized to u8 into scratch, tiles of 6 rows
 * x 16 columns (12 of the 16 registers), one row takes four blocks of 16 columns at once. The zero point is taken out
 * at the end with the column's sum. Packed as private.h says with 8 lanes; columns are masked in the store.
 *
 * Tested in the EVEX encoding of the same instructions (LP_DENSE_I8_EVEX: tests/kernels), which AVX-512 CPUs have; the
 * VEX encoding was not run.
 */
#include "kernels/dense_i8/private.h"

#include <immintrin.h>
#include <string.h>

enum { LANES = 8, BLOCK = 16, TILE_ROWS = 6, VECTORS_MAX = 8, FOUR = 4 };

#define INLINE static inline __attribute__((always_inline))

#if defined(LP_DENSE_I8_EVEX)
#define DOT _mm256_dpbusd_epi32
#define KERNEL lp_dense_i8_evex
#else
#define DOT _mm256_dpbusd_avx_epi32
#define KERNEL lp_dense_i8_avxvnni
#endif

static size_t packed_bytes(uint32_t in_width, uint32_t out_width)
{
    return lp_dense_i8_fours_bytes(in_width, out_width, LANES, FOUR);
}

static void pack(const int8_t *weight, const float *weight_scale, uint32_t weight_scale_count, const float *bias,
                 uint32_t in_width, uint32_t out_width, void *packed)
{
    lp_dense_i8_fours_pack(weight, weight_scale, weight_scale_count, bias, in_width, out_width, LANES, FOUR, packed);
}

static size_t scratch_bytes(uint32_t in_width, uint32_t row_count)
{
    return lp_dense_i8_rows_bytes(row_count, 1, in_width);
}

struct tile {
    struct lp_dense_i8_fours w;
    const float *scales;
    const int32_t *zeros;
    const unsigned char *q;
    float *y;
    size_t row_bytes, y_stride;
    size_t last; /* columns of the last vector */
};

INLINE __m256i four_of(const unsigned char *q)
{
    int32_t four;
    memcpy(&four, q, sizeof four);
    return _mm256_set1_epi32(four);
}

INLINE __m256i tail_mask(size_t left)
{
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int32_t)left), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

/* rows x (vectors * 8) outputs; a block's fours are `width` columns. */
INLINE void run_tile(const struct tile *t, const int rows, const int vectors, const size_t width, const bool relu)
{
    __m256i acc[TILE_ROWS][VECTORS_MAX];
    const size_t fours = t->w.fours, block = fours * width * 4, row_bytes = t->row_bytes;
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++) {
#pragma GCC unroll 8
        for (int v = 0; v < vectors; v++) acc[r][v] = _mm256_setzero_si256();
    }
    const int8_t *weight = t->w.weight;
    const unsigned char *q = t->q;
    for (size_t k = 0; k < fours; k++, weight += width * 4, q += 4) {
        __m256i w[VECTORS_MAX];
#pragma GCC unroll 8
        for (int v = 0; v < vectors; v++)
            w[v] = _mm256_loadu_si256(
                (const __m256i *)(const void *)(weight + (size_t)(v / 2) * block + (size_t)(v % 2) * LANES * 4));
#pragma GCC unroll 8
        for (int r = 0; r < rows; r++) {
            __m256i four = four_of(q + (size_t)r * row_bytes);
#pragma GCC unroll 8
            for (int v = 0; v < vectors; v++) acc[r][v] = DOT(acc[r][v], four, w[v]);
        }
    }
#pragma GCC unroll 8
    for (int v = 0; v < vectors; v++) {
        __m256i sum = _mm256_loadu_si256((const __m256i *)(const void *)(t->w.sum + LANES * v));
        __m256 factor = _mm256_loadu_ps(t->w.factor + LANES * v), bias = _mm256_loadu_ps(t->w.bias + LANES * v);
#pragma GCC unroll 8
        for (int r = 0; r < rows; r++) {
            __m256i whole = _mm256_sub_epi32(acc[r][v], _mm256_mullo_epi32(sum, _mm256_set1_epi32(t->zeros[r])));
            __m256 scale = _mm256_mul_ps(_mm256_set1_ps(t->scales[r]), factor);
            __m256 value = _mm256_add_ps(_mm256_mul_ps(scale, _mm256_cvtepi32_ps(whole)), bias);
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
        t.zeros += TILE_ROWS;
        t.q += TILE_ROWS * t.row_bytes;
        t.y += TILE_ROWS * t.y_stride;
    }
    switch (rows) {
    case 5: run_tile(&t, 5, vectors, width, relu); break;
    case 4: run_tile(&t, 4, vectors, width, relu); break;
    case 3: run_tile(&t, 3, vectors, width, relu); break;
    case 2: run_tile(&t, 2, vectors, width, relu); break;
    case 1: run_tile(&t, 1, vectors, width, relu); break;
    default: break;
    }
}

INLINE void step_columns(struct tile *t, size_t columns)
{
    t->w.bias += columns;
    t->w.factor += columns;
    t->w.sum += columns;
    t->w.weight += columns * t->w.fours * 4;
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
    struct lp_dense_i8_rows rows = lp_dense_i8_rows_at(scratch, row_count, 1, layer->in_width);
    lp_dense_i8_quantize_avx2(layer, x, row_count, &rows);
    struct tile t = {.w = lp_dense_i8_fours_of(layer, LANES, FOUR),
                     .scales = rows.scales,
                     .zeros = rows.zeros,
                     .q = rows.values,
                     .y = y,
                     .row_bytes = rows.row_bytes,
                     .y_stride = lp_dense_i8_y_stride(layer)};
    if (layer->relu) run_blocks(t, row_count, layer->out_width, true);
    else run_blocks(t, row_count, layer->out_width, false);
}

extern const struct lp_dense_i8_kernel KERNEL;
const struct lp_dense_i8_kernel KERNEL = {"avxvnni", packed_bytes, pack, scratch_bytes, run};
