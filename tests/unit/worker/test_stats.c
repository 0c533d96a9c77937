/* Latency histograms against quantiles by numpy, and sums over lanes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "worker/stats.h"

enum { SHARES = 7 };
static const double shares[SHARES] = {0.01, 0.25, 0.5, 0.9, 0.99, 0.999, 1.0};

static const struct {
    const char *name;
    int count;
    const uint64_t *durations;
    uint64_t quantiles[SHARES];
} cases[] = {
#include "unit/worker/quantile_cases.inc"
};

static void bucket_of(uint64_t duration, double *ret_low, double *ret_high)
{
    int i = 0;
    while (lp_latency_bounds_ns[i] < duration) i++;
    *ret_low = i > 0 ? (double)lp_latency_bounds_ns[i - 1] : 0;
    *ret_high = (double)lp_latency_bounds_ns[i];
}

static void quantiles_fall_into_the_bucket_of_the_true_ones(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct lp_latency latency = {0};
        uint64_t sum = 0;
        double before = 0;
        for (int k = 0; k < cases[i].count; k++) {
            lp_latency_add(&latency, cases[i].durations[k], 1);
            sum += cases[i].durations[k];
        }
        for (int k = 0; k < SHARES; k++) {
            double low, high, got = lp_latency_quantile_ns(&latency, shares[k]);
            bucket_of(cases[i].quantiles[k], &low, &high);
            if (!(got >= low && got <= high))
                fail_msg("%s, %g: %g is not in %g to %g, numpy has %llu", cases[i].name, shares[k], got, low, high,
                         (unsigned long long)cases[i].quantiles[k]);
            assert_true(got >= before);
            before = got;
        }
        assert_true((double)latency.sum_ns >= (double)sum * 0.999999 &&
                    (double)latency.sum_ns <= (double)sum * 1.000001);
    }
}

static void bounds_belong_to_the_bucket_below(void **state)
{
    (void)state;
    for (int i = 0; i < LP_LATENCY_BOUNDS; i++) {
        struct lp_latency latency = {0};
        if (i > 0) assert_true(lp_latency_bounds_ns[i] > lp_latency_bounds_ns[i - 1]);
        lp_latency_add(&latency, lp_latency_bounds_ns[i], 3);
        assert_int_equal(latency.counts[i], 3);
        lp_latency_add(&latency, lp_latency_bounds_ns[i] + 1, 2);
        assert_int_equal(latency.counts[i + 1], 2);
    }
    assert_int_equal(lp_latency_bounds_ns[0], 1000);
    assert_true(lp_latency_bounds_ns[LP_LATENCY_BOUNDS - 1] == UINT64_C(10000000000));
}

static void what_is_empty_or_past_the_bounds_has_an_answer(void **state)
{
    (void)state;
    struct lp_latency latency = {0};
    assert_true(lp_latency_quantile_ns(&latency, 0.5) == 0);
    lp_latency_add(&latency, UINT64_C(60000000000), 1);
    assert_true(lp_latency_quantile_ns(&latency, 0.5) == 1e10);
    lp_latency_add(&latency, 0, 1);
    assert_int_equal(latency.counts[0], 1);
    assert_true(lp_latency_quantile_ns(&latency, 0.5) <= 1000);
    assert_true(lp_latency_quantile_ns(&latency, 1) == 1e10);
}

/* Every counter of a lane is summed: one that is forgotten stays at one lane's. */
static void lanes_are_summed_counter_by_counter(void **state)
{
    (void)state;
    static const size_t counters[] = {
#define COUNTER(member) offsetof(struct lp_lane_stats, member)
        COUNTER(records),
        COUNTER(record_bytes),
        COUNTER(rows),
        COUNTER(batches),
        COUNTER(predictions),
        COUNTER(prediction_bytes),
        COUNTER(tombstones),
        COUNTER(dead_letters),
        COUNTER(skipped),
        COUNTER(errors[0]),
        COUNTER(errors[1]),
        COUNTER(errors[2]),
        COUNTER(errors[3]),
        COUNTER(acknowledged),
        COUNTER(delivery_errors),
        COUNTER(stale_reports),
        COUNTER(swaps),
        COUNTER(revoke_deadlines_missed),
        COUNTER(late_rows),
        COUNTER(backpressure_loops),
        COUNTER(rebalances),
        COUNTER(lost_assignments),
        COUNTER(offset_resets),
        COUNTER(offset_gap_records),
        COUNTER(stale_records),
        COUNTER(commits),
        COUNTER(commit_failures),
        COUNTER(revoke_commits_failed),
        COUNTER(score.counts[3]),
        COUNTER(publish.counts[4]),
        COUNTER(swap.counts[22]),
        COUNTER(event_to_prediction.counts[0]),
        COUNTER(record_to_prediction.counts[1]),
#undef COUNTER
    };
    struct lp_lane_stats one = {0}, sum = {0};
    for (size_t i = 0; i < sizeof counters / sizeof *counters; i++) {
        uint64_t value = i + 1;
        memcpy((char *)&one + counters[i], &value, sizeof value);
    }
    one.in_flight = 5;
    one.queued = 6;
    one.assigned = 7;
    one.held = 8;
    for (int i = 0; i < 3; i++) lp_lane_stats_merge(&sum, &one);
    for (size_t i = 0; i < sizeof counters / sizeof *counters; i++) {
        uint64_t value;
        memcpy(&value, (char *)&sum + counters[i], sizeof value);
        if (value != 3 * (i + 1)) fail_msg("counter %zu", i);
    }
    assert_int_equal(sum.in_flight, 15);
    assert_int_equal(sum.queued, 18);
    assert_int_equal(sum.assigned, 21);
    assert_int_equal(sum.held, 24);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quantiles_fall_into_the_bucket_of_the_true_ones),
        cmocka_unit_test(bounds_belong_to_the_bucket_below),
        cmocka_unit_test(what_is_empty_or_past_the_bounds_has_an_answer),
        cmocka_unit_test(lanes_are_summed_counter_by_counter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
