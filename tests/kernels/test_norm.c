/*
 * Layer normalization against sums in double. The mean and the squares are float sums in at least 8 parts; the bound is
 * a few ULP of the largest value for the mean, and relative for the scale.
 */
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
#include "kernels/norm/norm.h"
#include "random.h"

enum { KERNELS_MAX = 8, WIDTH_MAX = 600, ROWS = 3 };

static const struct lp_norm_kernel *kernels[KERNELS_MAX];
static uint32_t kernel_count;

static void check_row(const char *name, const struct lp_norm *norm, const float *x, const float *y)
{
    double sum = 0, squares = 0, largest = 0, width = norm->width;
    for (uint32_t i = 0; i < norm->width; i++) {
        sum += (double)x[i];
        largest = fmax(largest, fabs((double)x[i]));
    }
    double mean = sum / width;
    for (uint32_t i = 0; i < norm->width; i++) squares += ((double)x[i] - mean) * ((double)x[i] - mean);
    double scale = 1 / sqrt(squares / width + (double)norm->epsilon);
    double rounding = (width / 8 + 8) * 0x1p-24;
    for (uint32_t i = 0; i < norm->width; i++) {
        double weight = norm->weight != NULL ? (double)norm->weight[i] : 1;
        double value = ((double)x[i] - mean) * scale * weight;
        double want = value + (norm->bias != NULL ? (double)norm->bias[i] : 0);
        double bound = fabs(weight) * scale * largest * rounding + (fabs(value) + fabs(want)) * rounding + 1e-37;
        if (isnan(want) ? !isnan(y[i]) : !(fabs((double)y[i] - want) <= bound))
            fail_msg("%s width %u: %u is %.9g, want %.9g within %g", name, norm->width, i, (double)y[i], want, bound);
    }
}

static void every_width_agrees_with_double(void **state)
{
    (void)state;
    struct guarded from = guarded_new(sizeof(float) * ROWS * WIDTH_MAX),
                   to = guarded_new(sizeof(float) * ROWS * WIDTH_MAX);
    static float weight[WIDTH_MAX], bias[WIDTH_MAX];
    random_floats(weight, WIDTH_MAX);
    random_floats(bias, WIDTH_MAX);
    for (uint32_t i = 0; i < kernel_count; i++) {
        for (uint32_t width = 1; width <= WIDTH_MAX; width += width < 70 ? 1 : 53) {
            for (int pass = 0; pass < 4; pass++) {
                struct lp_norm norm = {width, pass % 2 ? weight : NULL, pass > 1 ? bias : NULL, 1e-5f};
                size_t bytes = sizeof(float) * ROWS * width;
                float *x = guarded_place(&from, bytes, pass % 2), *y = guarded_place(&to, bytes, pass % 2);
                random_floats(x, ROWS * width);
                for (uint32_t c = 0; c < width; c++) x[width + c] += 100.0f; /* a mean far from 0 */
                kernels[i]->run(&norm, x, ROWS, y);
                for (uint32_t r = 0; r < ROWS; r++) check_row(kernels[i]->name, &norm, x + r * width, y + r * width);
                kernels[i]->run(&norm, x, ROWS, x);
                assert_memory_equal(x, y, bytes);
            }
        }
    }
    guarded_free(&from);
    guarded_free(&to);
}

/* -3e9 times three is no float: a mean that is off by its rounding would be divided by itself. */
static void equal_values_of_any_size_give_nothing(void **state)
{
    float x[WIDTH_MAX], y[WIDTH_MAX];
    (void)state;
    for (uint32_t i = 0; i < kernel_count; i++) {
        for (uint32_t width = 1; width < 70; width++) {
            struct lp_norm norm = {width, NULL, NULL, 1e-5f};
            for (uint32_t j = 0; j < width; j++) x[j] = -3e9f;
            kernels[i]->run(&norm, x, 1, y);
            for (uint32_t j = 0; j < width; j++)
                if (y[j] != 0) fail_msg("%s width %u: %g, not 0", kernels[i]->name, width, (double)y[j]);
        }
    }
}

static void nan_and_infinity_stay_in_their_row(void **state)
{
    (void)state;
    float x[ROWS * 20], y[ROWS * 20];
    for (uint32_t i = 0; i < kernel_count; i++) {
        random_floats(x, ROWS * 20);
        x[3] = NAN;
        x[47] = -INFINITY;
        const struct lp_norm norm = {20, NULL, NULL, 1e-5f};
        kernels[i]->run(&norm, x, ROWS, y);
        for (uint32_t c = 0; c < 20; c++) assert_true(isnan(y[c]) && isnan(y[40 + c]));
        check_row(kernels[i]->name, &norm, x + 20, y + 20);
    }
}

int main(void)
{
    kernel_count = lp_norm_kernels(lp_cpu_get(), kernels, KERNELS_MAX);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_width_agrees_with_double),
        cmocka_unit_test(equal_values_of_any_size_give_nothing),
        cmocka_unit_test(nan_and_infinity_stay_in_their_row),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
