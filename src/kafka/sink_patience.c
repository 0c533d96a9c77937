/* What a patient sink does with what the brokers do not take: see kafka/sink_park.h. */
#include "core/clock.h"
#include "kafka/sink_private.h"

#include <stdio.h>
#include <string.h>

/* As resend_now, for a message that was refused alone. False: it had been sent with the time of now already. */
static bool park_now(struct lp_sink_topic *topic, struct lp_sink_message *message, const struct lp_error *err)
{
    char text[24];
    if (strcmp(err->field, "timestamp") != 0 ||
        (message->headers != NULL && lp_headers_last(message->headers, SINK_TIMESTAMP_HEADER).data != NULL))
        return false;
    struct lp_sink_message again = *message;
    again.headers = message->headers != NULL ? lp_headers_copy(message->headers) : lp_headers_new(1);
    snprintf(text, sizeof text, "%lld", (long long)message->timestamp_ms);
    again.timestamp_ms = 0;
    if (again.headers != NULL && lp_headers_add(again.headers, SINK_TIMESTAMP_HEADER, lp_span_text(text)) &&
        sink_park_push(&topic->park, &again))
        return true;
    lp_headers_free(again.headers);
    return false;
}

/* Its fate is known: it leaves the sink before the callback, which may send another. */
static void give_up(struct lp_sink *sink, struct lp_sink_topic *topic, struct parked *parked,
                    const struct lp_error *err)
{
    struct lp_sink_message message = sink_park_message(parked, topic);
    if (!park_now(topic, &message, err)) {
        sink->queued--;
        sink->queued_bytes -= message.key.size + message.value.size;
        if (err->action == LP_SKIP_RECORD) sink->options.patience->refused(sink->context, &message, err);
        else sink->report(sink->context, message.ticket, err);
    }
    sink_park_drop(parked);
}

/* A copy of what librdkafka gives back; its headers are taken. False: no memory. */
static bool keep(struct lp_sink_topic *topic, const rd_kafka_message_t *message, const struct lp_error *err)
{
    rd_kafka_headers_t *headers = NULL;
    rd_kafka_timestamp_type_t type;
    if (rd_kafka_message_detach_headers((rd_kafka_message_t *)(uintptr_t)message, &headers) !=
        RD_KAFKA_RESP_ERR_NO_ERROR)
        headers = NULL;
    int64_t timestamp_ms = rd_kafka_message_timestamp(message, &type);
    struct lp_sink_message kept = {.topic = topic,
                                   .partition = message->partition,
                                   .key = lp_span_of(message->key, message->key_len),
                                   .value = lp_span_of(message->payload, message->len),
                                   .timestamp_ms = timestamp_ms > 0 ? timestamp_ms : 0,
                                   .headers = (struct lp_headers *)headers,
                                   .ticket = (uint64_t)(uintptr_t)message->_private};
    if (sink_park_fail(&topic->park, &kept, err)) return true;
    lp_headers_free(kept.headers);
    return false;
}

static struct lp_sink_topic *topic_of(struct lp_sink *sink, const rd_kafka_message_t *message)
{
    for (uint32_t i = 0; i < sink->topic_count; i++)
        if (sink->topics[i].topic == message->rkt) return &sink->topics[i];
    return NULL;
}

/* True: the report was about the park, which has dealt with it. */
bool sink_deliver_patiently(struct lp_sink *sink, const rd_kafka_message_t *message)
{
    struct lp_sink_topic *topic = topic_of(sink, message);
    uint64_t ticket = (uint64_t)(uintptr_t)message->_private;
    struct parked *parked = NULL;
    struct lp_error err;
    bool failed = message->err != RD_KAFKA_RESP_ERR_NO_ERROR;
    if (failed) sink_describe(message, &err);
    if (topic == NULL) return false;
    switch (sink_park_report(&topic->park, ticket, failed ? &err : NULL, &parked)) {
    case PARK_DONE: return false; /* counted and reported as any other */
    case PARK_REFUSED: give_up(sink, topic, parked, &err); return true;
    case PARK_KEPT:
        if (err.action != LP_SKIP_RECORD) sink->options.patience->kept(sink->context, topic, ticket, &err);
        return true;
    default: break;
    }
    if (!failed || err.action == LP_FATAL || !keep(topic, message, &err)) return false;
    sink->parked = true;
    if (err.action != LP_SKIP_RECORD) sink->options.patience->kept(sink->context, topic, ticket, &err);
    return true;
}

/* --- sending --- */

static enum lp_code produce(struct lp_sink *sink, const struct lp_sink_message *message, struct lp_error *err)
{
    rd_kafka_error_t *error = sink_produce(sink, message);
    return __builtin_expect(error != NULL, 0) ? sink_send_failed(error, message, err) : LP_OK;
}

static enum lp_code count_kept(struct lp_sink *sink, const struct lp_sink_message *message)
{
    sink->queued++;
    sink->queued_bytes += message->value.size + message->key.size;
    return LP_OK;
}

static bool is_queue_full(const struct lp_error *err) { return err->code == LP_E_LIMIT && err->action == LP_RETRY; }

/* Behind what waits already, or into the producer; what that does not take for now waits, too. */
enum lp_code sink_send_patiently(struct lp_sink *sink, const struct lp_sink_message *message, struct lp_error *err)
{
    struct sink_park *park = &message->topic->park;
    if (sink_park_active(park))
        return sink_park_push(park, message) ? count_kept(sink, message) : lp_fail_memory(err, message->value.size);
    enum lp_code rc = produce(sink, message, err);
    if (rc == LP_OK || err->action == LP_FATAL || err->action == LP_SKIP_RECORD || is_queue_full(err)) return rc;
    struct lp_error why = *err;
    if (!sink_park_fail(park, message, &why)) return lp_fail_memory(err, message->value.size);
    sink->parked = true;
    sink->options.patience->kept(sink->context, message->topic, message->ticket, &why);
    return count_kept(sink, message);
}

static enum lp_code send_parked(void *context, const struct lp_sink_message *message, struct lp_error *err)
{
    struct lp_sink *sink = context;
    LP_TRY(produce(sink, message, err));
    /* It is counted already, since it was kept. */
    sink->queued--;
    sink->queued_bytes -= message->value.size + message->key.size;
    return LP_OK;
}

static bool is_live(void *context, uint64_t ticket)
{
    struct lp_sink *sink = context;
    return sink->options.patience->live(sink->context, ticket);
}

static void dropped(void *context, const struct lp_sink_message *message)
{
    struct lp_sink *sink = context;
    sink->queued--;
    sink->queued_bytes -= message->value.size + message->key.size;
}

static void refused(void *context, struct lp_sink_topic *topic, struct parked *parked, const struct lp_error *err)
{
    give_up(context, topic, parked, err);
}

void sink_serve_parks(struct lp_sink *sink)
{
    static const struct sink_park_calls calls_of = {
        .send = send_parked, .live = is_live, .dropped = dropped, .refused = refused};
    struct sink_park_calls calls = calls_of;
    calls.context = sink;
    if (!sink->parked) return;
    bool parked = false;
    for (uint32_t i = 0; i < sink->topic_count; i++) {
        struct lp_sink_topic *topic = &sink->topics[i];
        sink_park_serve(&topic->park, topic, &calls, lp_clock_ns());
        parked = parked || sink_park_active(&topic->park);
    }
    sink->parked = parked;
}

bool lp_sink_stalled(const struct lp_sink *sink, const struct lp_sink_topic *topic, struct lp_error *ret_why,
                     uint64_t *ret_since_ns)
{
    (void)sink;
    if (topic == NULL || !topic->park.stalled) return false;
    *ret_why = topic->park.why;
    *ret_since_ns = topic->park.stalled_ns;
    return true;
}

bool lp_sink_keeps(const struct lp_sink *sink) { return sink->parked; }

uint32_t lp_sink_moving(const struct lp_sink *sink)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; sink->parked && i < sink->topic_count; i++)
        if (sink->topics[i].park.stalled) kept += sink->topics[i].park.count + sink->topics[i].park.outstanding;
    return kept < sink->queued ? sink->queued - kept : 0;
}
