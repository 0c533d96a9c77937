/* Doubles to floats against the value that integer arithmetic on their bits gives. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <float.h>
#include <math.h>
#include <string.h>

#include "guard.h"
#include "kernels/narrow/narrow.h"
#include "random.h"

enum { KERNELS_MAX = 8, COUNT_MAX = 70 };

static const struct lp_narrow_kernel *kernels[KERNELS_MAX];
static uint32_t kernel_count;
static struct guarded x_pages, y_pages;

static int begin(void **state)
{
    (void)state;
    kernel_count = lp_narrow_kernels(lp_cpu_get(), kernels, KERNELS_MAX);
    x_pages = guarded_new(sizeof(double) * COUNT_MAX);
    y_pages = guarded_new(sizeof(float) * COUNT_MAX);
    return 0;
}

static int end(void **state)
{
    (void)state;
    guarded_free(&x_pages);
    guarded_free(&y_pages);
    return 0;
}

/* The bits of the nearest float, halves to even, of a finite double. */
static uint32_t nearest_float(double x)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    uint32_t sign = (uint32_t)(bits >> 32) & 0x80000000u;
    int exponent = (int)(bits >> 52 & 0x7FF) - 1023;
    uint64_t significand = (bits & 0xFFFFFFFFFFFFFu) | (exponent > -1023 ? UINT64_C(1) << 52 : 0);
    int drop = exponent < -126 ? 29 + (-126 - exponent) : 29; /* bits that a float has no place for */
    if (drop > 54) return sign;
    uint64_t kept = significand >> drop, rest = significand & ((UINT64_C(1) << drop) - 1),
             half = UINT64_C(1) << (drop - 1);
    kept += rest > half || (rest == half && kept % 2 == 1);
    /* A carry goes on into the exponent by itself. */
    uint64_t all = exponent < -126 ? kept : kept + ((uint64_t)(exponent + 126) << 23);
    return sign | (all >= 0x7F800000u ? 0x7F800000u : (uint32_t)all);
}

static double random_double(uint32_t i)
{
    static const double special[] = {0.0,
                                     -0.0,
                                     1e300,
                                     -1e300,
                                     1e-300,
                                     FLT_MAX,
                                     0x1.ffffffp127,
                                     FLT_MIN,
                                     0x1p-149,
                                     0x1p-150,
                                     0x1.8p-149,
                                     0x1.000001p-150,
                                     -0x1p-140,
                                     0x1.000001p0,
                                     1.0,
                                     0x1.000003p0,
                                     0.1,
                                     0x1.fffffefffffffp127,
                                     16777217.0,
                                     DBL_MIN,
                                     DBL_TRUE_MIN};
    uint64_t bits = random_bits() ^ random_bits() << 32;
    if (i % 3 == 0) return special[random_below(sizeof special / sizeof *special)];
    if (i % 3 == 1) return (double)random_float();
    /* Exponents around those of floats. */
    bits = (bits & ~(UINT64_C(0x7FF) << 52)) | (uint64_t)(1023 - 160 + random_below(300)) << 52;
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static void every_count_gives_the_nearest_floats(void **state)
{
    (void)state;
    for (uint32_t k = 0; k < kernel_count; k++)
        for (uint32_t count = 0; count <= COUNT_MAX; count++)
            for (int at_end = 0; at_end < 2; at_end++) {
                double *x = guarded_place(&x_pages, sizeof *x * count, at_end);
                float *y = guarded_place(&y_pages, sizeof *y * count, at_end);
                for (uint32_t i = 0; i < count; i++) x[i] = random_double(i + count);
                kernels[k]->run(x, count, y);
                for (uint32_t i = 0; i < count; i++) {
                    uint32_t want = nearest_float(x[i]), got;
                    memcpy(&got, &y[i], sizeof got);
                    if (got != want)
                        fail_msg("%s: element %u of %u: %a became %a", kernels[k]->name, i, count, x[i], (double)y[i]);
                }
            }
}

static void nan_and_infinities_stay(void **state)
{
    (void)state;
    for (uint32_t k = 0; k < kernel_count; k++)
        for (uint32_t at = 0; at < 19; at++) {
            double x[19] = {0};
            float y[19];
            x[at] = (double)NAN;
            x[(at + 1) % 19] = (double)-INFINITY;
            kernels[k]->run(x, 19, y);
            for (uint32_t i = 0; i < 19; i++)
                assert_true(i == at ? isnan(y[i]) : y[i] == (i == (at + 1) % 19 ? -INFINITY : 0.0f));
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_count_gives_the_nearest_floats),
        cmocka_unit_test(nan_and_infinities_stay),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
