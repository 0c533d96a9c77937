#include "kernels/dense_i8/private.h"

#include <string.h>

static size_t round_up(size_t n, size_t to) { return (n + to - 1) / to * to; }

size_t lp_dense_i8_rows_bytes(uint32_t row_count, size_t value_bytes, uint32_t in_width)
{
    size_t heads = 2 * round_up(row_count * sizeof(float), LP_DENSE_I8_ROW_ALIGN);
    return heads + row_count * round_up(value_bytes * in_width, LP_DENSE_I8_ROW_ALIGN);
}

struct lp_dense_i8_rows lp_dense_i8_rows_at(void *scratch, uint32_t row_count, size_t value_bytes, uint32_t in_width)
{
    unsigned char *at = scratch;
    size_t head = round_up(row_count * sizeof(float), LP_DENSE_I8_ROW_ALIGN);
    return (struct lp_dense_i8_rows){.scales = (float *)(void *)at,
                                     .zeros = (int32_t *)(void *)(at + head),
                                     .values = at + 2 * head,
                                     .row_bytes = round_up(value_bytes * in_width, LP_DENSE_I8_ROW_ALIGN)};
}

size_t lp_dense_i8_fours_bytes(uint32_t in_width, uint32_t out_width, uint32_t lanes, uint32_t inputs)
{
    size_t columns = round_up(out_width, lanes), bytes;
    if (in_width > LP_DENSE_I8_IN_MAX) return 0;
    if (__builtin_mul_overflow(round_up(in_width, inputs) + 3 * sizeof(float), columns, &bytes)) return 0;
    return bytes;
}

static void pack_block(const int8_t *weight, uint32_t in_width, uint32_t out_width, uint32_t used, uint32_t columns,
                       uint32_t inputs, int8_t *to)
{
    memset(to, 0, round_up(in_width, inputs) * columns);
    for (uint32_t k = 0; k < in_width; k++) {
        int8_t *four = to + (size_t)(k / 4) * columns * 4 + k % 4;
        for (uint32_t n = 0; n < used; n++) four[n * 4] = weight[(size_t)k * out_width + n];
    }
}

void lp_dense_i8_fours_pack(const int8_t *weight, const float *weight_scale, uint32_t weight_scale_count,
                            const float *bias, uint32_t in_width, uint32_t out_width, uint32_t lanes, uint32_t inputs,
                            void *packed)
{
    size_t columns = round_up(out_width, lanes);
    float *to_bias = packed, *to_factor = to_bias + columns;
    int32_t *to_sum = (int32_t *)(void *)(to_factor + columns);
    int8_t *to = (int8_t *)(to_sum + columns);
    memset(packed, 0, 3 * columns * sizeof(float));
    for (uint32_t n = 0; n < out_width; n++) {
        to_bias[n] = bias != NULL ? bias[n] : 0.0f;
        to_factor[n] = weight_scale[weight_scale_count == 1 ? 0 : n];
        for (uint32_t k = 0; k < in_width; k++) to_sum[n] += weight[(size_t)k * out_width + n];
    }
    for (uint32_t first = 0; first < out_width; first += 2 * lanes) {
        uint32_t left = out_width - first, block = left > lanes ? 2 * lanes : lanes;
        pack_block(weight + first, in_width, out_width, left < block ? left : block, block, inputs, to);
        to += round_up(in_width, inputs) * block;
    }
}

struct lp_dense_i8_fours lp_dense_i8_fours_of(const struct lp_dense_i8_layer *layer, uint32_t lanes, uint32_t inputs)
{
    size_t columns = round_up(layer->out_width, lanes);
    const float *bias = layer->packed;
    const int32_t *sum = (const int32_t *)(const void *)(bias + 2 * columns);
    return (struct lp_dense_i8_fours){.bias = bias,
                                      .factor = bias + columns,
                                      .sum = sum,
                                      .weight = (const int8_t *)(sum + columns),
                                      .fours = round_up(layer->in_width, inputs) / 4};
}
