/*
 * ns a value that drift adds to a batch: 10 numbers and the score in 10 bins each, batches of several sizes, all rows
 * in one window; the same with one category of 100 values; and what a merge costs. Best of several rounds.
 */
#include "core/clock.h"
#include "drift/drift.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { ROUNDS = 9, FEATURES = 10, EDGES = 9, ROWS = 4096, CATEGORIES = 100, VALUES = 20000000 };
#define T0 1700000000000

static double observed[FEATURES + 1][ROWS], edges[EDGES], counts[EDGES + 1], category_counts[CATEGORIES + 1];
static float scores[ROWS];
static int64_t times[ROWS];
static struct lp_feature features[FEATURES + 1];
static const struct lp_drift_options options = {.window_ms = 60000, .lateness_ms = 5000, .min_rows = 1000};

static void fill(void)
{
    srand(1);
    for (int e = 0; e < EDGES; e++) edges[e] = (e + 1) / 10.0;
    for (int e = 0; e <= EDGES; e++) counts[e] = 1000;
    for (int c = 0; c <= CATEGORIES; c++) category_counts[c] = 10;
    for (int r = 0; r < ROWS; r++) {
        for (int f = 0; f < FEATURES; f++) observed[f][r] = rand() % 20 == 0 ? NAN : (double)rand() / (double)RAND_MAX;
        observed[FEATURES][r] = rand() % CATEGORIES;
        scores[r] = (float)rand() / (float)RAND_MAX;
        times[r] = T0 + r;
    }
    for (int f = 0; f < FEATURES; f++)
        features[f] = (struct lp_feature){
            .name = "number", .kind = LP_FEATURE_NUMBER, .baseline = {EDGES, edges, EDGES + 1, counts, 0}};
    features[FEATURES] = (struct lp_feature){
        .name = "category", .kind = LP_FEATURE_CATEGORY, .baseline = {0, NULL, CATEGORIES + 1, category_counts, 0}};
}

static void measure(uint32_t feature_count, uint32_t rows)
{
    const struct lp_bundle bundle = {.task = LP_TASK_BINARY,
                                     .feature_count = feature_count,
                                     .features = features,
                                     .output_count = 1,
                                     .score_baseline = {EDGES, edges, EDGES + 1, counts, 0}};
    struct lp_drift_lane *lane;
    struct lp_error err;
    if (lp_drift_lane_new(&bundle, &options, &lane, &err) != LP_OK) exit(1);
    uint32_t values = feature_count + 1, batches = VALUES / ROUNDS / (rows * values);
    double best = INFINITY;
    for (int round = 0; round < ROUNDS; round++) {
        uint64_t begin = lp_clock_ns();
        for (uint32_t b = 0; b < batches; b++) lp_drift_lane_observe(lane, &observed[0][0], ROWS, scores, times, rows);
        double took = (double)(lp_clock_ns() - begin) / ((double)batches * rows);
        if (took < best) best = took;
    }
    printf("%2u numbers, %u categories, score; %4u rows a batch: %6.2f ns a record, %5.2f ns a value\n",
           feature_count < FEATURES ? feature_count : FEATURES, feature_count > FEATURES, rows, best, best / values);
    lp_drift_lane_free(lane);
}

static void count_report(void *context, const struct lp_drift_report *report) { *(uint64_t *)context += report->rows; }

static void measure_merge(void)
{
    enum { WINDOWS = 20000 };
    const struct lp_bundle bundle = {.feature_count = FEATURES, .features = features, .output_count = 1};
    struct lp_drift_lane *lane;
    struct lp_drift *drift;
    struct lp_error err;
    uint64_t rows = 0;
    if (lp_drift_lane_new(&bundle, &options, &lane, &err) != LP_OK) exit(1);
    if (lp_drift_new(&bundle, &options, 1, &drift, &err) != LP_OK) exit(1);
    uint64_t begin = lp_clock_ns();
    for (int64_t w = 0; w < WINDOWS; w++) lp_drift_merge(drift, 0, lane, T0, false);
    printf("merge, nothing closed: %.1f ns\n", (double)(lp_clock_ns() - begin) / WINDOWS);
    begin = lp_clock_ns();
    for (int64_t w = 0; w < WINDOWS; w++) {
        const int64_t time = (w + 1) * options.window_ms;
        lp_drift_lane_observe(lane, &observed[0][0], ROWS, scores, &time, 1);
        lp_drift_merge(drift, 0, lane, time, false);
        lp_drift_report(drift, count_report, &rows);
    }
    printf("open, merge and report a window of 10 features: %.0f ns\n", (double)(lp_clock_ns() - begin) / WINDOWS);
    lp_drift_lane_free(lane);
    lp_drift_free(drift);
    if (rows == 0) exit(1);
}

int main(void)
{
    fill();
    static const uint32_t batch_rows[] = {1, 8, 64, 256, 1024, 4096};
    for (size_t i = 0; i < sizeof batch_rows / sizeof *batch_rows; i++) measure(FEATURES, batch_rows[i]);
    measure(FEATURES + 1, 1024);
    measure_merge();
    return 0;
}
