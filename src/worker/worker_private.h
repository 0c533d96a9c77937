/* The worker's inside, shared by the files that make it up: start, stop, what HTTP serves. */
#ifndef LP_WORKER_WORKER_PRIVATE_H
#define LP_WORKER_WORKER_PRIVATE_H

#include "core/buffer.h"
#include "http/http.h"
#include "worker/lane.h"
#include "worker/shared.h"
#include "worker/slot.h"
#include "worker/worker.h"

#include <pthread.h>
#include <stdatomic.h>

struct lp_worker {
    struct lp_shared shared;
    struct lp_slot slot;
    struct lp_lane **lanes; /* [shared.lane_count] */
    struct lp_control *control;
    struct lp_reporter *reporter;
    struct lp_http *http;
    atomic_bool running; /* lanes and control exist: HTTP may look at them */
    atomic_bool stopping;
    uint64_t start_ns;
    int64_t start_wall_ms;
    uint64_t poll_interval_ns; /* max.poll.interval.ms */
    uint64_t next_log_ns, next_count_ns;
    uint64_t logged_records;
    uint64_t watched_generation, next_watch_ns; /* watch.c */
    bool watched;
    atomic_uint absent_features;
    _Atomic(const char *) waiting_for; /* what the start waits for; static text */
    struct lp_watchdog *watchdog;
};

/* start.c */
/** Before HTTP is open, whose /status says the name. */
void lp_worker_name_replica(struct lp_shared *shared);
/** Schemas, registry, encoder, topics, limits: everything in `shared`. */
LP_MUST_USE enum lp_code lp_worker_prepare(struct lp_worker *worker, lp_worker_interrupted *interrupted, void *context,
                                           struct lp_error *err);
void lp_worker_unprepare(struct lp_worker *worker);
/** Do the partition counts still agree as they did at the start? LP_E_MISMATCH when they parted. A broker away proves
 * nothing. */
LP_MUST_USE enum lp_code lp_worker_check_partitions(struct lp_worker *worker, struct lp_error *err);
/** lp_control_callbacks.check: the model's features against the input's schemas. */
enum lp_code lp_worker_check_model(void *context, const struct lp_model *model, struct lp_error *err);

/* watch.c */
/** Per-feature counters of a generation over the lanes; `lane` is scratch as large as `sums`. Returns its rows. */
uint64_t lp_worker_sum_features(struct lp_worker *worker, uint64_t generation, uint32_t feature_count,
                                struct lp_clean_counts *sums, struct lp_clean_counts *lane);
/** Once a model has scored enough rows: warn of features that none of them had. Housekeeping thread. */
void lp_worker_watch_features(struct lp_worker *worker);

/* observe.c */
void lp_worker_render_metrics(void *context, struct lp_buffer *out);
void lp_worker_render_status(void *context, struct lp_buffer *out);

#endif
