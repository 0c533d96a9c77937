/* When windows open, close and are reported; nothing is counted twice or lost without being counted. */
// wrap: malloc calloc realloc
#include "core/clock.h"
#include "unit/drift/fixture.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

static atomic_ulong allocations;

void *__real_malloc(size_t bytes);
void *__real_calloc(size_t count, size_t bytes);
void *__real_realloc(void *old, size_t bytes);
void *__wrap_malloc(size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes);
void *__wrap_realloc(void *old, size_t bytes);

void *__wrap_malloc(size_t bytes)
{
    allocations++;
    return __real_malloc(bytes);
}

void *__wrap_calloc(size_t count, size_t bytes)
{
    allocations++;
    return __real_calloc(count, bytes);
}

void *__wrap_realloc(void *old, size_t bytes)
{
    allocations++;
    return __real_realloc(old, bytes);
}

enum { LANES = 4 };

static struct lp_drift *drift;
static struct lp_drift_lane *lanes[LANES];
static uint32_t lane_count;
static struct lp_error err;
static struct recorder seen;

static void start(uint32_t count)
{
    seen.count = 0;
    lane_count = count;
    assert_int_equal(lp_drift_new(&fix_bundle, &fix_options, count, &drift, &err), LP_OK);
    for (uint32_t i = 0; i < count; i++)
        assert_int_equal(lp_drift_lane_new(&fix_bundle, &fix_options, &lanes[i], &err), LP_OK);
}

static void merge(uint32_t lane, int64_t watermark_ms)
{
    lp_drift_merge(drift, lane, lanes[lane], watermark_ms, false);
}

/* Windows reported now, of all lanes together. */
static uint32_t report(void)
{
    uint32_t before = seen.count, windows = lp_drift_report(drift, record_report, &seen);
    assert_int_equal(seen.count - before, windows * 3);
    return windows;
}

static uint64_t late_rows(void)
{
    uint64_t late = lp_drift_late(drift);
    for (uint32_t i = 0; i < lane_count; i++) late += lp_drift_lane_late(lanes[i]);
    return late;
}

/* Flush, report, free; returns the rows that were not observed. */
static uint64_t finish(void)
{
    for (uint32_t i = 0; i < lane_count; i++) lp_drift_merge(drift, i, lanes[i], INT64_MIN, true);
    report();
    uint64_t late = late_rows();
    for (uint32_t i = 0; i < lane_count; i++) lp_drift_lane_free(lanes[i]);
    lp_drift_free(drift);
    return late;
}

static void a_window_is_reported_when_the_watermark_passes_its_lateness(void **state)
{
    (void)state;
    start(1);
    observe_at(lanes[0], T0, 10);
    merge(0, T0 + MINUTE + 4999);
    assert_int_equal(report(), 0);
    observe_at(lanes[0], T0 + 1, 5); /* late, within the bound */
    merge(0, T0 + MINUTE + 5000);
    assert_int_equal(report(), 1);
    assert_int_equal(find_report(&seen, "age", T0)->report.rows, 15);
    assert_int_equal(late_rows(), 0);
    finish();
    assert_int_equal(seen.count, 3);
}

static void rows_of_a_closed_window_are_counted_apart(void **state)
{
    (void)state;
    start(1);
    observe_at(lanes[0], T0 + MINUTE, 10);
    merge(0, T0 + MINUTE + 5000);
    observe_at(lanes[0], T0 + MINUTE - 1, 7);
    assert_int_equal(lp_drift_lane_late(lanes[0]), 7);
    finish();
    assert_int_equal(sum_rows(&seen, "age", 0, INT64_MAX), 10);
}

static void a_window_waits_for_the_slowest_lane(void **state)
{
    (void)state;
    start(2);
    observe_at(lanes[0], T0, 10);
    merge(0, T0 + 3 * MINUTE);
    assert_int_equal(report(), 0); /* lane 1 has not said anything yet */
    observe_at(lanes[1], T0, 20);
    merge(1, T0 + MINUTE);
    assert_int_equal(report(), 0);
    merge(1, T0 + 2 * MINUTE);
    assert_int_equal(report(), 1);
    assert_int_equal(find_report(&seen, "$score", T0)->report.rows, 30);
    assert_int_equal(find_report(&seen, "$score", T0)->counts[0], 30);
    finish();
}

static void idle_lanes_hold_nobody_back_and_keep_nothing(void **state)
{
    (void)state;
    start(2);
    observe_at(lanes[0], T0, 10);
    observe_at(lanes[1], T0, 20);
    merge(0, T0 + 2 * MINUTE);
    merge(1, INT64_MIN);
    assert_int_equal(report(), 1);
    assert_int_equal(find_report(&seen, "age", T0)->report.rows, 30);
    finish();
}

static void when_all_lanes_are_idle_the_wall_clock_closes_windows(void **state)
{
    (void)state;
    start(2);
    observe_at(lanes[0], T0, 10);
    observe_at(lanes[0], lp_clock_wall_ms(), 10);
    merge(0, INT64_MIN);
    assert_int_equal(report(), 0);
    merge(1, INT64_MIN);
    assert_int_equal(report(), 1);
    assert_non_null(find_report(&seen, "age", T0));
    finish();
    assert_int_equal(sum_rows(&seen, "age", 0, INT64_MAX), 20);
}

static void windows_are_reported_in_order(void **state)
{
    (void)state;
    start(1);
    merge(0, INT64_MIN);
    for (int64_t i = 20; i-- > 0;) observe_at(lanes[0], T0 + i * MINUTE, 4);
    merge(0, T0 + 30 * MINUTE);
    assert_int_equal(report(), 20);
    for (uint32_t i = 0; i < 20; i++) assert_int_equal(seen.reports[3 * i].report.window_start_ms, T0 + i * MINUTE);
    finish();
}

static void a_replay_that_spans_many_windows_loses_nothing(void **state)
{
    (void)state;
    enum { N = 900 };
    static double observed[FEATURES * N];
    static float scores[N];
    static int64_t times[N];
    for (int i = 0; i < N; i++) times[i] = T0 + (i / 3) * MINUTE;
    start(1);
    merge(0, INT64_MIN);
    lp_drift_lane_observe(lanes[0], observed, N, scores, times, N);
    merge(0, T0 + 300 * MINUTE);
    assert_int_equal(report(), 299);
    uint64_t late = finish();
    assert_int_equal(sum_rows(&seen, "age", 0, INT64_MAX), N);
    assert_int_equal(late, 0);
}

static void partitions_far_apart_in_time_alternate_without_loss(void **state)
{
    (void)state;
    start(1);
    merge(0, INT64_MIN);
    for (int64_t i = 0; i < 50; i++) {
        observe_at(lanes[0], T0 + i * MINUTE, 10);
        observe_at(lanes[0], T0 + (i + 600) * MINUTE, 10);
        merge(0, T0 + i * MINUTE); /* the slower one's */
        report();
    }
    uint64_t late = finish();
    assert_int_equal(sum_rows(&seen, "age", 0, T0 + 600 * MINUTE), 500);
    assert_int_equal(sum_rows(&seen, "age", T0 + 600 * MINUTE, INT64_MAX), 500);
    assert_int_equal(late, 0);
    assert_int_equal(seen.count, 3 * 100); /* each window once */
}

static void a_watermark_that_goes_back_reopens_windows_as_parts(void **state)
{
    (void)state;
    start(1);
    observe_at(lanes[0], T0, 10);
    merge(0, T0 + 10 * MINUTE);
    assert_int_equal(report(), 1);
    merge(0, T0);
    observe_at(lanes[0], T0, 20);
    merge(0, T0 + 10 * MINUTE);
    assert_int_equal(report(), 1);
    assert_int_equal(seen.reports[0].report.rows, 10);
    assert_int_equal(seen.reports[3].report.rows, 20);
    assert_int_equal(late_rows(), 0);
    finish();
}

static void counts_of_nothing_open_no_window(void **state)
{
    (void)state;
    const uint64_t zeros[FEATURES] = {0};
    start(1); /* never merged: a window too many would cost the first one its rows */
    for (int64_t i = 0; i < LP_DRIFT_OPEN_WINDOWS; i++) observe_at(lanes[0], T0 + i * MINUTE, 5);
    lp_drift_lane_add_counts(lanes[0], INT64_MIN, zeros, zeros);
    assert_int_equal(lp_drift_lane_late(lanes[0]), 0);
    finish();
}

static void windows_that_nobody_takes_are_counted_as_late(void **state)
{
    (void)state;
    start(1); /* never merged */
    for (int64_t i = 0; i < 10; i++) observe_at(lanes[0], T0 + i * MINUTE, 5);
    assert_int_equal(lp_drift_lane_late(lanes[0]), 5 * (10 - LP_DRIFT_OPEN_WINDOWS));
    finish();
    assert_int_equal(sum_rows(&seen, "age", 0, INT64_MAX), 5 * LP_DRIFT_OPEN_WINDOWS);
}

static void a_record_from_the_future_closes_nothing(void **state)
{
    (void)state;
    const int64_t year_2100 = 4102444800000;
    int64_t now = lp_clock_wall_ms();
    start(1);
    observe_at(lanes[0], year_2100, 3);
    observe_at(lanes[0], INT64_MAX, 3);
    assert_int_equal(lp_drift_lane_late(lanes[0]), 6);
    merge(0, year_2100);
    merge(0, INT64_MAX);
    observe_at(lanes[0], now, 10);
    assert_int_equal(lp_drift_lane_late(lanes[0]), 6);
    merge(0, year_2100);
    assert_int_equal(report(), 0);
    finish();
    assert_int_equal(sum_rows(&seen, "age", 0, INT64_MAX), 10);
}

static void extreme_times_and_lateness_do_not_overflow(void **state)
{
    (void)state;
    struct lp_drift_options options = fix_options;
    options.lateness_ms = INT64_MAX;
    options.window_ms = INT64_MAX;
    seen.count = 0;
    lane_count = 1;
    assert_int_equal(lp_drift_new(&fix_bundle, &options, 1, &drift, &err), LP_OK);
    assert_int_equal(lp_drift_lane_new(&fix_bundle, &options, &lanes[0], &err), LP_OK);
    observe_at(lanes[0], INT64_MIN, 5);
    observe_at(lanes[0], 0, 5);
    merge(0, INT64_MIN + 1);
    merge(0, INT64_MAX);
    assert_int_equal(report(), 0);
    finish();
    assert_int_equal(find_report(&seen, "age", 0)->report.rows, 10);
}

static void lanes_further_apart_than_memory_are_reported_in_parts(void **state)
{
    (void)state;
    enum { WINDOWS = 700, BATCHES = 3 };
    start(2);
    merge(1, T0); /* stuck */
    merge(0, T0);
    for (int64_t i = 0; i < BATCHES * WINDOWS; i++) {
        observe_at(lanes[0], T0 + i * MINUTE, i % 2 ? 10 : 2); /* every other window has too few rows */
        if (i % WINDOWS != WINDOWS - 1) continue;
        merge(0, T0 + i * MINUTE);
        report();
    }
    uint64_t reported = sum_rows(&seen, "age", 0, INT64_MAX), given_up = late_rows();
    assert_true(reported > 0 && reported % 10 == 0);
    assert_true(given_up > 0 && given_up % 2 == 0);
    finish();
    assert_int_equal(sum_rows(&seen, "age", 0, INT64_MAX) + given_up, BATCHES * WINDOWS * 6);
}

static void without_reports_memory_stays_bounded(void **state)
{
    (void)state;
    start(1);
    merge(0, INT64_MIN);
    for (int64_t i = 0; i < 3000; i++) observe_at(lanes[0], T0 + i * MINUTE, 1);
    merge(0, T0 + 3001 * MINUTE);
    assert_int_equal(late_rows(), 3000 - LP_DRIFT_PENDING_WINDOWS);
    assert_int_equal(report(), LP_DRIFT_PENDING_WINDOWS);
    finish();
}

static void observing_allocates_nothing(void **state)
{
    (void)state;
    const uint64_t zeros[FEATURES] = {0};
    start(1);
    merge(0, INT64_MIN);
    unsigned long before = allocations;
    for (int64_t i = 0; i < 1000; i++) {
        observe_at(lanes[0], T0 + i % 4 * MINUTE, 64);
        lp_drift_lane_add_counts(lanes[0], T0, zeros, zeros);
        merge(0, T0);
    }
    assert_int_equal(allocations, before);
    finish();
    assert_true(allocations > before); /* the count counts */
    assert_int_equal(sum_rows(&seen, "age", 0, INT64_MAX), 64000);
}

static void *observe_and_merge(void *argument)
{
    uint32_t index = (uint32_t)(uintptr_t)argument;
    for (int64_t i = 0; i < 400; i++) {
        observe_at(lanes[index], T0 + (i / 8 + index) * MINUTE, 16);
        if (i % 5 == 0) merge(index, T0 + (i / 8 + index) * MINUTE);
    }
    lp_drift_merge(drift, index, lanes[index], INT64_MIN, true);
    return NULL;
}

static void lanes_on_threads_add_up(void **state)
{
    (void)state;
    pthread_t threads[LANES];
    start(LANES);
    for (uint32_t i = 0; i < LANES; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, observe_and_merge, (void *)(uintptr_t)i), 0);
    for (int i = 0; i < 200; i++) report();
    for (uint32_t i = 0; i < LANES; i++) pthread_join(threads[i], NULL);
    report();
    assert_int_equal(sum_rows(&seen, "city", 0, INT64_MAX), LANES * 400 * 16);
    assert_int_equal(late_rows(), 0);
    finish();
}

static void a_flushed_lane_is_forgotten_and_the_rest_reports_at_once(void **state)
{
    (void)state;
    start(2);
    observe_at(lanes[0], T0, 10);
    observe_at(lanes[1], lp_clock_wall_ms(), 20);
    lp_drift_merge(drift, 0, lanes[0], T0, true);
    assert_int_equal(report(), 0);
    lp_drift_merge(drift, 1, lanes[1], T0, true);
    assert_int_equal(report(), 2);
    finish();
    assert_int_equal(seen.count, 6);
}

/* --- rows that wait for their transaction --- */

static struct lp_drift *waiting[2];

static void start_aside(void)
{
    start(1);
    for (int i = 0; i < 2; i++) assert_int_equal(lp_drift_new(&fix_bundle, &fix_options, 1, &waiting[i], &err), LP_OK);
    lp_drift_set_aside(lanes[0], waiting[0], INT64_MIN, waiting[0]);
    lp_drift_settle(drift, 0, waiting[0], false);
}

static void finish_aside(void)
{
    finish();
    for (int i = 0; i < 2; i++) lp_drift_free(waiting[i]);
}

static void rows_set_aside_count_when_they_are_settled(void **state)
{
    (void)state;
    start_aside();
    observe_at(lanes[0], T0, 10);
    lp_drift_set_aside(lanes[0], waiting[0], T0 + 3 * MINUTE, waiting[1]);
    observe_at(lanes[0], T0 + 3 * MINUTE, 7); /* of the next transaction, while the first is being committed */
    assert_int_equal(report(), 0);
    lp_drift_settle(drift, 0, waiting[0], false);
    assert_int_equal(report(), 1);
    assert_int_equal(find_report(&seen, "age", T0)->report.rows, 10);
    lp_drift_set_aside(lanes[0], waiting[1], T0 + 6 * MINUTE, waiting[0]);
    lp_drift_settle(drift, 0, waiting[1], false);
    assert_int_equal(report(), 1);
    assert_int_equal(find_report(&seen, "age", T0 + 3 * MINUTE)->report.rows, 7);
    finish_aside();
    assert_int_equal(sum_rows(&seen, "age", 0, INT64_MAX), 17);
}

static void rows_of_an_aborted_transaction_never_count_and_are_not_late_when_they_come_again(void **state)
{
    (void)state;
    start_aside();
    observe_at(lanes[0], T0, 10);
    lp_drift_set_aside(lanes[0], waiting[0], T0 + MINUTE, waiting[1]);
    lp_drift_settle(drift, 0, waiting[0], false);
    int64_t first_open = lp_drift_lane_first_open(lanes[0]);
    /* Many windows, so that the lane hands some over before the cut; then some more while it is being committed. */
    for (int64_t i = 1; i < 50; i++) observe_at(lanes[0], T0 + i * MINUTE, 3);
    lp_drift_set_aside(lanes[0], waiting[1], T0 + 50 * MINUTE, waiting[0]);
    for (int64_t i = 50; i < 60; i++) observe_at(lanes[0], T0 + i * MINUTE, 3);
    for (int i = 0; i < 2; i++) lp_drift_forget(waiting[i]);
    lp_drift_lane_forget(lanes[0], first_open);
    for (int64_t i = 1; i < 60; i++) observe_at(lanes[0], T0 + i * MINUTE, 3);
    lp_drift_set_aside(lanes[0], waiting[0], T0 + 90 * MINUTE, waiting[1]);
    lp_drift_settle(drift, 0, waiting[0], false);
    assert_int_equal(report(), 60);
    assert_int_equal(late_rows(), 0);
    finish_aside();
    assert_int_equal(sum_rows(&seen, "age", 0, INT64_MAX), 10 + 59 * 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_window_is_reported_when_the_watermark_passes_its_lateness),
        cmocka_unit_test(rows_of_a_closed_window_are_counted_apart),
        cmocka_unit_test(a_window_waits_for_the_slowest_lane),
        cmocka_unit_test(idle_lanes_hold_nobody_back_and_keep_nothing),
        cmocka_unit_test(when_all_lanes_are_idle_the_wall_clock_closes_windows),
        cmocka_unit_test(windows_are_reported_in_order),
        cmocka_unit_test(a_replay_that_spans_many_windows_loses_nothing),
        cmocka_unit_test(partitions_far_apart_in_time_alternate_without_loss),
        cmocka_unit_test(a_watermark_that_goes_back_reopens_windows_as_parts),
        cmocka_unit_test(counts_of_nothing_open_no_window),
        cmocka_unit_test(windows_that_nobody_takes_are_counted_as_late),
        cmocka_unit_test(a_record_from_the_future_closes_nothing),
        cmocka_unit_test(extreme_times_and_lateness_do_not_overflow),
        cmocka_unit_test(lanes_further_apart_than_memory_are_reported_in_parts),
        cmocka_unit_test(without_reports_memory_stays_bounded),
        cmocka_unit_test(observing_allocates_nothing),
        cmocka_unit_test(lanes_on_threads_add_up),
        cmocka_unit_test(a_flushed_lane_is_forgotten_and_the_rest_reports_at_once),
        cmocka_unit_test(rows_set_aside_count_when_they_are_settled),
        cmocka_unit_test(rows_of_an_aborted_transaction_never_count_and_are_not_late_when_they_come_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
