/* Pooling of random shapes against windows taken value by value in the header's order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "guard.h"
#include "kernels/pool/pool.h"
#include "random.h"

enum { KERNELS_MAX = 8, FLOATS_MAX = 40000, RECORDS = 2, SHAPES = 1500 };

static const struct lp_pool2d_kernel *kernels[KERNELS_MAX];
static uint32_t kernel_count;
static struct guarded x_pages, y_pages;

static float expected(const struct lp_pool2d *p, const float *x, uint32_t row, uint32_t column)
{
    float max = -INFINITY, sum = 0, inside = 0, area = 0;
    for (uint32_t j = 0; j < p->kernel[1]; j++) {
        float part = 0;
        int64_t c = (int64_t)column * p->strides[1] + (int64_t)j * p->dilations[1] - p->pads[1];
        for (uint32_t i = 0; i < p->kernel[0]; i++) {
            int64_t r = (int64_t)row * p->strides[0] + (int64_t)i * p->dilations[0] - p->pads[0];
            area += r < (int64_t)p->height + p->pads[2] && c < (int64_t)p->width + p->pads[3];
            if (r < 0 || c < 0 || r >= p->height || c >= p->width) continue;
            float value = x[r * p->width + c];
            max = isnan(max) || isnan(value) ? NAN : fmaxf(max, value);
            part += value;
            inside++;
        }
        sum += part;
    }
    float count = p->count_pad ? area : inside;
    return !p->average ? max : count > 0 ? sum / count : 0;
}

static void run_and_check(const struct lp_pool2d_kernel *kernel, struct lp_pool2d p, int at_end)
{
    size_t image = (size_t)p.height * p.width, windows = (size_t)p.out_height * p.out_width;
    size_t in = p.channels * image, out = p.channels * windows;
    size_t x_stride = p.x_stride != 0 ? p.x_stride : in, y_stride = p.y_stride != 0 ? p.y_stride : out;
    float *x = guarded_place(&x_pages, sizeof *x * ((RECORDS - 1) * x_stride + in), at_end);
    float *y = guarded_place(&y_pages, sizeof *y * ((RECORDS - 1) * y_stride + out), at_end);
    random_floats(x, (RECORDS - 1) * x_stride + in);
    if (p.width % 4 == 3) x[in / 2] = NAN;
    kernel->run(&p, x, RECORDS, y);
    for (size_t at = 0; at < RECORDS * out; at++) {
        size_t r = at / out, channel = at % out / windows, row = at % windows / p.out_width, column = at % p.out_width;
        float want = expected(&p, x + r * x_stride + channel * image, (uint32_t)row, (uint32_t)column);
        float got = y[r * y_stride + at % out];
        if (isnan(want) ? !isnan(got) : got != want)
            fail_msg("%s %s %ux%u to %ux%u kernel %ux%u stride %ux%u dilation %ux%u pads %u %u %u %u: [%zu][%zu] is "
                     "%.9g, want %.9g",
                     kernel->name, p.average ? "average" : "max", p.height, p.width, p.out_height, p.out_width,
                     p.kernel[0], p.kernel[1], p.strides[0], p.strides[1], p.dilations[0], p.dilations[1], p.pads[0],
                     p.pads[1], p.pads[2], p.pads[3], row, column, (double)got, (double)want);
    }
}

static struct lp_pool2d random_shape(uint32_t n)
{
    struct lp_pool2d p = {.channels = 1 + random_below(3), .average = n % 2 == 1, .count_pad = n % 4 == 1};
    uint32_t out[2], sizes[2] = {1 + random_below(9), 1 + random_below(n % 5 == 0 ? 90 : 12)};
    for (int axis = 0; axis < 2; axis++) {
        p.kernel[axis] = 1 + random_below(4);
        p.strides[axis] = 1 + random_below(3);
        p.dilations[axis] = random_below(4) == 0 ? 2 : 1;
        p.pads[axis] = random_below(2);
        p.pads[axis + 2] = random_below(2);
        uint32_t reach = (p.kernel[axis] - 1) * p.dilations[axis] + 1,
                 size = sizes[axis] + p.pads[axis] + p.pads[axis + 2];
        bool ceil = n % 3 == 0;
        out[axis] = size < reach ? 1 : (size - reach + (ceil ? p.strides[axis] - 1 : 0)) / p.strides[axis] + 1;
    }
    p.height = sizes[0];
    p.width = sizes[1];
    p.out_height = out[0];
    p.out_width = out[1];
    if (n % 7 == 0) p.x_stride = (size_t)p.channels * p.height * p.width + 3;
    if (n % 7 == 1) p.y_stride = (size_t)p.channels * p.out_height * p.out_width + 3;
    return p;
}

static void random_shapes_give_the_windows_bits(void **state)
{
    (void)state;
    for (uint32_t n = 0; n < SHAPES; n++) {
        struct lp_pool2d p = random_shape(n);
        for (uint32_t i = 0; i < kernel_count; i++) run_and_check(kernels[i], p, (int)(n % 2));
    }
}

/* What a vector takes several rows of, and its neighbours. */
static void small_images_are_halved(void **state)
{
    (void)state;
    static const uint32_t widths[] = {2, 3, 4, 6, 8, 16, 17, 32};
    for (uint32_t i = 0; i < kernel_count; i++)
        for (uint32_t n = 0; n < 8 * 7 * 6 * 2; n++) {
            uint32_t width = widths[n % 8], height = 2 + n / 8 % 7, channels = 1 + n / 56 % 6;
            struct lp_pool2d p = {.channels = channels,
                                  .height = height,
                                  .width = width,
                                  .out_height = height / 2,
                                  .out_width = width / 2,
                                  .kernel = {2, 2},
                                  .strides = {2, 2},
                                  .dilations = {1, 1},
                                  .average = n / 336 == 1};
            run_and_check(kernels[i], p, (int)(n % 2));
        }
}

static void the_usual_shapes_and_wide_images_too(void **state)
{
    (void)state;
    static const struct lp_pool2d shapes[] = {
        {.channels = 16,
         .height = 8,
         .width = 8,
         .out_height = 4,
         .out_width = 4,
         .kernel = {2, 2},
         .strides = {2, 2},
         .dilations = {1, 1}},
        {.channels = 2,
         .height = 7,
         .width = 7,
         .out_height = 1,
         .out_width = 1,
         .kernel = {7, 7},
         .strides = {1, 1},
         .dilations = {1, 1},
         .average = true},
        {.channels = 1,
         .height = 2,
         .width = 1500,
         .out_height = 1,
         .out_width = 750,
         .kernel = {2, 2},
         .strides = {2, 2},
         .dilations = {1, 1},
         .average = true},
        {.channels = 1,
         .height = 1,
         .width = 1024,
         .out_height = 1,
         .out_width = 1024,
         .kernel = {1, 1},
         .strides = {1, 1},
         .dilations = {1, 1}},
        {.channels = 1,
         .height = 1,
         .width = 1000,
         .out_height = 1,
         .out_width = 500,
         .kernel = {1, 2},
         .strides = {2, 2},
         .dilations = {1, 1}},
    };
    for (uint32_t i = 0; i < kernel_count; i++)
        for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++) run_and_check(kernels[i], shapes[s], 1);
}

int main(void)
{
    x_pages = guarded_new(sizeof(float) * FLOATS_MAX);
    y_pages = guarded_new(sizeof(float) * FLOATS_MAX);
    kernel_count = lp_pool2d_kernels(lp_cpu_get(), kernels, KERNELS_MAX);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_shapes_give_the_windows_bits),
        cmocka_unit_test(small_images_are_halved),
        cmocka_unit_test(the_usual_shapes_and_wide_images_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
