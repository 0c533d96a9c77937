/* Reference: [bias][in][out] as given; accumulates over rising k in float, without fused multiply-add. */
#include "kernels/dense/dense.h"

#include <string.h>

static size_t packed_floats(uint32_t in_width, uint32_t out_width)
{
    size_t floats;
    if (__builtin_mul_overflow((size_t)in_width + 1, (size_t)out_width, &floats)) return 0;
    return floats;
}

static void pack(const float *weight, const float *bias, uint32_t in_width, uint32_t out_width, float *packed)
{
    if (bias != NULL) memcpy(packed, bias, out_width * sizeof *packed);
    else memset(packed, 0, out_width * sizeof *packed);
    memcpy(packed + out_width, weight, (size_t)in_width * out_width * sizeof *packed);
}

static void run_row(const struct lp_dense_layer *layer, const float *restrict x, float *restrict y)
{
    const float *restrict weight = layer->packed + layer->out_width;
    memcpy(y, layer->packed, layer->out_width * sizeof *y);
    for (uint32_t k = 0; k < layer->in_width; k++) {
        for (uint32_t n = 0; n < layer->out_width; n++) y[n] += x[k] * weight[(size_t)k * layer->out_width + n];
    }
    for (uint32_t n = 0; layer->relu && n < layer->out_width; n++) y[n] = y[n] < 0.0f ? 0.0f : y[n];
}

static void run(const struct lp_dense_layer *layer, const float *x, uint32_t row_count, float *y)
{
    for (uint32_t r = 0; r < row_count; r++)
        run_row(layer, x + r * lp_dense_x_stride(layer), y + r * lp_dense_y_stride(layer));
}

const struct lp_dense_kernel lp_dense_f32_scalar = {"scalar", packed_floats, pack, run, NULL};
