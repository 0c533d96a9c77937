/*
 * The worker: wires the stages, owns the threads and the order in which they start and drain.
 * start: HTTP -> schemas and topics -> lanes -> control (which stages the first model).
 * stop: lanes drain (poll stops, flush, commit, leave) -> drift -> control (tombstone) -> HTTP.
 */
#ifndef LP_WORKER_WORKER_H
#define LP_WORKER_WORKER_H

#include "config/config.h"
#include "control/control.h"
#include "core/error.h"
#include "worker/reporter.h"
#include "worker/stats.h"

#include <stdbool.h>
#include <stdint.h>

struct lp_worker;

/** Asked while the start waits for brokers, topics or the registry: true gives up. May be NULL. */
typedef bool lp_worker_interrupted(void *context);

/**
 * Start everything; returns when the lanes run (a model may still be on its way: see lp_worker_ready).
 * @param config borrowed for the worker's life
 * @return LP_E_TIMEOUT after startup.timeout_ms without brokers, topics or registry; LP_E_REFUSED when interrupted
 */
LP_MUST_USE enum lp_code lp_worker_start(const struct lp_config *config, lp_worker_interrupted *interrupted,
                                         void *context, struct lp_worker **ret_worker, struct lp_error *err);

/** Housekeeping; call about ten times a second. LP_OK, or why a lane has failed: stop then, it may hang. */
LP_MUST_USE enum lp_code lp_worker_tick(struct lp_worker *worker, struct lp_error *err);

/** Drain and stop within shutdown.timeout_ms; a watchdog ends the process with status 1 when a client hangs past it. */
void lp_worker_stop(struct lp_worker *worker);
void lp_worker_free(struct lp_worker *worker);

/** Ready: model live, control replayed, group joined. False: `ret_reason` (borrowed, static) says what is missing. */
bool lp_worker_ready(struct lp_worker *worker, const char **ret_reason);
/** Live: every lane looped within max.poll.interval.ms. */
bool lp_worker_live(struct lp_worker *worker, const char **ret_reason);

/** Sums over the lanes; the lag of all owned partitions whose lag is known. Any thread. */
void lp_worker_totals(struct lp_worker *worker, struct lp_lane_stats *ret_stats, int64_t *ret_lag);
uint32_t lp_worker_drift(struct lp_worker *worker, struct lp_drift_latest *latest, uint32_t max);
uint32_t lp_worker_control(struct lp_worker *worker, struct lp_status_record *ret_status,
                           struct lp_control_event events[LP_CONTROL_EVENTS_MAX]);
uint16_t lp_worker_http_port(const struct lp_worker *worker);

#endif
