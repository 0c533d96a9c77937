/* Normalization kernels against the formula worked out here, bit by bit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <float.h>
#include <math.h>
#include <string.h>

#include "guard.h"
#include "kernels/normalize/normalize.h"

enum { KERNELS_MAX = 8, COUNT_MAX = 800 };

static const struct lp_normalize_kernel *kernels[KERNELS_MAX];
static uint32_t kernel_count;
static struct guarded pages[6];

static int begin(void **state)
{
    (void)state;
    kernel_count = lp_normalize_kernels(lp_cpu_get(), kernels, KERNELS_MAX);
    for (int i = 0; i < 6; i++) pages[i] = guarded_new(sizeof(double) * COUNT_MAX);
    return 0;
}

static int end(void **state)
{
    (void)state;
    for (int i = 0; i < 6; i++) guarded_free(&pages[i]);
    return 0;
}

static double random_double(double low, double high)
{
    static uint64_t state = 88172645463325252u;
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return low + (high - low) * ((double)(state >> 11) / 9007199254740992.0);
}

static void assert_bits(const char *name, uint32_t count, uint32_t i, double got, double want)
{
    if (isnan(want) ? !isnan(got) : memcmp(&got, &want, sizeof got) != 0)
        fail_msg("%s: element %u of %u is %.17g, want %.17g", name, i, count, got, want);
}

/* `odd` is put at one place of the column. */
static void check_each(const struct lp_normalize_kernel *kernel, uint32_t count, int at_end, uint32_t place, double odd)
{
    double *part[6];
    for (int i = 0; i < 6; i++) part[i] = guarded_place(&pages[i], sizeof(double) * count, at_end);
    double *x = part[0], *low = part[1], *high = part[2], *center = part[3], *scale = part[4], *y = part[5];
    bool want = true;
    for (uint32_t i = 0; i < count; i++) {
        x[i] = i == place ? odd : random_double(-5, 5);
        low[i] = -5;
        high[i] = 5;
        center[i] = random_double(-1, 1);
        scale[i] = random_double(0.1, 9);
        want = want && x[i] >= low[i] && x[i] <= high[i];
    }
    const struct lp_normalize_each by = {low, high, center, scale};
    if (kernel->each(x, &by, count, y) != want)
        fail_msg("%s: %u elements, odd %g at %u: not %d", kernel->name, count, odd, place, want);
    for (uint32_t i = 0; i < count; i++) {
        volatile double difference = x[i] - center[i];
        assert_bits(kernel->name, count, i, y[i], difference / scale[i]);
    }
}

static void check_same(const struct lp_normalize_kernel *kernel, uint32_t count, int at_end, uint32_t place, double odd,
                       struct lp_normalize_same by)
{
    double *x = guarded_place(&pages[0], sizeof(double) * count, at_end);
    double *y = guarded_place(&pages[5], sizeof(double) * count, at_end);
    bool want = true;
    for (uint32_t i = 0; i < count; i++) {
        x[i] = i == place ? odd : random_double(-5, 5);
        want = want && x[i] >= by.low && x[i] <= by.high;
    }
    if (kernel->same(x, &by, count, y) != want)
        fail_msg("%s: %u elements, odd %g at %u: not %d", kernel->name, count, odd, place, want);
    for (uint32_t i = 0; i < count; i++) {
        volatile double difference = x[i] - by.center;
        assert_bits(kernel->name, count, i, y[i], difference / by.scale);
    }
}

static const double odds[] = {0.0, -0.0, NAN, INFINITY, -INFINITY, 5.0, -5.0, 5.0000001, DBL_TRUE_MIN, DBL_MAX};

static void every_length_gives_the_formulas_bits_and_finds_what_is_outside(void **state)
{
    (void)state;
    static const struct lp_normalize_same plain = {-5, 5, 0.7, 3.1}, copies = {-5, 5, 0.0, 1.0},
                                          open = {-INFINITY, INFINITY, 1.0, 1.0};
    for (uint32_t k = 0; k < kernel_count; k++) {
        for (uint32_t count = 0; count <= 17; count++) {
            for (uint32_t place = 0; place <= count; place++) {
                for (size_t o = 0; o < sizeof odds / sizeof *odds; o++) {
                    int at_end = (int)((count + o) % 2);
                    check_each(kernels[k], count, at_end, place, odds[o]);
                    check_same(kernels[k], count, at_end, place, odds[o], plain);
                    check_same(kernels[k], count, at_end, place, odds[o], copies);
                    check_same(kernels[k], count, at_end, place, odds[o], open);
                }
            }
        }
    }
}

static void a_long_vector_is_found_outside_wherever_it_is(void **state)
{
    (void)state;
    static const struct lp_normalize_same plain = {-5, 5, 0.1307, 0.3081};
    for (uint32_t k = 0; k < kernel_count; k++) {
        for (uint32_t place = 0; place <= 784; place += 13) check_same(kernels[k], 784, 1, place, 6.0, plain);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_length_gives_the_formulas_bits_and_finds_what_is_outside),
        cmocka_unit_test(a_long_vector_is_found_outside_wherever_it_is),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
