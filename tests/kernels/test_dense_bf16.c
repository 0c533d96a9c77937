/*
 * bf16 layers against sums in double of inputs rounded to bf16 here. Products are exact in float, so the bound is that
 * of a float sum of k + 1 terms (Higham, Accuracy and Stability, 3.1), and the smallest normal a term: the vector
 * instruction flushes denormals.
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
#include "kernels/dense_bf16/dense_bf16.h"

enum { IN_MAX = 300, OUT_MAX = 160, ROWS_MAX = 20, KERNELS_MAX = 8, STRIDE_MORE = 5 };

static struct guarded x_pages, y_pages, packed_pages, scratch_pages;
static uint16_t weight[IN_MAX * OUT_MAX];
static float bias[OUT_MAX];
static const struct lp_dense_bf16_kernel *kernels[KERNELS_MAX];
static uint32_t kernel_count;
#if defined(LP_TEST_STAND_INS)
extern const struct lp_dense_bf16_kernel lp_dense_bf16_amx_emulated;
#endif

static float random_float(void)
{
    static uint64_t state = 88172645463325252u;
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (float)((double)(state >> 11) / 9007199254740992.0 * 4.0 - 2.0);
}

/* By scaling to eight significant bits and rounding those: not the bit trick of the kernels. */
static double to_bf16(double x)
{
    if (x == 0 || !isfinite(x)) return x;
    int exponent;
    double fraction = frexp(x, &exponent) * 256.0;
    double rounded = copysign(fabs(fraction) + 0x1p52 - 0x1p52, fraction) / 256.0;
    return ldexp(rounded, exponent);
}

static double of_bf16(uint16_t half)
{
    uint32_t bits = (uint32_t)half << 16;
    float value;
    memcpy(&value, &bits, sizeof value);
    return (double)value;
}

static int begin(void **state)
{
    (void)state;
    x_pages = guarded_new(sizeof(float) * (IN_MAX + STRIDE_MORE) * ROWS_MAX);
    y_pages = guarded_new(sizeof(float) * (OUT_MAX + STRIDE_MORE) * ROWS_MAX);
    packed_pages = guarded_new(4 * (IN_MAX + 64) * (OUT_MAX + 64));
    scratch_pages = guarded_new(4 * (IN_MAX + 64) * (ROWS_MAX + 32));
    kernel_count = lp_dense_bf16_kernels(lp_cpu_get(), kernels, KERNELS_MAX);
#if defined(LP_TEST_STAND_INS)
    if (lp_cpu_get()->avx512) kernels[kernel_count++] = &lp_dense_bf16_amx_emulated;
#endif
    for (size_t i = 0; i < IN_MAX * OUT_MAX; i++) {
        float value = random_float();
        uint32_t bits;
        memcpy(&bits, &value, sizeof bits);
        weight[i] = (uint16_t)(bits >> 16);
    }
    for (size_t i = 0; i < OUT_MAX; i++) bias[i] = random_float();
    return 0;
}

static int end(void **state)
{
    (void)state;
    guarded_free(&x_pages);
    guarded_free(&y_pages);
    guarded_free(&packed_pages);
    guarded_free(&scratch_pages);
    return 0;
}

static bool same_kind(float got, double want)
{
    if (isnan(want)) return isnan(got);
    return isinf(want) && isinf(got) && (want > 0) == (got > 0);
}

static void check_rows(const struct lp_dense_bf16_kernel *kernel, const struct lp_dense_bf16_layer *layer,
                       const float *b, const float *x, uint32_t rows, const float *y)
{
    for (uint32_t at = 0; at < rows * layer->out_width; at++) {
        uint32_t r = at / layer->out_width, n = at % layer->out_width;
        const float *row = x + r * lp_dense_bf16_x_stride(layer);
        float got = y[r * lp_dense_bf16_y_stride(layer) + n];
        double sum = b != NULL ? (double)b[n] : 0.0, size = fabs(sum);
        for (uint32_t k = 0; k < layer->in_width; k++) {
            double term = to_bf16((double)row[k]) * of_bf16(weight[(size_t)k * layer->out_width + n]);
            sum += term;
            size += fabs(term);
        }
        if (layer->relu && sum < 0) sum = 0;
        double allowed = (layer->in_width + 2.0) * (size * 0x1p-24 + 4 * (double)FLT_MIN);
        if (!same_kind(got, sum) && !(fabs((double)got - sum) <= allowed))
            fail_msg("%s %ux%u relu %d: output %u is %.9g, want %.9g within %g", kernel->name, layer->in_width,
                     layer->out_width, layer->relu, n, (double)got, sum, allowed);
    }
}

static struct lp_dense_bf16_layer pack(const struct lp_dense_bf16_kernel *kernel, uint32_t in, uint32_t out,
                                       const float *b)
{
    size_t bytes = (kernel->packed_bytes(in, out) + 63) / 64 * 64;
    void *packed = guarded_place(&packed_pages, bytes, 1);
    kernel->pack(weight, b, in, out, packed);
    return (struct lp_dense_bf16_layer){.packed = packed, .in_width = in, .out_width = out};
}

static void run(const struct lp_dense_bf16_kernel *kernel, const struct lp_dense_bf16_layer *layer, const float *x,
                uint32_t rows, float *y)
{
    size_t bytes = (kernel->scratch_bytes(layer->in_width, rows) + 63) / 64 * 64;
    void *scratch = guarded_place(&scratch_pages, bytes, 1);
    memset(scratch, 0xFF, bytes); /* NaN, if it were read */
    kernel->run(layer, x, rows, y, scratch);
}

static void run_and_check(const struct lp_dense_bf16_kernel *kernel, struct lp_dense_bf16_layer *layer, const float *b,
                          uint32_t rows, int at_end)
{
    size_t x_stride = lp_dense_bf16_x_stride(layer), y_stride = lp_dense_bf16_y_stride(layer);
    size_t x_floats = rows > 0 ? (rows - 1) * x_stride + layer->in_width : 0;
    size_t y_floats = rows > 0 ? (rows - 1) * y_stride + layer->out_width : 0;
    float *x = guarded_place(&x_pages, sizeof(float) * x_floats, at_end);
    float *y = guarded_place(&y_pages, sizeof(float) * y_floats, at_end);
    for (size_t i = 0; i < x_floats; i++) x[i] = random_float();
    for (size_t i = 0; i < y_floats; i++) y[i] = -77.0f;
    run(kernel, layer, x, rows, y);
    check_rows(kernel, layer, b, x, rows, y);
    for (size_t i = 0; i < y_floats; i++)
        if (i % y_stride >= layer->out_width) assert_true(y[i] == -77.0f);
}

static void every_shape_and_row_count_agrees_with_double_sums(void **state)
{
    (void)state;
    static const uint32_t ins[] = {1, 2, 3, 8, 15, 16, 17, 33, 66};
    for (uint32_t i = 0; i < kernel_count; i++) {
        for (size_t in = 0; in < sizeof ins / sizeof *ins; in++) {
            for (uint32_t out = 1; out <= 67; out += out < 36 ? 1 : 5) {
                struct lp_dense_bf16_layer layer = pack(kernels[i], ins[in], out, bias);
                for (uint32_t rows = 0; rows <= 17; rows++) {
                    layer.relu = (rows + out) % 2 == 0;
                    layer.x_stride = rows % 4 == 1 ? ins[in] + STRIDE_MORE : 0;
                    layer.y_stride = rows % 4 == 2 ? out + STRIDE_MORE : 0;
                    run_and_check(kernels[i], &layer, bias, rows, (rows + out / 2) % 2);
                }
            }
        }
    }
}

static void wide_and_long_layers_agree_too(void **state)
{
    (void)state;
    static const uint32_t shapes[][2] = {{300, 128}, {257, 160}, {64, 127}, {5, 159}, {300, 1}, {299, 33}};
    for (uint32_t i = 0; i < kernel_count; i++) {
        for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++) {
            struct lp_dense_bf16_layer layer = pack(kernels[i], shapes[s][0], shapes[s][1], NULL);
            for (uint32_t rows = 1; rows <= ROWS_MAX; rows++) run_and_check(kernels[i], &layer, NULL, rows, 1);
        }
    }
}

static void hostile_values_pass_as_in_double(void **state)
{
    (void)state;
    static const float special[] = {NAN,   INFINITY, -INFINITY,   FLT_TRUE_MIN, -FLT_MIN,   0.0f,
                                    -0.0f, 1e30f,    1.00390625f, 1.01171875f,  1.0039063f, -3.38e38f};
    const uint32_t count = sizeof special / sizeof *special, in = 19, rows = count;
    for (uint32_t i = 0; i < kernel_count; i++) {
        struct lp_dense_bf16_layer layer = pack(kernels[i], in, 37, bias);
        float *x = guarded_place(&x_pages, sizeof(float) * rows * in, 1);
        float *y = guarded_place(&y_pages, sizeof(float) * rows * 37, 1);
        for (uint32_t pass = 0; pass < 4; pass++) {
            layer.relu = pass % 2 == 1;
            for (uint32_t r = 0; r < rows; r++) {
                for (uint32_t k = 0; k < in; k++) x[r * in + k] = pass < 2 ? 0.0f : random_float() * 0x1p-100f;
                x[r * in + r % in] = special[r];
            }
            run(kernels[i], &layer, x, rows, y);
            /* Products of the largest values with weights up to 2 overflow in float where double goes on. */
            check_rows(kernels[i], &layer, bias, x, rows - 1, y);
        }
    }
}

static void a_rows_bits_do_not_depend_on_its_neighbours(void **state)
{
    (void)state;
    static const uint32_t outs[] = {1, 10, 32, 48, 64, 128, 160};
    for (uint32_t i = 0; i < kernel_count * 7; i++) {
        const struct lp_dense_bf16_kernel *kernel = kernels[i / 7];
        struct lp_dense_bf16_layer layer = pack(kernel, 37, outs[i % 7], bias);
        static float x[ROWS_MAX * 37], all[ROWS_MAX * OUT_MAX], some[ROWS_MAX * OUT_MAX];
        for (size_t k = 0; k < ROWS_MAX * 37; k++) x[k] = random_float();
        run(kernel, &layer, x, ROWS_MAX, all);
        for (uint32_t rows = 1; rows < ROWS_MAX; rows++) {
            run(kernel, &layer, x, rows, some);
            assert_memory_equal(all, some, sizeof(float) * rows * layer.out_width);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_shape_and_row_count_agrees_with_double_sums),
        cmocka_unit_test(wide_and_long_layers_agree_too),
        cmocka_unit_test(hostile_values_pass_as_in_double),
        cmocka_unit_test(a_rows_bits_do_not_depend_on_its_neighbours),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
