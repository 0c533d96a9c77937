/*
 * Keeps a small fetch queue filled. Before librdkafka 2.2.0 a queue that has reached its bound is looked at again when
 * something wakes the thread of the partition's broker, or after a second: a bound of less than a second's records
 * starves the lane, and a larger one holds hundreds of megabytes that are out of every cache when they are read. A
 * request to the broker wakes its thread. The log's bounds are the only thing that a consumer may always ask for; the
 * call waits for the answer (up to socket.timeout.ms whatever its time-out says), so a thread of its own makes it.
 */
#include "kafka/source_private.h"

#include "core/clock.h"

#include <stdlib.h>

enum { ANSWER_TIMEOUT_MS = 1000, FIXED_VERSION = 0x02020000, QUEUE_BYTES_DEFAULT = 64 << 20 /* librdkafka's */ };

struct source_refill {
    rd_kafka_t *client; /* borrowed */
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    const char *topic; /* of the partition whose broker is to be woken, borrowed from the source; NULL: none */
    int32_t partition;
    bool stop, ended;
    /* Lane thread only. */
    uint64_t step_bytes; /* consumed between two requests */
    uint64_t due_bytes;  /* the next request is made when so many have been consumed in all */
    uint32_t next_slot;  /* where the search for a partition goes on */
};

static void *refill_main(void *context)
{
    struct source_refill *refill = context;
    pthread_setname_np(pthread_self(), "refill");
    pthread_mutex_lock(&refill->lock);
    while (!refill->stop) {
        const char *topic = refill->topic;
        int32_t partition = refill->partition;
        if (topic == NULL) {
            pthread_cond_wait(&refill->changed, &refill->lock);
            continue;
        }
        refill->topic = NULL;
        pthread_mutex_unlock(&refill->lock);
        int64_t low, high;
        (void)rd_kafka_query_watermark_offsets(refill->client, topic, partition, &low, &high, ANSWER_TIMEOUT_MS);
        pthread_mutex_lock(&refill->lock);
    }
    refill->ended = true;
    pthread_cond_signal(&refill->changed);
    pthread_mutex_unlock(&refill->lock);
    return NULL;
}

static void refill_free(struct source_refill *refill)
{
    pthread_cond_destroy(&refill->changed);
    pthread_mutex_destroy(&refill->lock);
    free(refill);
}

enum lp_code source_refill_start(struct lp_source *source, struct lp_error *err)
{
    if (rd_kafka_version() >= FIXED_VERSION) return LP_OK; /* fetch.queue.backoff.ms does it */
    struct source_refill *refill = calloc(1, sizeof *refill);
    if (refill == NULL) return lp_fail_memory(err, sizeof *refill);
    refill->client = source->client;
    size_t queue_bytes = source->options.conf->fetch_queue_bytes;
    refill->step_bytes = (queue_bytes > 0 ? queue_bytes : QUEUE_BYTES_DEFAULT) / 2;
    refill->due_bytes = refill->step_bytes;
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&refill->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    pthread_mutex_init(&refill->lock, NULL);
    int error = pthread_create(&refill->thread, NULL, refill_main, refill);
    if (error != 0) {
        refill_free(refill);
        return lp_fail(err, LP_E_IO, LP_FATAL, "consumer: thread: error %d", error);
    }
    source->refill = refill;
    return LP_OK;
}

/* Partitions in turn: each broker of the assignment is woken, whichever leads what. */
static void ask(struct lp_source *source, struct source_refill *refill)
{
    uint32_t slots = source->options.partitions_max;
    for (uint32_t i = 0; i < slots; i++) {
        uint32_t index = (refill->next_slot + i) % slots;
        const struct source_slot *slot = &source->slots[index];
        if (!slot->used || slot->held) continue;
        refill->next_slot = index + 1;
        pthread_mutex_lock(&refill->lock);
        refill->topic = source->topics[slot->topic_index].name;
        refill->partition = slot->partition;
        pthread_cond_signal(&refill->changed);
        pthread_mutex_unlock(&refill->lock);
        return;
    }
}

/* The fetcher rests when the queue holds its bound: before the queue is empty, half of that is consumed at least once.
 */
void source_refill_look(struct lp_source *source)
{
    struct source_refill *refill = source->refill;
    if (refill == NULL || source->taken_bytes < refill->due_bytes) return;
    refill->due_bytes = source->taken_bytes + refill->step_bytes;
    ask(source, refill);
}

bool source_refill_stop(struct source_refill *refill, int timeout_ms)
{
    if (refill == NULL) return true;
    uint64_t deadline_ns = lp_clock_ns() + (uint64_t)timeout_ms * 1000000u;
    struct timespec deadline = {.tv_sec = (time_t)(deadline_ns / 1000000000u),
                                .tv_nsec = (long)(deadline_ns % 1000000000u)};
    int waited = 0;
    pthread_mutex_lock(&refill->lock);
    refill->stop = true;
    pthread_cond_signal(&refill->changed);
    while (!refill->ended && waited == 0) waited = pthread_cond_timedwait(&refill->changed, &refill->lock, &deadline);
    bool ended = refill->ended;
    pthread_mutex_unlock(&refill->lock);
    if (!ended) {
        pthread_detach(refill->thread);
        return false;
    }
    pthread_join(refill->thread, NULL);
    refill_free(refill);
    return true;
}
