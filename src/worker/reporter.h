/* Drift reports out of the merged windows: to the drift topic, the log and the latest values for /metrics. */
#ifndef LP_WORKER_REPORTER_H
#define LP_WORKER_REPORTER_H

#include "core/error.h"
#include "drift/drift.h"
#include "worker/shared.h"
#include "worker/slot.h"

#include <stdint.h>

struct lp_reporter;

/** Latest report of one feature. */
struct lp_drift_latest {
    char feature[256];
    int64_t window_end_ms;
    uint64_t rows;
    enum lp_severity severity;
    double psi, ks, js;                              /* NaN: not made (too few rows) */
    double missing_rate, clipped_rate, unknown_rate; /* shares of the window's rows; NaN: no rows */
};

LP_MUST_USE enum lp_code lp_reporter_new(const struct lp_shared *shared, struct lp_reporter **ret_reporter,
                                         struct lp_error *err);
void lp_reporter_free(struct lp_reporter *reporter);

/** Publish what is due and free what lanes handed back. Housekeeping thread. */
void lp_reporter_run(struct lp_reporter *reporter, struct lp_slot *slot);
/** Wait for the drift topic's acknowledgements. */
void lp_reporter_flush(struct lp_reporter *reporter, int timeout_ms);

/** The latest of one feature, or NULL. */
const struct lp_drift_latest *lp_drift_latest_find(const struct lp_drift_latest *latest, uint32_t count,
                                                   const char *feature);

/** Copies up to max latest reports; returns the count. Any thread. */
uint32_t lp_reporter_latest(struct lp_reporter *reporter, struct lp_drift_latest *latest, uint32_t max);

#endif
