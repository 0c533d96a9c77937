/* Private to drift/: which cells a window has, and the window. A window is one vector of counts, so merging is adding.
 */
#ifndef LP_DRIFT_WINDOW_H
#define LP_DRIFT_WINDOW_H

#include "drift/drift.h"
#include "kernels/bins/bins.h"

#include <stddef.h>

/* Cells of an item: how many values were present, clipped, unknown, and then its bins. A number's bin cell j counts the
 * values >= edge j, which is what the kernel gives; a category's counts index j. */
enum { LP_CELL_PRESENT, LP_CELL_CLIPPED, LP_CELL_UNKNOWN, LP_CELL_BINS };
enum { LP_DRIFT_SCORE = -1 };

struct lp_drift_item {
    const char *name;
    int32_t feature; /* index in the bundle, or LP_DRIFT_SCORE */
    bool is_category, may_clip;
    const struct lp_baseline *baseline; /* the bundle's */
    size_t cell;                        /* its first cell */
};

/** What is watched of a bundle. */
struct lp_drift_layout {
    struct lp_drift_item *items; /* owned; features in order, then the score */
    uint32_t item_count;
    uint32_t bins_max; /* the widest item */
    size_t cell_count; /* of one window */
    int64_t window_ms, lateness_ms;
};

struct lp_drift_window {
    int64_t number; /* start / window_ms */
    uint64_t rows, last_use;
    bool is_open;    /* false: free, rows and cells are 0 */
    uint64_t *cells; /* [cell_count] */
};

/** LP_E_INVALID names the option or the feature. `bundle` is borrowed for the layout's life. */
LP_MUST_USE enum lp_code lp_drift_layout_init(struct lp_drift_layout *layout, const struct lp_bundle *bundle,
                                              const struct lp_drift_options *options, struct lp_error *err);
void lp_drift_layout_done(struct lp_drift_layout *layout);

/** First window that is not closed at this watermark, which is cut to the wall clock. */
int64_t lp_drift_first_open(const struct lp_drift_layout *layout, int64_t watermark_ms, int64_t now_ms);

static inline int64_t lp_drift_window_of(const struct lp_drift_layout *layout, int64_t event_time_ms)
{
    int64_t number = event_time_ms / layout->window_ms;
    return number - (event_time_ms % layout->window_ms < 0);
}

enum { LP_DRIFT_SCORE_CHUNK = 256 };

struct lp_drift_lane {
    struct lp_drift_layout layout;
    const struct lp_bundle *bundle; /* borrowed */
    lp_bins_run *bins;
    struct lp_drift *drift; /* borrowed, after the first merge */
    uint32_t lane_index;
    bool was_idle;        /* the last merge said so */
    int64_t first_open;   /* windows before it are closed */
    uint64_t late, clock; /* clock: ticks at each use of a window */
    struct lp_drift_window windows[LP_DRIFT_OPEN_WINDOWS];
    double scores[LP_DRIFT_SCORE_CHUNK];
    uint64_t cells[]; /* of all windows */
};

/** Add an open window of a lane to the merged one and close it. Locks. */
void lp_drift_take(struct lp_drift *drift, struct lp_drift_window *window);
void lp_drift_window_close(struct lp_drift_window *window, size_t cell_count);

/** Fill a report's counts (into bins, [bins_max]) and statistics for one item of a merged window. */
void lp_drift_fill_report(const struct lp_drift_layout *layout, const struct lp_drift_options *options,
                          const struct lp_drift_item *item, const struct lp_drift_window *window, uint64_t *bins,
                          struct lp_drift_report *report);

#endif
