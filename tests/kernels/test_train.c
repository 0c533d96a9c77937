/*
 * Training kernels against sums in double, at every level of the CPU. Bound of a sum of k + 1 terms in float (Higham,
 * Accuracy and Stability, 3.1): (k + 2) * 2^-24 * sum |a b|. Buffers end at forbidden pages.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <float.h>
#include <math.h>
#include <string.h>

#include "guard.h"
#include "kernels/train/train.h"

enum { KERNELS_MAX = 8, SIDE_MAX = 150, PAGES_BYTES = SIDE_MAX * 200 * sizeof(float) };

static const struct lp_train_kernel *kernels[KERNELS_MAX];
static uint32_t kernel_count;
static struct guarded a_pages, b_pages, c_pages, gate_pages;

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
    a_pages = guarded_new(PAGES_BYTES);
    b_pages = guarded_new(PAGES_BYTES);
    c_pages = guarded_new(PAGES_BYTES);
    gate_pages = guarded_new(PAGES_BYTES);
    kernel_count = lp_train_kernels(lp_cpu_get(), kernels, KERNELS_MAX);
    return 0;
}

static int end(void **state)
{
    (void)state;
    guarded_free(&a_pages);
    guarded_free(&b_pages);
    guarded_free(&c_pages);
    guarded_free(&gate_pages);
    return 0;
}

/* rows x width in rows of lp_train_stride floats, zeros behind them, up against the forbidden page. */
static float *matrix(struct guarded *pages, uint32_t rows, uint32_t width)
{
    size_t stride = lp_train_stride(width);
    float *at = guarded_place(pages, rows * stride * sizeof(float), 1);
    memset(at, 0, rows * stride * sizeof(float));
    for (uint32_t r = 0; r < rows; r++)
        for (uint32_t c = 0; c < width; c++) at[r * stride + c] = random_float();
    return at;
}

struct shape {
    uint32_t m, k, n;
    bool turned, first, relu, gate;
};

static void check_product(const struct lp_train_kernel *kernel, const struct shape *s)
{
    struct lp_train_product p = {.m = s->m, .k = s->k, .n = (uint32_t)lp_train_padded(s->n), .relu = s->relu};
    float first[SIDE_MAX + 64] __attribute__((aligned(64)));
    memset(first, 0, sizeof first);
    for (uint32_t c = 0; c < s->n; c++) first[c] = random_float();
    p.a = s->turned ? matrix(&a_pages, s->k, s->m) : matrix(&a_pages, s->m, s->k);
    p.a_row = s->turned ? 1 : lp_train_stride(s->k);
    p.a_step = s->turned ? lp_train_stride(s->m) : 1;
    p.b = matrix(&b_pages, s->k, s->n);
    p.b_row = p.c_row = lp_train_stride(s->n);
    p.c = matrix(&c_pages, s->m, s->n);
    p.first = s->first ? first : NULL;
    p.gate = s->gate ? matrix(&gate_pages, s->m, s->n) : NULL;
    kernel->product(&p);
    for (uint32_t i = 0; i < s->m; i++)
        for (uint32_t j = 0; j < p.n; j++) {
            double sum = s->first ? (double)first[j] : 0, size = fabs(sum);
            for (uint32_t k = 0; k < s->k; k++) {
                double term = (double)p.a[i * p.a_row + k * p.a_step] * (double)p.b[k * p.b_row + j];
                sum += term;
                size += fabs(term);
            }
            if (s->relu && sum < 0) sum = 0;
            if (s->gate && p.gate[i * p.c_row + j] <= 0) sum = 0;
            double bound = (s->k + 2) * 0x1p-24 * size + FLT_TRUE_MIN;
            if (!(fabs((double)p.c[i * p.c_row + j] - sum) <= bound))
                fail_msg("%s, %u x %u x %u, row %u, column %u: %.9g, wanted %.9g", kernel->name, s->m, s->k, s->n, i, j,
                         (double)p.c[i * p.c_row + j], sum);
        }
}

static void product_is_the_sum_at_every_shape(void **state)
{
    static const uint32_t sides[] = {1, 2, 3, 5, 6, 7, 8, 9, 13, 16, 17, 31, 33, 48, 64, 65, 130};
    enum { SIDES = sizeof sides / sizeof *sides };
    (void)state;
    for (uint32_t i = 0; i < kernel_count; i++)
        for (size_t m = 0; m < SIDES; m++)
            for (size_t n = 0; n < SIDES; n++)
                for (unsigned flags = 0; flags < 16; flags += 3) {
                    struct shape s = {
                        sides[m], sides[(m + n + flags) % SIDES], sides[n], flags & 1, flags & 2, flags & 4, flags & 8};
                    check_product(kernels[i], &s);
                }
}

static void product_of_nothing_is_its_first_value(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < kernel_count; i++) {
        check_product(kernels[i], &(struct shape){.m = 9, .k = 0, .n = 20, .first = true});
        check_product(kernels[i], &(struct shape){.m = 1, .k = 0, .n = 140});
        check_product(kernels[i], &(struct shape){.m = 0, .k = 7, .n = 20});
    }
}

static void nan_goes_through_relu_and_gate(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < kernel_count; i++) {
        float a[1] = {NAN}, b[16] __attribute__((aligned(64))) = {1}, c[16] __attribute__((aligned(64)));
        float gate[16] __attribute__((aligned(64)));
        for (int k = 0; k < 16; k++) gate[k] = 1;
        struct lp_train_product p = {.a = a,
                                     .a_row = 1,
                                     .a_step = 1,
                                     .b = b,
                                     .b_row = 16,
                                     .c = c,
                                     .c_row = 16,
                                     .m = 1,
                                     .k = 1,
                                     .n = 16,
                                     .relu = true,
                                     .gate = gate};
        kernels[i]->product(&p);
        assert_true(isnan(c[0]));
    }
}

static void dot_and_column_sums_are_the_sums(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < kernel_count; i++)
        for (uint32_t rows = 0; rows < 20; rows++)
            for (uint32_t width = 1; width < 140; width += 23) {
                size_t stride = lp_train_stride(width), padded = lp_train_padded(width);
                float *x = matrix(&a_pages, rows, width), *w = matrix(&b_pages, 1, width);
                float *y = matrix(&c_pages, rows + 1, 1), *sums = matrix(&gate_pages, 1, width);
                kernels[i]->dot(x, stride, rows, w, (uint32_t)padded, 0.5f, y, 1);
                kernels[i]->column_sums(x, stride, rows, (uint32_t)padded, sums);
                for (uint32_t r = 0; r < rows; r++) {
                    double sum = 0.5;
                    for (uint32_t c = 0; c < width; c++) sum += (double)x[r * stride + c] * (double)w[c];
                    assert_true(fabs((double)y[r] - sum) <= (width + 2) * 0x1p-24 * (0.5 + 4.0 * width));
                }
                for (uint32_t c = 0; c < padded; c++) {
                    double sum = 0;
                    for (uint32_t r = 0; r < rows; r++) sum += (double)x[r * stride + c];
                    assert_true(fabs((double)sums[c] - sum) <= (rows + 2) * 0x1p-24 * 2.0 * rows);
                }
            }
}

static void turn_transposes_every_shape(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < kernel_count; i++)
        for (uint32_t rows = 1; rows < 50; rows += 3)
            for (uint32_t columns = 1; columns < 70; columns += 4) {
                float *from = matrix(&a_pages, rows, columns), *to = matrix(&c_pages, columns, rows);
                size_t from_row = lp_train_stride(columns), to_row = lp_train_stride(rows);
                kernels[i]->turn(from, from_row, rows, columns, to, to_row);
                for (uint32_t r = 0; r < rows; r++)
                    for (uint32_t c = 0; c < columns; c++) assert_true(to[c * to_row + r] == from[r * from_row + c]);
            }
}

static double reference_gradient(const struct lp_train_step *s, float g, float w)
{
    double sign = w > 0 ? 1 : w < 0 ? -1 : 0;
    return (double)s->scale * (double)g + (double)s->l2 * (double)w + (double)s->l1 * sign;
}

static void steps_are_their_formulas(void **state)
{
    enum { COUNT = 96 };
    const struct lp_train_step s = {.scale = 0.7f,
                                    .l1 = 0.01f,
                                    .l2 = 0.03f,
                                    .keep = 0.99f,
                                    .rate = 0.1f,
                                    .beta1 = 0.9f,
                                    .beta2 = 0.99f,
                                    .root = 3.5f,
                                    .epsilon = 1e-7f};
    (void)state;
    for (uint32_t i = 0; i < kernel_count; i++)
        for (int adam = 0; adam < 2; adam++) {
            float *g = matrix(&a_pages, 1, COUNT), *w = matrix(&b_pages, 1, COUNT), *m = matrix(&c_pages, 1, COUNT),
                  *v = matrix(&gate_pages, 1, COUNT), before[3][COUNT];
            for (int k = 0; k < COUNT; k++) v[k] = fabsf(v[k]);
            w[3] = 0;
            memcpy(before[0], w, sizeof before[0]);
            memcpy(before[1], m, sizeof before[1]);
            memcpy(before[2], v, sizeof before[2]);
            if (adam) kernels[i]->adam(&s, COUNT, g, w, m, v);
            else kernels[i]->momentum(&s, COUNT, g, w, m);
            for (int k = 0; k < COUNT; k++) {
                double step = reference_gradient(&s, g[k], before[0][k]);
                double m1 = (double)s.beta1 * (double)before[1][k] + (adam ? 1 - (double)s.beta1 : 1) * step;
                double v1 = (double)s.beta2 * (double)before[2][k] + (1 - (double)s.beta2) * step * step;
                double down = adam ? m1 / (sqrt(v1) * (double)s.root + (double)s.epsilon) : m1;
                double w1 = (double)before[0][k] * (double)s.keep - (double)s.rate * down;
                assert_true(fabs((double)m[k] - m1) < 1e-6 && fabs((double)w[k] - w1) < 2e-6);
                assert_true(!adam || fabs((double)v[k] - v1) < 1e-6);
            }
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(product_is_the_sum_at_every_shape), cmocka_unit_test(product_of_nothing_is_its_first_value),
        cmocka_unit_test(nan_goes_through_relu_and_gate),    cmocka_unit_test(dot_and_column_sums_are_the_sums),
        cmocka_unit_test(turn_transposes_every_shape),       cmocka_unit_test(steps_are_their_formulas),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
