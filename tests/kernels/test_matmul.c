/* Small products against sums in double, within the bound of a float sum of k terms (Higham, 3.1). */
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
#include "kernels/matmul/matmul.h"
#include "random.h"

enum { KERNELS_MAX = 8, FLOATS_MAX = 24000, RECORDS = 3, MORE = 3 };

static const struct lp_matmul_kernel *kernels[KERNELS_MAX];
static uint32_t kernel_count;

static void check(const char *name, const struct lp_matmul *s, const float *a, const float *b, const float *y)
{
    size_t step = s->transpose_b ? 1 : s->b_row, next = s->transpose_b ? s->b_row : 1;
    for (uint32_t i = 0; i < s->m; i++) {
        for (uint32_t j = 0; j < s->n; j++) {
            double sum = 0, size = 0;
            for (uint32_t p = 0; p < s->k; p++) {
                double term = (double)a[i * s->a_row + p] * (double)b[j * next + p * step];
                sum += term;
                size += fabs(term);
            }
            float got = y[i * s->y_row + j];
            if (isnan(sum) ? !isnan(got) : !(fabs((double)got - sum) <= (s->k + 2.0) * size * 0x1p-24))
                fail_msg("%s %ux%ux%u transposed %d: [%u][%u] is %.9g, want %.9g", name, s->m, s->k, s->n,
                         s->transpose_b, i, j, (double)got, sum);
        }
    }
}

static void run_and_check(const struct lp_matmul_kernel *kernel, struct lp_matmul s, const struct guarded *pages,
                          uint32_t more, bool shared, int at_end)
{
    size_t b_rows = s.transpose_b ? s.n : s.k, b_width = s.transpose_b ? s.k : s.n;
    s.a_row = s.k + more;
    s.b_row = b_width + more;
    s.y_row = s.n + more;
    size_t a_floats = (s.m - 1) * s.a_row + s.k, b_floats = (b_rows - 1) * s.b_row + b_width;
    size_t y_floats = (s.m - 1) * s.y_row + s.n;
    s.a_stride = a_floats;
    s.b_stride = shared ? 0 : b_floats;
    s.y_stride = y_floats;
    float *a = guarded_place(&pages[0], sizeof *a * a_floats * RECORDS, at_end);
    float *b = guarded_place(&pages[1], sizeof *b * b_floats * (shared ? 1 : RECORDS), at_end);
    float *y = guarded_place(&pages[2], sizeof *y * y_floats * RECORDS, at_end);
    random_floats(a, a_floats * RECORDS);
    random_floats(b, b_floats * (shared ? 1 : RECORDS));
    for (size_t i = 0; i < y_floats * RECORDS; i++) y[i] = -77.0f;
    if (s.m % 5 == 3) a[0] = NAN;
    kernel->run(&s, a, b, RECORDS, y);
    for (uint32_t r = 0; r < RECORDS; r++)
        check(kernel->name, &s, a + r * s.a_stride, b + r * s.b_stride, y + r * s.y_stride);
    for (size_t i = 0; more > 0 && i < y_floats; i++)
        if (i % s.y_row >= s.n) assert_true(y[i] == -77.0f);
    if (more > 0) return;
    s.a_row = s.b_row = s.y_row = 0; /* 0 means what was given */
    float again[FLOATS_MAX];
    kernel->run(&s, a, b, 1, again);
    assert_memory_equal(again, y, sizeof *y * y_floats);
}

static void every_shape_agrees_with_double_sums(void **state)
{
    (void)state;
    static const uint32_t sizes[] = {1, 2, 3, 4, 5, 7, 8, 9, 16, 17, 27, 33};
    enum { SIZES = sizeof sizes / sizeof *sizes };
    struct guarded pages[3];
    for (int i = 0; i < 3; i++) pages[i] = guarded_new(FLOATS_MAX * sizeof(float));
    for (uint32_t i = 0; i < kernel_count; i++)
        for (uint32_t m = 0; m < SIZES; m++)
            for (uint32_t k = 0; k < SIZES; k++)
                for (uint32_t n = 0; n < SIZES; n++)
                    for (int transposed = 0; transposed < 2; transposed++)
                        run_and_check(kernels[i],
                                      (struct lp_matmul){
                                          .m = sizes[m], .k = sizes[k], .n = sizes[n], .transpose_b = transposed == 1},
                                      pages, (m + k + n) % 2 ? MORE : 0, m % 3 == 0, (int)(k % 2));
    for (int i = 0; i < 3; i++) guarded_free(&pages[i]);
}

int main(void)
{
    kernel_count = lp_matmul_kernels(lp_cpu_get(), kernels, KERNELS_MAX);
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_shape_agrees_with_double_sums)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
