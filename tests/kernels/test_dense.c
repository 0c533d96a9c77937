/*
 * Dense kernels against sums in double. The bound is the textbook one for a sum of k + 1 terms in float (Higham,
 * Accuracy and Stability, 3.1): (k + 2) * 2^-24 * sum |x w|, and the smallest denormal a term.
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
#include "kernels/dense/dense.h"

enum { IN_MAX = 300, OUT_MAX = 160, ROWS_MAX = 40, KERNELS_MAX = 8 };

static struct guarded x_pages, y_pages, packed_pages;
static float weight[IN_MAX * OUT_MAX], bias[OUT_MAX];
static const struct lp_dense_kernel *kernels[KERNELS_MAX];
static uint32_t kernel_count;

static float random_float(void)
{
    static uint64_t state = 88172645463325252u;
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (float)((double)(state >> 11) / 9007199254740992.0 * 4.0 - 2.0);
}

static int begin(void **state)
{
    (void)state;
    x_pages = guarded_new(sizeof(float) * IN_MAX * ROWS_MAX);
    y_pages = guarded_new(sizeof(float) * OUT_MAX * ROWS_MAX);
    packed_pages = guarded_new(sizeof(float) * (IN_MAX + 40) * (OUT_MAX + 40));
    kernel_count = lp_dense_kernels(lp_cpu_get(), kernels, KERNELS_MAX);
    for (size_t i = 0; i < IN_MAX * OUT_MAX; i++) weight[i] = random_float();
    for (size_t i = 0; i < OUT_MAX; i++) bias[i] = random_float();
    return 0;
}

static int end(void **state)
{
    (void)state;
    guarded_free(&x_pages);
    guarded_free(&y_pages);
    guarded_free(&packed_pages);
    return 0;
}

static struct lp_dense_layer pack(const struct lp_dense_kernel *kernel, uint32_t in, uint32_t out, const float *b)
{
    size_t bytes = kernel->packed_floats(in, out) * sizeof(float);
    float *packed = guarded_place(&packed_pages, bytes, 1);
    kernel->pack(weight, b, in, out, packed);
    return (struct lp_dense_layer){.packed = packed, .in_width = in, .out_width = out};
}

static bool same_kind(float got, double want)
{
    if (isnan(want)) return isnan(got);
    return isinf(want) && isinf(got) && (want > 0) == (got > 0);
}

static void check_row(const struct lp_dense_kernel *kernel, const struct lp_dense_layer *layer, const float *b,
                      const float *x, const float *y)
{
    for (uint32_t n = 0; n < layer->out_width; n++) {
        double sum = b != NULL ? (double)b[n] : 0.0, size = fabs(sum);
        for (uint32_t k = 0; k < layer->in_width; k++) {
            double term = (double)x[k] * (double)weight[(size_t)k * layer->out_width + n];
            sum += term;
            size += fabs(term);
        }
        if (layer->relu && sum < 0) sum = 0;
        double allowed = (layer->in_width + 2.0) * (size * 0x1p-24 + (double)FLT_TRUE_MIN);
        if (!same_kind(y[n], sum) && !(fabs((double)y[n] - sum) <= allowed))
            fail_msg("%s %ux%u relu %d: output %u is %.9g, want %.9g within %g", kernel->name, layer->in_width,
                     layer->out_width, layer->relu, n, (double)y[n], sum, allowed);
    }
}

static void run_and_check(const struct lp_dense_kernel *kernel, struct lp_dense_layer layer, const float *b,
                          uint32_t rows, int at_end)
{
    float *x = guarded_place(&x_pages, sizeof(float) * rows * layer.in_width, at_end);
    float *y = guarded_place(&y_pages, sizeof(float) * rows * layer.out_width, at_end);
    for (uint32_t i = 0; i < rows * layer.in_width; i++) x[i] = random_float();
    kernel->run(&layer, x, rows, y);
    for (uint32_t r = 0; r < rows; r++)
        check_row(kernel, &layer, b, x + (size_t)r * layer.in_width, y + (size_t)r * layer.out_width);
}

static void every_shape_and_row_count_agrees_with_double_sums(void **state)
{
    (void)state;
    static const uint32_t ins[] = {1, 2, 3, 7, 8, 9, 10, 15, 16, 17, 31, 32, 33};
    for (uint32_t i = 0; i < kernel_count; i++) {
        for (size_t in = 0; in < sizeof ins / sizeof *ins; in++) {
            for (uint32_t out = 1; out <= 67; out++) {
                struct lp_dense_layer layer = pack(kernels[i], ins[in], out, bias);
                for (uint32_t rows = 0; rows <= 17; rows++) {
                    layer.relu = (rows + out) % 2 == 0;
                    run_and_check(kernels[i], layer, bias, rows, (rows + out / 2) % 2);
                }
            }
        }
    }
}

static void wide_and_long_layers_agree_too(void **state)
{
    (void)state;
    static const uint32_t shapes[][2] = {{300, 128}, {257, 160}, {64, 127}, {5, 159}, {300, 1}, {1, 1}, {299, 33}};
    for (uint32_t i = 0; i < kernel_count; i++) {
        for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++) {
            struct lp_dense_layer layer = pack(kernels[i], shapes[s][0], shapes[s][1], NULL);
            for (uint32_t rows = 1; rows <= ROWS_MAX; rows++) {
                layer.relu = rows % 2 == 0;
                run_and_check(kernels[i], layer, NULL, rows, rows % 3 == 0);
            }
        }
    }
}

static void nan_infinity_and_denormals_pass_like_in_double(void **state)
{
    (void)state;
    static const float special[] = {NAN,  INFINITY, -INFINITY,           FLT_TRUE_MIN, -FLT_TRUE_MIN, FLT_MIN,
                                    0.0f, -0.0f,    3.0f * FLT_TRUE_MIN, 1e30f,        -1e30f};
    static const uint32_t outs[] = {1, 5, 16, 33, 64};
    const uint32_t count = sizeof special / sizeof *special, in = 19, rows = 18;
    for (uint32_t i = 0; i < kernel_count * 5; i++) {
        const struct lp_dense_kernel *kernel = kernels[i / 5];
        struct lp_dense_layer layer = pack(kernel, in, outs[i % 5], bias);
        float *x = guarded_place(&x_pages, sizeof(float) * rows * in, 1);
        float *y = guarded_place(&y_pages, sizeof(float) * rows * layer.out_width, 1);
        for (uint32_t pass = 0; pass < 2; pass++) {
            layer.relu = pass == 1;
            for (uint32_t r = 0; r < rows; r++) {
                for (uint32_t k = 0; k < in; k++) x[r * in + k] = r % 3 == 2 ? 0.0f : random_float();
                x[r * in + r % in] = special[r % count];
            }
            kernel->run(&layer, x, rows, y);
            for (uint32_t r = 0; r < rows; r++) check_row(kernel, &layer, bias, x + r * in, y + r * layer.out_width);
        }
    }
}

static void relu_keeps_nan(void **state)
{
    (void)state;
    const float x[2] = {NAN, 1.0f};
    for (uint32_t i = 0; i < kernel_count; i++) {
        for (uint32_t out = 1; out <= 40; out++) {
            struct lp_dense_layer layer = pack(kernels[i], 2, out, bias);
            layer.relu = true;
            float y[40];
            kernels[i]->run(&layer, x, 1, y);
            for (uint32_t n = 0; n < out; n++) assert_true(isnan(y[n]));
        }
    }
}

/* OpenBLAS does not promise this. */
static void a_rows_bits_do_not_depend_on_its_neighbours(void **state)
{
    (void)state;
    static const uint32_t outs[] = {1, 10, 32, 48, 64, 128, 160};
    for (uint32_t i = 0; i < kernel_count * 7; i++) {
        const struct lp_dense_kernel *kernel = kernels[i / 7];
        if (strcmp(kernel->name, "openblas") == 0) continue;
        struct lp_dense_layer layer = pack(kernel, 37, outs[i % 7], bias);
        static float x[ROWS_MAX * 37], all[ROWS_MAX * OUT_MAX], some[ROWS_MAX * OUT_MAX];
        for (size_t k = 0; k < ROWS_MAX * 37; k++) x[k] = random_float();
        kernel->run(&layer, x, ROWS_MAX, all);
        for (uint32_t rows = 1; rows < 20; rows++) {
            kernel->run(&layer, x, rows, some);
            assert_memory_equal(all, some, sizeof(float) * rows * layer.out_width);
        }
    }
}

static void check_doubles(const struct lp_dense_kernel *kernel, uint32_t in, uint32_t out, uint32_t rows)
{
    static const double special[] = {NAN, INFINITY, -INFINITY, 1e300, -1e300, 1e-300, 16777217.0, 0.1, -0.0, 1e-40};
    static float x[ROWS_MAX * IN_MAX], want[ROWS_MAX * OUT_MAX];
    struct lp_dense_layer layer = pack(kernel, in, out, bias);
    /* As a slice of a wider row, and as a part of a wider output, of which only the widths are anybody's. */
    const uint32_t x_stride = in + rows % 3, y_stride = out + rows % 4;
    const uint32_t x_count = rows > 0 ? (rows - 1) * x_stride + in : 0;
    const uint32_t y_count = rows > 0 ? (rows - 1) * y_stride + out : 0;
    double *doubles = guarded_place(&x_pages, sizeof(double) * x_count, 1);
    float *y = guarded_place(&y_pages, sizeof(float) * y_count, 1);
    for (uint32_t i = 0; i < x_count; i++) {
        doubles[i] = (double)random_float() + (double)random_float() * 1e-9;
        if (i % 37 == 5) doubles[i] = special[i / 37 % 10];
        if (i % x_stride < in) x[i / x_stride * in + i % x_stride] = (float)doubles[i];
    }
    for (uint32_t i = 0; i < y_count; i++) y[i] = -77.0f;
    layer.relu = rows % 2 == 1;
    kernel->run(&layer, x, rows, want);
    layer.x_stride = x_stride;
    layer.y_stride = y_stride;
    kernel->run_doubles(&layer, doubles, rows, y);
    for (uint32_t i = 0; i < y_count; i++) {
        const float other = -77.0f, *wanted = i % y_stride < out ? &want[i / y_stride * out + i % y_stride] : &other;
        if (!isnan(*wanted) || !isnan(y[i])) assert_memory_equal(wanted, &y[i], sizeof *y);
    }
}

static void rows_of_doubles_give_the_bits_of_the_same_rows_in_float(void **state)
{
    (void)state;
    static const uint32_t ins[] = {1, 7, 8, 9, 15, 16, 17, 31, 32, 33, 47, 100},
                          outs[] = {2, 5, 10, 15, 16, 17, 31, 32};
    for (uint32_t i = 0; i < kernel_count; i++) {
        if (kernels[i]->run_doubles == NULL) continue;
        for (size_t in = 0; in < sizeof ins / sizeof *ins; in++)
            for (size_t out = 0; out < sizeof outs / sizeof *outs; out++)
                for (uint32_t rows = 0; rows <= 17; rows++) check_doubles(kernels[i], ins[in], outs[out], rows);
    }
}

static void the_level_decides_what_is_on_the_list(void **state)
{
    (void)state;
    const struct lp_cpu none = {0};
    const struct lp_dense_kernel *list[KERNELS_MAX];
    assert_int_equal(lp_dense_kernels(&none, list, KERNELS_MAX), 2);
    assert_string_equal(list[1]->name, "scalar");
    assert_string_equal(kernels[kernel_count - 1]->name, "scalar");
    const char *best = kernels[0]->name, *level = lp_cpu_level();
    assert_string_equal(best, strcmp(level, "baseline") == 0 ? "openblas" : level);
    assert_ptr_equal(lp_dense_select(lp_cpu_get()), kernels[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_shape_and_row_count_agrees_with_double_sums),
        cmocka_unit_test(wide_and_long_layers_agree_too),
        cmocka_unit_test(nan_infinity_and_denormals_pass_like_in_double),
        cmocka_unit_test(relu_keeps_nan),
        cmocka_unit_test(a_rows_bits_do_not_depend_on_its_neighbours),
        cmocka_unit_test(rows_of_doubles_give_the_bits_of_the_same_rows_in_float),
        cmocka_unit_test(the_level_decides_what_is_on_the_list),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
