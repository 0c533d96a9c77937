/*
 * One lane: poll -> decode -> clean -> batch -> infer -> publish -> store, run to completion on one thread with its own
 * consumer, producer, ledger and buffers.
 */
#ifndef LP_WORKER_LANE_H
#define LP_WORKER_LANE_H

#include "core/error.h"
#include "worker/kit.h"
#include "worker/shared.h"
#include "worker/slot.h"
#include "worker/stats.h"

#include <stdatomic.h>
#include <stdint.h>

enum { LP_LANE_PARTITIONS_MAX = 4096 };

struct lp_lane;

/** Makes the producer and the buffers; the consumer joins the group with the first model. */
LP_MUST_USE enum lp_code lp_lane_new(const struct lp_shared *shared, struct lp_slot *slot, uint32_t index,
                                     struct lp_lane **ret_lane, struct lp_error *err);
/** Starts the thread. */
LP_MUST_USE enum lp_code lp_lane_start(struct lp_lane *lane, struct lp_error *err);
/** Asks the lane to drain: finish what is in flight, commit, leave the group. Returns at once. */
void lp_lane_stop(struct lp_lane *lane);
/** LP_OK, or why the lane has failed: it drains by itself then, and the others must be stopped too. Any thread. */
LP_MUST_USE enum lp_code lp_lane_check(struct lp_lane *lane, struct lp_error *err);
/** Joins; returns the lane's failure, if any. */
LP_MUST_USE enum lp_code lp_lane_join(struct lp_lane *lane, struct lp_error *err);
void lp_lane_free(struct lp_lane *lane);

/** Last snapshot of the counters (at most a quarter second old); `lags` up to lag_max entries. Any thread. */
void lp_lane_snapshot(struct lp_lane *lane, struct lp_lane_stats *ret_stats, struct lp_lane_lag *lags, uint32_t lag_max,
                      uint32_t *ret_lag_count);

/**
 * Last snapshot of the per-feature counters of the model the lane serves: copies up to feature_max. Any thread.
 * @param ret_rows rows that were cleaned for it and not rejected; 0 with the result 0 when it serves another generation
 */
uint32_t lp_lane_feature_counts(struct lp_lane *lane, uint64_t generation, struct lp_clean_counts *counts,
                                uint32_t feature_max, uint64_t *ret_rows);

/** Wakes the lane to look at its slot. Any thread. */
void lp_lane_wake(struct lp_lane *lane);

#endif
