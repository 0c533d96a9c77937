/*
 * NEON: blocks of 8 columns, packed [out / 8][in][8], columns padded with zeros; tiles of 8 rows x 8 columns hold 16 of
 * the 32 registers. Packed: [columns] bias, then the blocks. Columns are cut in the store; k needs no tail. Accuracy:
 * one rounding a product and sum (FMA).
 */
#include "kernels/dense/dense.h"

#include "kernels/lanes/lanes.h"

enum { BLOCK = 2 * LANES, TILE_ROWS = 8 };

static size_t round_up(size_t n) { return (n + BLOCK - 1) / BLOCK * BLOCK; }

static size_t packed_floats(uint32_t in_width, uint32_t out_width)
{
    size_t floats;
    if (__builtin_mul_overflow((size_t)in_width + 1, round_up(out_width), &floats)) return 0;
    return floats;
}

static void pack(const float *weight, const float *bias, uint32_t in_width, uint32_t out_width, float *packed)
{
    memset(packed, 0, packed_floats(in_width, out_width) * sizeof *packed);
    if (bias != NULL) memcpy(packed, bias, out_width * sizeof *packed);
    packed += round_up(out_width);
    for (uint32_t first = 0; first < out_width; first += BLOCK) {
        uint32_t used = out_width - first < BLOCK ? out_width - first : BLOCK;
        for (uint32_t k = 0; k < in_width; k++, packed += BLOCK)
            memcpy(packed, weight + (size_t)k * out_width + first, used * sizeof *packed);
    }
}

struct tile {
    const float *bias, *weight, *x;
    float *y;
    size_t in_width, x_stride, y_stride;
    size_t columns; /* of the block, at least 1 */
};

INLINE void run_tile(const struct tile *t, const int rows, const bool relu)
{
    lanes acc[TILE_ROWS][2];
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++) {
        acc[r][0] = load(t->bias);
        acc[r][1] = load(t->bias + LANES);
    }
    const float *weight = t->weight;
    for (size_t k = 0; k < t->in_width; k++, weight += BLOCK) {
        lanes a = load(weight), b = load(weight + LANES);
#pragma GCC unroll 8
        for (int r = 0; r < rows; r++) {
            lanes value = all_of(t->x[(size_t)r * t->x_stride + k]);
            acc[r][0] = fused(value, a, acc[r][0]);
            acc[r][1] = fused(value, b, acc[r][1]);
        }
    }
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++) {
        float *to = t->y + (size_t)r * t->y_stride;
        /* Relu keeps NaN: the larger is the second when either is NaN. */
        store_part(to, t->columns, relu ? larger(zeros(), acc[r][0]) : acc[r][0]);
        if (t->columns > LANES)
            store_part(to + LANES, t->columns - LANES, relu ? larger(zeros(), acc[r][1]) : acc[r][1]);
    }
}

INLINE void run_rows(struct tile t, uint32_t rows, const bool relu)
{
    for (; rows >= TILE_ROWS; rows -= TILE_ROWS) {
        run_tile(&t, TILE_ROWS, relu);
        t.x += TILE_ROWS * t.x_stride;
        t.y += TILE_ROWS * t.y_stride;
    }
    switch (rows) {
    case 7: run_tile(&t, 7, relu); break;
    case 6: run_tile(&t, 6, relu); break;
    case 5: run_tile(&t, 5, relu); break;
    case 4: run_tile(&t, 4, relu); break;
    case 3: run_tile(&t, 3, relu); break;
    case 2: run_tile(&t, 2, relu); break;
    case 1: run_tile(&t, 1, relu); break;
    default: break;
    }
}

static void run(const struct lp_dense_layer *layer, const float *x, uint32_t row_count, float *y)
{
    const float *weight = layer->packed + round_up(layer->out_width);
    struct tile t = {.x = x,
                     .in_width = layer->in_width,
                     .x_stride = lp_dense_x_stride(layer),
                     .y_stride = lp_dense_y_stride(layer)};
    for (uint32_t first = 0; first < layer->out_width; first += BLOCK) {
        t.bias = layer->packed + first;
        t.weight = weight + (size_t)first * layer->in_width;
        t.y = y + first;
        t.columns = layer->out_width - first;
        if (layer->relu) run_rows(t, row_count, true);
        else run_rows(t, row_count, false);
    }
}

const struct lp_dense_kernel lp_dense_f32_neon = {"neon", packed_floats, pack, run, NULL};
