/* The lane's inside, shared by the files that make it up: loop, intake, publish, group. */
#ifndef LP_WORKER_LANE_PRIVATE_H
#define LP_WORKER_LANE_PRIVATE_H

#include "core/buffer.h"
#include "kafka/ledger.h"
#include "kafka/sink.h"
#include "kafka/source.h"
#include "worker/lane.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum { LP_LANE_RETRY_NS = 20 * 1000 * 1000 }; /* how often a held partition is looked at */

/** One owned partition. */
struct lp_lane_partition {
    bool owned, held;
    uint32_t topic_index;
    int32_t partition;
    int64_t next_offset;     /* stored last, for the lag; -1: none yet */
    uint64_t held_schema_id; /* what a held partition waits for; 0: the end of a pause */
    uint64_t retry_ns;       /* when to look again */
    int64_t event_time_ms;   /* latest seen */
    uint64_t last_record_ns;
};

struct lp_lane {
    const struct lp_shared *shared;
    struct lp_slot *slot;
    uint32_t index;
    struct lp_source *source; /* NULL until the first model */
    struct lp_sink *sink;
    struct lp_sink_topic *output, *dead_letter; /* dead_letter NULL: none configured */
    struct lp_ledger *ledger;
    struct lp_kit *kit;
    uint64_t slot_version;
    struct lp_lane_partition *partitions; /* [LP_LANE_PARTITIONS_MAX] by source slot */
    uint32_t partition_limit;             /* slots ever used + 1 */
    uint32_t held_count;
    struct lp_buffer out;      /* one prediction */
    uint64_t now_ns;           /* monotonic, refreshed once a loop and a batch */
    uint64_t wait_ns;          /* batch.max_wait_us */
    uint64_t late_rows_before; /* drift: of the models before */
    uint64_t next_snapshot_ns, next_drift_ns;
    struct lp_lane_stats stats;
    uint64_t drain_deadline_ns; /* a stop was asked for: nothing waits for acknowledgements past it; 0: none was */
    bool failed;                /* `failure` says why; the loop ends without advancing offsets */
    struct lp_error failure;

    pthread_t thread;
    bool started;
    atomic_bool stop, ended;
    _Atomic(struct lp_source *) wakeable; /* `source` for other threads, once it exists */
    pthread_mutex_t snapshot_mutex;
    struct lp_lane_stats snapshot;
    struct lp_lane_lag *lags; /* [LP_LANE_PARTITIONS_MAX] */
    uint32_t lag_count;
    struct lp_clean_counts *feature_counts; /* [feature_counts_max], of `feature_generation` */
    uint32_t feature_count, feature_counts_max;
    uint64_t feature_generation;
};

/* lane_intake.c */
enum lp_source_step lp_lane_on_record(void *context, const struct lp_source_record *record);
/** Send one record to the dead letters (or fail the lane when there are none configured); `entry` is its ledger ticket.
 */
void lp_lane_reject(struct lp_lane *lane, const struct lp_source_record *record, struct lp_headers *headers,
                    lp_ledger_ticket entry, enum lp_stage stage, const struct lp_error *error);
/** Remember the first failure that the lane cannot go on after. */
void lp_lane_fail(struct lp_lane *lane, const struct lp_error *error);

/* lane_publish.c */
/** Infer and send the open batch; leaves it empty. */
void lp_lane_flush_batch(struct lp_lane *lane);
/** Enqueue, serving delivery reports while the producer's queue is full, until the drain's deadline (LP_E_TIMEOUT). */
LP_MUST_USE enum lp_code lp_lane_send(struct lp_lane *lane, const struct lp_sink_message *message,
                                      struct lp_error *err);
/** Has a stop been asked for whose time to wait for acknowledgements is over? */
bool lp_lane_drain_is_over(struct lp_lane *lane);
/** Headers for a prediction, by output.headers; takes the record's own (may be NULL). */
struct lp_headers *lp_lane_output_headers(const struct lp_lane *lane, struct lp_headers *headers, int32_t partition,
                                          int64_t offset);
/** Timestamp for an output, by output.timestamp; 0: now. */
int64_t lp_lane_output_time(const struct lp_lane *lane, int64_t timestamp_ms);
/** May nothing more be in flight? Then the lane stops taking records and goes on polling. */
bool lp_lane_full(const struct lp_lane *lane);
void lp_lane_on_report(void *context, uint64_t ticket, const struct lp_error *error);

/* lane_group.c */
void lp_lane_on_assigned(void *context, uint32_t slot, uint32_t topic_index, int32_t partition);
void lp_lane_on_revoking(void *context, const uint32_t *slots, uint32_t slot_count, bool lost);
void lp_lane_on_event(void *context, enum lp_source_event event, const char *text);
void lp_lane_on_revoked(void *context, const uint32_t *slots, uint32_t slot_count);
/** Give done prefixes to the source. */
void lp_lane_store_offsets(struct lp_lane *lane);
/** Resume partitions whose schema has come. */
void lp_lane_serve_held(struct lp_lane *lane);

#endif
