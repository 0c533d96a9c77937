/* Convolutions of random shapes against sums in double over the padded image, within the bound of a float sum. */
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
#include "kernels/conv2d/conv2d.h"
#include "random.h"

enum { KERNELS_MAX = 8, FLOATS_MAX = 400000, RECORDS_MAX = 5, SHAPES = 400 };

static const struct lp_conv2d_kernel *kernels[KERNELS_MAX];
static uint32_t kernel_count;
static struct guarded x_pages, y_pages, packed_pages, scratch_pages;
static float weight[65536], bias[64];

static float pixel(const struct lp_conv2d *c, const float *x, uint32_t channel, int64_t row, int64_t column)
{
    if (row < 0 || column < 0 || row >= c->height || column >= c->width) return 0;
    return x[((size_t)channel * c->height + (size_t)row) * c->width + (size_t)column];
}

static void check_one(const char *name, const struct lp_conv2d *c, const float *b, const float *x, uint32_t o,
                      uint32_t row, uint32_t column, float got)
{
    uint32_t in_group = c->channels / c->group, group = o / (c->out_channels / c->group);
    double sum = b != NULL ? (double)b[o] : 0, size = fabs(sum);
    const float *w = weight + (size_t)o * in_group * c->kernel[0] * c->kernel[1];
    for (uint32_t channel = 0; channel < in_group; channel++) {
        for (uint32_t i = 0; i < c->kernel[0]; i++) {
            for (uint32_t j = 0; j < c->kernel[1]; j++) {
                int64_t from_row = (int64_t)row * c->strides[0] + (int64_t)i * c->dilations[0] - c->pad_top;
                int64_t from_column = (int64_t)column * c->strides[1] + (int64_t)j * c->dilations[1] - c->pad_left;
                double term = (double)*w++ * (double)pixel(c, x, group * in_group + channel, from_row, from_column);
                sum += term;
                size += fabs(term);
            }
        }
    }
    if (c->relu && sum < 0) sum = 0;
    double bound = (in_group * c->kernel[0] * c->kernel[1] + 2.0) * size * 0x1p-24;
    if (isnan(sum) ? !isnan(got) : !(fabs((double)got - sum) <= bound))
        fail_msg("%s %ux%ux%u to %ux%ux%u kernel %ux%u stride %ux%u dilation %ux%u group %u: [%u][%u][%u] is %.9g, "
                 "want %.9g within %g",
                 name, c->channels, c->height, c->width, c->out_channels, c->out_height, c->out_width, c->kernel[0],
                 c->kernel[1], c->strides[0], c->strides[1], c->dilations[0], c->dilations[1], c->group, o, row, column,
                 (double)got, sum, bound);
}

static void run_and_check(const struct lp_conv2d_kernel *kernel, struct lp_conv2d *c, const float *b, uint32_t records,
                          int at_end)
{
    size_t in = (size_t)c->channels * c->height * c->width;
    size_t out = (size_t)c->out_channels * c->out_height * c->out_width;
    size_t x_stride = c->x_stride != 0 ? c->x_stride : in, y_stride = c->y_stride != 0 ? c->y_stride : out;
    float *packed = guarded_place(&packed_pages, (kernel->packed_floats(c) * sizeof(float) + 63) / 64 * 64, 1);
    void *scratch = guarded_place(&scratch_pages, (kernel->scratch_bytes(c) + 63) / 64 * 64, 1);
    float *x = guarded_place(&x_pages, sizeof *x * ((records - 1) * x_stride + in), at_end);
    float *y = guarded_place(&y_pages, sizeof *y * ((records - 1) * y_stride + out), at_end);
    random_floats(x, (records - 1) * x_stride + in);
    if (c->width % 3 == 2) x[in / 2] = NAN;
    kernel->pack(c, weight, b, packed);
    c->packed = packed;
    for (size_t i = 0; i < (records - 1) * y_stride + out; i++) y[i] = -77.0f;
    kernel->run(c, x, records, y, scratch);
    for (uint32_t r = 0; r < records; r++) {
        const float *at = y + r * y_stride;
        for (uint32_t o = 0; o < c->out_channels; o++)
            for (uint32_t row = 0; row < c->out_height; row++)
                for (uint32_t column = 0; column < c->out_width; column++)
                    check_one(kernel->name, c, b, x + r * x_stride, o, row, column, *at++);
    }
    for (size_t i = 0; i + out < (records - 1) * y_stride; i++)
        if (i % y_stride >= out) assert_true(y[i] == -77.0f);
    /* A record's bits do not depend on its neighbours. */
    float *alone = malloc(sizeof *alone * out);
    assert_non_null(alone);
    for (uint32_t r = 0; r < records; r++) {
        kernel->run(c, x + r * x_stride, 1, alone, scratch);
        for (size_t i = 0; i < out; i++)
            assert_true(isnan(alone[i]) ? isnan(y[r * y_stride + i]) : alone[i] == y[r * y_stride + i]);
    }
    free(alone);
}

/* Padding at the end follows from the output's size, so any that is at most what fits is a shape. */
static struct lp_conv2d random_shape(void)
{
    struct lp_conv2d c = {.group = random_below(4) == 0 ? 1 + random_below(3) : 1};
    c.channels = c.group * (1 + random_below(4));
    c.out_channels = c.group * (1 + random_below(11));
    if (c.group == 1 && random_below(3) == 0) { /* as many out channels as vectors hold, of more taps */
        c.channels = 1 + random_below(12);
        c.out_channels = 13 + random_below(52);
    }
    c.height = 1 + random_below(9);
    c.width = 1 + random_below(random_below(5) == 0 ? 40 : 10);
    for (int axis = 0; axis < 2; axis++) {
        c.kernel[axis] = 1 + random_below(4);
        c.strides[axis] = random_below(3) == 0 ? 2 + random_below(2) : 1;
        c.dilations[axis] = random_below(4) == 0 ? 2 : 1;
    }
    c.pad_top = random_below(3);
    c.pad_left = random_below(3);
    uint32_t reach[2];
    for (int axis = 0; axis < 2; axis++) reach[axis] = (c.kernel[axis] - 1) * c.dilations[axis] + 1;
    uint32_t rows = c.height + c.pad_top + random_below(3), columns = c.width + c.pad_left + random_below(3);
    c.out_height = rows < reach[0] ? 1 : (rows - reach[0]) / c.strides[0] + 1;
    c.out_width = columns < reach[1] ? 1 : (columns - reach[1]) / c.strides[1] + 1;
    return c;
}

static void random_shapes_agree_with_double_sums(void **state)
{
    (void)state;
    for (uint32_t n = 0; n < SHAPES; n++) {
        struct lp_conv2d shape = random_shape();
        for (uint32_t i = 0; i < kernel_count; i++) {
            struct lp_conv2d c = shape;
            c.relu = n % 2 == 0;
            if (n % 3 == 0) c.x_stride = (size_t)c.channels * c.height * c.width + 3;
            if (n % 5 == 0) c.y_stride = (size_t)c.out_channels * c.out_height * c.out_width + 5;
            run_and_check(kernels[i], &c, n % 4 == 0 ? NULL : bias, 1 + n % RECORDS_MAX, (int)(n % 2));
        }
    }
}

static void the_layers_of_a_digits_net_do_too(void **state)
{
    (void)state;
    static const struct lp_conv2d layers[] = {
        {.channels = 1,
         .height = 8,
         .width = 8,
         .out_channels = 16,
         .out_height = 8,
         .out_width = 8,
         .kernel = {3, 3},
         .strides = {1, 1},
         .dilations = {1, 1},
         .pad_top = 1,
         .pad_left = 1,
         .group = 1,
         .relu = true},
        {.channels = 16,
         .height = 4,
         .width = 4,
         .out_channels = 32,
         .out_height = 4,
         .out_width = 4,
         .kernel = {3, 3},
         .strides = {1, 1},
         .dilations = {1, 1},
         .pad_top = 1,
         .pad_left = 1,
         .group = 1,
         .relu = true},
        {.channels = 3,
         .height = 1,
         .width = 100,
         .out_channels = 5,
         .out_height = 1,
         .out_width = 96,
         .kernel = {1, 5},
         .strides = {1, 1},
         .dilations = {1, 1},
         .group = 1},
    };
    for (uint32_t i = 0; i < kernel_count; i++) {
        for (size_t l = 0; l < sizeof layers / sizeof *layers; l++) {
            for (uint32_t records = 1; records <= RECORDS_MAX; records++) {
                struct lp_conv2d c = layers[l];
                run_and_check(kernels[i], &c, bias, records, (int)(records % 2));
            }
        }
    }
}

static void sizes_that_overflow_are_refused(void **state)
{
    (void)state;
    struct lp_conv2d c = {.channels = UINT32_MAX,
                          .height = UINT32_MAX,
                          .width = UINT32_MAX,
                          .out_channels = UINT32_MAX,
                          .out_height = UINT32_MAX,
                          .out_width = UINT32_MAX,
                          .kernel = {UINT32_MAX, UINT32_MAX},
                          .strides = {UINT32_MAX, UINT32_MAX},
                          .dilations = {UINT32_MAX, UINT32_MAX},
                          .group = 1};
    for (uint32_t i = 0; i < kernel_count; i++) {
        assert_int_equal(kernels[i]->packed_floats(&c), 0);
        assert_int_equal(kernels[i]->scratch_bytes(&c), 0);
    }
}

int main(void)
{
    x_pages = guarded_new(sizeof(float) * FLOATS_MAX);
    y_pages = guarded_new(sizeof(float) * FLOATS_MAX);
    packed_pages = guarded_new(sizeof(float) * FLOATS_MAX);
    scratch_pages = guarded_new(sizeof(float) * FLOATS_MAX);
    random_floats(weight, sizeof weight / sizeof *weight);
    random_floats(bias, sizeof bias / sizeof *bias);
    kernel_count = lp_conv2d_kernels(lp_cpu_get(), kernels, KERNELS_MAX);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_shapes_agree_with_double_sums),
        cmocka_unit_test(the_layers_of_a_digits_net_do_too),
        cmocka_unit_test(sizes_that_overflow_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
