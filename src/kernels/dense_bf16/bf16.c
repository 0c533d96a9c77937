/*
 * AVX512-BF16: rows rounded to bf16 into scratch, then tiles of 8 rows x 32 columns (16 accumulators of 16 floats),
 * vdpbf16ps over two inputs at a time; one or two rows take several blocks at once. Packed: [columns] bias, columns
 * padded to 16, then blocks of 32 columns (the last of 16 where at most 16 are left), each [in_width / 2 rounded
 * up][columns][2]. Columns are masked in the store; an odd width ends in a pair with zeros.
 * The instruction reads and writes denormals as zero and rounds to nearest whatever MXCSR says.
 */
#include "kernels/dense_bf16/dense_bf16.h"

#include <immintrin.h>
#include <string.h>

enum { LANES = 16, BLOCK = 32, TILE_ROWS = 8, ROW_ALIGN = 64 };

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

static size_t row_bytes_of(uint32_t in_width) { return round_up((size_t)in_width * sizeof(uint16_t), ROW_ALIGN); }

static size_t scratch_bytes(uint32_t in_width, uint32_t row_count) { return row_bytes_of(in_width) * row_count; }

static void round_row(const float *x, uint32_t width, size_t row_bytes, unsigned char *to)
{
    uint32_t k = 0;
    for (; k < row_bytes / sizeof(uint16_t); k += LANES) {
        uint32_t left = k < width ? width - k : 0;
        __mmask16 mask = (__mmask16)(left >= LANES ? 0xFFFFu : (1u << left) - 1u);
        __m256bh rounded = _mm512_cvtneps_pbh(_mm512_maskz_loadu_ps(mask, x + k));
        memcpy(to + k * sizeof(uint16_t), &rounded, sizeof rounded);
    }
}

struct tile {
    const float *bias;
    const uint16_t *weight;
    const unsigned char *x;
    float *y;
    size_t pairs, row_bytes, y_stride;
    __mmask16 last; /* columns of the last vector */
};

INLINE __m512bh pairs_at(const void *from)
{
    __m512i bits = _mm512_loadu_si512(from);
    __m512bh pairs;
    memcpy(&pairs, &bits, sizeof pairs);
    return pairs;
}

INLINE __m512bh pair_of(const unsigned char *x)
{
    int32_t pair;
    memcpy(&pair, x, sizeof pair);
    __m512i bits = _mm512_set1_epi32(pair);
    __m512bh pairs;
    memcpy(&pairs, &bits, sizeof pairs);
    return pairs;
}

/* rows x (vectors * 16) outputs; a block's pairs are `width` columns. */
INLINE void run_tile(const struct tile *t, const int rows, const int vectors, const size_t width, const bool relu)
{
    __m512 acc[TILE_ROWS][TILE_ROWS];
    const size_t pairs = t->pairs, block = pairs * width * 2, row_bytes = t->row_bytes;
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++) {
#pragma GCC unroll 8
        for (int v = 0; v < vectors; v++) acc[r][v] = _mm512_loadu_ps(t->bias + LANES * v);
    }
    const uint16_t *weight = t->weight;
    const unsigned char *x = t->x;
    for (size_t k = 0; k < pairs; k++, weight += width * 2, x += 4) {
        __m512bh w[TILE_ROWS];
#pragma GCC unroll 8
        for (int v = 0; v < vectors; v++)
            w[v] = pairs_at(weight + (size_t)(v / 2) * block + (size_t)(v % 2) * LANES * 2);
#pragma GCC unroll 8
        for (int r = 0; r < rows; r++) {
            __m512bh pair = pair_of(x + (size_t)r * row_bytes);
#pragma GCC unroll 8
            for (int v = 0; v < vectors; v++) acc[r][v] = _mm512_dpbf16_ps(acc[r][v], pair, w[v]);
        }
    }
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++) {
#pragma GCC unroll 8
        for (int v = 0; v < vectors; v++) {
            /* Relu keeps NaN: max returns its second operand when either is NaN. */
            __m512 value = relu ? _mm512_max_ps(_mm512_setzero_ps(), acc[r][v]) : acc[r][v];
            _mm512_mask_storeu_ps(t->y + (size_t)r * t->y_stride + LANES * v, v == vectors - 1 ? t->last : 0xFFFF,
                                  value);
        }
    }
}

/* `rows` rows of one block of 1 or 2 vectors. */
INLINE void run_rows(struct tile t, uint32_t rows, const int vectors, const bool relu)
{
    const size_t width = (size_t)vectors * LANES;
    for (; rows >= TILE_ROWS; rows -= TILE_ROWS) {
        run_tile(&t, TILE_ROWS, vectors, width, relu);
        t.x += TILE_ROWS * t.row_bytes;
        t.y += TILE_ROWS * t.y_stride;
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
    t->bias += columns;
    t->weight += columns * t->pairs * 2;
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

static void run(const struct lp_dense_bf16_layer *layer, const float *x, uint32_t row_count, float *y, void *scratch)
{
    if (row_count == 0 || layer->out_width == 0) return;
    size_t row_bytes = row_bytes_of(layer->in_width), x_stride = lp_dense_bf16_x_stride(layer);
    unsigned char *rows = scratch;
    for (uint32_t r = 0; r < row_count; r++)
        round_row(x + r * x_stride, layer->in_width, row_bytes, rows + r * row_bytes);
    const float *bias = layer->packed;
    struct tile t = {.bias = bias,
                     .weight = (const uint16_t *)(const void *)(bias + round_up(layer->out_width, LANES)),
                     .x = rows,
                     .y = y,
                     .pairs = ((size_t)layer->in_width + 1) / 2,
                     .row_bytes = row_bytes,
                     .y_stride = lp_dense_bf16_y_stride(layer)};
    if (layer->relu) run_blocks(t, row_count, layer->out_width, true);
    else run_blocks(t, row_count, layer->out_width, false);
}

const struct lp_dense_bf16_kernel lp_dense_bf16_avx512 = {"avx512bf16", packed_bytes, pack, scratch_bytes, run};
