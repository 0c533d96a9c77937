/* What the demo shows: a live screen on a terminal, one line a second in a pipe. */
#ifndef LP_DEMO_VIEW_H
#define LP_DEMO_VIEW_H

#include "control/control.h"
#include "demo/audit.h"
#include "demo/stream.h"
#include "worker/reporter.h"
#include "worker/stats.h"

#include <stdbool.h>
#include <stdint.h>

enum { LP_VIEW_DRIFT_MAX = 64 };

/** One moment of the demo. */
struct lp_moment {
    double elapsed_s, total_s; /* total 0: until a signal */
    struct lp_stream_state stream;
    uint64_t stream_count; /* records in the whole year */
    struct lp_lane_stats stats;
    int64_t lag;
    double records_per_s;
    struct lp_latency recent; /* record to prediction, the last seconds */
    struct lp_drift_latest drift[LP_VIEW_DRIFT_MAX];
    uint32_t drift_count;
    struct lp_status_record model;
    struct lp_control_event events[LP_CONTROL_EVENTS_MAX];
    uint32_t event_count;
    struct lp_audit_state audit;
    const char *story;            /* one line: what happens now */
    const char *bootstrap, *http; /* where to look while it runs */
};

struct lp_view;
struct lp_view *lp_view_new(void);
void lp_view_show(struct lp_view *view, const struct lp_moment *moment);
/** Give the terminal back. */
void lp_view_free(struct lp_view *view);

#endif
