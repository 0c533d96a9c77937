/*
 * AMX bf16: rows rounded to bf16 into scratch, tiles of 16 rows x 32 inputs against tiles of 32 inputs x 16 columns,
 * 2 x 2 of them at a time; the bias is added after the sum. Packed: [columns] bias, columns padded to 16, then blocks
 * of 32 columns (the last of 16 where at most 16 are left), each [inputs / 2][columns][2] with the inputs padded with
 * zeros to 32. Scratch holds whole tiles of rows, those behind the last are computed and dropped.
 *
 * The system grants tiles to processes that ask (core/cpu.c). Tested with the tile instructions computed in C
 * (LP_AMX_EMULATED: tests/kernels/amx_emulated.h), never on a CPU that has them: so it is selected only in builds with
 * -DLEPTON_AMX=ON.
 */
#include "kernels/dense_bf16/dense_bf16.h"

#include <immintrin.h>
#include <string.h>

#if defined(LP_AMX_EMULATED)
#include "amx_emulated.h"
#define KERNEL lp_dense_bf16_amx_emulated
#else
#define KERNEL lp_dense_bf16_amx
#endif

enum { LANES = 16, BLOCK = 32, TILE_ROWS = 16, TILE_BYTES = 64, TILE_INPUTS = 32 };

static size_t round_up(size_t n, size_t to) { return (n + to - 1) / to * to; }

static size_t packed_bytes(uint32_t in_width, uint32_t out_width)
{
    size_t bytes, row = round_up(in_width, TILE_INPUTS) * sizeof(uint16_t) + sizeof(float);
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
        to += round_up(in_width, TILE_INPUTS) * width;
    }
}

static uint32_t whole_tiles(uint32_t rows) { return (rows + 2 * TILE_ROWS - 1) / (2 * TILE_ROWS) * (2 * TILE_ROWS); }

static size_t row_bytes_of(uint32_t in_width) { return round_up((size_t)in_width * sizeof(uint16_t), TILE_BYTES); }

static size_t scratch_bytes(uint32_t in_width, uint32_t row_count)
{
    return row_bytes_of(in_width) * whole_tiles(row_count);
}

static void round_row(const float *x, uint32_t width, size_t row_bytes, unsigned char *to)
{
    for (uint32_t k = 0; k < row_bytes / sizeof(uint16_t); k += LANES) {
        uint32_t left = k < width ? width - k : 0;
        __mmask16 mask = (__mmask16)(left >= LANES ? 0xFFFFu : (1u << left) - 1u);
        __m512 v = _mm512_maskz_loadu_ps(mask, x + k);
        __m512i bits = _mm512_castps_si512(v),
                odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
        /* Nearest, halves to even; NaN keeps its upper half, made quiet. */
        __m512i sum = _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7FFF)));
        __mmask16 nan = _mm512_cmp_ps_mask(v, v, _CMP_UNORD_Q);
        sum = _mm512_mask_or_epi32(sum, nan, bits, _mm512_set1_epi32(0x00400000));
        _mm256_storeu_si256((__m256i *)(void *)(to + k * sizeof(uint16_t)),
                            _mm512_cvtepi32_epi16(_mm512_srli_epi32(sum, 16)));
    }
}

/* Every tile 16 rows of 64 bytes. gcc 12 believes that the load reads 8 of its 64 bytes: the barrier has all written.
 */
static void configure(void)
{
    struct {
        uint8_t palette, start_row, reserved[14];
        uint16_t row_bytes[16];
        uint8_t rows[16];
    } config = {.palette = 1};
    for (int t = 0; t < 8; t++) {
        config.row_bytes[t] = TILE_BYTES;
        config.rows[t] = TILE_ROWS;
    }
    __asm__ volatile("" : : "r"(&config) : "memory");
    _tile_loadconfig(&config);
}

/* 32 rows x 16 or 32 columns of sums, [vector][32][16]; a row of pairs is `row` bytes. */
static void multiply(const unsigned char *x, size_t row_bytes, const unsigned char *weight, size_t row, size_t tiles,
                     const bool two, float *sums)
{
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    for (size_t k = 0; k < tiles; k++, x += TILE_BYTES, weight += TILE_ROWS * row) {
        _tile_loadd(4, x, row_bytes);
        _tile_loadd(5, x + TILE_ROWS * row_bytes, row_bytes);
        _tile_loadd(6, weight, row);
        _tile_dpbf16ps(0, 4, 6);
        _tile_dpbf16ps(1, 5, 6);
        if (!two) continue;
        _tile_loadd(7, weight + TILE_BYTES, row);
        _tile_dpbf16ps(2, 4, 7);
        _tile_dpbf16ps(3, 5, 7);
    }
    enum { SUMS = TILE_ROWS * LANES };
    _tile_stored(0, sums, TILE_BYTES);
    _tile_stored(1, sums + SUMS, TILE_BYTES);
    if (!two) return;
    _tile_stored(2, sums + 2 * SUMS, TILE_BYTES);
    _tile_stored(3, sums + 3 * SUMS, TILE_BYTES);
}

static void put(const struct lp_dense_bf16_layer *layer, uint32_t first, uint32_t rows, __mmask16 mask,
                const float *sums, float *y)
{
    size_t y_stride = lp_dense_bf16_y_stride(layer);
    __m512 bias = _mm512_loadu_ps((const float *)layer->packed + first);
    for (uint32_t r = 0; r < rows; r++, sums += LANES) {
        __m512 value = _mm512_add_ps(_mm512_loadu_ps(sums), bias);
        if (layer->relu) value = _mm512_max_ps(_mm512_setzero_ps(), value); /* NaN as the second operand stays */
        _mm512_mask_storeu_ps(y + r * y_stride + first, mask, value);
    }
}

static void run(const struct lp_dense_bf16_layer *layer, const float *x, uint32_t row_count, float *y, void *scratch)
{
    if (row_count == 0 || layer->out_width == 0) return;
    size_t row_bytes = row_bytes_of(layer->in_width), x_stride = lp_dense_bf16_x_stride(layer);
    size_t tiles = row_bytes / TILE_BYTES, y_stride = lp_dense_bf16_y_stride(layer);
    unsigned char *rows = scratch;
    for (uint32_t r = 0; r < row_count; r++)
        round_row(x + r * x_stride, layer->in_width, row_bytes, rows + r * row_bytes);
    memset(rows + row_count * row_bytes, 0, (whole_tiles(row_count) - row_count) * row_bytes);
    const unsigned char *weights =
        (const unsigned char *)((const float *)layer->packed + round_up(layer->out_width, LANES));
    float sums[4 * TILE_ROWS * LANES] __attribute__((aligned(64)));
    configure();
    for (uint32_t first = 0; first < layer->out_width; first += BLOCK) {
        uint32_t left = layer->out_width - first, last = left > LANES ? left - LANES : left;
        bool two = left > LANES;
        const unsigned char *weight = weights + (size_t)first * tiles * TILE_BYTES;
        __mmask16 mask = (__mmask16)(last >= LANES ? 0xFFFFu : (1u << last) - 1u);
        for (uint32_t r = 0; r < row_count; r += 2 * TILE_ROWS) {
            uint32_t count = row_count - r < 2 * TILE_ROWS ? row_count - r : 2 * TILE_ROWS;
            multiply(rows + r * row_bytes, row_bytes, weight, (size_t)(two ? BLOCK : LANES) * 4, tiles, two, sums);
            put(layer, first, count, two ? 0xFFFF : mask, sums, y + r * y_stride);
            if (two) put(layer, first + LANES, count, mask, sums + 2 * TILE_ROWS * LANES, y + r * y_stride);
        }
    }
    _tile_release();
}

extern const struct lp_dense_bf16_kernel KERNEL;
const struct lp_dense_bf16_kernel KERNEL = {"amx", packed_bytes, pack, scratch_bytes, run};
