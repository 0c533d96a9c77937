/*
 * AVX-512 VNNI: rows quantized to u8 into scratch, then tiles of 8 rows x 32 columns (16 accumulators of 16 int32),
 * vpdpbusd over four inputs at a time; fewer rows take smaller tiles, one or two rows several blocks at once. The zero
 * point is taken out at the end with the column's sum; int32 wraps in between, and the result fits (dense_i8.h).
 * Packed and aligned as private.h says with 16 lanes; columns are masked in the store.
 */
#include "kernels/dense_i8/private.h"

#include <immintrin.h>
#include <string.h>

enum { LANES = 16, BLOCK = 32, TILE_ROWS = 8, FOUR = 4 };

#define INLINE static inline __attribute__((always_inline))

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
    __mmask16 last; /* columns of the last vector */
};

INLINE __m512i four_of(const unsigned char *q)
{
    int32_t four;
    memcpy(&four, q, sizeof four);
    return _mm512_set1_epi32(four);
}

/* rows x (vectors * 16) outputs; a block's fours are `width` columns. */
INLINE void run_tile(const struct tile *t, const int rows, const int vectors, const size_t width, const bool relu)
{
    __m512i acc[TILE_ROWS][TILE_ROWS];
    const size_t fours = t->w.fours, block = fours * width * 4, row_bytes = t->row_bytes;
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++) {
#pragma GCC unroll 8
        for (int v = 0; v < vectors; v++) acc[r][v] = _mm512_setzero_si512();
    }
    const int8_t *weight = t->w.weight;
    const unsigned char *q = t->q;
    for (size_t k = 0; k < fours; k++, weight += width * 4, q += 4) {
        __m512i w[TILE_ROWS];
#pragma GCC unroll 8
        for (int v = 0; v < vectors; v++)
            w[v] = _mm512_loadu_si512(weight + (size_t)(v / 2) * block + (size_t)(v % 2) * LANES * 4);
#pragma GCC unroll 8
        for (int r = 0; r < rows; r++) {
            __m512i four = four_of(q + (size_t)r * row_bytes);
#pragma GCC unroll 8
            for (int v = 0; v < vectors; v++) acc[r][v] = _mm512_dpbusd_epi32(acc[r][v], four, w[v]);
        }
    }
#pragma GCC unroll 8
    for (int v = 0; v < vectors; v++) {
        __m512i sum = _mm512_loadu_si512(t->w.sum + LANES * v);
        __m512 factor = _mm512_loadu_ps(t->w.factor + LANES * v), bias = _mm512_loadu_ps(t->w.bias + LANES * v);
#pragma GCC unroll 8
        for (int r = 0; r < rows; r++) {
            __m512i whole = _mm512_sub_epi32(acc[r][v], _mm512_mullo_epi32(sum, _mm512_set1_epi32(t->zeros[r])));
            __m512 scale = _mm512_mul_ps(_mm512_set1_ps(t->scales[r]), factor);
            __m512 value = _mm512_add_ps(_mm512_mul_ps(scale, _mm512_cvtepi32_ps(whole)), bias);
            if (relu) value = _mm512_max_ps(_mm512_setzero_ps(), value); /* NaN as the second operand stays */
            _mm512_mask_storeu_ps(t->y + (size_t)r * t->y_stride + LANES * v, v == vectors - 1 ? t->last : 0xFFFF,
                                  value);
        }
    }
}

INLINE void step_rows(struct tile *t, size_t rows)
{
    t->scales += rows;
    t->zeros += rows;
    t->q += rows * t->row_bytes;
    t->y += rows * t->y_stride;
}

/* `rows` rows of one block of 1 or 2 vectors. */
INLINE void run_rows(struct tile t, uint32_t rows, const int vectors, const bool relu)
{
    const size_t width = (size_t)vectors * LANES;
    for (; rows >= TILE_ROWS; rows -= TILE_ROWS) {
        run_tile(&t, TILE_ROWS, vectors, width, relu);
        step_rows(&t, TILE_ROWS);
    }
    switch (rows) {
    case 7: run_tile(&t, 7, vectors, width, relu); break;
    case 6: run_tile(&t, 6, vectors, width, relu); break;
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

/* Few rows leave too few accumulators to hide the latency: take several blocks at once while they are whole. */
INLINE uint32_t run_wide(struct tile *t, uint32_t rows, uint32_t out, const bool relu)
{
    const uint32_t four = 4 * BLOCK, two = 2 * BLOCK;
    uint32_t done = 0;
    t->last = 0xFFFF;
    while (rows <= 2 && out - done >= two) {
        uint32_t columns = rows == 1 && out - done >= four ? four : two;
        if (columns == four) run_tile(t, 1, 8, BLOCK, relu);
        else if (rows == 1) run_tile(t, 1, 4, BLOCK, relu);
        else run_tile(t, 2, 4, BLOCK, relu);
        done += columns;
        step_columns(t, columns);
    }
    return done;
}

INLINE void run_blocks(struct tile t, uint32_t rows, uint32_t out, const bool relu)
{
    for (uint32_t first = run_wide(&t, rows, out, relu); first < out; first += BLOCK) {
        uint32_t left = out - first, last = left >= BLOCK ? LANES : (left - 1) % LANES + 1;
        t.last = (__mmask16)((1u << last) - 1);
        if (left > LANES) run_rows(t, rows, 2, relu);
        else run_rows(t, rows, 1, relu);
        step_columns(&t, BLOCK);
    }
}

void lp_dense_i8_run_vnni(const struct lp_dense_i8_layer *layer, const struct lp_dense_i8_fours *fours, const float *x,
                          uint32_t row_count, float *y, void *scratch)
{
    if (row_count == 0 || layer->out_width == 0) return;
    struct lp_dense_i8_rows rows = lp_dense_i8_rows_at(scratch, row_count, 1, layer->in_width);
    lp_dense_i8_quantize_avx512(layer, x, row_count, &rows);
    struct tile t = {.w = *fours,
                     .scales = rows.scales,
                     .zeros = rows.zeros,
                     .q = rows.values,
                     .y = y,
                     .row_bytes = rows.row_bytes,
                     .y_stride = lp_dense_i8_y_stride(layer)};
    if (layer->relu) run_blocks(t, row_count, layer->out_width, true);
    else run_blocks(t, row_count, layer->out_width, false);
}

static void run(const struct lp_dense_i8_layer *layer, const float *x, uint32_t row_count, float *y, void *scratch)
{
    struct lp_dense_i8_fours fours = lp_dense_i8_fours_of(layer, LANES, FOUR);
    lp_dense_i8_run_vnni(layer, &fours, x, row_count, y, scratch);
}

const struct lp_dense_i8_kernel lp_dense_i8_vnni = {"vnni", packed_bytes, pack, scratch_bytes, run};
