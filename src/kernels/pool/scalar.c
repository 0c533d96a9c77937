/* Reference: one window at a time; which of its rows and columns lie in the image is known before its values are read.
 */
#include "kernels/pool/pool.h"

#include <math.h>

/* Of the taps of a window along one axis: [first, end) lie in the image, `counted` in the padded image. */
struct taps {
    uint32_t first, end, counted;
    int64_t from; /* place of tap 0; negative: in the padding */
};

static struct taps taps_of(uint32_t out, uint32_t kernel, uint32_t stride, uint32_t dilation, uint32_t pad_before,
                           uint32_t pad_after, uint32_t size)
{
    struct taps taps = {.from = (int64_t)out * stride - pad_before};
    for (uint32_t i = 0; i < kernel; i++) {
        int64_t at = taps.from + (int64_t)i * dilation;
        if (at < 0) taps.first = i + 1;
        if (at < (int64_t)size) taps.end = i + 1;
        if (at < (int64_t)size + pad_after) taps.counted = i + 1;
    }
    if (taps.first > taps.end) taps.first = taps.end;
    return taps;
}

static float window(const struct lp_pool2d *p, const float *x, const struct taps *rows, const struct taps *columns)
{
    float sum = 0.0f, max = -INFINITY;
    for (uint32_t j = columns->first; j < columns->end; j++) {
        float part = 0.0f;
        const float *from = x + columns->from + (int64_t)j * p->dilations[1];
        for (uint32_t i = rows->first; i < rows->end; i++) {
            float value = from[(rows->from + (int64_t)i * p->dilations[0]) * p->width];
            part += value;
            max = value > max || isnan(value) ? value : max;
        }
        sum += part;
    }
    if (!p->average) return max;
    uint32_t inside = (rows->end - rows->first) * (columns->end - columns->first);
    uint32_t count = p->count_pad ? rows->counted * columns->counted : inside;
    return count > 0 ? sum / (float)count : 0.0f;
}

static void run_channel(const struct lp_pool2d *p, const float *x, float *y)
{
    for (uint32_t row = 0; row < p->out_height; row++) {
        struct taps rows =
            taps_of(row, p->kernel[0], p->strides[0], p->dilations[0], p->pads[0], p->pads[2], p->height);
        for (uint32_t column = 0; column < p->out_width; column++) {
            struct taps columns =
                taps_of(column, p->kernel[1], p->strides[1], p->dilations[1], p->pads[1], p->pads[3], p->width);
            *y++ = window(p, x, &rows, &columns);
        }
    }
}

static void run(const struct lp_pool2d *pool, const float *x, uint32_t record_count, float *y)
{
    size_t image = (size_t)pool->height * pool->width, out = (size_t)pool->out_height * pool->out_width;
    size_t x_stride = pool->x_stride != 0 ? pool->x_stride : pool->channels * image;
    size_t y_stride = pool->y_stride != 0 ? pool->y_stride : pool->channels * out;
    for (uint32_t r = 0; r < record_count; r++, x += x_stride, y += y_stride)
        for (uint32_t c = 0; c < pool->channels; c++) run_channel(pool, x + c * image, y + c * out);
}

const struct lp_pool2d_kernel lp_pool2d_f32_scalar = {"scalar", run};
