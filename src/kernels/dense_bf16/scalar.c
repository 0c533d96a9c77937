/* Reference: [bias][in][out], weights as given; the row is rounded to bf16 value by value. */
#include "kernels/dense_bf16/dense_bf16.h"

#include <string.h>

static size_t packed_bytes(uint32_t in_width, uint32_t out_width)
{
    size_t bytes;
    if (__builtin_mul_overflow((size_t)in_width * sizeof(uint16_t) + sizeof(float), (size_t)out_width, &bytes))
        return 0;
    return bytes;
}

static void pack(const uint16_t *weight, const float *bias, uint32_t in_width, uint32_t out_width, void *packed)
{
    float *to = packed;
    for (uint32_t n = 0; n < out_width; n++) to[n] = bias != NULL ? bias[n] : 0.0f;
    memcpy(to + out_width, weight, (size_t)in_width * out_width * sizeof *weight);
}

static size_t scratch_bytes(uint32_t in_width, uint32_t row_count)
{
    (void)in_width, (void)row_count;
    return 0;
}

static float of_bits(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* The nearest bf16, halves to even. NaN stays NaN: its low half must not carry it to infinity or zero. */
static float rounded(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    if ((bits & 0x7FFFFFFFu) > 0x7F800000u) return x;
    return of_bits((bits + 0x7FFFu + (bits >> 16 & 1u)) & 0xFFFF0000u);
}

static void run_row(const struct lp_dense_bf16_layer *layer, const float *x, float *y)
{
    const float *bias = layer->packed;
    const uint16_t *weight = (const uint16_t *)(const void *)(bias + layer->out_width);
    memcpy(y, bias, layer->out_width * sizeof *y);
    for (uint32_t k = 0; k < layer->in_width; k++, weight += layer->out_width) {
        float value = rounded(x[k]);
        for (uint32_t n = 0; n < layer->out_width; n++) y[n] += value * of_bits((uint32_t)weight[n] << 16);
    }
    for (uint32_t n = 0; layer->relu && n < layer->out_width; n++) y[n] = y[n] < 0.0f ? 0.0f : y[n];
}

static void run(const struct lp_dense_bf16_layer *layer, const float *x, uint32_t row_count, float *y, void *scratch)
{
    (void)scratch;
    for (uint32_t r = 0; r < row_count; r++)
        run_row(layer, x + r * lp_dense_bf16_x_stride(layer), y + r * lp_dense_bf16_y_stride(layer));
}

const struct lp_dense_bf16_kernel lp_dense_bf16_scalar = {"scalar", packed_bytes, pack, scratch_bytes, run};
