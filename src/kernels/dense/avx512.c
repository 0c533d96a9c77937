/*
 * AVX-512: blocks of 32 columns, packed [out / 32][in][32] with a last block of 16 where at most 16 columns are left;
 * tiles of 8 rows x 32 columns hold 16 accumulators, fewer rows take smaller tiles, one row takes up to four blocks
 * (8 accumulators) at once. A single output is a dot product along k instead, 16 rows at a time.
 * Packed: [columns rounded up to 16] bias, then the blocks; one output: bias in 16 floats, then w padded to 16.
 * Rows of doubles are rounded 16 values of a tile at a time, into a buffer that the next products read: the conversions
 * run beside the FMAs of the values before, on ports that those leave idle.
 * Tails: columns are masked in the store (padded weights are zero and never stored); k needs none, save the dot
 * product, whose last load is masked. Accuracy: one rounding a product and sum (FMA).
 */
#include "kernels/dense/dense.h"

#include <immintrin.h>
#include <string.h>

enum { LANES = 16, BLOCK = 32, TILE_ROWS = 8 };

#define INLINE static inline __attribute__((always_inline))

static size_t round_up(size_t n) { return (n + LANES - 1) / LANES * LANES; }

static size_t packed_floats(uint32_t in_width, uint32_t out_width)
{
    size_t columns = round_up(out_width), floats;
    if (out_width == 1) return LANES + round_up(in_width);
    if (__builtin_mul_overflow((size_t)in_width + 1, columns, &floats)) return 0;
    return floats;
}

static void pack_blocks(const float *weight, uint32_t in_width, uint32_t out_width, float *to)
{
    for (uint32_t first = 0; first < out_width; first += BLOCK) {
        uint32_t left = out_width - first, width = left > LANES ? BLOCK : LANES;
        uint32_t used = left < width ? left : width;
        for (uint32_t k = 0; k < in_width; k++, to += width) {
            memset(to, 0, width * sizeof *to);
            memcpy(to, weight + (size_t)k * out_width + first, used * sizeof *to);
        }
    }
}

static void pack(const float *weight, const float *bias, uint32_t in_width, uint32_t out_width, float *packed)
{
    size_t columns = round_up(out_width);
    memset(packed, 0, columns * sizeof *packed);
    if (bias != NULL) memcpy(packed, bias, out_width * sizeof *packed);
    if (out_width != 1) {
        pack_blocks(weight, in_width, out_width, packed + columns);
        return;
    }
    memset(packed + columns, 0, round_up(in_width) * sizeof *packed);
    memcpy(packed + columns, weight, in_width * sizeof *packed);
}

/* Relu keeps NaN: max returns its second operand when either is NaN. */
#define STORE(to, mask, value) \
    _mm512_mask_storeu_ps((to), (mask), relu ? _mm512_max_ps(_mm512_setzero_ps(), (value)) : (value))

struct tile {
    const float *bias, *weight, *x;
    const double *doubles; /* instead of x */
    float *y;
    size_t in_width, out_width, x_stride, y_stride;
    __mmask16 last; /* columns of the last vector */
};

INLINE __mmask16 tail_mask(size_t left) { return (__mmask16)(left >= LANES ? 0xFFFFu : (1u << left) - 1u); }

/* Weight rows are `width` floats apart, blocks of 32 columns block_floats. */
INLINE void add_products(__m512 (*acc)[TILE_ROWS], const float *x, size_t x_stride, const float *weight,
                         const size_t width, size_t block_floats, size_t count, const int rows, const int vectors)
{
    for (size_t k = 0; k < count; k++, weight += width) {
        __m512 w[TILE_ROWS];
#pragma GCC unroll 8
        for (int v = 0; v < vectors; v++)
            w[v] = _mm512_loadu_ps(weight + (size_t)(v / 2) * block_floats + (size_t)(v % 2) * LANES);
#pragma GCC unroll 8
        for (int r = 0; r < rows; r++) {
            __m512 value = _mm512_set1_ps(x[(size_t)r * x_stride + k]);
#pragma GCC unroll 8
            for (int v = 0; v < vectors; v++) acc[r][v] = _mm512_fmadd_ps(value, w[v], acc[r][v]);
        }
    }
}

/* Up to 16 values of each row, side by side; masked loads would take turns with the FMAs. */
INLINE void narrow_rows(const double *x, size_t x_stride, size_t count, const int rows, float *to)
{
    const __mmask8 low = (__mmask8)tail_mask(count), high = (__mmask8)(tail_mask(count) >> 8);
    if (count >= LANES) {
#pragma GCC unroll 8
        for (int r = 0; r < rows; r++, x += x_stride, to += LANES) {
            _mm256_store_ps(to, _mm512_cvtpd_ps(_mm512_loadu_pd(x)));
            _mm256_store_ps(to + LANES / 2, _mm512_cvtpd_ps(_mm512_loadu_pd(x + LANES / 2)));
        }
        return;
    }
    for (int r = 0; r < rows; r++, x += x_stride, to += LANES) {
        _mm256_store_ps(to, _mm512_cvtpd_ps(_mm512_maskz_loadu_pd(low, x)));
        _mm256_store_ps(to + LANES / 2, _mm512_cvtpd_ps(_mm512_maskz_loadu_pd(high, x + LANES / 2)));
    }
}

/* rows x (vectors * 16) outputs. */
INLINE void run_tile(const struct tile *t, const int rows, const int vectors, const size_t width, const bool relu,
                     const bool doubles)
{
    __m512 acc[TILE_ROWS][TILE_ROWS];
    const size_t in = t->in_width, x_stride = t->x_stride, y_stride = t->y_stride;
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++) {
#pragma GCC unroll 8
        for (int v = 0; v < vectors; v++) acc[r][v] = _mm512_loadu_ps(t->bias + LANES * v);
    }
    if (doubles) {
        /* One block ahead: what is stored is in the cache by the time it is read. */
        float parts[2][TILE_ROWS * LANES] __attribute__((aligned(64)));
        narrow_rows(t->doubles, x_stride, in, rows, parts[0]);
        for (size_t k = 0, next; k < in; k = next) {
            size_t count = in - k < LANES ? in - k : LANES;
            next = k + count;
            if (next < in) narrow_rows(t->doubles + next, x_stride, in - next, rows, parts[next / LANES % 2]);
            const float *part = parts[k / LANES % 2], *weight = t->weight + k * width;
            if (rows == TILE_ROWS && count == LANES)
                add_products(acc, part, LANES, weight, width, in * width, LANES, rows, vectors);
            else add_products(acc, part, LANES, weight, width, in * width, count, rows, vectors);
        }
    } else {
        add_products(acc, t->x, x_stride, t->weight, width, in * width, in, rows, vectors);
    }
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++) {
#pragma GCC unroll 8
        for (int v = 0; v < vectors; v++)
            STORE(t->y + (size_t)r * y_stride + LANES * v, v == vectors - 1 ? t->last : (__mmask16)0xFFFF, acc[r][v]);
    }
}

/* `rows` rows of one block of 1 or 2 vectors. */
INLINE void run_rows(struct tile t, uint32_t rows, const int vectors, const bool relu, const bool doubles)
{
    const size_t width = (size_t)vectors * LANES;
    for (; rows >= TILE_ROWS; rows -= TILE_ROWS) {
        run_tile(&t, TILE_ROWS, vectors, width, relu, doubles);
        if (doubles) t.doubles += TILE_ROWS * t.x_stride;
        else t.x += TILE_ROWS * t.x_stride;
        t.y += TILE_ROWS * t.y_stride;
    }
    switch (rows) {
    case 7: run_tile(&t, 7, vectors, width, relu, doubles); break;
    case 6: run_tile(&t, 6, vectors, width, relu, doubles); break;
    case 5: run_tile(&t, 5, vectors, width, relu, doubles); break;
    case 4: run_tile(&t, 4, vectors, width, relu, doubles); break;
    case 3: run_tile(&t, 3, vectors, width, relu, doubles); break;
    case 2: run_tile(&t, 2, vectors, width, relu, doubles); break;
    case 1: run_tile(&t, 1, vectors, width, relu, doubles); break;
    default: break;
    }
}

/* Few rows leave too few accumulators to hide the latency of FMA: take several blocks at once while they are whole. */
INLINE uint32_t run_wide(struct tile t, uint32_t rows, const bool relu)
{
    uint32_t done = 0, out = (uint32_t)t.out_width;
    const uint32_t four = 4 * BLOCK, two = 2 * BLOCK;
    t.last = 0xFFFF;
    while (rows <= 2 && out - done >= two) {
        uint32_t columns = rows == 1 && out - done >= four ? four : two;
        if (columns == four) run_tile(&t, 1, 8, BLOCK, relu, false);
        else if (rows == 1) run_tile(&t, 1, 4, BLOCK, relu, false);
        else run_tile(&t, 2, 4, BLOCK, relu, false);
        done += columns;
        t.bias += columns;
        t.weight += (size_t)columns * t.in_width;
        t.y += columns;
    }
    return done;
}

INLINE void run_blocks(struct tile t, uint32_t rows, const bool relu, const bool doubles)
{
    uint32_t out = (uint32_t)t.out_width;
    /* Layers that read doubles have no more than a block. */
    for (uint32_t first = doubles ? 0 : run_wide(t, rows, relu); first < out; first += BLOCK) {
        struct tile block = t;
        uint32_t left = out - first;
        block.bias += first;
        block.weight += (size_t)first * t.in_width;
        block.y += first;
        uint32_t last = left >= BLOCK ? LANES : (left - 1) % LANES + 1;
        block.last = (__mmask16)((1u << last) - 1);
        if (left > LANES) run_rows(block, rows, 2, relu, doubles);
        else run_rows(block, rows, 1, relu, doubles);
    }
}

/* Both sums add lane i to i+8, i+4, i+2, i+1 in that order, so one row and sixteen give the same bits. */
static float sum_lanes(__m512 v)
{
    __m256 a = _mm256_add_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
    __m128 b = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    b = _mm_add_ps(b, _mm_movehl_ps(b, b));
    return _mm_cvtss_f32(_mm_add_ss(b, _mm_movehdup_ps(b)));
}

static inline __m512 fold8(__m512 a, __m512 b)
{
    return _mm512_add_ps(_mm512_shuffle_f32x4(a, b, 0x44), _mm512_shuffle_f32x4(a, b, 0xEE));
}
static inline __m512 fold4(__m512 a, __m512 b)
{
    return _mm512_add_ps(_mm512_shuffle_f32x4(a, b, 0x88), _mm512_shuffle_f32x4(a, b, 0xDD));
}
static inline __m512 fold2(__m512 a, __m512 b)
{
    __m512d p = _mm512_castps_pd(a), q = _mm512_castps_pd(b);
    return _mm512_add_ps(_mm512_castpd_ps(_mm512_unpacklo_pd(p, q)), _mm512_castpd_ps(_mm512_unpackhi_pd(p, q)));
}
static inline __m512 fold1(__m512 a, __m512 b)
{
    return _mm512_add_ps(_mm512_shuffle_ps(a, b, 0x88), _mm512_shuffle_ps(a, b, 0xDD));
}

/* Sums of 16 vectors, one a lane, in the order of the vectors. */
static inline __m512 sum_16(const __m512 *v)
{
    __m512 quad[4];
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        /* Vectors i, i+4, i+8, i+12 end in the four 128-bit parts. */
        quad[i] = fold4(fold8(v[i], v[i + 4]), fold8(v[i + 8], v[i + 12]));
    }
    return fold1(fold2(quad[0], quad[1]), fold2(quad[2], quad[3]));
}

/* Sums of up to 16 rows, one a lane. */
INLINE __m512 dots(const float *w, const float *x, size_t x_stride, size_t in, const int rows)
{
    __m512 acc[16];
#pragma GCC unroll 16
    for (int r = 0; r < 16; r++) acc[r] = _mm512_setzero_ps();
    for (size_t k = 0; k < in; k += LANES) {
        __mmask16 mask = tail_mask(in - k);
        __m512 weight = _mm512_loadu_ps(w + k);
#pragma GCC unroll 16
        for (int r = 0; r < rows; r++)
            acc[r] = _mm512_fmadd_ps(_mm512_maskz_loadu_ps(mask, x + (size_t)r * x_stride + k), weight, acc[r]);
    }
    return sum_16(acc);
}

static float dot_1(const float *w, const float *x, size_t in)
{
    __m512 acc = _mm512_setzero_ps();
    for (size_t k = 0; k < in; k += LANES) {
        __mmask16 mask = tail_mask(in - k);
        acc = _mm512_fmadd_ps(_mm512_maskz_loadu_ps(mask, x + k), _mm512_loadu_ps(w + k), acc);
    }
    return sum_lanes(acc);
}

INLINE void put_dots(const struct lp_dense_layer *layer, const float *x, float *y, const int rows)
{
    const size_t y_stride = lp_dense_y_stride(layer);
    const bool relu = layer->relu;
    __m512 sum = dots(layer->packed + LANES, x, lp_dense_x_stride(layer), layer->in_width, rows);
    sum = _mm512_add_ps(sum, _mm512_set1_ps(layer->packed[0]));
    if (y_stride == 1) {
        STORE(y, tail_mask((size_t)rows), sum);
        return;
    }
    float sums[LANES];
    STORE(sums, 0xFFFF, sum);
    for (int r = 0; r < rows; r++) y[(size_t)r * y_stride] = sums[r];
}

static void run_dot(const struct lp_dense_layer *layer, const float *x, uint32_t rows, float *y)
{
    const size_t in = layer->in_width, x_stride = lp_dense_x_stride(layer), y_stride = lp_dense_y_stride(layer);
    for (; rows >= 16; rows -= 16, x += 16 * x_stride, y += 16 * y_stride) put_dots(layer, x, y, 16);
    for (; rows >= 4; rows -= 4, x += 4 * x_stride, y += 4 * y_stride) put_dots(layer, x, y, 4);
    for (uint32_t r = 0; r < rows; r++) {
        float sum = dot_1(layer->packed + LANES, x + r * x_stride, in) + layer->packed[0];
        y[r * y_stride] = layer->relu && sum < 0.0f ? 0.0f : sum;
    }
}

static struct tile tile_of(const struct lp_dense_layer *layer, float *y)
{
    return (struct tile){.bias = layer->packed,
                         .weight = layer->packed + round_up(layer->out_width),
                         .y = y,
                         .in_width = layer->in_width,
                         .out_width = layer->out_width,
                         .x_stride = lp_dense_x_stride(layer),
                         .y_stride = lp_dense_y_stride(layer)};
}

static void run(const struct lp_dense_layer *layer, const float *x, uint32_t row_count, float *y)
{
    if (row_count == 0 || layer->out_width == 0) return;
    if (layer->out_width == 1) {
        run_dot(layer, x, row_count, y);
        return;
    }
    struct tile t = tile_of(layer, y);
    t.x = x;
    if (layer->relu) run_blocks(t, row_count, true, false);
    else run_blocks(t, row_count, false, false);
}

static void run_doubles(const struct lp_dense_layer *layer, const double *x, uint32_t row_count, float *y)
{
    struct tile t = tile_of(layer, y);
    t.doubles = x;
    if (row_count == 0) return;
    if (layer->relu) run_blocks(t, row_count, true, true);
    else run_blocks(t, row_count, false, true);
}

const struct lp_dense_kernel lp_dense_f32_avx512 = {"avx512", packed_floats, pack, run, run_doubles};
