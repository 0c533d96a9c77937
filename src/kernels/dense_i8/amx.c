/*
 * AMX int8: rows quantized to u8 into scratch, tiles of 16 rows x 64 inputs against tiles of 64 inputs x 16 columns,
 * 2 x 2 of them at a time; the zero point is taken out at the end with the column's sum, as in the VNNI kernel, which
 * takes calls of one or two rows (a tile product costs 16 cycles however few its rows). Packed as private.h says with
 * 16 lanes and inputs padded to 64; scratch holds whole tiles of rows, those behind the last are computed and dropped.
 *
 * The system grants tiles to processes that ask (core/cpu.c). Tested with the tile instructions computed in C
 * (LP_AMX_EMULATED: tests/kernels/amx_emulated.h), never on a CPU that has them: so it is selected only in builds with
 * -DLEPTON_AMX=ON.
 */
#include "kernels/dense_i8/private.h"

#include <immintrin.h>
#include <string.h>

#if defined(LP_AMX_EMULATED)
#include "amx_emulated.h"
#define KERNEL lp_dense_i8_amx_emulated
#else
#define KERNEL lp_dense_i8_amx
#endif

enum { LANES = 16, TILE_ROWS = 16, TILE_BYTES = 64, BLOCK = 32, FEW_ROWS = 2 };

static size_t packed_bytes(uint32_t in_width, uint32_t out_width)
{
    return lp_dense_i8_fours_bytes(in_width, out_width, LANES, TILE_BYTES);
}

static void pack(const int8_t *weight, const float *weight_scale, uint32_t weight_scale_count, const float *bias,
                 uint32_t in_width, uint32_t out_width, void *packed)
{
    lp_dense_i8_fours_pack(weight, weight_scale, weight_scale_count, bias, in_width, out_width, LANES, TILE_BYTES,
                           packed);
}

static uint32_t whole_tiles(uint32_t rows) { return (rows + 2 * TILE_ROWS - 1) / (2 * TILE_ROWS) * (2 * TILE_ROWS); }

static size_t scratch_bytes(uint32_t in_width, uint32_t row_count)
{
    return lp_dense_i8_rows_bytes(whole_tiles(row_count), 1, in_width);
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

/* 32 rows x `vectors` * 16 columns of sums, [vector][32][16]; a step of 16 fours is `step` bytes, a row of them `row`.
 */
static void multiply(const unsigned char *q, size_t row_bytes, const int8_t *weight, size_t row, size_t tiles,
                     const bool two, int32_t *sums)
{
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    for (size_t k = 0; k < tiles; k++, q += TILE_BYTES, weight += TILE_ROWS * row) {
        _tile_loadd(4, q, row_bytes);
        _tile_loadd(5, q + TILE_ROWS * row_bytes, row_bytes);
        _tile_loadd(6, weight, row);
        _tile_dpbusd(0, 4, 6);
        _tile_dpbusd(1, 5, 6);
        if (!two) continue;
        _tile_loadd(7, weight + TILE_BYTES, row);
        _tile_dpbusd(2, 4, 7);
        _tile_dpbusd(3, 5, 7);
    }
    enum { SUMS = TILE_ROWS * LANES };
    _tile_stored(0, sums, TILE_BYTES);
    _tile_stored(1, sums + SUMS, TILE_BYTES);
    if (!two) return;
    _tile_stored(2, sums + 2 * SUMS, TILE_BYTES);
    _tile_stored(3, sums + 3 * SUMS, TILE_BYTES);
}

/* `rows` rows of 16 columns from `first` on to y; `mask`: the columns there are. */
static void put(const struct lp_dense_i8_layer *layer, const struct lp_dense_i8_fours *w, uint32_t first,
                const struct lp_dense_i8_rows *quantized, uint32_t row, uint32_t rows, __mmask16 mask,
                const int32_t *sums, float *y)
{
    __m512i sum = _mm512_loadu_si512(w->sum + first);
    __m512 factor = _mm512_loadu_ps(w->factor + first), bias = _mm512_loadu_ps(w->bias + first);
    size_t y_stride = lp_dense_i8_y_stride(layer);
    for (uint32_t r = row; r < row + rows; r++, sums += LANES) {
        __m512i zero = _mm512_mullo_epi32(sum, _mm512_set1_epi32(quantized->zeros[r]));
        __m512i whole = _mm512_sub_epi32(_mm512_loadu_si512(sums), zero);
        __m512 scale = _mm512_mul_ps(_mm512_set1_ps(quantized->scales[r]), factor);
        __m512 value = _mm512_add_ps(_mm512_mul_ps(scale, _mm512_cvtepi32_ps(whole)), bias);
        if (layer->relu) value = _mm512_max_ps(_mm512_setzero_ps(), value); /* NaN as the second operand stays */
        _mm512_mask_storeu_ps(y + r * y_stride + first, mask, value);
    }
}

static void run(const struct lp_dense_i8_layer *layer, const float *x, uint32_t row_count, float *y, void *scratch)
{
    struct lp_dense_i8_fours w = lp_dense_i8_fours_of(layer, LANES, TILE_BYTES);
    if (row_count <= FEW_ROWS || layer->out_width == 0) {
        lp_dense_i8_run_vnni(layer, &w, x, row_count, y, scratch);
        return;
    }
    uint32_t all_rows = whole_tiles(row_count), out = layer->out_width;
    struct lp_dense_i8_rows rows = lp_dense_i8_rows_at(scratch, all_rows, 1, layer->in_width);
    lp_dense_i8_quantize_avx512(layer, x, row_count, &rows);
    memset(rows.values + row_count * rows.row_bytes, 0, (all_rows - row_count) * rows.row_bytes);
    int32_t sums[4 * TILE_ROWS * LANES] __attribute__((aligned(64)));
    configure();
    for (uint32_t first = 0; first < out; first += BLOCK) {
        uint32_t left = out - first, last = (left > LANES ? left - LANES : left);
        bool two = left > LANES;
        size_t row = (size_t)(two ? BLOCK : LANES) * 4;
        const int8_t *weight = w.weight + (size_t)first * w.fours * 4;
        __mmask16 mask = (__mmask16)(last >= LANES ? 0xFFFFu : (1u << last) - 1u);
        for (uint32_t r = 0; r < row_count; r += 2 * TILE_ROWS) {
            uint32_t count = row_count - r < 2 * TILE_ROWS ? row_count - r : 2 * TILE_ROWS;
            multiply(rows.values + r * rows.row_bytes, rows.row_bytes, weight, row, w.fours / TILE_ROWS, two, sums);
            put(layer, &w, first, &rows, r, count, two ? 0xFFFF : mask, sums, y);
            if (two) put(layer, &w, first + LANES, &rows, r, count, mask, sums + 2 * TILE_ROWS * LANES, y);
        }
    }
    _tile_release();
}

extern const struct lp_dense_i8_kernel KERNEL;
const struct lp_dense_i8_kernel KERNEL = {"amx", packed_bytes, pack, scratch_bytes, run};
