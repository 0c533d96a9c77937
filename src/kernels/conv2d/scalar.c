/* Reference: [bias][weight] as given; the part of the kernel that lies inside the image is summed. */
#include "kernels/conv2d/conv2d.h"

#include <string.h>

static size_t weight_floats(const struct lp_conv2d *c)
{
    size_t floats = c->out_channels;
    if (__builtin_mul_overflow(floats, (size_t)(c->channels / c->group), &floats) ||
        __builtin_mul_overflow(floats, (size_t)c->kernel[0], &floats) ||
        __builtin_mul_overflow(floats, (size_t)c->kernel[1], &floats))
        return 0;
    return floats;
}

static size_t packed_floats(const struct lp_conv2d *conv)
{
    size_t floats = weight_floats(conv);
    if (floats == 0 || __builtin_add_overflow(floats, (size_t)conv->out_channels, &floats)) return 0;
    return floats;
}

static void pack(const struct lp_conv2d *conv, const float *weight, const float *bias, float *packed)
{
    for (uint32_t o = 0; o < conv->out_channels; o++) packed[o] = bias != NULL ? bias[o] : 0.0f;
    memcpy(packed + conv->out_channels, weight, weight_floats(conv) * sizeof *packed);
}

static size_t scratch_bytes(const struct lp_conv2d *conv)
{
    (void)conv;
    return 0;
}

/* Where a kernel's row or column lies in the image; at least `limit` when outside, negative ones wrapped around. */
static inline uint64_t place(uint32_t out, uint32_t stride, uint32_t tap, uint32_t dilation, uint32_t pad)
{
    return (uint64_t)out * stride + (uint64_t)tap * dilation - pad;
}

static float at(const struct lp_conv2d *c, const float *x, const float *w, float sum, uint32_t row, uint32_t column)
{
    for (uint32_t channel = 0; channel < c->channels / c->group; channel++, x += (size_t)c->height * c->width) {
        for (uint32_t i = 0; i < c->kernel[0]; i++, w += c->kernel[1]) {
            uint64_t from = place(row, c->strides[0], i, c->dilations[0], c->pad_top);
            for (uint32_t j = 0; from < c->height && j < c->kernel[1]; j++) {
                uint64_t k = place(column, c->strides[1], j, c->dilations[1], c->pad_left);
                if (k < c->width) sum += x[from * c->width + k] * w[j];
            }
        }
    }
    return sum;
}

static void run_record(const struct lp_conv2d *c, const float *x, float *y)
{
    uint32_t in_group = c->channels / c->group, out_group = c->out_channels / c->group;
    size_t taps = (size_t)in_group * c->kernel[0] * c->kernel[1];
    for (uint32_t o = 0; o < c->out_channels; o++) {
        const float *w = c->packed + c->out_channels + o * taps;
        const float *from = x + (size_t)(o / out_group) * in_group * c->height * c->width;
        for (uint32_t row = 0; row < c->out_height; row++) {
            for (uint32_t column = 0; column < c->out_width; column++) {
                float value = at(c, from, w, c->packed[o], row, column);
                *y++ = c->relu && value < 0.0f ? 0.0f : value;
            }
        }
    }
}

static void run(const struct lp_conv2d *conv, const float *x, uint32_t record_count, float *y, void *scratch)
{
    (void)scratch;
    size_t x_stride = conv->x_stride != 0 ? conv->x_stride : (size_t)conv->channels * conv->height * conv->width;
    size_t y_floats = (size_t)conv->out_channels * conv->out_height * conv->out_width;
    size_t y_stride = conv->y_stride != 0 ? conv->y_stride : y_floats;
    for (uint32_t r = 0; r < record_count; r++) run_record(conv, x + r * x_stride, y + r * y_stride);
}

const struct lp_conv2d_kernel lp_conv2d_f32_scalar = {"scalar", packed_floats, pack, scratch_bytes, run};
