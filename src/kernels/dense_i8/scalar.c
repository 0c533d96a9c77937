/* Reference: [bias][factor per output][in][out] as given. The row is quantized into scratch first. */
#include "kernels/dense_i8/dense_i8.h"

#include <float.h>
#include <math.h>
#include <string.h>

static size_t packed_bytes(uint32_t in_width, uint32_t out_width)
{
    size_t bytes;
    if (in_width > LP_DENSE_I8_IN_MAX) return 0;
    if (__builtin_mul_overflow((size_t)in_width + 2 * sizeof(float), (size_t)out_width, &bytes)) return 0;
    return bytes;
}

static void pack(const int8_t *weight, const float *weight_scale, uint32_t weight_scale_count, const float *bias,
                 uint32_t in_width, uint32_t out_width, void *packed)
{
    float *to = packed;
    for (uint32_t n = 0; n < out_width; n++) {
        to[n] = bias != NULL ? bias[n] : 0.0f;
        to[out_width + n] = weight_scale[weight_scale_count == 1 ? 0 : n];
    }
    memcpy(to + 2 * (size_t)out_width, weight, (size_t)in_width * out_width);
}

static size_t scratch_bytes(uint32_t in_width, uint32_t row_count)
{
    (void)row_count;
    return in_width * sizeof(int32_t);
}

/* The row's scale and zero point; NaN as scale: the row has no result. */
static float choose_scale(const struct lp_dense_i8_layer *layer, const float *x, int32_t *ret_zero)
{
    float low = 0.0f, high = 0.0f, scale = layer->input_scale;
    bool nan = false;
    for (uint32_t k = 0; k < layer->in_width; k++) {
        low = x[k] < low ? x[k] : low;
        high = x[k] > high ? x[k] : high;
        nan = nan || isnan(x[k]);
    }
    *ret_zero = layer->input_zero_point;
    if (layer->dynamic) {
        float range = high - low;
        scale = range < 255.0f * FLT_MIN ? 1.0f : range / 255.0f;
        nan = nan || isinf(range);
        float zero = nan ? 0.0f : rintf(-low / scale);
        *ret_zero = (int32_t)(zero > 255.0f ? 255.0f : zero);
    }
    return nan ? NAN : scale;
}

static void quantize(const struct lp_dense_i8_layer *layer, const float *x, float scale, int32_t zero, int32_t *q)
{
    for (uint32_t k = 0; k < layer->in_width; k++) {
        float at = rintf(x[k] / scale) + (float)zero;
        at = at > 0.0f ? at : 0.0f;
        q[k] = (int32_t)(at < 255.0f ? at : 255.0f) - zero;
    }
}

static void run_row(const struct lp_dense_i8_layer *layer, const float *x, float *y, int32_t *q)
{
    const float *bias = layer->packed, *factor = bias + layer->out_width;
    const int8_t *weight = (const int8_t *)(factor + layer->out_width);
    int32_t zero;
    float scale = choose_scale(layer, x, &zero);
    if (!isnan(scale)) quantize(layer, x, scale, zero, q);
    for (uint32_t n = 0; n < layer->out_width; n++) {
        int32_t sum = 0;
        for (uint32_t k = 0; !isnan(scale) && k < layer->in_width; k++)
            sum += q[k] * weight[(size_t)k * layer->out_width + n];
        float value = scale * factor[n] * (float)sum + bias[n];
        y[n] = layer->relu && value < 0.0f ? 0.0f : value;
    }
}

static void run(const struct lp_dense_i8_layer *layer, const float *x, uint32_t row_count, float *y, void *scratch)
{
    for (uint32_t r = 0; r < row_count; r++)
        run_row(layer, x + r * lp_dense_i8_x_stride(layer), y + r * lp_dense_i8_y_stride(layer), scratch);
}

const struct lp_dense_i8_kernel lp_dense_i8_scalar = {"scalar", packed_bytes, pack, scratch_bytes, run};
