/* What a window counts, and the statistics made of it. */
#include "core/clock.h"
#include "unit/drift/fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

static struct lp_drift *drift;
static struct lp_drift_lane *lane;
static struct lp_error err;
static struct recorder seen;

static void start(const struct lp_bundle *bundle)
{
    seen.count = 0;
    assert_int_equal(lp_drift_new(bundle, &fix_options, 1, &drift, &err), LP_OK);
    assert_int_equal(lp_drift_lane_new(bundle, &fix_options, &lane, &err), LP_OK);
    lp_drift_merge(drift, 0, lane, INT64_MIN, false);
}

static void finish(void)
{
    lp_drift_merge(drift, 0, lane, 0, true);
    lp_drift_report(drift, record_report, &seen);
    lp_drift_lane_free(lane);
    lp_drift_free(drift);
}

static void expect_counts(const char *feature, int64_t start_ms, const uint64_t *want, uint32_t bin_count)
{
    const struct recorded *found = find_report(&seen, feature, start_ms);
    assert_non_null(found);
    assert_int_equal(found->report.bin_count, bin_count);
    for (uint32_t i = 0; i < bin_count; i++) assert_int_equal(found->counts[i], want[i]);
}

static void values_fall_in_the_baselines_bins(void **state)
{
    (void)state;
    enum { N = 9 };
    const double ages[N] = {-INFINITY, -1, -0.0, 9.999, 10, 20, INFINITY, NAN, NAN};
    const double cities[N] = {0, 1, 1, 2, 3, 3, NAN, 0, 2};
    const float scores[N] = {0.4999f, 0.5f, 0.9f, 0, 0, 0, 0, 0, 1};
    double observed[FEATURES][N] = {{0}};
    int64_t times[N];
    memcpy(observed[FIX_AGE], ages, sizeof ages);
    memcpy(observed[FIX_CITY], cities, sizeof cities);
    for (int i = 0; i < N; i++) times[i] = T0 + i;
    start(&fix_bundle);
    lp_drift_lane_observe(lane, &observed[0][0], N, scores, times, N);
    finish();

    assert_int_equal(seen.count, 3); /* not the vector, not the feature without bins */
    expect_counts("age", T0, (const uint64_t[]){2, 2, 1, 2}, 4);
    expect_counts("city", T0, (const uint64_t[]){2, 2, 2, 2}, 4);
    expect_counts("$score", T0, (const uint64_t[]){6, 3}, 2);
    const struct lp_drift_report *age = &find_report(&seen, "age", T0)->report;
    assert_int_equal(age->rows, N);
    assert_int_equal(age->missing, 2);
    assert_int_equal(age->window_start_ms, T0);
    assert_int_equal(age->window_end_ms, T0 + MINUTE);
    assert_ptr_equal(age->edges, age_edges);
    assert_ptr_equal(age->reference_counts, age_counts);
    assert_int_equal(find_report(&seen, "city", T0)->report.missing, 1);
}

static void rows_are_split_by_window_of_event_time(void **state)
{
    (void)state;
    enum { N = 6 };
    const int64_t times[N] = {T0 + MINUTE - 1, T0, T0 + MINUTE, T0 + 2 * MINUTE - 1, T0 + 5, T0 + MINUTE + 7};
    double observed[FEATURES][N] = {{-5, 5, 15, 25, -5, 5}};
    const float scores[N] = {0, 1, 0, 1, 1, 0};
    start(&fix_bundle);
    lp_drift_lane_observe(lane, &observed[0][0], N, scores, times, N);
    finish();
    expect_counts("age", T0, (const uint64_t[]){2, 1, 0, 0}, 4);
    expect_counts("age", T0 + MINUTE, (const uint64_t[]){0, 1, 1, 1}, 4);
    expect_counts("$score", T0, (const uint64_t[]){1, 2}, 2);
    expect_counts("$score", T0 + MINUTE, (const uint64_t[]){2, 1}, 2);
}

static void columns_longer_than_a_chunk_are_counted_whole(void **state)
{
    (void)state;
    enum { N = 1000 };
    static double observed[FEATURES][N];
    static float scores[N];
    static int64_t times[N];
    uint64_t ages[4] = {0}, high = 0;
    srand(7);
    for (int i = 0; i < N; i++) {
        observed[FIX_AGE][i] = rand() % 40 - 10;
        scores[i] = (float)rand() / (float)RAND_MAX;
        times[i] = T0;
        ages[(observed[FIX_AGE][i] >= 0) + (observed[FIX_AGE][i] >= 10) + (observed[FIX_AGE][i] >= 20)]++;
        high += scores[i] >= 0.5f;
    }
    start(&fix_bundle);
    lp_drift_lane_observe(lane, &observed[0][0], N, scores, times, N);
    finish();
    expect_counts("age", T0, ages, 4);
    expect_counts("$score", T0, (const uint64_t[]){N - high, high}, 2);
}

static void the_score_watched_follows_the_task(void **state)
{
    (void)state;
    const double observed[FEATURES] = {0};
    const int64_t time = T0;
    struct lp_bundle bundle = fix_bundle;
    bundle.output_count = 3;
    bundle.task = LP_TASK_MULTICLASS;
    start(&bundle);
    lp_drift_lane_observe(lane, observed, 1, (const float[]){0.1f, 0.7f, 0.2f}, &time, 1);
    lp_drift_lane_observe(lane, observed, 1, (const float[]){0.3f, 0.3f, 0.4f}, &time, 1);
    finish();
    expect_counts("$score", T0, (const uint64_t[]){1, 1}, 2);
    bundle.output_count = 2;
    bundle.task = LP_TASK_BINARY;
    start(&bundle);
    lp_drift_lane_observe(lane, observed, 1, (const float[]){0.9f, 0.1f}, &time, 1);
    finish();
    expect_counts("$score", T0, (const uint64_t[]){1, 0}, 2);
}

static void few_rows_are_reported_without_statistics(void **state)
{
    (void)state;
    start(&fix_bundle);
    observe_at(lane, T0, 3);
    finish();
    const struct recorded *age = find_report(&seen, "age", T0);
    assert_int_equal(age->report.rows, 3);
    assert_int_equal(age->report.statistic_count, 0);
    assert_int_equal(age->report.severity, LP_SEVERITY_OK);
}

static void statistics_grade_a_window(void **state)
{
    (void)state;
    start(&fix_bundle);
    observe_at(lane, T0, 50);
    finish();
    const struct recorded *age = find_report(&seen, "age", T0), *city = find_report(&seen, "city", T0);
    enum lp_severity severity;
    const uint64_t all_5[4] = {0, 50, 0, 0}, all_1[4] = {0, 50, 0, 0};
    assert_true(statistic_of(age, "psi", &severity) == lp_drift_psi(all_5, age_counts, 4));
    assert_int_equal(severity, LP_SEVERITY_ALERT);
    assert_true(statistic_of(age, "ks", NULL) == lp_drift_ks(all_5, age_counts, 4));
    assert_true(statistic_of(age, "js", NULL) == lp_drift_js(all_5, age_counts, 4));
    assert_true(statistic_of(age, "missing_rate", &severity) == 0);
    assert_int_equal(severity, LP_SEVERITY_OK);
    assert_true(statistic_of(age, "clipped_rate", NULL) == 0);
    assert_true(statistic_of(age, "unknown_rate", NULL) == -1);
    assert_int_equal(age->report.severity, LP_SEVERITY_ALERT);
    /* Categories have no order, so no KS; they cannot be clipped. */
    assert_true(statistic_of(city, "psi", NULL) == lp_drift_psi(all_1, city_counts, 4));
    assert_true(statistic_of(city, "ks", NULL) == -1);
    assert_true(statistic_of(city, "clipped_rate", NULL) == -1);
    assert_true(statistic_of(city, "unknown_rate", NULL) == 0);
}

/* 20 rows of which `missing` have no age; the others follow the reference as well as whole numbers can. */
static enum lp_severity missing_severity(int missing, double *ret_threshold)
{
    double observed[FEATURES][20] = {{0}};
    float scores[20] = {0};
    int64_t times[20];
    for (int i = 0; i < 20; i++) {
        observed[FIX_AGE][i] = i < missing ? NAN : 5;
        times[i] = T0;
    }
    start(&fix_bundle);
    lp_drift_lane_observe(lane, &observed[0][0], 20, scores, times, 20);
    finish();
    const struct recorded *age = find_report(&seen, "age", T0);
    for (uint32_t i = 0; i < age->report.statistic_count; i++) {
        if (strcmp(age->report.statistics[i].name, "missing_rate") != 0) continue;
        *ret_threshold = age->report.statistics[i].threshold;
        assert_true(age->report.statistics[i].value == missing / 20.0);
        return age->report.statistics[i].severity;
    }
    fail();
    return LP_SEVERITY_OK;
}

static void a_missing_rate_is_graded_by_its_rise(void **state)
{
    (void)state;
    double threshold; /* the reference misses 0.25; warn at +0.05, alert at +0.2 */
    assert_int_equal(missing_severity(5, &threshold), LP_SEVERITY_OK);
    assert_true(threshold == 0.25 + 0.05);
    assert_int_equal(missing_severity(7, &threshold), LP_SEVERITY_WARN);
    assert_true(threshold == 0.25 + 0.05);
    assert_int_equal(missing_severity(10, &threshold), LP_SEVERITY_ALERT);
    assert_true(threshold == 0.25 + 0.2);
    /* All missing: no shares to compare, and yet an alarm. */
    assert_int_equal(missing_severity(20, &threshold), LP_SEVERITY_ALERT);
    assert_true(statistic_of(find_report(&seen, "age", T0), "psi", NULL) == -1);
}

static void clipped_and_unknown_are_counted_in_their_window(void **state)
{
    (void)state;
    const uint64_t clipped[FEATURES] = {[FIX_AGE] = 4}, unknown[FEATURES] = {[FIX_CITY] = 2};
    start(&fix_bundle);
    observe_at(lane, T0, 20);
    lp_drift_lane_add_counts(lane, T0 + 1, clipped, unknown);
    observe_at(lane, T0 + MINUTE, 20);
    finish();
    const struct recorded *age = find_report(&seen, "age", T0), *city = find_report(&seen, "city", T0);
    enum lp_severity severity;
    assert_int_equal(age->report.clipped, 4);
    assert_true(statistic_of(age, "clipped_rate", &severity) == 0.2);
    assert_int_equal(severity, LP_SEVERITY_ALERT);
    assert_int_equal(city->report.unknown, 2);
    assert_true(statistic_of(city, "unknown_rate", &severity) == 0.1);
    assert_int_equal(severity, LP_SEVERITY_WARN);
    assert_int_equal(find_report(&seen, "age", T0 + MINUTE)->report.clipped, 0);
}

static void broken_baselines_and_options_are_refused(void **state)
{
    (void)state;
    struct lp_drift_lane *none = NULL;
    struct lp_drift *no_drift = NULL;
    struct lp_drift_options options = fix_options;
    options.window_ms = 0;
    assert_int_equal(lp_drift_lane_new(&fix_bundle, &options, &none, &err), LP_E_INVALID);
    options.window_ms = 1;
    options.lateness_ms = -1;
    assert_int_equal(lp_drift_new(&fix_bundle, &options, 1, &no_drift, &err), LP_E_INVALID);

    struct lp_feature features[FEATURES];
    memcpy(features, fix_features, sizeof features);
    struct lp_bundle bundle = fix_bundle;
    bundle.features = features;
    features[FIX_AGE].baseline.bin_count = 3;
    assert_int_equal(lp_drift_lane_new(&bundle, &fix_options, &none, &err), LP_E_INVALID);
    assert_string_equal(err.field, "age");
    features[FIX_AGE].baseline = fix_features[FIX_AGE].baseline;
    features[FIX_AGE].baseline.edges = (const double[]){0, 10, 10};
    assert_int_equal(lp_drift_lane_new(&bundle, &fix_options, &none, &err), LP_E_INVALID);
    features[FIX_AGE].baseline.edges = age_edges;
    features[FIX_AGE].baseline.counts = (const double[]){1, -1, 1, 1};
    assert_int_equal(lp_drift_lane_new(&bundle, &fix_options, &none, &err), LP_E_INVALID);
    features[FIX_AGE].baseline.counts = (const double[]){1, NAN, 1, 1};
    assert_int_equal(lp_drift_lane_new(&bundle, &fix_options, &none, &err), LP_E_INVALID);
    assert_null(none);
    assert_null(no_drift);
}

static void an_unknown_event_time_counts_as_now(void **state)
{
    (void)state;
    start(&fix_bundle);
    int64_t before = lp_clock_wall_ms() / MINUTE * MINUTE;
    observe_at(lane, -1, 10);
    finish();
    assert_int_equal(sum_rows(&seen, "age", before, lp_clock_wall_ms() + 1), 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_fall_in_the_baselines_bins),
        cmocka_unit_test(rows_are_split_by_window_of_event_time),
        cmocka_unit_test(columns_longer_than_a_chunk_are_counted_whole),
        cmocka_unit_test(the_score_watched_follows_the_task),
        cmocka_unit_test(few_rows_are_reported_without_statistics),
        cmocka_unit_test(statistics_grade_a_window),
        cmocka_unit_test(a_missing_rate_is_graded_by_its_rise),
        cmocka_unit_test(clipped_and_unknown_are_counted_in_their_window),
        cmocka_unit_test(broken_baselines_and_options_are_refused),
        cmocka_unit_test(an_unknown_event_time_counts_as_now),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
