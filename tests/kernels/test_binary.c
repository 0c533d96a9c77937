/* Element-wise functions against one IEEE operation in double, rounded once, and the C library's pow. */
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
#include "kernels/binary/binary.h"
#include "random.h"

enum { KERNELS_MAX = 8, COUNT_MAX = 67 };

static const struct lp_binary_kernel *kernels[KERNELS_MAX];
static uint32_t kernel_count;
static const float special[] = {0.0f, -0.0f, 1.0f, -1.0f, INFINITY, -INFINITY, NAN, FLT_MAX, -FLT_MIN, 2.5f};
enum { SPECIALS = sizeof special / sizeof *special };

/* Sums, products and quotients of two floats in double round to the float result (Figueroa 1995). */
static double exact(enum lp_binary_kind kind, double a, double b)
{
    switch (kind) {
    case LP_BINARY_ADD: return a + b;
    case LP_BINARY_SUB: return a - b;
    case LP_BINARY_MUL: return a * b;
    case LP_BINARY_DIV: return a / b;
    case LP_BINARY_MIN: return isnan(a) || isnan(b) ? NAN : fmin(a, b);
    case LP_BINARY_MAX: return isnan(a) || isnan(b) ? NAN : fmax(a, b);
    case LP_BINARY_POW: return pow(a, b);
    case LP_BINARY_PRELU: return a < 0 ? a * b : a;
    case LP_BINARY_COUNT: break;
    }
    return NAN;
}

static void check(const char *name, enum lp_binary_kind kind, float a, float b, float got)
{
    float want = (float)exact(kind, (double)a, (double)b);
    bool same = isnan(want) ? isnan(got) : got == want;
    if (kind == LP_BINARY_POW && isfinite(want)) same = fabsf(got - want) <= 2 * FLT_EPSILON * fabsf(want) + FLT_MIN;
    if (!same)
        fail_msg("%s kind %d: f(%.9g, %.9g) is %.9g, want %.9g", name, (int)kind, (double)a, (double)b, (double)got,
                 (double)want);
}

static float value_of(bool specials, size_t i) { return specials ? special[i % SPECIALS] : random_float(); }

static void run_and_check(const struct lp_binary_kernel *kernel, enum lp_binary_kind kind, const struct guarded *pages,
                          size_t count, int form, int at_end)
{
    size_t a_step = form == 1 ? 0 : 1, b_step = form == 2 ? 0 : 1;
    bool specials = count >= SPECIALS && count % 2 == 0;
    float *a = guarded_place(&pages[0], sizeof *a * (a_step ? count : 1), at_end);
    float *b = guarded_place(&pages[1], sizeof *b * (b_step ? count : 1), at_end);
    float *y = guarded_place(&pages[2], sizeof *y * count, at_end);
    for (size_t i = 0; i < (a_step ? count : 1); i++) a[i] = value_of(specials, i);
    for (size_t i = 0; i < (b_step ? count : 1); i++) b[i] = value_of(specials, i / SPECIALS + i + count);
    kernel->run[kind](a, a_step, b, b_step, count, y);
    for (size_t i = 0; i < count; i++) check(kernel->name, kind, a[i * a_step], b[i * b_step], y[i]);
    /* In place of either operand. */
    float before[COUNT_MAX + SPECIALS * SPECIALS];
    memcpy(before, y, sizeof *y * count);
    if (b_step && form == 1) kernel->run[kind](a, a_step, b, b_step, count, b);
    else kernel->run[kind](a, a_step, b, b_step, count, a);
    for (size_t i = 0; i < count; i++) {
        float got = b_step && form == 1 ? b[i] : a[i];
        assert_true(isnan(before[i]) ? isnan(got) : got == before[i]);
    }
}

static void every_length_and_broadcast_is_one_rounding(void **state)
{
    (void)state;
    struct guarded pages[3] = {guarded_new(4096), guarded_new(4096), guarded_new(4096)};
    for (uint32_t i = 0; i < kernel_count; i++)
        for (int kind = 0; kind < LP_BINARY_COUNT; kind++)
            for (size_t count = 0; kernels[i]->run[kind] != NULL && count <= COUNT_MAX; count++)
                for (int form = 0; form < 3; form++)
                    run_and_check(kernels[i], (enum lp_binary_kind)kind, pages, count, form,
                                  (int)(count % 2) ^ (form & 1));
    for (int i = 0; i < 3; i++) guarded_free(&pages[i]);
}

static void every_pair_of_special_values_is_ieee(void **state)
{
    (void)state;
    float a[SPECIALS * SPECIALS], b[SPECIALS * SPECIALS], y[SPECIALS * SPECIALS];
    for (size_t i = 0; i < SPECIALS * SPECIALS; i++) {
        a[i] = special[i / SPECIALS];
        b[i] = special[i % SPECIALS];
    }
    for (uint32_t i = 0; i < kernel_count; i++) {
        for (int kind = 0; kind < LP_BINARY_COUNT; kind++) {
            kernels[i]->run[kind](a, 1, b, 1, SPECIALS * SPECIALS, y);
            for (size_t k = 0; k < SPECIALS * SPECIALS; k++)
                check(kernels[i]->name, (enum lp_binary_kind)kind, a[k], b[k], y[k]);
        }
    }
}

static void powers_for_all_are_right(void **state)
{
    (void)state;
    static const float exponents[] = {2.0f, 0.5f, 1.0f, 3.0f, 0.0f, -1.0f};
    float a[COUNT_MAX], y[COUNT_MAX];
    random_floats(a, COUNT_MAX);
    a[0] = NAN;
    a[1] = -0.0f;
    for (uint32_t i = 0; i < kernel_count; i++) {
        for (size_t e = 0; e < sizeof exponents / sizeof *exponents; e++) {
            kernels[i]->run[LP_BINARY_POW](a, 1, &exponents[e], 0, COUNT_MAX, y);
            for (size_t k = 0; k < COUNT_MAX; k++) check(kernels[i]->name, LP_BINARY_POW, a[k], exponents[e], y[k]);
        }
    }
}

int main(void)
{
    kernel_count = lp_binary_kernels(lp_cpu_get(), kernels, KERNELS_MAX);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_length_and_broadcast_is_one_rounding),
        cmocka_unit_test(every_pair_of_special_values_is_ieee),
        cmocka_unit_test(powers_for_all_are_right),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
