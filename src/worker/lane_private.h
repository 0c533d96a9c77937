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
    int64_t next_offset;                    /* stored (exactly_once: committed) last, for the lag; -1: none yet */
    uint64_t held_schema_id;                /* what a held partition waits for; 0: the end of a pause */
    uint64_t retry_ns;                      /* when to look again */
    bool stalled;                           /* an output of it waits for `stalled_by` to take it */
    const struct lp_sink_topic *stalled_by; /* NULL: no broker answers at all */
    int64_t waits_at;                       /* next_offset when it was seen to advance last */
    uint64_t waits_since_ns;
    int64_t replay_until;  /* below it records come again for the sake of refused ones; 0: none do */
    int64_t event_time_ms; /* latest seen */
    uint64_t last_record_ns;
    /* exactly_once: after the last record taken, and after the last of the transaction that is being committed; -1 */
    int64_t taken_offset, cut_offset;
    int64_t cut_event_time_ms, settled_event_time_ms; /* event_time_ms at the cut, and at the last commit */
};

/** A record whose output the brokers refused, alone in its transaction; when it comes again it is treated otherwise. */
struct lp_lane_refusal {
    uint64_t ticket;
    bool retimed;   /* its output has the time of now */
    uint32_t times; /* refused for more than its time: 1: a dead letter, 2: one without the value */
    struct lp_error error;
};

/** exactly_once: see lane_txn.c. */
struct lp_lane_txn {
    bool on;
    bool ready;             /* the coordinator knows our producer */
    bool committing;        /* a cut is being committed */
    bool reset;             /* what was taken since the last commit is void; it comes again after the sink's event */
    bool broken;            /* an output is missing in the open transaction: it must not be committed */
    bool said;              /* what the start waits for was logged */
    uint64_t period_ns;     /* transaction.commit_ms */
    uint64_t due_ns;        /* of the next cut; 0: nothing was taken since the last */
    uint64_t cut_ns;        /* when the cut at hand was made */
    uint64_t start_ns;      /* when the producer was made */
    uint32_t taken;         /* records since the last cut */
    uint32_t cut_taken;     /* records of the cut at hand */
    int64_t first_open;     /* drift: as of the last commit */
    int64_t cut_first_open; /* and of the cut at hand */
    uint64_t voids;         /* how often what was taken came to nothing */
    uint64_t void_records;
    uint32_t limit; /* records a transaction may have while a refused one is looked for, and none during its commit; 0:
                       any */
    uint32_t commits_at_limit;
    uint32_t refusal_count;
    struct lp_lane_refusal *refusals; /* [LP_LANE_PARTITIONS_MAX]: a partition has one before it commits past it */
};

enum { LP_LANE_RECALLS_MAX = 64 };

/** A record whose output the brokers refused for good. */
struct lp_lane_recall {
    uint32_t slot;
    int64_t offset;
    lp_ledger_ticket ticket;
    bool asked; /* it is on its way once more */
    struct lp_error error;
};

/** An output topic that cannot be written. */
struct lp_lane_alarm {
    bool on;
    uint64_t due_ns; /* when to say so again */
};

struct lp_lane {
    const struct lp_shared *shared;
    struct lp_slot *slot;
    uint32_t index;
    struct lp_source *source; /* NULL until the first model */
    struct lp_sink *sink;
    struct lp_sink_topic *output, *dead_letter; /* dead_letter NULL: none configured */
    struct lp_ledger *ledger;                   /* at_least_once */
    struct lp_lane_txn txn;
    struct lp_kit *kit;
    uint64_t slot_version;
    struct lp_lane_partition *partitions; /* [LP_LANE_PARTITIONS_MAX] by source slot */
    uint32_t partition_limit;             /* slots ever used + 1 */
    uint32_t held_count;
    uint32_t stalled_count, replay_count; /* partitions */
    bool began_full;                      /* the turn at hand: only what comes again may be taken */
    struct lp_lane_alarm alarms[3];       /* output, dead letters, no answer */
    uint64_t next_late_look_ns;
    uint32_t recall_count;
    struct lp_lane_recall recalls[LP_LANE_RECALLS_MAX];
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
    atomic_bool stop;
    atomic_bool failing;                  /* `failure` is there for other threads; the lane drains */
    _Atomic(struct lp_source *) wakeable; /* `source` for other threads, once it exists */
    pthread_mutex_t snapshot_mutex;
    struct lp_lane_stats snapshot;
    struct lp_lane_lag *lags; /* [LP_LANE_PARTITIONS_MAX] */
    uint32_t lag_count;
    struct lp_clean_counts *feature_counts; /* [feature_counts_max], of `feature_generation` */
    uint32_t feature_count, feature_counts_max;
    uint64_t feature_generation, feature_rows; /* rows: cleaned and not rejected since the kit was taken */
    uint64_t rows_before;                      /* stats.rows when it was taken */
};

/* lane_intake.c */
enum lp_source_step lp_lane_on_record(void *context, const struct lp_source_record *record);
/** Send one record to the dead letters; `entry` is its ledger ticket. False: the lane failed instead (for one, since no
 * dead letters are configured).
 */
bool lp_lane_reject(struct lp_lane *lane, const struct lp_source_record *record, struct lp_headers *headers,
                    lp_ledger_ticket entry, enum lp_stage stage, const struct lp_error *error);
/** Remember the first failure that the lane cannot go on after. */
void lp_lane_fail(struct lp_lane *lane, const struct lp_error *error);

/* lane_stall.c: at_least_once, but for lp_lane_shrink_letter */
extern const struct lp_sink_patience lp_lane_patience;
/** Alarms, and partitions whose outputs are taken again; once a turn. */
void lp_lane_serve_stalls(struct lp_lane *lane);
/** Have records come again whose outputs were refused. */
void lp_lane_serve_recalls(struct lp_lane *lane);
/** Dead letters for what was refused and cannot come again in time; without the values. */
void lp_lane_settle_recalls(struct lp_lane *lane);
/** The slot goes away. */
void lp_lane_forget_recalls(struct lp_lane *lane, uint32_t slot);
/** Was this record taken before, and comes again? Then its dead letter has been sent where one was due. */
bool lp_lane_replayed(struct lp_lane *lane, const struct lp_source_record *record);
/** Make a dead letter smaller: without its value, then without key and copied headers. False: it is that already. */
bool lp_lane_shrink_letter(struct lp_sink_message *letter);

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

/** Drop the open batch: its records come again. */
void lp_lane_drop_batch(struct lp_lane *lane);

/* lane_refusals.c: exactly_once */
/** The ticket of a record: names it when an output of it is refused. */
uint64_t lp_lane_txn_ticket(uint32_t slot, int64_t offset);
/** The refusal of an earlier output of this record, or NULL. */
const struct lp_lane_refusal *lp_lane_txn_refusal(struct lp_lane *lane, uint64_t ticket);
void lp_lane_txn_on_refused(struct lp_lane *lane, uint64_t ticket, const struct lp_error *error);
/** May the transaction have no more records, since a refused one is looked for? */
bool lp_lane_txn_at_limit(const struct lp_lane *lane);
/** A commit: the refusals that it settled are forgotten, transactions grow again. */
void lp_lane_txn_relax(struct lp_lane *lane);
/** The slot goes away. */
void lp_lane_txn_forget_refusals(struct lp_lane *lane, uint32_t slot);

/* lane_txn.c: nothing of it is called unless lane->txn.on */
/** A record was taken, with whatever outcome. */
void lp_lane_txn_note(struct lp_lane *lane, const struct lp_source_record *record);
/** Once a turn: what the committer has done, and the next cut when it is due. */
void lp_lane_txn_serve(struct lp_lane *lane);
/** Is nothing taken that is not committed, and no start of a partition either? */
bool lp_lane_txn_settled(const struct lp_lane *lane);
/** Commit all that was taken. False: not by the deadline, or some of it came to nothing and comes again. */
bool lp_lane_txn_finish(struct lp_lane *lane, uint64_t deadline_ns);
/** Give up what was taken since the last commit; it comes again. */
void lp_lane_txn_drop(struct lp_lane *lane);
/** How long the lane may sleep, at most `timeout_ms`. */
int lp_lane_txn_sleep_ms(const struct lp_lane *lane, int timeout_ms);
/** Drift of a lane with nothing uncommitted. */
void lp_lane_txn_merge_drift(struct lp_lane *lane, int64_t watermark_ms, bool flush);
/** At the end: what was not committed never counts. */
void lp_lane_txn_forget_drift(struct lp_lane *lane);

/* lane.c */
/** Event time no row can come before; INT64_MIN: no partition speaks. */
int64_t lp_lane_watermark(const struct lp_lane *lane);

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
