/*
 * int8 layers against the formula of dense_i8.h spelled out with integers and double here: the quantized inputs and the
 * sums are exact, what is left is rounded in the order the header gives, so every kernel has to give the same bits.
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
#include "kernels/dense_i8/dense_i8.h"

enum { IN_MAX = 300, OUT_MAX = 160, ROWS_MAX = 20, KERNELS_MAX = 8, STRIDE_MORE = 5 };

static struct guarded x_pages, y_pages, packed_pages, scratch_pages;
static int8_t weight[IN_MAX * OUT_MAX];
static float scales[OUT_MAX], bias[OUT_MAX];
static const struct lp_dense_i8_kernel *kernels[KERNELS_MAX];
static uint32_t kernel_count;
#if defined(LP_TEST_STAND_INS)
extern const struct lp_dense_i8_kernel lp_dense_i8_evex, lp_dense_i8_amx_emulated;
#endif

static uint64_t random_bits(void)
{
    static uint64_t state = 88172645463325252u;
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

static float random_float(void) { return (float)((double)(random_bits() >> 11) / 9007199254740992.0 * 4.0 - 2.0); }

static int begin(void **state)
{
    (void)state;
    x_pages = guarded_new(sizeof(float) * (IN_MAX + STRIDE_MORE) * ROWS_MAX);
    y_pages = guarded_new(sizeof(float) * (OUT_MAX + STRIDE_MORE) * ROWS_MAX);
    packed_pages = guarded_new(4 * (IN_MAX + 64) * (OUT_MAX + 40));
    scratch_pages = guarded_new(4 * (IN_MAX + 64) * (ROWS_MAX + 32));
    kernel_count = lp_dense_i8_kernels(lp_cpu_get(), kernels, KERNELS_MAX);
#if defined(LP_TEST_STAND_INS)
    if (lp_cpu_get()->avx512 && lp_cpu_get()->vnni) {
        kernels[kernel_count++] = &lp_dense_i8_evex;
        kernels[kernel_count++] = &lp_dense_i8_amx_emulated;
    }
#endif
    for (size_t i = 0; i < IN_MAX * OUT_MAX; i++) weight[i] = (int8_t)((int)(random_bits() >> 40 & 255) - 128);
    for (size_t i = 0; i < OUT_MAX; i++) {
        bias[i] = random_float();
        scales[i] = 0.001f + fabsf(random_float()) * 0.01f;
    }
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

/* Halves to even. */
static double nearest(double x) { return fabs(x) >= 0x1p52 ? x : copysign(fabs(x) + 0x1p52 - 0x1p52, x); }

/* In float where the header says so: a quotient of floats in double rounds to float as the exact one does. */
static void expect_row(const struct lp_dense_i8_layer *layer, uint32_t scale_count, const float *b, const float *x,
                       float *want)
{
    double low = 0, high = 0;
    bool bad = false;
    for (uint32_t k = 0; k < layer->in_width; k++) {
        low = fmin(low, (double)x[k]);
        high = fmax(high, (double)x[k]);
        bad = bad || isnan(x[k]);
    }
    float scale = layer->input_scale;
    double zero = layer->input_zero_point;
    if (layer->dynamic) {
        float range = (float)(high - low);
        bad = bad || isinf(range);
        scale = range < 255.0f * FLT_MIN ? 1.0f : range / 255.0f;
        zero = fmin(255, nearest((double)(float)(-low / (double)scale)));
    }
    for (uint32_t n = 0; n < layer->out_width; n++) {
        int64_t sum = 0;
        for (uint32_t k = 0; !bad && k < layer->in_width; k++) {
            double q = nearest((double)(float)((double)x[k] / (double)scale)) + zero;
            q = q < 0 ? 0 : q > 255 ? 255 : q;
            sum += (int64_t)(q - zero) * weight[(size_t)k * layer->out_width + n];
        }
        float factor = scale * scales[scale_count == 1 ? 0 : n], product = factor * (float)sum;
        want[n] = product + (b != NULL ? b[n] : 0.0f);
        if (layer->relu && want[n] < 0) want[n] = 0;
        if (bad) want[n] = NAN;
    }
}

static void check_rows(const struct lp_dense_i8_kernel *kernel, const struct lp_dense_i8_layer *layer,
                       uint32_t scale_count, const float *b, const float *x, uint32_t rows, const float *y)
{
    float want[OUT_MAX];
    for (uint32_t r = 0; r < rows; r++) {
        expect_row(layer, scale_count, b, x + r * lp_dense_i8_x_stride(layer), want);
        for (uint32_t n = 0; n < layer->out_width; n++) {
            float got = y[r * lp_dense_i8_y_stride(layer) + n];
            if (isnan(want[n]) ? !isnan(got) : !(got == want[n]))
                fail_msg("%s %ux%u dynamic %d row %u of %u: output %u is %.9g, want %.9g", kernel->name,
                         layer->in_width, layer->out_width, layer->dynamic, r, rows, n, (double)got, (double)want[n]);
        }
    }
}

static struct lp_dense_i8_layer pack(const struct lp_dense_i8_kernel *kernel, uint32_t in, uint32_t out,
                                     uint32_t scale_count, const float *b)
{
    size_t bytes = (kernel->packed_bytes(in, out) + 63) / 64 * 64;
    void *packed = guarded_place(&packed_pages, bytes, 1);
    kernel->pack(weight, scales, scale_count, b, in, out, packed);
    return (struct lp_dense_i8_layer){.packed = packed,
                                      .in_width = in,
                                      .out_width = out,
                                      .dynamic = true,
                                      .input_scale = 0.0171f,
                                      .input_zero_point = 131};
}

static void run(const struct lp_dense_i8_kernel *kernel, const struct lp_dense_i8_layer *layer, const float *x,
                uint32_t rows, float *y)
{
    size_t bytes = (kernel->scratch_bytes(layer->in_width, rows) + 63) / 64 * 64;
    void *scratch = guarded_place(&scratch_pages, bytes, 1);
    memset(scratch, 0x5A, bytes);
    kernel->run(layer, x, rows, y, scratch);
}

static void run_and_check(const struct lp_dense_i8_kernel *kernel, struct lp_dense_i8_layer *layer,
                          uint32_t scale_count, const float *b, uint32_t rows, int at_end)
{
    size_t x_stride = lp_dense_i8_x_stride(layer), y_stride = lp_dense_i8_y_stride(layer);
    /* The last row ends with its width, not with its stride. */
    size_t x_floats = rows > 0 ? (rows - 1) * x_stride + layer->in_width : 0;
    size_t y_floats = rows > 0 ? (rows - 1) * y_stride + layer->out_width : 0;
    float *x = guarded_place(&x_pages, sizeof(float) * x_floats, at_end);
    float *y = guarded_place(&y_pages, sizeof(float) * y_floats, at_end);
    for (size_t i = 0; i < x_floats; i++) x[i] = random_float();
    for (size_t i = 0; i < y_floats; i++) y[i] = -77.0f;
    run(kernel, layer, x, rows, y);
    check_rows(kernel, layer, scale_count, b, x, rows, y);
    for (size_t i = 0; i < y_floats; i++)
        if (i % y_stride >= layer->out_width) assert_true(y[i] == -77.0f);
}

static void every_shape_and_row_count_gives_the_formulas_bits(void **state)
{
    (void)state;
    static const uint32_t ins[] = {1, 2, 3, 4, 5, 8, 15, 16, 17, 33, 67, 130};
    for (uint32_t i = 0; i < kernel_count; i++) {
        for (size_t in = 0; in < sizeof ins / sizeof *ins; in++) {
            for (uint32_t out = 1; out <= 67; out += out < 36 ? 1 : 5) {
                struct lp_dense_i8_layer layer = pack(kernels[i], ins[in], out, out % 2 ? 1 : out, bias);
                for (uint32_t rows = 0; rows <= 17; rows++) {
                    layer.relu = (rows + out) % 2 == 0;
                    layer.dynamic = rows % 3 != 0;
                    layer.x_stride = rows % 4 == 1 ? ins[in] + STRIDE_MORE : 0;
                    layer.y_stride = rows % 4 == 2 ? out + STRIDE_MORE : 0;
                    run_and_check(kernels[i], &layer, out % 2 ? 1 : out, bias, rows, (rows + out / 2) % 2);
                }
            }
        }
    }
}

static void wide_and_long_layers_too(void **state)
{
    (void)state;
    static const uint32_t shapes[][2] = {{300, 128}, {257, 160}, {64, 127}, {5, 159}, {300, 1}, {299, 33}};
    for (uint32_t i = 0; i < kernel_count; i++) {
        for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++) {
            struct lp_dense_i8_layer layer = pack(kernels[i], shapes[s][0], shapes[s][1], 1, NULL);
            for (uint32_t rows = 1; rows <= ROWS_MAX; rows++) run_and_check(kernels[i], &layer, 1, NULL, rows, 1);
        }
    }
}

static void hostile_rows_follow_the_rules(void **state)
{
    (void)state;
    static const float special[] = {NAN,      INFINITY, -INFINITY, FLT_MAX, -FLT_MAX, 0.0f,  -0.0f,  FLT_TRUE_MIN,
                                    -FLT_MIN, 1e-36f,   1e30f,     255.0f,  -255.0f,  0.25f, 2.2185f};
    const uint32_t count = sizeof special / sizeof *special, in = 19, rows = count;
    for (uint32_t i = 0; i < kernel_count; i++) {
        struct lp_dense_i8_layer layer = pack(kernels[i], in, 37, 37, bias);
        float *x = guarded_place(&x_pages, sizeof(float) * rows * in, 1);
        float *y = guarded_place(&y_pages, sizeof(float) * rows * 37, 1);
        for (int pass = 0; pass < 8; pass++) {
            layer.dynamic = pass % 2 == 0;
            layer.relu = pass % 4 < 2;
            for (uint32_t r = 0; r < rows; r++) {
                /* Alone in a row of zeros, or among others. */
                for (uint32_t k = 0; k < in; k++) x[r * in + k] = pass < 4 ? 0.0f : random_float();
                x[r * in + r % in] = special[r];
            }
            run(kernels[i], &layer, x, rows, y);
            check_rows(kernels[i], &layer, 37, bias, x, rows, y);
        }
    }
}

/* Where the quotient is a half or next to one, the product with the reciprocal often lies on its other side. */
static void halves_are_those_of_the_quotient(void **state)
{
    (void)state;
    static const float input_scales[] = {0.0171f, 0.1f,    1.0f / 3.0f,     0.0078431377f,
                                         1.3e7f,  FLT_MIN, 0x1.fffffep125f, 0x1.8p126f};
    enum { IN = 15, OUT = 5, HALVES = 256 };
    for (uint32_t i = 0; i < kernel_count; i++) {
        struct lp_dense_i8_layer layer = pack(kernels[i], IN, OUT, OUT, bias);
        layer.dynamic = false;
        for (uint32_t c = 0; c < 2 * (sizeof input_scales / sizeof *input_scales); c++) {
            layer.input_scale = input_scales[c / 2];
            layer.input_zero_point = c % 2 ? 131 : 0;
            for (int half = 0; half < HALVES; half += ROWS_MAX * IN / 3) {
                float *x = guarded_place(&x_pages, sizeof(float) * ROWS_MAX * IN, 1);
                float *y = guarded_place(&y_pages, sizeof(float) * ROWS_MAX * OUT, 1);
                for (int k = 0; k < ROWS_MAX * IN; k++) {
                    x[k] = (float)((half + k / 3 - layer.input_zero_point + 0.5) * (double)layer.input_scale);
                    if (k % 3 != 1) x[k] = nextafterf(x[k], k % 3 == 0 ? -INFINITY : INFINITY);
                    if (!isfinite(x[k])) x[k] = 0.0f;
                }
                run(kernels[i], &layer, x, ROWS_MAX, y);
                check_rows(kernels[i], &layer, OUT, bias, x, ROWS_MAX, y);
            }
        }
    }
}

/* The largest sums that the header allows: every weight -128 and every input at 255 from a zero point of 0. */
static void the_longest_row_does_not_overflow(void **state)
{
    (void)state;
    enum { IN = LP_DENSE_I8_IN_MAX };
    int8_t *w = malloc(IN);
    float *x = malloc(IN * sizeof *x), y;
    assert_non_null(w);
    assert_non_null(x);
    memset(w, -128, IN);
    for (uint32_t k = 0; k < IN; k++) x[k] = 1.0f;
    for (uint32_t i = 0; i < kernel_count; i++) {
        const float one = 1.0f;
        void *packed = aligned_alloc(64, (kernels[i]->packed_bytes(IN, 1) + 63) / 64 * 64);
        void *scratch = aligned_alloc(64, (kernels[i]->scratch_bytes(IN, 1) + 63) / 64 * 64);
        assert_int_equal(kernels[i]->packed_bytes(IN + 1, 1), 0);
        kernels[i]->pack(w, &one, 1, NULL, IN, 1, packed);
        struct lp_dense_i8_layer layer = {.packed = packed, .in_width = IN, .out_width = 1, .dynamic = true};
        kernels[i]->run(&layer, x, 1, &y, scratch);
        assert_true(y == (1.0f / 255.0f) * (float)(-128 * 255 * (int64_t)IN));
        free(packed);
        free(scratch);
    }
    free(w);
    free(x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_shape_and_row_count_gives_the_formulas_bits),
        cmocka_unit_test(wide_and_long_layers_too),
        cmocka_unit_test(hostile_rows_follow_the_rules),
        cmocka_unit_test(halves_are_those_of_the_quotient),
        cmocka_unit_test(the_longest_row_does_not_overflow),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
