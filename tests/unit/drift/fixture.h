/* A bundle with one feature of each sort, and a recorder of reports. */
#ifndef TEST_DRIFT_FIXTURE_H
#define TEST_DRIFT_FIXTURE_H

#include "drift/drift.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A minute is a window; times lie in 2023, well before any wall clock. */
#define MINUTE ((int64_t)60000)
#define T0 (MINUTE * 28333333)

enum { FEATURES = 4, FIX_AGE = 0, FIX_CITY, FIX_VECTOR, FIX_UNWATCHED, RECORDED_MAX = 8192 };

static const double age_edges[3] = {0, 10, 20};
static const double age_counts[4] = {100, 200, 300, 400};
static const double city_counts[4] = {10, 20, 30, 0}; /* three cities and the unknown bucket */
static const double score_edges[1] = {0.5};
static const double score_counts[2] = {70, 30};

static const struct lp_feature fix_features[FEATURES] = {
    [FIX_AGE] = {.name = "age",
                 .kind = LP_FEATURE_NUMBER,
                 .width = 1,
                 .outlier = LP_OUTLIER_CLIP,
                 .baseline = {3, age_edges, 4, age_counts, .missing_rate = 0.25}},
    [FIX_CITY] = {.name = "city", .kind = LP_FEATURE_CATEGORY, .width = 1, .baseline = {0, NULL, 4, city_counts, 0}},
    [FIX_VECTOR] = {.name = "embedding", .kind = LP_FEATURE_VECTOR, .width = 8},
    [FIX_UNWATCHED] = {.name = "free", .kind = LP_FEATURE_NUMBER, .width = 1},
};

static const struct lp_bundle fix_bundle = {.name = "fixture",
                                            .task = LP_TASK_BINARY,
                                            .feature_count = FEATURES,
                                            .features = fix_features,
                                            .output_count = 1,
                                            .score_baseline = {1, score_edges, 2, score_counts, 0}};

static const struct lp_drift_options fix_options = {.window_ms = 60000,
                                                    .lateness_ms = 5000,
                                                    .min_rows = 4,
                                                    .psi_warn = 0.1,
                                                    .psi_alert = 0.25,
                                                    .js_warn = 0.1,
                                                    .js_alert = 0.2,
                                                    .ks_warn = 0.1,
                                                    .ks_alert = 0.2,
                                                    .rate_warn = 0.05,
                                                    .rate_alert = 0.2};

/* What was reported, with the counts copied. */
struct recorded {
    struct lp_drift_report report;
    uint64_t counts[8];
};

struct recorder {
    uint32_t count;
    struct recorded reports[RECORDED_MAX];
};

static inline void record_report(void *context, const struct lp_drift_report *report)
{
    struct recorder *recorder = context;
    if (recorder->count == RECORDED_MAX) abort();
    struct recorded *to = &recorder->reports[recorder->count++];
    to->report = *report;
    memcpy(to->counts, report->counts, report->bin_count * sizeof *report->counts);
}

static inline const struct recorded *find_report(const struct recorder *recorder, const char *feature, int64_t start_ms)
{
    for (uint32_t i = 0; i < recorder->count; i++)
        if (strcmp(recorder->reports[i].report.feature, feature) == 0 &&
            recorder->reports[i].report.window_start_ms == start_ms)
            return &recorder->reports[i];
    return NULL;
}

/* Rows of all reports of a feature in [from_ms, to_ms). */
static inline uint64_t sum_rows(const struct recorder *recorder, const char *feature, int64_t from_ms, int64_t to_ms)
{
    uint64_t rows = 0;
    for (uint32_t i = 0; i < recorder->count; i++) {
        const struct lp_drift_report *report = &recorder->reports[i].report;
        if (strcmp(report->feature, feature) == 0 && report->window_start_ms >= from_ms &&
            report->window_start_ms < to_ms)
            rows += report->rows;
    }
    return rows;
}

static inline double statistic_of(const struct recorded *recorded, const char *name, enum lp_severity *ret_severity)
{
    for (uint32_t i = 0; i < recorded->report.statistic_count; i++) {
        const struct lp_drift_statistic *statistic = &recorded->report.statistics[i];
        if (strcmp(statistic->name, name) != 0) continue;
        if (ret_severity != NULL) *ret_severity = statistic->severity;
        return statistic->value;
    }
    return -1;
}

/* Count `rows` equal rows at a time: age 5, city 1, score 0.25. */
static inline void observe_at(struct lp_drift_lane *lane, int64_t event_time_ms, uint32_t rows)
{
    double observed[FEATURES * 64];
    float scores[64];
    int64_t times[64];
    if (rows > 64) abort();
    for (uint32_t i = 0; i < 64; i++) {
        observed[FIX_AGE * 64 + i] = 5;
        observed[FIX_CITY * 64 + i] = 1;
        observed[FIX_VECTOR * 64 + i] = observed[FIX_UNWATCHED * 64 + i] = NAN;
        scores[i] = 0.25f;
        times[i] = event_time_ms;
    }
    lp_drift_lane_observe(lane, observed, 64, scores, times, rows);
}

#endif
