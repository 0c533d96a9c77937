/* One lane's consumer: group membership, rebalances, records. Owns an rd_kafka_t consumer; lane thread only. */
#ifndef LP_KAFKA_SOURCE_H
#define LP_KAFKA_SOURCE_H

#include "core/error.h"
#include "core/span.h"

#include <stdbool.h>
#include <stdint.h>

struct lp_kafka_conf; /* kafka/conf.h */
struct lp_source;
struct lp_headers; /* a record's headers; opaque outside kafka/ */

enum lp_input_start { LP_START_EARLIEST, LP_START_LATEST, LP_START_FAIL };

struct lp_source_options {
    const struct lp_kafka_conf *conf; /* borrowed */
    const char *const *topics;        /* borrowed, [topic_count] */
    uint32_t topic_count;
    const char *group_id;
    const char *group_instance_id; /* NULL: dynamic member */
    const char *client_id;
    enum lp_input_start start;
    uint32_t partitions_max; /* owned at a time */
    bool transactional;      /* exactly_once: offsets are committed by a sink's transaction, see below */
};

/** A consumed record, borrowed for the callback only. */
struct lp_source_record {
    uint32_t slot; /* of the assigned partition: small integer, stable while assigned, < partitions_max */
    uint32_t topic_index;
    int32_t partition;
    int64_t offset;
    int64_t timestamp_ms;      /* -1: none */
    struct lp_span key, value; /* data NULL: null */
    void *message;             /* for lp_headers_take */
};

enum lp_source_step {
    LP_SOURCE_NEXT, /* taken: go on */
    LP_SOURCE_STOP, /* taken, but take no more now (bounds reached) */
    LP_SOURCE_HOLD, /* not taken: the partition pauses and this record comes again after lp_source_resume */
};

enum lp_source_event {
    LP_SOURCE_GAP,           /* retention removed records before they were consumed; offset_gap_records counts them */
    LP_SOURCE_REWOUND,       /* the log is another one (topic made anew, unclean election): from its beginning */
    LP_SOURCE_LOST,          /* the group gave our partitions to others: what was in flight comes twice */
    LP_SOURCE_UNCOMMITTED,   /* the last commit of partitions that were given up failed: the same */
    LP_SOURCE_COMMIT_FAILED, /* offsets stay stored and go with the next commit */
    LP_SOURCE_ERROR,         /* the client goes on trying: brokers away, rebalances, time-outs */
    LP_SOURCE_ALARM,         /* it goes on trying, but somebody must act: not authorized, topic missing */
};

/* Lane thread, from inside lp_source_poll and lp_source_close, which they must not call. */
struct lp_source_callbacks {
    void *context;
    /** Each record, in order within its partition. */
    enum lp_source_step (*record)(void *context, const struct lp_source_record *record);
    /** A partition was assigned to `slot`: open it. Its records follow in later polls. */
    void (*assigned)(void *context, uint32_t slot, uint32_t topic_index, int32_t partition);
    /**
     * These slots go away. Finish or drop what is in flight for them and report, through lp_source_store, the offsets
     * to commit; the source commits and unassigns after it returns. `lost`: the partitions are owned by others already.
     */
    void (*revoking)(void *context, const uint32_t *slots, uint32_t slot_count, bool lost);
    /** After the commit: forget the slots. */
    void (*revoked)(void *context, const uint32_t *slots, uint32_t slot_count);
    /** Something a log should hold; `text` is borrowed. NULL: not wanted. */
    void (*event)(void *context, enum lp_source_event event, const char *text);
};

struct lp_source_state {
    bool joined;             /* has taken part in a rebalance (an empty assignment counts) */
    uint32_t assigned_count; /* partitions */
    uint64_t rebalances, lost_assignments, offset_resets, offset_gap_records;
    uint64_t stale_records; /* dropped because they had been handed over, or come again */
    uint64_t commits, commit_failures, errors;
    uint64_t revoke_commits_failed; /* of those, the last ones before partitions were given up */
    uint64_t alarms;                /* of those, the ones that somebody must act on */
    uint64_t last_poll_ns;          /* monotonic */
    bool fatal;                     /* the client cannot go on: err of lp_source_poll says why */
};

/** Creates the client and subscribes. Nothing is contacted yet. */
LP_MUST_USE enum lp_code lp_source_new(const struct lp_source_options *options,
                                       const struct lp_source_callbacks *callbacks, struct lp_source **ret_source,
                                       struct lp_error *err);

/**
 * Serve group events, then hand over records that are there, waiting up to timeout_ms (at most LP_SOURCE_WAIT_MAX_MS)
 * for the first. About a thousand records a call; ends early for group events and lp_source_wake.
 * `records` false: serve only group events (backpressure: records stay in the client's bounded queue).
 * @return LP_OK, also when nothing came; LP_FATAL action when the client cannot go on
 */
LP_MUST_USE enum lp_code lp_source_poll(struct lp_source *source, int timeout_ms, bool records, struct lp_error *err);

enum { LP_SOURCE_WAIT_MAX_MS = 1000 };

/** Wake a poll that waits; any thread. */
void lp_source_wake(struct lp_source *source);

/** Records below `next_offset` of this slot are done. Monotonic per assignment; committed in the background. */
void lp_source_store(struct lp_source *source, uint32_t slot, int64_t next_offset);

/** Fetch a held partition again from the record that was not taken. Done by the next poll; callbacks may call it. */
void lp_source_resume(struct lp_source *source, uint32_t slot);

/* --- exactly_once: lp_source_store only notes, a sink's transaction commits --- */

struct lp_source_offsets; /* offsets and the group's metadata of this moment */

/** Is anything stored that was not taken yet? */
bool lp_source_has_offsets(const struct lp_source *source);
/**
 * All that was stored since the last call, for lp_sink_commit. *ret_offsets NULL: nothing was.
 * @return LP_E_REFUSED: the group gave our partitions to others: abort (`revoking` follows with the next poll)
 */
LP_MUST_USE enum lp_code lp_source_take_offsets(struct lp_source *source, struct lp_source_offsets **ret_offsets,
                                                struct lp_error *err);
void lp_source_offsets_free(struct lp_source_offsets *offsets);
/** What was taken last is committed: a group that denies it is not believed. */
void lp_source_confirm(struct lp_source *source);
/** Hand no more records over until lp_source_rewind: whether the last commit counts is not known yet. */
void lp_source_suspend(struct lp_source *source);
/** Continue all partitions from what the group has committed, else from where their assignment began. */
void lp_source_rewind(struct lp_source *source);

/**
 * Hand the records from `offset` on over once more, which must have been handed over since the assignment. Done by the
 * next poll; what the callback took is not forgotten. @return the offset that would have come next
 */
int64_t lp_source_again(struct lp_source *source, uint32_t slot, int64_t offset);
/** The offset that comes next; -1: not known yet, or not assigned. */
int64_t lp_source_position(const struct lp_source *source, uint32_t slot);

/**
 * Leave the group after a final commit, bounded by timeout_ms (and by what `revoking` takes); calls revoking/revoked.
 * @return LP_E_TIMEOUT: the group was not left in time, it will notice by the session time-out
 */
LP_MUST_USE enum lp_code lp_source_close(struct lp_source *source, int timeout_ms, struct lp_error *err);
void lp_source_free(struct lp_source *source);

/** Any thread. */
void lp_source_get_state(const struct lp_source *source, struct lp_source_state *ret_state);

/** Lag of an assigned slot from the client's cached watermarks, -1 when unknown. Lane thread. */
int64_t lp_source_lag(struct lp_source *source, uint32_t slot, int64_t next_offset);

#endif
