/*
 * What a lane counts. The lane adds to plain integers of its own; a few times a second it copies them under a mutex for
 * the HTTP thread, so that the hot path has neither atomics nor locks.
 */
#ifndef LP_WORKER_STATS_H
#define LP_WORKER_STATS_H

#include "publish/dead_letter.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

/* Upper bounds of the latency buckets, nanoseconds: 1-2-5 steps from 1 us to 10 s; one more bucket lies above. */
enum { LP_LATENCY_BOUNDS = 22 };
extern const uint64_t lp_latency_bounds_ns[LP_LATENCY_BOUNDS];

struct lp_latency {
    uint64_t counts[LP_LATENCY_BOUNDS + 1];
    double sum_ns;                         /* events replayed years later would wrap an integer */
    uint32_t last;                         /* bucket of the last observation: the next one is mostly like it */
    uint64_t last_above_ns, last_width_ns; /* it holds durations above the first, up to the sum; width 0: none yet */
};

/** lp_latency_add for a duration that falls into another bucket than the last. */
void lp_latency_add_elsewhere(struct lp_latency *latency, uint64_t duration_ns, uint64_t times);

/** Add `times` observations of the same duration. */
static inline void lp_latency_add(struct lp_latency *latency, uint64_t duration_ns, uint64_t times)
{
    if (duration_ns - latency->last_above_ns - 1 < latency->last_width_ns) {
        latency->counts[latency->last] += times;
        latency->sum_ns += (double)duration_ns * (double)times;
    } else {
        lp_latency_add_elsewhere(latency, duration_ns, times);
    }
}
/** Smallest bound that at least `share` of the observations do not exceed, interpolated within its bucket; 0 when
 * empty. */
double lp_latency_quantile_ns(const struct lp_latency *latency, double share);
void lp_latency_merge(struct lp_latency *into, const struct lp_latency *from);

/** Counters since the start, and gauges. */
struct lp_lane_stats {
    uint64_t records, record_bytes, rows, batches, predictions, prediction_bytes, tombstones, dead_letters, skipped;
    uint64_t errors[LP_STAGE_COUNT];
    uint64_t acknowledged, delivery_errors, stale_reports, revoke_deadlines_missed, swaps, backpressure_loops;
    uint64_t transactions_committed, transactions_aborted, transactions_fenced;
    uint64_t committed_records;             /* exactly_once: of committed transactions; the others count attempts */
    struct lp_latency commit;               /* one transaction: its cut to its end */
    uint64_t late_rows;                     /* drift: after their window had closed */
    struct lp_latency fill;                 /* one batch: its first row to its close: decoding, cleaning, waiting */
    struct lp_latency score;                /* one batch: clean rows to scores */
    struct lp_latency publish;              /* one batch: scores to the producer's queue */
    struct lp_latency swap;                 /* taking a staged model over */
    struct lp_latency event_to_prediction;  /* a record's event time to its prediction's hand-over */
    struct lp_latency record_to_prediction; /* the same from its Kafka timestamp */
    /* gauges */
    uint32_t in_flight, queued, assigned, held, stalled;
    uint64_t generation; /* of the model this lane scores with */
    uint64_t schema_id;  /* last writer schema seen, 0: none */
    uint64_t last_loop_ns;
    bool joined, serving, stopped, transactions_awaited;
    uint64_t rebalances, lost_assignments, offset_resets, offset_gap_records, stale_records, commits, commit_failures,
        revoke_commits_failed;
    uint64_t alarms; /* errors of the consumer that somebody must act on */
};

void lp_lane_stats_merge(struct lp_lane_stats *into, const struct lp_lane_stats *from);

/** Lag of one owned partition. */
struct lp_lane_lag {
    uint32_t topic_index;
    int32_t partition;
    int64_t lag; /* records; -1 unknown */
};

#endif
