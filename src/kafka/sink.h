/* One lane's producer, idempotent or transactional. Lane thread only unless said. */
#ifndef LP_KAFKA_SINK_H
#define LP_KAFKA_SINK_H

#include "core/error.h"
#include "core/span.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct lp_kafka_conf;
struct lp_sink;
struct lp_sink_topic;
struct lp_headers;
struct lp_source_offsets; /* kafka/source.h */

/** The fate of a message that was sent with a ticket; called from lp_sink_poll/flush. `err` NULL: acknowledged. */
typedef void lp_sink_report(void *context, uint64_t ticket, const struct lp_error *err);

struct lp_sink_message;

/**
 * A patient sink repeats, with growing pauses, what the table says to retry or to pause for (core/actions.inc);
 * reported as failed is only what STOP ends. All messages have tickets, each its own. Called from
 * lp_sink_send/poll/flush. Not with transactions.
 */
struct lp_sink_patience {
    /** The brokers do not take it now, and why; it is kept. LP_PAUSE: somebody must act. */
    void (*kept)(void *context, const struct lp_sink_topic *topic, uint64_t ticket, const struct lp_error *why);
    /** Refused for good, alone in its batch; `message` is borrowed. Another may be sent with its ticket. */
    void (*refused)(void *context, const struct lp_sink_message *message, const struct lp_error *why);
    /** Does anybody still wait for this one? What is kept is dropped otherwise. */
    bool (*live)(void *context, uint64_t ticket);
};

struct lp_sink_options {
    const struct lp_kafka_conf *conf; /* borrowed */
    const char *client_id;
    uint32_t queue_max;     /* messages in the producer's queue; the caller keeps fewer in flight */
    size_t queue_max_bytes; /* at least; a message of message.max.bytes always fits */
    lp_sink_report *report;
    void *context;
    const struct lp_sink_patience *patience; /* borrowed for good; NULL: every failure is reported */
    const char *transactional_id;            /* NULL: not transactional; else see "transactions" */
    void (*wake)(void *context); /* transactional: an event waits for lp_sink_txn_poll; any thread, must not block */
};

LP_MUST_USE enum lp_code lp_sink_new(const struct lp_sink_options *options, struct lp_sink **ret_sink,
                                     struct lp_error *err);
/** Waits for nothing: flush first, or commit. Bounded by a watchdog. */
void lp_sink_free(struct lp_sink *sink);

/** A topic handle, cached by name, owned by the sink. */
LP_MUST_USE enum lp_code lp_sink_topic(struct lp_sink *sink, const char *name, struct lp_sink_topic **ret_topic,
                                       struct lp_error *err);

struct lp_sink_message {
    struct lp_sink_topic *topic;
    int32_t partition;          /* LP_SINK_PARTITION_BY_KEY: Java's murmur2 of the key (random without one) */
    struct lp_span key, value;  /* borrowed, copied; data NULL: null */
    int64_t timestamp_ms;       /* 0: now */
    struct lp_headers *headers; /* taken on success, NULL: none */
    uint64_t ticket;            /* 0: no report wanted */
};
enum { LP_SINK_PARTITION_BY_KEY = -1 };

/**
 * Enqueue. @return LP_OK; LP_E_LIMIT/LP_RETRY: queue full, poll and try again; LP_E_LIMIT/LP_SKIP_RECORD: the message
 * is too large for the topic; LP_FATAL: topic or partition unknown, not authorized, producer fatal
 */
LP_MUST_USE enum lp_code lp_sink_send(struct lp_sink *sink, const struct lp_sink_message *message,
                                      struct lp_error *err);

/** Serve delivery reports, waiting up to timeout_ms for the first. Returns how many. */
int lp_sink_poll(struct lp_sink *sink, int timeout_ms);
/** Wait until all is reported or timeout_ms passed (LP_E_TIMEOUT). */
LP_MUST_USE enum lp_code lp_sink_flush(struct lp_sink *sink, int timeout_ms, struct lp_error *err);

/** Has the producer failed for good? (idempotence lost, fenced). Copies the reason. */
bool lp_sink_fatal(struct lp_sink *sink, struct lp_error *err);

/** What keeps this topic's messages back since when (monotonic); false: nothing does. */
bool lp_sink_stalled(const struct lp_sink *sink, const struct lp_sink_topic *topic, struct lp_error *ret_why,
                     uint64_t *ret_since_ns);
/** Is anything kept to be sent again? */
bool lp_sink_keeps(const struct lp_sink *sink);
/** Messages on their way: not yet reported, and not kept back by a stalled topic. */
uint32_t lp_sink_moving(const struct lp_sink *sink);
/** Messages not yet reported. */
uint32_t lp_sink_queued(struct lp_sink *sink);
/** Bytes of their keys and values, and of the headers of those that wait for the next transaction. */
size_t lp_sink_queued_bytes(struct lp_sink *sink);

/* --- transactions ---
 *
 * The transaction is open from the start (LP_TXN_READY) and again after each event but LP_TXN_FAILED; nothing goes to
 * the brokers before the first message. While a commit, an abort or a new start is under way on the committer's thread,
 * lp_sink_send keeps copies in memory and sends them when the next transaction is open; lp_sink_queued and
 * lp_sink_queued_bytes count these. Tickets are reported for refused messages only, by lp_sink_txn_poll. After a
 * failure that only an abort mends lp_sink_send takes messages and drops them, since all of it comes again.
 */

enum lp_txn_event {
    LP_TXN_NONE,
    LP_TXN_READY,     /* the coordinator knows us, older producers of this id are fenced */
    LP_TXN_COMMITTED, /* what lp_sink_commit was given is committed, offsets and messages */
    LP_TXN_ABORTED,   /* all that was sent since the last commit is void, what was kept is dropped: rewind */
    LP_TXN_FENCED,    /* as aborted, or the commit's fate is unknown: the producer was made anew: rewind */
    LP_TXN_FAILED     /* for good: err says why */
};

/** Next event, if any; `ret_reason` is written for ABORTED, FENCED and FAILED. */
enum lp_txn_event lp_sink_txn_poll(struct lp_sink *sink, struct lp_error *ret_reason);
/** Is a transaction open and all that was kept in it, so that it may be committed? */
bool lp_sink_txn_open(const struct lp_sink *sink);
/** Can the open transaction only be aborted? */
bool lp_sink_txn_broken(const struct lp_sink *sink);
/** Commit with these offsets (taken; NULL: messages only). Needs lp_sink_txn_open; the event says how it ended. */
void lp_sink_commit(struct lp_sink *sink, struct lp_source_offsets *offsets);
/** Drop what is kept, and abort the open transaction; what is under way already ends as it ends. An event follows. */
void lp_sink_abort(struct lp_sink *sink);
/** True: a call of the client has not come back long after its time-out (librdkafka hangs), and why into err. The sink
 * does nothing any more: only another process can go on. Lane thread, with every turn: time without a look counts
 * little. */
bool lp_sink_txn_hung(struct lp_sink *sink, struct lp_error *err);
/** Wait up to timeout_ms for what is under way. */
void lp_sink_txn_wait(struct lp_sink *sink, int timeout_ms);
/** Why what is under way is tried again and again; false: it is not. Any thread. */
bool lp_sink_txn_trouble(struct lp_sink *sink, struct lp_error *ret_reason);

/* --- headers --- */

/** The record's own headers, taken out of it (no copy), or NULL when it has none. */
struct lp_headers *lp_headers_take(void *message);
struct lp_headers *lp_headers_new(uint32_t expected_count);
/** A copy, NULL: no memory. */
struct lp_headers *lp_headers_copy(const struct lp_headers *headers);
void lp_headers_free(struct lp_headers *headers);
/** Append; value data NULL is a null value. False: out of memory. */
bool lp_headers_add(struct lp_headers *headers, const char *name, struct lp_span value);
/** Remove all of that name; true when there was one. */
bool lp_headers_remove(struct lp_headers *headers, const char *name);
/** Value of the last header of that name, data NULL when absent; borrowed. */
struct lp_span lp_headers_last(const struct lp_headers *headers, const char *name);
/** Call fn for each. */
void lp_headers_each(const struct lp_headers *headers,
                     void (*fn)(void *context, const char *name, struct lp_span value), void *context);
uint32_t lp_headers_count(const struct lp_headers *headers);

#endif
