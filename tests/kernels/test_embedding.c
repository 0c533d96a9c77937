/* Gathered and pooled rows against the table in double; the order of float sums is the ids', so the bits are given. */
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
#include "kernels/embedding/embedding.h"
#include "random.h"

enum { KERNELS_MAX = 8, TABLE_ROWS = 23, WIDTH_MAX = 70, IDS_MAX = 11, RECORDS = 4, MORE = 3 };

static const struct lp_embedding_kernel *kernels[KERNELS_MAX];
static uint32_t kernel_count;
static struct guarded table_pages, y_pages;
static float scales[TABLE_ROWS];

static float float_of_half(uint16_t half)
{
    int exponent = half >> 10 & 31, fraction = half & 1023;
    double value = exponent == 0 ? fraction * 0x1p-24 : ldexp(1024 + fraction, exponent - 25);
    if (exponent == 31) value = fraction ? NAN : INFINITY;
    return (float)(half >> 15 ? -value : value);
}

static float value_of(const struct lp_embedding_table *t, uint32_t row, uint32_t column)
{
    size_t at = (size_t)row * t->width + column;
    uint32_t bits = 0;
    float value = 0;
    switch (t->dtype) {
    case LP_EMBEDDING_F32: return ((const float *)t->values)[at];
    case LP_EMBEDDING_F16: return float_of_half(((const uint16_t *)t->values)[at]);
    case LP_EMBEDDING_BF16:
        bits = (uint32_t)((const uint16_t *)t->values)[at] << 16;
        memcpy(&value, &bits, sizeof value);
        return value;
    case LP_EMBEDDING_I8: return (float)((double)((const int8_t *)t->values)[at] * (double)t->scales[row]);
    case LP_EMBEDDING_DTYPES: break;
    }
    return NAN;
}

static float pooled(const struct lp_embedding_table *t, const uint32_t *indices, uint32_t ids, uint32_t column)
{
    float all = 0;
    uint32_t count = 0;
    for (uint32_t i = 0; i < ids; i++) {
        if (indices[i] == LP_EMBEDDING_PADDING) continue;
        if (indices[i] == LP_EMBEDDING_BAD) return NAN;
        float value = value_of(t, indices[i], column);
        if (count++ == 0) all = value;
        else if (t->pool == LP_POOL_MAX) all = isnan(all) || isnan(value) ? NAN : fmaxf(all, value);
        else all = (float)((double)all + (double)value);
    }
    return t->pool == LP_POOL_MEAN && count > 0 ? (float)((double)all / count) : all;
}

static void expect(const char *name, const struct lp_embedding_table *t, float got, float want)
{
    if (isnan(want) ? !isnan(got) : got != want)
        fail_msg("%s dtype %d pool %d width %u: %.9g, want %.9g", name, (int)t->dtype, (int)t->pool, t->width,
                 (double)got, (double)want);
}

static void check(const struct lp_embedding_kernel *kernel, const struct lp_embedding_table *t, uint32_t ids)
{
    uint32_t indices[RECORDS * IDS_MAX];
    size_t out = (size_t)t->width * (t->pool == LP_POOL_NONE ? ids : 1), stride = out + MORE;
    float *y = guarded_place(&y_pages, sizeof *y * ((RECORDS - 1) * stride + out), 1);
    for (uint32_t i = 0; i < RECORDS * ids; i++) {
        indices[i] = random_below(TABLE_ROWS);
        if (random_below(9) == 0 && t->pool != LP_POOL_NONE) indices[i] = LP_EMBEDDING_PADDING;
        if (random_below(19) == 0) indices[i] = LP_EMBEDDING_BAD;
        if (i < ids && t->pool != LP_POOL_NONE) indices[i] = LP_EMBEDDING_PADDING; /* a record with nothing to pool */
    }
    kernel->run(t, indices, RECORDS, ids, y, stride);
    for (uint32_t r = 0; r < RECORDS; r++) {
        for (size_t at = 0; at < out; at++) {
            uint32_t column = (uint32_t)(at % t->width), id = indices[r * ids + at / t->width];
            float want = t->pool != LP_POOL_NONE ? pooled(t, indices + r * ids, ids, column)
                         : id < TABLE_ROWS       ? value_of(t, id, column)
                                                 : NAN;
            expect(kernel->name, t, y[r * stride + at], want);
        }
    }
}

static void every_dtype_width_and_pool_gives_the_same_bits(void **state)
{
    (void)state;
    static const size_t bytes[] = {4, 2, 2, 1};
    table_pages = guarded_new(sizeof(float) * TABLE_ROWS * WIDTH_MAX);
    y_pages = guarded_new(sizeof(float) * RECORDS * (IDS_MAX * WIDTH_MAX + MORE));
    for (int i = 0; i < TABLE_ROWS; i++) scales[i] = fabsf(random_float()) + 0.01f;
    for (uint32_t i = 0; i < kernel_count * LP_EMBEDDING_DTYPES; i++) {
        for (uint32_t width = 1; width <= WIDTH_MAX; width += width < 36 ? 1 : 17) {
            enum lp_embedding_dtype dtype = (enum lp_embedding_dtype)(i % LP_EMBEDDING_DTYPES);
            size_t values = (size_t)TABLE_ROWS * width;
            unsigned char *table = guarded_place(&table_pages, bytes[dtype] * values, 1);
            for (size_t k = 0; k < bytes[dtype] * values; k++) table[k] = (unsigned char)(random_bits() >> 30);
            if (dtype == LP_EMBEDDING_F32) random_floats((float *)(void *)table, values);
            struct lp_embedding_table t = {
                table, dtype == LP_EMBEDDING_I8 ? scales : NULL, dtype, LP_POOL_NONE, TABLE_ROWS, width};
            for (int pool = LP_POOL_NONE; pool <= LP_POOL_MAX; pool++) {
                t.pool = (enum lp_embedding_pool)pool;
                check(kernels[i / LP_EMBEDDING_DTYPES], &t, 1 + (width + (uint32_t)pool) % IDS_MAX);
            }
        }
    }
    guarded_free(&table_pages);
    guarded_free(&y_pages);
}

static void ids_that_are_no_rows_are_bad(void **state)
{
    (void)state;
    const struct lp_embedding_table t = {.row_count = 16777219, .width = 1};
    static const double ids[] = {0, 16777217, 16777218, 16777219, -1, 0.5, NAN, INFINITY, -INFINITY, 7, -0.0, 1e300};
    static const uint32_t want[] = {0,
                                    16777217,
                                    16777218,
                                    LP_EMBEDDING_BAD,
                                    LP_EMBEDDING_BAD,
                                    LP_EMBEDDING_BAD,
                                    LP_EMBEDDING_BAD,
                                    LP_EMBEDDING_BAD,
                                    LP_EMBEDDING_BAD,
                                    LP_EMBEDDING_PADDING,
                                    0,
                                    LP_EMBEDDING_BAD};
    enum { COUNT = sizeof ids / sizeof *ids };
    uint32_t got[COUNT];
    lp_embedding_indices_f64(ids, COUNT, 1, COUNT, &t, 7, got);
    assert_memory_equal(got, want, sizeof want);
    /* Two records, three values apart, of which the first two are ids. */
    static const float floats[] = {1, 7, 99, 2, 3.5f, 99};
    static const uint32_t from_floats[] = {1, 7, 2, LP_EMBEDDING_BAD};
    lp_embedding_indices_f32(floats, 3, 2, 2, &t, -1, got);
    assert_memory_equal(got, from_floats, sizeof from_floats);
}

int main(void)
{
    kernel_count = lp_embedding_kernels(lp_cpu_get(), kernels, KERNELS_MAX);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_dtype_width_and_pool_gives_the_same_bits),
        cmocka_unit_test(ids_that_are_no_rows_are_bad),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
