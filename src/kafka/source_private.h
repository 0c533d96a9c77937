/* Private to kafka/: the source's parts. source.c polls, source_group.c rebalances, source_start.c finds where
 * partitions begin, source_slot.c keeps order, source_doubt.c asks whether a log is still the same, source_refill.c
 * keeps librdkafka fetching. */
#ifndef LP_KAFKA_SOURCE_PRIVATE_H
#define LP_KAFKA_SOURCE_PRIVATE_H

#include "kafka/client.h"
#include "kafka/source.h"

#include <pthread.h>

enum { LP_SOURCE_NO_SLOT = UINT32_MAX, LP_SOURCE_EVENT_TEXT_BYTES = 512 };

/* What this process has seen of a partition, whoever has had it meanwhile. */
struct source_known {
    int64_t committed; /* what the group had, or was given by us and acknowledged; -1: nothing */
    int64_t seen;      /* offset of the last record that was handed over; -1: none */
    uint64_t print;    /* its fingerprint: tells whether a log is still the one that it was read from */
};

/* An assigned partition. */
struct source_slot {
    struct source_known known;
    int64_t next;   /* the offset that comes next; -1: not known yet */
    int64_t stored; /* below it all is done; -1: nothing yet */
    int64_t given;  /* what librdkafka (a transaction) was told of `stored` */
    int64_t begin;  /* `next` when the assignment began */
    int64_t after;  /* in doubt: `next` once the log has proved to be the same */
    int64_t behind; /* in doubt: the offset that raised it */
    uint64_t gap_checked_poll;
    uint64_t seek_due_ns;  /* in doubt: not before */
    uint64_t no_offset_ns; /* since when the group denies an offset that it had; 0: it does not */
    uint32_t topic_index;
    int32_t partition;
    bool used;
    bool held;          /* paused; records are dropped until the seek to `next` is done */
    bool wanted;        /* held, and to be fetched again from `next` */
    bool exact;         /* the first record of an assignment or after a seek: it should be `next` */
    bool in_doubt;      /* the log may be another: `next` is no offset, the record at known.seen is to be looked at */
    bool ask_end;       /* in doubt, and records do not tell: the log's end is to be asked for */
    uint8_t asked;      /* what came was not what was sought, and the seek was repeated so often */
    uint8_t ask;        /* enum source_ask */
    bool begun;         /* `begin` is known: where to go back to while the group has nothing committed */
    bool start_unknown; /* held because it is not known yet where it begins */
    bool rewound;       /* held because the log is another one: to be handed back and begun anew */
};

/* What is asked of the log's leader to find a start. */
enum source_ask { SOURCE_ASK_NOTHING, SOURCE_ASK_BEGIN, SOURCE_ASK_END, SOURCE_ASK_WHETHER_SHORTER };

struct source_topic {
    rd_kafka_topic_t *handle;   /* keeps the pointer that messages carry valid */
    const char *name;           /* borrowed from the options */
    uint32_t *slots;            /* [capacity], by partition */
    struct source_known *known; /* [capacity], of partitions that are not assigned now */
    int32_t capacity;
    int32_t first_count; /* partitions at the first look; -1: not looked yet */
};

struct lp_source {
    struct lp_source_options options; /* strings borrowed */
    struct lp_source_callbacks callbacks;
    rd_kafka_t *client;
    rd_kafka_queue_t *lane;   /* fetched records of all assigned partitions, nothing else */
    rd_kafka_queue_t *events; /* the client's own queue: rebalances, errors, commit results */
    struct source_topic *topics;
    struct source_slot *slots; /* [partitions_max] */
    uint32_t *scratch;         /* [partitions_max] slots for the callbacks */
    uint64_t polls, store_due_ns, commit_due_ns, retry_due_ns;
    struct {
        const rd_kafka_topic_t *handle; /* NULL: none */
        int32_t partition;
        uint32_t slot;
    } last;               /* of the last record: the next one is mostly of the same partition */
    uint64_t taken_bytes; /* of keys and values that came out of librdkafka's queues */
    bool records;         /* the poll at hand may hand records over */
    bool stopped;         /* the callback wants no more in this poll */
    bool attention;       /* some slot is wanted, rewound or without a start */
    bool dirty;           /* some slot has stored > given */
    bool suspended;       /* the group's offsets mean nothing yet: a transaction is being ended */
    bool closing, closed;
    uint64_t close_deadline_ns;
    struct source_refill *refill; /* NULL: the library needs none */
    struct lp_error fatal;        /* when state.fatal */
    struct lp_source_state state; /* lane thread */
    pthread_mutex_t shared_lock;
    struct lp_source_state shared; /* a copy for other threads */
};

/* --- source_slot.c --- */

/** Slot of a partition, LP_SOURCE_NO_SLOT: not assigned. */
uint32_t source_slot_of(const struct lp_source *source, uint32_t topic_index, int32_t partition);
/** Take a free slot; LP_E_LIMIT when partitions_max are in use or the partition's number is absurd. */
LP_MUST_USE enum lp_code source_slot_take(struct lp_source *source, uint32_t topic_index, int32_t partition,
                                          uint32_t *ret_slot, struct lp_error *err);
void source_slot_release(struct lp_source *source, uint32_t slot);
/** rd_kafka callback for messages of both queues. */
void source_on_message(rd_kafka_message_t *message, void *opaque);
/** Pause the partition; its next record will be `next` once it is wanted again. Ends a doubt. */
void source_slot_hold(struct lp_source *source, struct source_slot *slot, int64_t next);
/** Bring held slots that are wanted back: hand back, begin anew, seek, resume. */
void source_serve_held(struct lp_source *source);
/** Tell librdkafka what is stored since the last time. */
void source_give_stores(struct lp_source *source);
/** A list with the slots' partitions and `stored` as offsets; NULL: none has any, or no memory. */
rd_kafka_topic_partition_list_t *source_list_stored(struct lp_source *source, const uint32_t *slots, uint32_t count);

/** A list with what is stored and not given yet, and note it as given; NULL: nothing, or no memory. */
rd_kafka_topic_partition_list_t *source_list_new_stores(struct lp_source *source);

/** Note what the group has by now, from an answer of its coordinator. */
void source_note_committed(struct lp_source *source, const rd_kafka_topic_partition_list_t *list);
/** LP_SOURCE_NO_SLOT: none of ours. */
uint32_t source_topic_index(const struct lp_source *source, const char *name);
/** Its element's slot, LP_SOURCE_NO_SLOT: not assigned, or a topic that is not ours. */
uint32_t source_slot_of_element(const struct lp_source *source, const rd_kafka_topic_partition_t *element);

/* --- source_doubt.c --- */

/** What known.print is of a record. */
uint64_t source_print(const rd_kafka_message_t *message, int64_t timestamp_ms);
/** A record that should have come before: was it fetched from a wrong place, or is the log another one? */
void source_doubt(struct lp_source *source, struct source_slot *slot, int64_t offset);
/** A held partition: look at the last record that was handed over before it goes on. */
void source_verify(struct source_slot *slot);
/** A record of a partition in doubt. Never handed over. */
void source_look_at(struct lp_source *source, struct source_slot *slot, const rd_kafka_message_t *message);
/** The offset that comes next, in doubt too. */
int64_t source_next_of(const struct source_slot *slot);
/** Ask for the log's end where records did not tell. */
void source_serve_doubt(struct lp_source *source, struct source_slot *slot);

/* --- source_start.c --- */

/** Ask where each of `list`, all assigned to slots, begins; afterwards each slot has a start or is start_unknown. */
void source_find_starts(struct lp_source *source, const rd_kafka_topic_partition_list_t *list, int timeout_ms);
/** Ask again for the starts that are not known yet. */
void source_serve_starts(struct lp_source *source);
/**
 * Ask the leaders for the logs' begins or ends (RD_KAFKA_OFFSET_BEGINNING, _END), which replace the offsets of `list`.
 * False: not answered within the time, `list` says nothing. An element may have an error of its own.
 */
LP_MUST_USE bool source_ask_logs(struct lp_source *source, rd_kafka_topic_partition_list_t *list, int64_t which,
                                 int timeout_ms);

/* --- source_group.c --- */

/** rd_kafka callbacks. */
void source_on_rebalance(rd_kafka_t *client, rd_kafka_resp_err_t code, rd_kafka_topic_partition_list_t *list,
                         void *opaque);
void source_on_commit(rd_kafka_t *client, rd_kafka_resp_err_t code, rd_kafka_topic_partition_list_t *list,
                      void *opaque);
/** Hand all remaining slots back as lost. */
void source_drop_slots(struct lp_source *source);

/* --- source_refill.c --- */

/** Starts the thread that keeps the fetch queue filled, where the library needs one. */
LP_MUST_USE enum lp_code source_refill_start(struct lp_source *source, struct lp_error *err);
/** Once a poll: wakes the fetcher when half of the queue's bound was consumed. Lane thread; never waits. */
void source_refill_look(struct lp_source *source);
/** False: it still waits for a broker after timeout_ms; the client, which it uses, must then stay. */
LP_MUST_USE bool source_refill_stop(struct source_refill *refill, int timeout_ms);

/* --- source.c --- */

void source_event(struct lp_source *source, enum lp_source_event event, const char *format, ...)
    __attribute__((cold, noinline, format(printf, 3, 4)));
/** An error of the client: by the table it goes on, goes on with an alarm, or cannot; counted and said. */
void source_failed(struct lp_source *source, rd_kafka_resp_err_t error, const char *what, const char *reason);
/** The client cannot go on; the first reason stays. */
void source_set_fatal(struct lp_source *source, const struct lp_error *err);
/** A list of one partition; NULL: no memory. */
rd_kafka_topic_partition_list_t *source_list_one(const struct lp_source *source, const struct source_slot *slot,
                                                 int64_t offset);

#endif
