#include "demo/stream.h"

#include "core/clock.h"
#include "core/log.h"
#include "demo/flights.h"
#include "kafka/sink.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    LEAD_MAX = 20000, /* records ahead of the worker: the embedded broker forgets past 100,000 batches a partition */
    DAMAGED_EVERY = 5000,
    STEP_MS = 5,
    RECORD_MAX_BYTES = 4096,
    QUEUE_MAX = 100000,
    QUEUE_MAX_BYTES = 64 << 20,
};
static const int64_t YEAR_MS = (int64_t)365 * 24 * 3600 * 1000;

struct lp_stream {
    struct lp_flights *flights;
    struct lp_sink *sink;
    struct lp_sink_topic *topic;
    double rate; /* records a second */
    bool repeat, started;
    pthread_t thread;
    atomic_bool stop, done;
    _Atomic uint64_t sent, acknowledged, bad, consumed;
    _Atomic int64_t sched_ms;
};

static void on_report(void *context, uint64_t ticket, const struct lp_error *error)
{
    struct lp_stream *stream = context;
    (void)ticket;
    if (error == NULL) atomic_fetch_add(&stream->acknowledged, 1);
}

/* One departure; now and then one is damaged, so that the dead letters have something to show. */
static bool send_one(struct lp_stream *stream, struct lp_buffer *out)
{
    uint64_t number = atomic_load(&stream->sent);
    uint32_t count = lp_flights_count(stream->flights);
    struct lp_span key;
    int64_t sched_ms;
    struct lp_error err;
    lp_buffer_clear(out);
    lp_flights_encode(stream->flights, (uint32_t)(number % count), (int64_t)(number / count) * YEAR_MS, out, &key,
                      &sched_ms);
    bool damaged = number % DAMAGED_EVERY == DAMAGED_EVERY - 1;
    if (damaged) out->size /= 2;
    struct lp_sink_message message = {.topic = stream->topic,
                                      .partition = LP_SINK_PARTITION_BY_KEY,
                                      .key = key,
                                      .value = lp_buffer_span(out),
                                      .ticket = 1};
    if (lp_sink_send(stream->sink, &message, &err) != LP_OK) return false;
    atomic_fetch_add(&stream->sent, 1);
    atomic_fetch_add(&stream->bad, damaged);
    atomic_store(&stream->sched_ms, sched_ms);
    return true;
}

static void *stream_main(void *context)
{
    struct lp_stream *stream = context;
    struct lp_buffer out;
    lp_buffer_init(&out, RECORD_MAX_BYTES);
    uint64_t begin_ns = lp_clock_ns();
    while (!atomic_load(&stream->stop)) {
        uint64_t due = (uint64_t)((double)(lp_clock_ns() - begin_ns) * 1e-9 * stream->rate);
        uint64_t bound = atomic_load(&stream->consumed) + LEAD_MAX;
        if (!stream->repeat && due > lp_flights_count(stream->flights)) due = lp_flights_count(stream->flights);
        while (atomic_load(&stream->sent) < due && atomic_load(&stream->sent) < bound && send_one(stream, &out)) {
        }
        lp_sink_poll(stream->sink, STEP_MS);
        struct timespec pause = {.tv_nsec = STEP_MS * 1000000L};
        nanosleep(&pause, NULL);
        if (!stream->repeat && atomic_load(&stream->acknowledged) == lp_flights_count(stream->flights)) break;
    }
    lp_buffer_done(&out);
    atomic_store(&stream->done, true);
    return NULL;
}

enum lp_code lp_stream_new(const struct lp_kafka_conf *conf, const char *topic, double year_s, bool repeat,
                           struct lp_stream **ret_stream, struct lp_error *err)
{
    struct lp_stream *stream = calloc(1, sizeof *stream);
    if (stream == NULL) return lp_fail_memory(err, sizeof *stream);
    stream->repeat = repeat;
    struct lp_sink_options options = {.conf = conf,
                                      .client_id = "lepton-demo-flights",
                                      .queue_max = QUEUE_MAX,
                                      .queue_max_bytes = QUEUE_MAX_BYTES,
                                      .report = on_report,
                                      .context = stream};
    enum lp_code rc;
    LP_GUARD(lp_flights_new(&stream->flights, err));
    stream->rate = lp_flights_count(stream->flights) / year_s;
    LP_GUARD(lp_sink_new(&options, &stream->sink, err));
    LP_GUARD(lp_sink_topic(stream->sink, topic, &stream->topic, err));
    if (pthread_create(&stream->thread, NULL, stream_main, stream) != 0)
        rc = lp_fail(err, LP_E_IO, LP_FATAL, "demo: no thread for the producer");
out:
    if (rc != LP_OK) {
        lp_stream_free(stream);
        return rc;
    }
    stream->started = true;
    *ret_stream = stream;
    return LP_OK;
}

void lp_stream_consumed(struct lp_stream *stream, uint64_t records) { atomic_store(&stream->consumed, records); }

uint32_t lp_stream_count(const struct lp_stream *stream) { return lp_flights_count(stream->flights); }

void lp_stream_get_state(struct lp_stream *stream, struct lp_stream_state *ret_state)
{
    ret_state->sent = atomic_load(&stream->sent);
    ret_state->acknowledged = atomic_load(&stream->acknowledged);
    ret_state->bad = atomic_load(&stream->bad);
    ret_state->sched_ms = atomic_load(&stream->sched_ms);
    ret_state->done = atomic_load(&stream->done);
}

void lp_stream_stop(struct lp_stream *stream, int timeout_ms)
{
    struct lp_error err;
    atomic_store(&stream->stop, true);
    if (stream->started) pthread_join(stream->thread, NULL);
    stream->started = false;
    /* What stays unacknowledged is in `sent` and not in `acknowledged`. */
    if (lp_sink_flush(stream->sink, timeout_ms, &err) != LP_OK)
        LP_LOG(LP_LOG_WARN, "stream", lp_kv("reason", err.text));
}

void lp_stream_free(struct lp_stream *stream)
{
    if (stream == NULL) return;
    if (stream->started) lp_stream_stop(stream, 0);
    lp_sink_free(stream->sink);
    lp_flights_free(stream->flights);
    free(stream);
}
