/*
 * The drift observers: counts of cleaned values and scores in the baseline's bins, per window of event time.
 * A lane counts alone (lp_drift_lane); its windows are merged over the lanes (lp_drift), where the statistics are made.
 *
 * Time. Windows are aligned to the epoch in event time. Each lane passes a watermark: event time it has gone past,
 * which is the smallest over its partitions of the latest event time seen (partitions that have been silent for a while
 * left out). The largest over all partitions is wrong: during a replay it makes the rows of every slower partition
 * late. A window is reported when every lane's watermark has passed its end by the lateness bound. Idle lanes hold
 * nobody back; when all are idle the wall clock takes the watermark's place. A watermark never runs ahead of the wall
 * clock, so that one record from the year 2100 does not close every window before it. It may go back (a lane was given
 * a partition with a backlog): the windows open again.
 *
 * Parts. Counts add up, therefore nothing waits for ever: a window may be reported more than once, each report holding
 * rows that no other report holds. That happens when a watermark goes back, when an idle lane wakes up, and when lanes
 * are further apart in event time than memory allows. Readers add the counts of one window up.
 *
 * Memory. A lane has LP_DRIFT_OPEN_WINDOWS windows and hands the least recently used one over when it needs another.
 * The merging side keeps at most LP_DRIFT_PENDING_WINDOWS windows or LP_DRIFT_PENDING_BYTES; past half of that
 * lp_drift_report reports the least recently used ones as parts (with fewer than min_rows rows they are given up
 * instead, so that stray event times do not flood the topic).
 *
 * Cost: about 1 ns a value and 20 ns a batch for the clock; a mutex once a window.
 */
#ifndef LP_DRIFT_DRIFT_H
#define LP_DRIFT_DRIFT_H

#include "core/error.h"
#include "model/bundle.h"

#include <stdbool.h>
#include <stdint.h>

enum lp_severity { LP_SEVERITY_OK, LP_SEVERITY_WARN, LP_SEVERITY_ALERT };
enum {
    LP_DRIFT_STATISTICS_MAX = 8,
    LP_DRIFT_OPEN_WINDOWS = 4,
    LP_DRIFT_PENDING_WINDOWS = 1024,
    LP_DRIFT_PENDING_BYTES = 64 << 20, /* but never fewer than 8 windows */
    LP_DRIFT_AHEAD_MAX_MS = 300000,    /* rows further ahead of the wall clock are not observed */
};

struct lp_drift_options {
    int64_t window_ms;   /* above 0; windows are aligned to the epoch */
    int64_t lateness_ms; /* 0 or more; a window closes when event time has passed its end by this much */
    int64_t min_rows;    /* fewer rows: reported with severity ok and no statistics */
    double psi_warn, psi_alert, js_warn, js_alert, ks_warn, ks_alert;
    double rate_warn, rate_alert; /* rise over the reference's rate, in absolute share */
};

struct lp_drift_statistic {
    const char *name;        /* "psi", "ks", "js", "missing_rate", "clipped_rate", "unknown_rate"; static */
    double value, threshold; /* threshold: the one that gave the severity, else the warn one; a rate's includes the
                                reference's rate, so that value >= threshold says the same for all */
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
    uint32_t statistic_count; /* 0: fewer than min_rows rows */
    struct lp_drift_statistic statistics[LP_DRIFT_STATISTICS_MAX];
    enum lp_severity severity; /* the worst */
};

/* --- statistics on bins: pure functions, tested against SciPy; 0 when either side is empty --- */

/** PSI = sum (p - q) ln(p / q); each share is floored at `epsilon` (1e-4) so that an empty bin stays finite. */
double lp_drift_psi(const uint64_t *counts, const double *reference, uint32_t bin_count);
/** Largest distance of the cumulative shares. */
double lp_drift_ks(const uint64_t *counts, const double *reference, uint32_t bin_count);
/** Jensen-Shannon divergence in bits, 0 to 1 (the square of SciPy's distance with base 2). */
double lp_drift_js(const uint64_t *counts, const double *reference, uint32_t bin_count);

/* --- lane side: one thread, no allocation after _new, no lock but when a window is handed over --- */

struct lp_drift_lane;

/**
 * Counters for `bundle` (borrowed); observes columns as lp_cleaner_run leaves them. Features and scores whose baseline
 * has no bins are not watched, nor are vectors. LP_E_INVALID: options or a baseline that break their contract.
 * Lane and lp_drift must come from the same bundle and options. One allocation, zeroed: cheap enough for every swap.
 */
LP_MUST_USE enum lp_code lp_drift_lane_new(const struct lp_bundle *bundle, const struct lp_drift_options *options,
                                           struct lp_drift_lane **ret_lane, struct lp_error *err);
/** Counts that were not handed over are lost: lp_drift_merge with `flush` before. */
void lp_drift_lane_free(struct lp_drift_lane *lane);

/**
 * Count one batch. Rows are split by window of event time; in the usual case all rows fall in one window.
 * The score watched is the row's single output, class 1 of a binary model with two, the largest of a multiclass one.
 *
 * @param observed   [feature_count][stride] column-major
 * @param scores     [row_count][output_count]; NaN counts as missing
 * @param event_time [row_count] milliseconds (by row); below 0 (unknown) counts as now
 */
void lp_drift_lane_observe(struct lp_drift_lane *lane, const double *observed, uint32_t stride, const float *scores,
                           const int64_t *event_time, uint32_t row_count);

/**
 * Clipped, unknown per feature since the last call (from lp_clean_counts deltas), for the window of `event_time_ms`.
 * Call it after each lp_drift_lane_observe with the time of the batch's last row: counts of many batches put into one
 * window make a rate out of nothing during a replay. A few nanoseconds when all are 0.
 */
void lp_drift_lane_add_counts(struct lp_drift_lane *lane, int64_t event_time_ms, const uint64_t *clipped,
                              const uint64_t *unknown);

/** Rows not observed: late (their window had closed) or too far ahead of the wall clock. */
uint64_t lp_drift_lane_late(const struct lp_drift_lane *lane);

/* --- merging: any thread, a mutex inside, called once a window and lane --- */

struct lp_drift;

LP_MUST_USE enum lp_code lp_drift_new(const struct lp_bundle *bundle, const struct lp_drift_options *options,
                                      uint32_t lane_count, struct lp_drift **ret_drift, struct lp_error *err);
/** No lane may use it any more. */
void lp_drift_free(struct lp_drift *drift);

/**
 * Hand the lane's finished windows over (all of them when `flush`, after which the lane is done with this lp_drift).
 * `watermark_ms`: see above; a lane that is idle (no row for a while, or no partition) passes INT64_MIN so that it
 * holds nobody back. Called by the lane's thread about once a second; a few nanoseconds when nothing closed. The first
 * call ties the lane to `drift`, which from then on takes windows the lane has no room for; call it once right after
 * lp_drift_lane_new (INT64_MIN will do), else such windows are lost and counted as late. Nothing is reported before
 * every lane has called once.
 */
void lp_drift_merge(struct lp_drift *drift, uint32_t lane_index, struct lp_drift_lane *lane, int64_t watermark_ms,
                    bool flush);

/*
 * Rows that count only when something else has happened (exactly_once: their transaction is committed) wait in an
 * lp_drift of the lane's own, made with lane_count 1 and never reported. Lane thread.
 */

/**
 * Move the lane's windows into `waiting`, which keeps the watermark with them; the lane is tied to `next` from then on
 * and judges rows by that watermark. Once with both empty at the lane's start.
 */
void lp_drift_set_aside(struct lp_drift_lane *lane, struct lp_drift *waiting, int64_t watermark_ms,
                        struct lp_drift *next);
/** Merge what waits into `drift`, as lp_drift_merge of that lane would have. */
void lp_drift_settle(struct lp_drift *drift, uint32_t lane_index, struct lp_drift *waiting, bool flush);
/** Forget what waits. */
void lp_drift_forget(struct lp_drift *waiting);
/** Forget the lane's windows; rows are judged by `first_open` (of lp_drift_lane_first_open, before they came). */
void lp_drift_lane_forget(struct lp_drift_lane *lane, int64_t first_open);
int64_t lp_drift_lane_first_open(const struct lp_drift_lane *lane);

/** Rows given up by the merging side (memory bound). */
uint64_t lp_drift_late(struct lp_drift *drift);

/** Reports of windows that every lane has passed, in order; `callback` runs without the lock. Returns windows reported.
 */
uint32_t lp_drift_report(struct lp_drift *drift, void (*callback)(void *context, const struct lp_drift_report *report),
                         void *context);

#endif
