/*
 * AVX2 + FMA: blocks of 16 columns, packed [out / 16][in][16] with a last block of 8 where at most 8 columns are left;
 * tiles of 6 rows x 16 columns hold 12 of the 16 registers, one row takes up to four blocks (8 accumulators) at once.
 * A single output is a dot product along k instead, 8 rows at a time.
 * Packed: [columns rounded up to 8] bias, then the blocks; one output: bias in 8 floats, then w padded to 8.
 * Tails: columns are masked in the store (padded weights are zero and never stored); k needs none, save the dot
 * product, whose last load is masked. Accuracy: one rounding a product and sum (FMA).
 */
#include "kernels/dense/dense.h"

#include <immintrin.h>
#include <string.h>

enum { LANES = 8, BLOCK = 16, TILE_ROWS = 6, VECTORS_MAX = 8 };

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

/* All ones in the first `count` lanes. */
static inline __m256i mask_of(size_t count)
{
    static const int32_t ones[2 * LANES] = {-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0};
    return _mm256_loadu_si256((const __m256i *)(const void *)(ones + LANES - count));
}

/* Keeps NaN: max returns its second operand when either is NaN. */
static inline __m256 relu_of(__m256 v) { return _mm256_max_ps(_mm256_setzero_ps(), v); }

struct tile {
    const float *bias, *weight, *x;
    float *y;
    size_t in_width, out_width, x_stride, y_stride;
    size_t last; /* columns of the last vector */
};

/* rows x (vectors * 8) outputs; weight rows are `width` floats apart, blocks of 16 columns block_floats. */
static inline __attribute__((always_inline)) void run_tile(const struct tile *t, const int rows, const int vectors,
                                                           const size_t width, const bool relu)
{
    __m256 acc[TILE_ROWS][VECTORS_MAX];
    const size_t in = t->in_width, x_stride = t->x_stride, y_stride = t->y_stride;
    const size_t block_floats = in * width;
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++) {
#pragma GCC unroll 8
        for (int v = 0; v < vectors; v++) acc[r][v] = _mm256_loadu_ps(t->bias + LANES * v);
    }
    const float *weight = t->weight, *x = t->x;
    for (size_t k = 0; k < in; k++, weight += width) {
        __m256 w[VECTORS_MAX];
#pragma GCC unroll 8
        for (int v = 0; v < vectors; v++)
            w[v] = _mm256_loadu_ps(weight + (size_t)(v / 2) * block_floats + (size_t)(v % 2) * LANES);
#pragma GCC unroll 8
        for (int r = 0; r < rows; r++) {
            __m256 value = _mm256_broadcast_ss(&x[(size_t)r * x_stride + k]);
#pragma GCC unroll 8
            for (int v = 0; v < vectors; v++) acc[r][v] = _mm256_fmadd_ps(value, w[v], acc[r][v]);
        }
    }
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++) {
#pragma GCC unroll 8
        for (int v = 0; v < vectors; v++) {
            __m256 value = relu ? relu_of(acc[r][v]) : acc[r][v];
            float *to = t->y + (size_t)r * y_stride + LANES * v;
            if (v < vectors - 1 || t->last == LANES) _mm256_storeu_ps(to, value);
            else _mm256_maskstore_ps(to, mask_of(t->last), value);
        }
    }
}

/* `rows` rows of one block of 1 or 2 vectors. */
static inline __attribute__((always_inline)) void run_rows(struct tile t, uint32_t rows, const int vectors,
                                                           const bool relu)
{
    const size_t width = (size_t)vectors * LANES;
    for (; rows > 8 || rows == TILE_ROWS; rows -= TILE_ROWS) {
        run_tile(&t, TILE_ROWS, vectors, width, relu);
        t.x += TILE_ROWS * t.x_stride;
        t.y += TILE_ROWS * t.y_stride;
    }
    /* 8 is 4 + 4 and 7 is 4 + 3: a tile of one or two rows runs at a third of the speed. */
    if (rows > TILE_ROWS) {
        run_tile(&t, 4, vectors, width, relu);
        t.x += 4 * t.x_stride;
        t.y += 4 * t.y_stride;
        rows -= 4;
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

/* Few rows leave too few accumulators to hide the latency of FMA: take several blocks at once while they are whole. */
static inline __attribute__((always_inline)) uint32_t run_wide(struct tile t, uint32_t rows, const bool relu)
{
    uint32_t done = 0, out = (uint32_t)t.out_width;
    const uint32_t four = 4 * BLOCK, two = 2 * BLOCK;
    t.last = LANES;
    while (rows <= 2 && out - done >= two) {
        uint32_t columns = rows == 1 && out - done >= four ? four : two;
        if (columns == four) run_tile(&t, 1, 8, BLOCK, relu);
        else if (rows == 1) run_tile(&t, 1, 4, BLOCK, relu);
        else run_tile(&t, 2, 4, BLOCK, relu);
        done += columns;
        t.bias += columns;
        t.weight += (size_t)columns * t.in_width;
        t.y += columns;
    }
    return done;
}

static inline __attribute__((always_inline)) void run_blocks(struct tile t, uint32_t rows, const bool relu)
{
    uint32_t out = (uint32_t)t.out_width;
    for (uint32_t first = run_wide(t, rows, relu); first < out; first += BLOCK) {
        struct tile block = t;
        uint32_t left = out - first;
        block.bias += first;
        block.weight += (size_t)first * t.in_width;
        block.y += first;
        block.last = left >= BLOCK ? LANES : (left - 1) % LANES + 1;
        if (left > LANES) run_rows(block, rows, 2, relu);
        else run_rows(block, rows, 1, relu);
    }
}

/* Both sums add lane i to i+4, i+2, i+1 in that order, so one row and eight give the same bits. */
static float sum_lanes(__m256 v)
{
    __m128 b = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    b = _mm_add_ps(b, _mm_movehl_ps(b, b));
    return _mm_cvtss_f32(_mm_add_ss(b, _mm_movehdup_ps(b)));
}

static inline __m256 fold4(__m256 a, __m256 b)
{
    return _mm256_add_ps(_mm256_permute2f128_ps(a, b, 0x20), _mm256_permute2f128_ps(a, b, 0x31));
}
static inline __m256 fold2(__m256 a, __m256 b)
{
    __m256d p = _mm256_castps_pd(a), q = _mm256_castps_pd(b);
    return _mm256_add_ps(_mm256_castpd_ps(_mm256_unpacklo_pd(p, q)), _mm256_castpd_ps(_mm256_unpackhi_pd(p, q)));
}
static inline __m256 fold1(__m256 a, __m256 b)
{
    return _mm256_add_ps(_mm256_shuffle_ps(a, b, 0x88), _mm256_shuffle_ps(a, b, 0xDD));
}

static inline __m256 load_part(const float *x, size_t left)
{
    return left >= LANES ? _mm256_loadu_ps(x) : _mm256_maskload_ps(x, mask_of(left));
}

static void dot_8(const float *w, const float *x, size_t x_stride, size_t in, __m256 bias, bool relu, float *y)
{
    __m256 acc[8];
#pragma GCC unroll 8
    for (int r = 0; r < 8; r++) acc[r] = _mm256_setzero_ps();
    for (size_t k = 0; k < in; k += LANES) {
        __m256 weight = _mm256_loadu_ps(w + k);
#pragma GCC unroll 8
        for (size_t r = 0; r < 8; r++)
            acc[r] = _mm256_fmadd_ps(load_part(x + r * x_stride + k, in - k), weight, acc[r]);
    }
    __m256 pair[4];
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) pair[i] = fold4(acc[i], acc[i + 4]);
    __m256 sum = _mm256_add_ps(fold1(fold2(pair[0], pair[1]), fold2(pair[2], pair[3])), bias);
    _mm256_storeu_ps(y, relu ? relu_of(sum) : sum);
}

static float dot_1(const float *w, const float *x, size_t in)
{
    __m256 acc = _mm256_setzero_ps();
    for (size_t k = 0; k < in; k += LANES) acc = _mm256_fmadd_ps(load_part(x + k, in - k), _mm256_loadu_ps(w + k), acc);
    return sum_lanes(acc);
}

static void run_dot(const struct lp_dense_layer *layer, const float *x, uint32_t rows, float *y)
{
    const float *w = layer->packed + LANES;
    const size_t in = layer->in_width, x_stride = lp_dense_x_stride(layer), y_stride = lp_dense_y_stride(layer);
    float bias = layer->packed[0];
    for (; rows >= 8; rows -= 8, x += 8 * x_stride, y += 8 * y_stride) {
        float sums[8], *to = y_stride == 1 ? y : sums;
        dot_8(w, x, x_stride, in, _mm256_set1_ps(bias), layer->relu, to);
        for (size_t r = 0; to == sums && r < 8; r++) y[r * y_stride] = sums[r];
    }
    for (uint32_t r = 0; r < rows; r++) {
        float sum = dot_1(w, x + r * x_stride, in) + bias;
        y[r * y_stride] = layer->relu && sum < 0.0f ? 0.0f : sum;
    }
}

static void run(const struct lp_dense_layer *layer, const float *x, uint32_t row_count, float *y)
{
    if (row_count == 0 || layer->out_width == 0) return;
    if (layer->out_width == 1) {
        run_dot(layer, x, row_count, y);
        return;
    }
    struct tile t = {layer->packed,
                     layer->packed + round_up(layer->out_width),
                     x,
                     y,
                     layer->in_width,
                     layer->out_width,
                     lp_dense_x_stride(layer),
                     lp_dense_y_stride(layer),
                     LANES};
    if (layer->relu) run_blocks(t, row_count, true);
    else run_blocks(t, row_count, false);
}

const struct lp_dense_kernel lp_dense_f32_avx2 = {"avx2", packed_floats, pack, run, NULL};
