/* Sketches keep what they state, in any order and merged in any way; sorting and moments against the plain way. */
#include "fit/distinct.h"
#include "fit/moments.h"
#include "fit/quantiles.h"
#include "fit/repeats.h"
#include "fit/sort.h"
#include "fit/top.h"

#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MANY = 200000, BLOCK = 5000 };

static uint64_t state;

static uint64_t draw(void)
{
    state = state * UINT64_C(6364136223846793005) + 1442695040888963407u;
    return lp_mix64(state);
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* --- sorting --- */

static void fill(double *values, uint32_t count, int kind)
{
    for (uint32_t i = 0; i < count; i++) {
        double x = (double)(int64_t)draw();
        switch (kind) {
        case 0: values[i] = x; break;
        case 1: values[i] = 1e9 + x * 1e-22; break;                /* only the last bits differ */
        case 2: values[i] = i == 7 ? 1e300 : 1 + x * 1e-30; break; /* one far value hides them */
        case 3: values[i] = (double)(draw() % 3) - 1; break;       /* ties */
        case 4: values[i] = (double)i; break;
        case 5: values[i] = -(double)i; break;
        case 6: values[i] = i % 2 == 0 ? DBL_TRUE_MIN * (double)(draw() % 9) : -0.0; break;
        default: values[i] = i % 3 == 0 ? DBL_MAX : -DBL_MAX; break;
        }
    }
}

static void sorting_is_what_qsort_does(void **context)
{
    (void)context;
    static double values[BLOCK], wanted[BLOCK];
    static uint64_t scratch[2 * BLOCK];
    const uint32_t counts[] = {0, 1, 2, 63, 64, 65, 1000, BLOCK};
    for (int kind = 0; kind < 8; kind++)
        for (size_t c = 0; c < sizeof counts / sizeof *counts; c++) {
            fill(values, counts[c], kind);
            memcpy(wanted, values, sizeof values);
            qsort(wanted, counts[c], sizeof *wanted, by_value);
            lp_sort_doubles(values, scratch, counts[c]);
            for (uint32_t i = 0; i < counts[c]; i++)
                assert_true(values[i] == wanted[i] && !(values[i] == 0 && signbit(values[i])));
        }
}

/* Sorted by neighbourhoods: a value is out of order with at most LP_SORT_APART_MAX others, and none gets lost. */
static void sorting_roughly_is_off_by_a_neighbourhood_at_most(void **context)
{
    (void)context;
    static double values[BLOCK], wanted[BLOCK];
    static uint64_t scratch[2 * BLOCK];
    const uint32_t counts[] = {1, 64, LP_SORT_EXACTLY_MAX, LP_SORT_EXACTLY_MAX + 1, BLOCK};
    for (int kind = 0; kind < 8; kind++)
        for (size_t c = 0; c < sizeof counts / sizeof *counts; c++) {
            fill(values, counts[c], kind);
            memcpy(wanted, values, sizeof values);
            qsort(wanted, counts[c], sizeof *wanted, by_value);
            lp_sort_roughly(values, scratch, counts[c], wanted[0], wanted[counts[c] - 1]);
            for (uint32_t i = 0; i < counts[c]; i++) {
                uint32_t last = i + LP_SORT_APART_MAX < counts[c] ? i + LP_SORT_APART_MAX : counts[c] - 1;
                uint32_t first = i > LP_SORT_APART_MAX ? i - LP_SORT_APART_MAX : 0;
                assert_true(values[i] >= wanted[first] && values[i] <= wanted[last]);
                assert_false(values[i] == 0 && signbit(values[i]));
            }
            qsort(values, counts[c], sizeof *values, by_value);
            for (uint32_t i = 0; i < counts[c]; i++) assert_true(values[i] == wanted[i]);
        }
}

/* --- moments --- */

static void moments_merge_to_the_same_in_any_grouping(void **context)
{
    (void)context;
    static double values[BLOCK];
    for (int kind = 0; kind < 3; kind++) {
        long double sum = 0, m2 = 0;
        for (uint32_t i = 0; i < BLOCK; i++) {
            double x = (double)(draw() % 2000001) - 1e6;
            values[i] = kind == 0 ? 1e9 + 1e-9 * x : kind == 1 ? 1e294 * x : 1e-306 * x;
            sum += (long double)values[i] - values[0]; /* at 1e9 the plain sum is too coarse to be the measure */
        }
        long double mean = values[0] + sum / BLOCK;
        for (uint32_t i = 0; i < BLOCK; i++) m2 += (values[i] - mean) * (values[i] - mean);
        for (uint32_t size = 1; size <= BLOCK; size = size * 3 + 1) {
            struct lp_moments all = {0};
            for (uint32_t i = 0; i < BLOCK; i += size) {
                struct lp_moments part;
                lp_moments_of(values + i, i + size <= BLOCK ? size : BLOCK - i, &part);
                lp_moments_merge(&all, &part);
            }
            assert_int_equal(all.count, BLOCK);
            assert_true(fabs(lp_moments_std(&all) / (double)sqrtl(m2 / BLOCK) - 1) < 1e-12);
            assert_true(fabsl(lp_moments_mean(&all) - mean) <= 1e-12L * fabsl(mean) + 1e-15L * sqrtl(m2 / BLOCK));
        }
    }
}

static void a_constant_has_no_spread(void **context)
{
    (void)context;
    double values[100];
    for (int i = 0; i < 100; i++) values[i] = 0.1;
    struct lp_moments all = {0}, part;
    for (int i = 0; i < 100; i += 20) {
        lp_moments_of(values + i, 20, &part);
        lp_moments_merge(&all, &part);
    }
    assert_true(lp_moments_std(&all) == 0 && lp_moments_mean(&all) == 0.1);
}

/* --- quantiles --- */

/* The value at place i of an order that is meant to mislead. */
static double value_of(int order, uint32_t i)
{
    switch (order) {
    case 0: return (double)i;
    case 1: return (double)(MANY - i);
    case 2: return (double)(i % 2 == 0 ? i / 2 : MANY - i / 2);                /* outside in */
    case 3: return (double)(i % 2 == 0 ? MANY / 2 + i / 2 : MANY / 2 - i / 2); /* inside out */
    case 4: return (double)((uint64_t)i * 99991 % MANY);                       /* spread */
    case 5: return (double)(i / BLOCK % 2 == 0 ? i : MANY - i);                /* waves */
    default: return (double)(i % 7);                                           /* ties */
    }
}

static void feed(struct lp_quantiles *sketch, int order, uint32_t begin, uint32_t end, uint32_t size)
{
    static double block[BLOCK];
    static uint64_t scratch[2 * BLOCK];
    struct lp_error err;
    for (uint32_t i = begin; i < end; i += size) {
        uint32_t count = i + size <= end ? size : end - i;
        for (uint32_t k = 0; k < count; k++) block[k] = value_of(order, i + k);
        double min = block[0], max = block[0];
        for (uint32_t k = 1; k < count; k++) {
            min = fmin(min, block[k]);
            max = fmax(max, block[k]);
        }
        lp_sort_roughly(block, scratch, count, min, max);
        assert_int_equal(lp_quantiles_add_sorted(sketch, block, count, &err), LP_OK);
    }
}

/* Of ranks asked for: how many were off by more than is stated, and the worst of all. */
struct asked {
    uint32_t count, beyond;
    double worst;
};

static void ask(const struct lp_quantiles *sketch, int order, struct asked *asked)
{
    static double sorted[MANY];
    struct lp_quantiles_view view;
    struct lp_error err;
    for (uint32_t i = 0; i < MANY; i++) sorted[i] = value_of(order, i);
    qsort(sorted, MANY, sizeof *sorted, by_value);
    assert_int_equal(lp_quantiles_look(sketch, sorted[0], sorted[MANY - 1], &view, &err), LP_OK);
    assert_int_equal(view.total, MANY);
    for (uint32_t i = 0; i < MANY; i += 997) {
        uint32_t below = i;
        while (below > 0 && sorted[below - 1] == sorted[i]) below--;
        double off = fabs(lp_quantiles_below(&view, sorted[i]) - below) / MANY;
        asked->count++;
        asked->beyond += off > lp_quantiles_error(sketch);
        asked->worst = fmax(asked->worst, off / lp_quantiles_error(sketch));
    }
    lp_quantiles_view_done(&view);
}

static void quantiles_keep_their_error_in_any_order(void **context)
{
    (void)context;
    const uint32_t sizes[] = {1, 100, BLOCK};
    struct asked asked = {0};
    for (int order = 0; order < 7; order++)
        for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
            struct lp_quantiles sketch;
            lp_quantiles_init(&sketch, 256, (uint64_t)order);
            feed(&sketch, order, 0, MANY, sizes[s]);
            uint32_t held = 0;
            for (uint32_t i = 0; i < sketch.level_count; i++) held += sketch.levels[i].count;
            assert_true(held < 4 * 256);
            ask(&sketch, order, &asked);
            lp_quantiles_done(&sketch);
        }
    /* 99 % of the ranks, as is stated; and none by twice that. */
    assert_true(asked.beyond * 100 <= asked.count);
    assert_true(asked.worst < 2);
}

static void merged_quantiles_keep_their_error(void **context)
{
    (void)context;
    struct lp_error err;
    struct asked asked = {0};
    for (int order = 0; order < 7; order++) {
        struct lp_quantiles all;
        lp_quantiles_init(&all, 256, 1);
        for (uint32_t part = 0; part < 16; part++) {
            struct lp_quantiles sketch;
            lp_quantiles_init(&sketch, 256, part + 2);
            feed(&sketch, order, MANY / 16 * part, MANY / 16 * (part + 1), 700);
            assert_int_equal(lp_quantiles_merge(&all, &sketch, &err), LP_OK);
            lp_quantiles_done(&sketch);
        }
        assert_int_equal(all.count, MANY);
        ask(&all, order, &asked);
        lp_quantiles_done(&all);
    }
    assert_true(asked.beyond * 100 <= asked.count);
    assert_true(asked.worst < 2);
}

static void few_values_are_kept_exactly(void **context)
{
    (void)context;
    struct lp_quantiles sketch;
    struct lp_quantiles_view view;
    struct lp_error err;
    lp_quantiles_init(&sketch, 256, 1);
    for (int i = 0; i < 101; i++) {
        double value = i;
        assert_int_equal(lp_quantiles_add_sorted(&sketch, &value, 1, &err), LP_OK);
    }
    assert_true(lp_quantiles_error(&sketch) == 0);
    assert_int_equal(lp_quantiles_look(&sketch, 0, 100, &view, &err), LP_OK);
    assert_true(lp_quantiles_at(&view, 0.255) == 25.5 && lp_quantiles_at(&view, 0) == 0 &&
                lp_quantiles_at(&view, 1) == 100);
    assert_true(lp_quantiles_below(&view, 50) == 50 && lp_quantiles_below(&view, 50.5) == 51);
    lp_quantiles_view_done(&view);
    lp_quantiles_done(&sketch);
}

/* --- counting --- */

static void distinct_counts_are_within_four_standard_errors(void **context)
{
    (void)context;
    static struct lp_distinct all, half[2];
    const uint32_t counts[] = {0, 1, 10, 1000, 5000, 20000, 100000, 1000000};
    for (size_t c = 0; c < sizeof counts / sizeof *counts; c++) {
        memset(&all, 0, sizeof all);
        memset(half, 0, sizeof half);
        for (uint32_t i = 0; i < counts[c]; i++)
            for (int again = 0; again < 2; again++) {
                lp_distinct_add(&all, lp_hash_number(i));
                lp_distinct_add(&half[i % 2], lp_hash_number(i));
            }
        double got = lp_distinct_count(&all);
        assert_true(fabs(got - counts[c]) <= 4 * 1.04 / 64 * counts[c]);
        lp_distinct_merge(&half[0], &half[1]);
        assert_true(lp_distinct_count(&half[0]) == got);
    }
}

static void frequent_texts_are_found_among_many(void **context)
{
    (void)context;
    struct lp_top top = {0};
    struct lp_error err;
    uint64_t total = 0;
    char text[32];
    /* Ten texts of 1,000 each, hidden among 60,000 that come once or twice. */
    for (uint32_t i = 0; i < 70000; i++, total++) {
        uint64_t word = i % 7 == 0 ? i / 7 % 10 : 100 + draw() % 50000;
        snprintf(text, sizeof text, "w%llu", (unsigned long long)word);
        assert_int_equal(lp_top_add(&top, lp_span_text(text), lp_mix64(word), 1, (double)(word < 10), &err), LP_OK);
    }
    const struct lp_top_entry **sorted = lp_top_sorted(&top);
    assert_non_null(sorted);
    assert_true(top.full && top.count == LP_TOP_ENTRIES);
    for (int i = 0; i < 10; i++) {
        assert_true(strlen(sorted[i]->text) == 2);
        assert_true(sorted[i]->count >= 1000 && sorted[i]->count - sorted[i]->error <= 1000);
        assert_true(sorted[i]->error <= total / LP_TOP_ENTRIES);
    }
    for (uint32_t i = 10; i < top.count; i++) assert_true(sorted[i]->count < 1000);
    free(sorted);
    lp_top_done(&top);
}

static void repeats_are_exact_below_the_bound_and_near_above_it(void **context)
{
    (void)context;
    const uint32_t counts[] = {1000, LP_REPEATS_HASHES_MAX, 2500000};
    struct lp_error err;
    for (size_t c = 0; c < sizeof counts / sizeof *counts; c++) {
        struct lp_repeats repeats;
        assert_int_equal(lp_repeats_init(&repeats, &err), LP_OK);
        uint32_t repeated = 0;
        for (uint32_t i = 0; i < counts[c]; i++) {
            for (int again = 0; again < (i % 10 == 0 ? 2 : 1); again++)
                assert_int_equal(lp_repeats_add(&repeats, &(uint64_t){lp_mix64(i + 1)}, 1, &err), LP_OK);
            repeated += i % 10 == 0;
        }
        double got = lp_repeats_count(&repeats);
        if (repeats.shift == 0) assert_true(got == repeated);
        else assert_true(fabs(got / repeated - 1) < 0.05);
        assert_int_equal(repeats.shift == 0, counts[c] <= LP_REPEATS_HASHES_MAX);
        lp_repeats_done(&repeats);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sorting_is_what_qsort_does),
        cmocka_unit_test(sorting_roughly_is_off_by_a_neighbourhood_at_most),
        cmocka_unit_test(moments_merge_to_the_same_in_any_grouping),
        cmocka_unit_test(a_constant_has_no_spread),
        cmocka_unit_test(quantiles_keep_their_error_in_any_order),
        cmocka_unit_test(merged_quantiles_keep_their_error),
        cmocka_unit_test(few_values_are_kept_exactly),
        cmocka_unit_test(distinct_counts_are_within_four_standard_errors),
        cmocka_unit_test(frequent_texts_are_found_among_many),
        cmocka_unit_test(repeats_are_exact_below_the_bound_and_near_above_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
