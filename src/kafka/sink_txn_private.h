/* Private to the transactional sink: sink_txn.c is what the lane does, sink_txn_jobs.c what the committer's thread
 * does. */
#ifndef LP_KAFKA_SINK_TXN_PRIVATE_H
#define LP_KAFKA_SINK_TXN_PRIVATE_H

#include "kafka/committer.h"
#include "kafka/sink_private.h"
#include "kafka/source.h"
#include "kafka/stage.h"

#include <pthread.h>
#include <stdatomic.h>

enum {
    SINK_TXN_ANEW_MAX = 5, /* so often within a minute: another process uses our name */
    SINK_TXN_REFUSED_MAX = 16,
    SINK_TXN_NAME_BYTES = 1024
};

/* A message that the brokers refused for good. */
struct refusal {
    uint64_t ticket;
    struct lp_error error;
};

struct sink_txn {
    struct lp_committer *committer;
    struct stage stage;
    size_t message_max_bytes;
    char client_id[SINK_TXN_NAME_BYTES], transactional_id[SINK_TXN_NAME_BYTES];
    bool started, away;           /* away: a job was given and its event not taken yet */
    bool open;                    /* a transaction is open and ours */
    bool failed;                  /* for good: reason */
    bool stalled;                 /* `trouble` is about what waits in the stage */
    atomic_bool stop;             /* the committer gives up trying */
    atomic_uint_fast64_t call_ns; /* since when the committer is in a call of librdkafka; 0: it is in none */
    _Atomic(const char *) call;   /* which */
    /* of the lane, which watches the call */
    uint64_t watched_ns; /* its call_ns at the last look */
    uint64_t looked_ns;  /* the last look */
    uint64_t waited_ns;  /* how long it was seen to last */

    /* of the client's owner */
    bool broken; /* only an abort mends it */
    struct lp_source_offsets *offsets;
    enum lp_txn_event event;
    struct lp_error reason;
    struct refusal refused[SINK_TXN_REFUSED_MAX];
    uint32_t refused_count;
    uint64_t anew_ns[SINK_TXN_ANEW_MAX]; /* when the producer was made anew, a ring */
    uint32_t anew_count;

    pthread_mutex_t trouble_lock;
    bool in_trouble;
    struct lp_error trouble;
};

/** What keeps transactions back; NULL: nothing any more. Any thread. */
void sink_txn_trouble(struct sink_txn *txn, const struct lp_error *reason);
/** Why the open transaction can only be aborted, into `reason`. The client's owner. */
void sink_txn_tell_broken(struct sink_txn *txn);

/* Jobs for the committer, which owns the client meanwhile; their context is the sink. */
void sink_txn_init_job(void *context);
void sink_txn_commit_job(void *context);
void sink_txn_abort_job(void *context);

#endif
