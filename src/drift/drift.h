/*
 * The drift observers: counts of cleaned values and scores in the baseline's bins, per window of event time.
 * A lane counts alone (lp_drift_lane); closed windows are merged over the lanes (lp_drift), where the statistics are
 * made.
 */
#ifndef LP_DRIFT_DRIFT_H
#define LP_DRIFT_DRIFT_H

#include "core/error.h"
#include "model/bundle.h"

#include <stdbool.h>
#include <stdint.h>

enum lp_severity { LP_SEVERITY_OK, LP_SEVERITY_WARN, LP_SEVERITY_ALERT };
enum { LP_DRIFT_STATISTICS_MAX = 8, LP_DRIFT_OPEN_WINDOWS = 4 };

struct lp_drift_options {
    int64_t window_ms;   /* windows are aligned to the epoch */
    int64_t lateness_ms; /* a window closes when event time has passed its end by this much */
    int64_t min_rows;    /* fewer rows: reported with severity ok and "few" (no statistics) */
    double psi_warn, psi_alert, js_warn, js_alert, ks_warn, ks_alert, rate_warn, rate_alert;
};

struct lp_drift_statistic {
    const char *name;        /* "psi", "ks", "js", "missing_rate", "clipped_rate", "unknown_rate" */
    double value, threshold; /* threshold: the one that gave the severity, else the warn one */
    enum lp_severity severity;
};

/** One feature (or the score) over one window, merged. Borrowed for the callback. */
struct lp_drift_report {
    const char *feature; /* name, or "$score" */
    int64_t window_start_ms, window_end_ms;
    uint64_t rows, missing, clipped, unknown; /* of this window */
    uint32_t bin_count;
    const uint64_t *counts;         /* [bin_count] */
    const double *reference_counts; /* [bin_count] */
    uint32_t edge_count;
    const double *edges;
    uint32_t statistic_count;
    struct lp_drift_statistic statistics[LP_DRIFT_STATISTICS_MAX];
    enum lp_severity severity; /* the worst */
};

/* --- statistics on bins: pure functions, tested against SciPy --- */

/** PSI = sum (p - q) ln(p / q); each share is floored at `epsilon` (1e-4) so that an empty bin stays finite. */
double lp_drift_psi(const uint64_t *counts, const double *reference, uint32_t bin_count);
/** Largest distance of the cumulative shares. */
double lp_drift_ks(const uint64_t *counts, const double *reference, uint32_t bin_count);
/** Jensen-Shannon divergence in bits, 0 to 1 (the square of SciPy's distance with base 2). */
double lp_drift_js(const uint64_t *counts, const double *reference, uint32_t bin_count);

/* --- lane side: one thread, no locks, no allocation after _new --- */

struct lp_drift_lane;

/** Counters for `bundle` (borrowed); observes columns as lp_cleaner_run leaves them. */
LP_MUST_USE enum lp_code lp_drift_lane_new(const struct lp_bundle *bundle, const struct lp_drift_options *options,
                                           struct lp_drift_lane **ret_lane, struct lp_error *err);
void lp_drift_lane_free(struct lp_drift_lane *lane);

/**
 * Count one batch. Rows are split by window of event time; in the usual case all rows fall in one window.
 *
 * @param observed   [feature_count][stride] column-major
 * @param scores     [row_count][output_count]
 * @param event_time [row_count] milliseconds (by row)
 */
void lp_drift_lane_observe(struct lp_drift_lane *lane, const double *observed, uint32_t stride, const float *scores,
                           const int64_t *event_time, uint32_t row_count);

/** Clipped, unknown per feature since the last call, for the window of `event_time_ms` (from lp_clean_counts deltas).
 */
void lp_drift_lane_add_counts(struct lp_drift_lane *lane, int64_t event_time_ms, const uint64_t *clipped,
                              const uint64_t *unknown);

/** Rows that came after their window had closed. */
uint64_t lp_drift_lane_late(const struct lp_drift_lane *lane);

/* --- merging: any thread, a mutex inside, called once a window and lane --- */

struct lp_drift;

LP_MUST_USE enum lp_code lp_drift_new(const struct lp_bundle *bundle, const struct lp_drift_options *options,
                                      uint32_t lane_count, struct lp_drift **ret_drift, struct lp_error *err);
void lp_drift_free(struct lp_drift *drift);

/**
 * Hand the lane's finished windows over (all of them when `flush`). `watermark_ms`: the lane's event time; a lane that
 * is idle passes INT64_MIN so that it holds nobody back. Called by the lane about once a second; cheap when nothing
 * closed.
 */
void lp_drift_merge(struct lp_drift *drift, uint32_t lane_index, struct lp_drift_lane *lane, int64_t watermark_ms,
                    bool flush);

/** Reports of windows that every lane has passed, in order; `callback` runs without the lock. Returns windows reported.
 */
uint32_t lp_drift_report(struct lp_drift *drift, void (*callback)(void *context, const struct lp_drift_report *report),
                         void *context);

#endif
