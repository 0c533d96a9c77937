/*
 * Activations against the C library's double functions, in units in the last place of the exact value. By default every
 * 4093rd bit pattern of float; `kernels_activation --stride 1 [function]` takes all 2^32 (minutes a function) and
 * prints the worst errors.
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
#include "kernels/activation/activation.h"

enum { KERNELS_MAX = 8, CHUNK = 4096 };

static const struct lp_activation_kernel *kernels[KERNELS_MAX];
static uint32_t kernel_count, stride = 4093;
static bool report;
static const char *only; /* a function's name: no other one */
static const float alphas[] = {0.25f, 1.0f}, betas[] = {0.5f, 1.0f};

static const char *const names[LP_ACT_COUNT] = {[LP_ACT_RELU] = "relu",
                                                [LP_ACT_LEAKY_RELU] = "leaky_relu",
                                                [LP_ACT_ELU] = "elu",
                                                [LP_ACT_TANH] = "tanh",
                                                [LP_ACT_SIGMOID] = "sigmoid",
                                                [LP_ACT_GELU] = "gelu",
                                                [LP_ACT_GELU_TANH] = "gelu_tanh",
                                                [LP_ACT_SILU] = "silu",
                                                [LP_ACT_SOFTPLUS] = "softplus",
                                                [LP_ACT_SELU] = "selu",
                                                [LP_ACT_CELU] = "celu",
                                                [LP_ACT_SOFTSIGN] = "softsign",
                                                [LP_ACT_HARD_SIGMOID] = "hard_sigmoid",
                                                [LP_ACT_HARD_SILU] = "hard_silu",
                                                [LP_ACT_MISH] = "mish",
                                                [LP_ACT_THRESHOLDED_RELU] = "thresholded_relu",
                                                [LP_ACT_CLIP] = "clip",
                                                [LP_ACT_EXP] = "exp",
                                                [LP_ACT_LOG] = "log",
                                                [LP_ACT_SQRT] = "sqrt",
                                                [LP_ACT_ABS] = "abs",
                                                [LP_ACT_NEG] = "neg",
                                                [LP_ACT_RECIPROCAL] = "reciprocal",
                                                [LP_ACT_ERF] = "erf",
                                                [LP_ACT_FLOOR] = "floor",
                                                [LP_ACT_CEIL] = "ceil",
                                                [LP_ACT_ROUND] = "round",
                                                [LP_ACT_SIGN] = "sign"};

static double exact_sigmoid(double x) { return x < 0 ? exp(x) / (1 + exp(x)) : 1 / (1 + exp(-x)); }

/* Halves to even, whatever the rounding mode. */
static double nearest(double x) { return fabs(x) >= 0x1p52 ? x : copysign(fabs(x) + 0x1p52 - 0x1p52, x); }

static double clamped(double x, double low, double high)
{
    x = x < low ? low : x;
    return x > high ? high : x;
}

static double exact(enum lp_activation_kind kind, double x, double alpha, double beta)
{
    switch (kind) {
    case LP_ACT_RELU: return x < 0 ? 0 : x;
    case LP_ACT_LEAKY_RELU: return x < 0 ? alpha * x : x;
    case LP_ACT_ELU: return x < 0 ? alpha * expm1(x) : x;
    case LP_ACT_TANH: return tanh(x);
    case LP_ACT_SIGMOID: return exact_sigmoid(x);
    case LP_ACT_GELU: return x / 2 * erfc(-x * 0.70710678118654752440);
    case LP_ACT_GELU_TANH: return x * exact_sigmoid(2 * 0.79788456080286535588 * (x + 0.044715 * x * x * x));
    case LP_ACT_SILU: return x * exact_sigmoid(x);
    case LP_ACT_SOFTPLUS: return (x > 0 ? x : 0) + log1p(exp(-fabs(x)));
    case LP_ACT_SELU: return beta * (x < 0 ? alpha * expm1(x) : x);
    case LP_ACT_CELU: return x < 0 ? alpha * expm1(x / alpha) : x;
    case LP_ACT_SOFTSIGN: return isinf(x) ? copysign(1, x) : x / (1 + fabs(x));
    case LP_ACT_HARD_SIGMOID: return clamped(alpha * x + beta, 0, 1);
    case LP_ACT_HARD_SILU: return x == -INFINITY ? 0 : x * clamped(x / 6 + 0.5, 0, 1);
    case LP_ACT_MISH: return x < -800 ? -0.0 : x * tanh((x > 0 ? x : 0) + log1p(exp(-fabs(x))));
    case LP_ACT_THRESHOLDED_RELU: return x <= alpha ? 0 : x;
    case LP_ACT_CLIP: return clamped(x, alpha, beta);
    case LP_ACT_EXP: return exp(x);
    case LP_ACT_LOG: return log(x);
    case LP_ACT_SQRT: return sqrt(x);
    case LP_ACT_ABS: return fabs(x);
    case LP_ACT_NEG: return -x;
    case LP_ACT_RECIPROCAL: return 1 / x;
    case LP_ACT_ERF: return erf(x);
    case LP_ACT_FLOOR: return floor(x);
    case LP_ACT_CEIL: return ceil(x);
    case LP_ACT_ROUND: return nearest(x);
    case LP_ACT_SIGN: return x > 0 ? 1 : x < 0 ? -1 : x;
    case LP_ACT_COUNT: break;
    }
    return NAN;
}

static double ulp_of(double want)
{
    int exponent;
    frexp(want, &exponent);
    return ldexp(1.0, exponent - 24);
}

/* What the header promises. */
static double allowed(enum lp_activation_kind kind, double x, double want)
{
    double ulp = ulp_of(want), bound = fmax(4 * ulp, 1e-38);
    switch (kind) {
    case LP_ACT_RELU:
    case LP_ACT_LEAKY_RELU: return fmax(ulp, (double)FLT_TRUE_MIN);
    /* Both round the argument of an exponential: its error grows with the argument's size. */
    case LP_ACT_GELU:
    case LP_ACT_GELU_TANH: return x > -3 ? 4 * bound : fmax(bound, 1e-6 * fabs(x) * exp(-x * x / 2));
    case LP_ACT_THRESHOLDED_RELU:
    case LP_ACT_CLIP:
    case LP_ACT_ABS:
    case LP_ACT_NEG:
    case LP_ACT_FLOOR:
    case LP_ACT_CEIL:
    case LP_ACT_ROUND:
    case LP_ACT_SIGN: return 0;
    case LP_ACT_SQRT:
    case LP_ACT_RECIPROCAL: return fmax(ulp / 2, (double)FLT_TRUE_MIN / 2);
    /* Two roundings of values up to 1: near the zero of the linear part they are all that is left. */
    case LP_ACT_HARD_SIGMOID: return 0x1p-23;
    case LP_ACT_HARD_SILU: return fabs(x) * 0x1p-23 + (double)FLT_TRUE_MIN;
    default: return bound;
    }
}

/* Relative errors in ULP of each kernel, for the report of the long form; what a denormal loses is in the bound. */
static double worst_ulp[KERNELS_MAX];

static void check_against(uint32_t kernel, enum lp_activation_kind kind, float x, float y, double want)
{
    const char *name = kernels[kernel]->name;
    if (isnan(want)) {
        if (!isnan(y)) fail_msg("%s kind %d: f(%.9g) is %.9g, want NaN", name, (int)kind, (double)x, (double)y);
        return;
    }
    double bound = allowed(kind, (double)x, want);
    if (fabs(want) > (double)FLT_MAX || isinf(y)) {
        /* Rounded to infinity: the largest float and what lies within the bound of it may go either way. */
        bool both = isinf(y) ? fabs(want) + bound >= (double)FLT_MAX : fabs(want) - bound <= (double)FLT_MAX;
        if (!both || (y > 0) != (want > 0))
            fail_msg("%s kind %d: f(%.9g) is %.9g, want %g", name, (int)kind, (double)x, (double)y, want);
        return;
    }
    double error = fabs((double)y - want);
    if (!(error <= bound))
        fail_msg("%s kind %d: f(%.9g) is %.9g, want %.9g within %g", name, (int)kind, (double)x, (double)y, want,
                 bound);
    if (fabs(want) >= (double)FLT_MIN) worst_ulp[kernel] = fmax(worst_ulp[kernel], error / ulp_of(want));
}

static void check(uint32_t kernel, enum lp_activation_kind kind, int parameters, float x, float y)
{
    check_against(kernel, kind, x, y, exact(kind, (double)x, (double)alphas[parameters], (double)betas[parameters]));
}

static float of_bits(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* Every kernel on the same values, so that the exact ones are computed once. */
static void check_all_patterns(enum lp_activation_kind kind, int parameters)
{
    static float x[CHUNK], y[CHUNK];
    static double want[CHUNK];
    memset(worst_ulp, 0, sizeof worst_ulp);
    for (uint64_t bits = 0; bits <= UINT32_MAX;) {
        size_t count = 0;
        for (; count < CHUNK && bits <= UINT32_MAX; count++, bits += stride) {
            x[count] = of_bits((uint32_t)bits);
            want[count] = exact(kind, (double)x[count], (double)alphas[parameters], (double)betas[parameters]);
        }
        for (uint32_t k = 0; k < kernel_count; k++) {
            if (kernels[k]->run[kind] == NULL) continue;
            kernels[k]->run[kind](x, count, alphas[parameters], betas[parameters], y);
            for (size_t i = 0; i < count; i++) check_against(k, kind, x[i], y[i], want[i]);
        }
    }
    if (!report) return;
    printf("%-16s alpha %-4g beta %-4g worst ULP:", names[kind], (double)alphas[parameters], (double)betas[parameters]);
    for (uint32_t k = 0; k < kernel_count; k++)
        if (kernels[k]->run[kind] != NULL) printf(" %s %.2f", kernels[k]->name, worst_ulp[k]);
    printf("\n");
    fflush(stdout);
}

static bool uses_parameters(enum lp_activation_kind kind)
{
    return kind == LP_ACT_LEAKY_RELU || kind == LP_ACT_ELU || kind == LP_ACT_SELU || kind == LP_ACT_CELU ||
           kind == LP_ACT_HARD_SIGMOID || kind == LP_ACT_THRESHOLDED_RELU || kind == LP_ACT_CLIP;
}

static void every_function_is_within_its_bound_over_all_floats(void **state)
{
    (void)state;
    for (int k = 0; k < LP_ACT_COUNT; k++) {
        enum lp_activation_kind kind = (enum lp_activation_kind)k;
        if (only != NULL && strcmp(only, names[kind]) != 0) continue;
        for (int p = 0; p < (uses_parameters(kind) ? 2 : 1); p++) check_all_patterns(kind, p);
    }
}

static void limits_are_the_functions_own(void **state)
{
    (void)state;
    static const float x[] = {0.0f,    -0.0f,   INFINITY, -INFINITY, NAN,    FLT_TRUE_MIN, -FLT_TRUE_MIN,
                              FLT_MIN, 88.72f,  88.73f,   -88.0f,    -87.0f, -103.9f,      -104.1f,
                              1e-20f,  -1e-20f, FLT_MAX,  -FLT_MAX,  0.5f,   -0.5f};
    enum { COUNT = sizeof x / sizeof *x };
    float y[COUNT];
    for (uint32_t i = 0; i < kernel_count; i++) {
        for (int kind = 0; kind < LP_ACT_COUNT; kind++) {
            if (kernels[i]->run[kind] == NULL) continue;
            kernels[i]->run[kind](x, COUNT, alphas[0], betas[0], y);
            for (int n = 0; n < COUNT; n++) check(i, (enum lp_activation_kind)kind, 0, x[n], y[n]);
            assert_true(isnan(y[4]));
        }
        kernels[i]->run[LP_ACT_TANH](x, COUNT, 0.0f, 0.0f, y);
        assert_true(y[2] == 1.0f && y[3] == -1.0f && signbit(y[1]) && !signbit(y[0]));
        kernels[i]->run[LP_ACT_SIGMOID](x, COUNT, 0.0f, 0.0f, y);
        assert_true(y[0] == 0.5f && y[2] == 1.0f && y[3] == 0.0f);
    }
}

static void every_length_and_place_is_handled_and_nothing_else_touched(void **state)
{
    (void)state;
    struct guarded from = guarded_new(4096), to = guarded_new(4096);
    for (uint32_t i = 0; i < kernel_count; i++) {
        for (int kind = 0; kind < LP_ACT_COUNT; kind++) {
            for (size_t count = 0; kernels[i]->run[kind] != NULL && count <= 35; count++) {
                for (int at_end = 0; at_end < 2; at_end++) {
                    float *x = guarded_place(&from, count * sizeof *x, at_end);
                    float *y = guarded_place(&to, count * sizeof *y, at_end);
                    for (size_t n = 0; n < count; n++) x[n] = (float)n * 0.37f - 4.0f;
                    kernels[i]->run[kind](x, count, alphas[0], betas[0], y);
                    for (size_t n = 0; n < count; n++) check(i, (enum lp_activation_kind)kind, 0, x[n], y[n]);
                    kernels[i]->run[kind](x, count, alphas[0], betas[0], x);
                    assert_true(count == 0 || memcmp(x, y, count * sizeof *x) == 0);
                }
            }
        }
    }
    guarded_free(&from);
    guarded_free(&to);
}

static void check_softmax_row(const struct lp_activation_kernel *kernel, const float *x, uint32_t width, const float *y)
{
    double top = -INFINITY, sum = 0;
    for (uint32_t i = 0; i < width; i++) top = (double)x[i] > top ? (double)x[i] : top;
    for (uint32_t i = 0; i < width; i++) sum += exp((double)x[i] - top);
    for (uint32_t i = 0; i < width; i++) {
        /* The difference to the largest is rounded to float before exp: its half ULP is the relative error of exp. */
        double want = exp((double)x[i] - top) / sum;
        double bound = want * (8 * 0x1p-23 + fabs((double)x[i] - top) * 0x1p-24) + 1e-38;
        if (!(fabs((double)y[i] - want) <= bound))
            fail_msg("%s softmax width %u: %u is %.9g, want %.9g", kernel->name, width, i, (double)y[i], want);
    }
}

static void check_log_softmax_row(const struct lp_activation_kernel *kernel, const float *x, uint32_t width,
                                  const float *y)
{
    double top = -INFINITY, sum = 0;
    for (uint32_t i = 0; i < width; i++) top = (double)x[i] > top ? (double)x[i] : top;
    for (uint32_t i = 0; i < width; i++) sum += exp((double)x[i] - top);
    for (uint32_t i = 0; i < width; i++) {
        double want = (double)x[i] - top - log(sum), bound = fabs(want) * 0x1p-22 + 8 * 0x1p-23;
        if (!(fabs((double)y[i] - want) <= bound))
            fail_msg("%s log_softmax width %u: %u is %.9g, want %.9g", kernel->name, width, i, (double)y[i], want);
    }
}

static void softmax_is_stable_at_every_width(void **state)
{
    (void)state;
    struct guarded from = guarded_new(8192), to = guarded_new(8192);
    for (uint32_t i = 0; i < kernel_count; i++) {
        for (uint32_t width = 1; width <= 35; width++) {
            for (int pass = 0; pass < 4; pass++) {
                const uint32_t rows = 3;
                float to_log[3 * 35], *x = guarded_place(&from, sizeof(float) * rows * width, pass % 2);
                float *y = guarded_place(&to, sizeof(float) * rows * width, pass % 2);
                /* The second half of the passes is out of exp's range without subtracting the largest. */
                for (uint32_t n = 0; n < rows * width; n++)
                    x[n] = (float)((n * 7919) % 101) * 0.13f + (pass < 2 ? -6.0f : (n % 2 ? 900.0f : -900.0f));
                kernels[i]->softmax(x, rows, width, y);
                for (uint32_t r = 0; r < rows; r++) check_softmax_row(kernels[i], x + r * width, width, y + r * width);
                kernels[i]->log_softmax(x, rows, width, to_log);
                for (uint32_t r = 0; r < rows; r++)
                    check_log_softmax_row(kernels[i], x + r * width, width, to_log + r * width);
                kernels[i]->softmax(x, rows, width, x);
                assert_memory_equal(x, y, sizeof(float) * rows * width);
            }
        }
    }
    guarded_free(&from);
    guarded_free(&to);
}

static void softmax_of_nan_or_infinity_is_nan_and_stays_in_its_row(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < kernel_count; i++) {
        float x[4 * 17], y[4 * 17];
        for (int n = 0; n < 4 * 17; n++) x[n] = 1.0f;
        x[5] = NAN;
        x[2 * 17 + 16] = INFINITY;
        x[3 * 17] = -INFINITY;
        kernels[i]->log_softmax(x, 4, 17, y);
        for (int n = 0; n < 17; n++) assert_true(isnan(y[n]) && fabsf(y[17 + n] + logf(17.0f)) < 1e-5f);
        kernels[i]->softmax(x, 4, 17, y);
        for (int n = 0; n < 17; n++) {
            assert_true(isnan(y[n]));
            assert_true(fabsf(y[17 + n] - 1.0f / 17) < 1e-7f);
            assert_true(n < 16 || isnan(y[2 * 17 + n]));
            assert_true(fabsf(y[3 * 17 + n] - (n == 0 ? 0.0f : 1.0f / 16)) < 1e-7f);
        }
    }
}

static void selection_falls_through_to_the_scalar_kernel(void **state)
{
    (void)state;
    const char *name = NULL;
    for (int kind = 0; kind < LP_ACT_COUNT; kind++)
        assert_non_null(lp_activation_select(lp_cpu_get(), (enum lp_activation_kind)kind, &name));
    lp_activation_select(lp_cpu_get(), LP_ACT_ERF, &name);
    assert_string_equal(name, "scalar");
    lp_activation_select(lp_cpu_get(), LP_ACT_TANH, &name);
    assert_string_equal(name, strcmp(lp_cpu_level(), "baseline") == 0 ? "scalar" : lp_cpu_level());
}

int main(int argc, char **argv)
{
    if (argc > 2 && strcmp(argv[1], "--stride") == 0) stride = (uint32_t)strtoul(argv[2], NULL, 10);
    if (stride == 0) stride = 1;
    report = argc > 2;
    if (argc > 3) only = argv[3];
    kernel_count = lp_activation_kernels(lp_cpu_get(), kernels, KERNELS_MAX);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(limits_are_the_functions_own),
        cmocka_unit_test(every_length_and_place_is_handled_and_nothing_else_touched),
        cmocka_unit_test(every_function_is_within_its_bound_over_all_floats),
        cmocka_unit_test(softmax_is_stable_at_every_width),
        cmocka_unit_test(softmax_of_nan_or_infinity_is_nan_and_stays_in_its_row),
        cmocka_unit_test(selection_falls_through_to_the_scalar_kernel),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
