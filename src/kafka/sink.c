#include "kafka/sink_private.h"

#include "core/clock.h"
#include "kafka/client_log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

enum {
    DESTROY_TIMEOUT_MS = 5000,
    ERROR_TEXT_BYTES = 512,
    PARK_POLL_MS = 5,
    QUEUE_MESSAGES_MAX = 10000000, /* librdkafka's ranges */
    QUEUE_KBYTES_MAX = 2097151
};

void sink_describe(const rd_kafka_message_t *message, struct lp_error *err)
{
    char what[ERROR_TEXT_BYTES];
    snprintf(what, sizeof what, "topic %s, partition %d", rd_kafka_topic_name(message->rkt), (int)message->partition);
    lp_client_fail_on(err, message->err, LP_SIDE_PRODUCE, what);
}

static void report_failure(struct lp_sink *sink, const rd_kafka_message_t *message)
{
    struct lp_error err;
    sink_describe(message, &err);
    sink->report(sink->context, (uint64_t)(uintptr_t)message->_private, &err);
}

/*
 * A broker refuses timestamps outside its bounds (message.timestamp.before/after.max.ms). Such a message goes out again
 * with the time of now and the old one in a header; it may then stand behind later ones of its partition.
 */
static bool resend_now(struct lp_sink *sink, const rd_kafka_message_t *message)
{
    rd_kafka_timestamp_type_t type;
    rd_kafka_headers_t *own = NULL, *headers;
    const void *value;
    size_t size;
    char text[24];
    if (message->err != RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP) return false;
    if (rd_kafka_message_headers(message, &own) == RD_KAFKA_RESP_ERR_NO_ERROR &&
        rd_kafka_header_get_last(own, SINK_TIMESTAMP_HEADER, &value, &size) == RD_KAFKA_RESP_ERR_NO_ERROR)
        return false; /* refused a second time */
    headers = own != NULL ? rd_kafka_headers_copy(own) : rd_kafka_headers_new(1);
    if (headers == NULL) return false;
    snprintf(text, sizeof text, "%lld", (long long)rd_kafka_message_timestamp(message, &type));
    rd_kafka_header_add(headers, SINK_TIMESTAMP_HEADER, -1, text, -1);
    rd_kafka_resp_err_t error =
        rd_kafka_producev(sink->client, RD_KAFKA_V_RKT(message->rkt), RD_KAFKA_V_PARTITION(message->partition),
                          RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_VALUE(message->payload, message->len),
                          RD_KAFKA_V_KEY(message->key, message->key_len), RD_KAFKA_V_HEADERS(headers),
                          RD_KAFKA_V_OPAQUE(message->_private), RD_KAFKA_V_END);
    if (error != RD_KAFKA_RESP_ERR_NO_ERROR) rd_kafka_headers_destroy(headers);
    return error == RD_KAFKA_RESP_ERR_NO_ERROR;
}

static void on_delivery(rd_kafka_t *client, const rd_kafka_message_t *message, void *opaque)
{
    struct lp_sink *sink = opaque;
    (void)client;
    if (sink->txn != NULL) {
        sink_txn_delivered(sink, message);
        return;
    }
    bool failed = __builtin_expect(message->err != RD_KAFKA_RESP_ERR_NO_ERROR, 0);
    if (sink->options.patience != NULL) {
        if ((failed || sink->parked) && sink_deliver_patiently(sink, message)) return;
    } else if (failed && resend_now(sink, message)) return;
    sink->queued--;
    sink->queued_bytes -= message->len + message->key_len;
    sink->reported++;
    if (message->_private == NULL || !sink->has_tickets) return;
    if (__builtin_expect(message->err != RD_KAFKA_RESP_ERR_NO_ERROR, 0)) report_failure(sink, message);
    else sink->report(sink->context, (uint64_t)(uintptr_t)message->_private, NULL);
}

/* librdkafka would log it; only what it never recovers from needs more than that. */
static void on_error(rd_kafka_t *client, int code, const char *reason, void *opaque)
{
    struct lp_sink *sink = opaque;
    lp_client_log(client, LOG_ERR, "ERROR", reason);
    if (code != RD_KAFKA_RESP_ERR__CRIT_SYS_RESOURCE || atomic_load(&sink->crippled)) return;
    lp_client_fail_on(&sink->crippled_by, (rd_kafka_resp_err_t)code, LP_SIDE_PRODUCE, "producer");
    atomic_store_explicit(&sink->crippled, true, memory_order_release);
}

static uint64_t clamp(uint64_t value, uint64_t low, uint64_t high)
{
    return value < low ? low : value > high ? high : value;
}

size_t sink_message_max_bytes(const rd_kafka_conf_t *conf)
{
    char text[32] = "";
    size_t bytes = sizeof text;
    if (rd_kafka_conf_get(conf, "message.max.bytes", text, &bytes) != RD_KAFKA_CONF_OK)
        return 1000000; /* librdkafka's default */
    return (size_t)strtoull(text, NULL, 10);
}

/* What message.max.bytes lets through fits an empty queue: it would be asked to try again for ever. */
static enum lp_code make_room(rd_kafka_conf_t *conf, uint64_t queue_kbytes, struct lp_error *err)
{
    char kbytes[24], text[ERROR_TEXT_BYTES];
    uint64_t needed = sink_message_max_bytes(conf) / 1024 + 1;
    if (needed <= queue_kbytes) return LP_OK;
    snprintf(kbytes, sizeof kbytes, "%llu", (unsigned long long)needed);
    if (rd_kafka_conf_set(conf, "queue.buffering.max.kbytes", kbytes, text, sizeof text) == RD_KAFKA_CONF_OK)
        return LP_OK;
    return lp_fail(err, LP_E_INVALID, LP_FATAL, "producer: %s", text);
}

static enum lp_code sink_conf(const struct lp_sink *sink, rd_kafka_conf_t **ret_conf, struct lp_error *err)
{
    const struct lp_sink_options *options = &sink->options;
    char messages[24], kbytes[24];
    snprintf(messages, sizeof messages, "%llu", (unsigned long long)clamp(options->queue_max, 1, QUEUE_MESSAGES_MAX));
    uint64_t queue_kbytes = clamp(options->queue_max_bytes / 1024, 1, QUEUE_KBYTES_MAX);
    snprintf(kbytes, sizeof kbytes, "%llu", (unsigned long long)queue_kbytes);
    struct lp_client_value values[5] = {{"queue.buffering.max.messages", messages},
                                        {"queue.buffering.max.kbytes", kbytes}};
    uint32_t count = 2;
    if (sink->txn != NULL) count += sink_txn_values(sink, values + count);
    LP_TRY(lp_client_conf_new(options->conf, LP_CLIENT_SINK, options->client_id, values, count, ret_conf, err));
    enum lp_code rc = make_room(*ret_conf, queue_kbytes, err);
    if (rc != LP_OK) rd_kafka_conf_destroy(*ret_conf);
    return rc;
}

enum lp_code sink_open(struct lp_sink *sink, struct lp_error *err)
{
    rd_kafka_conf_t *conf = NULL;
    LP_TRY(sink_conf(sink, &conf, err));
    rd_kafka_conf_set_opaque(conf, sink);
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    rd_kafka_conf_set_error_cb(conf, on_error);
    LP_TRY(lp_client_new(RD_KAFKA_PRODUCER, conf, &sink->client, err));
    for (uint32_t i = 0; i < sink->topic_count; i++) {
        sink->topics[i].topic = rd_kafka_topic_new(sink->client, sink->topics[i].name, NULL);
        if (sink->topics[i].topic == NULL) return lp_client_fail(err, rd_kafka_last_error(), sink->topics[i].name);
    }
    return LP_OK;
}

void sink_close(struct lp_sink *sink)
{
    for (uint32_t i = 0; i < sink->topic_count; i++) {
        if (sink->topics[i].topic != NULL) rd_kafka_topic_destroy(sink->topics[i].topic);
        sink->topics[i].topic = NULL;
    }
    if (sink->client != NULL && !lp_client_destroy(sink->client, 0, DESTROY_TIMEOUT_MS)) sink->hangs = true;
    sink->client = NULL;
}

enum lp_code lp_sink_new(const struct lp_sink_options *options, struct lp_sink **ret_sink, struct lp_error *err)
{
    _Static_assert(sizeof(void *) >= sizeof(uint64_t), "a ticket travels as the message's opaque pointer");
    enum lp_code rc = LP_OK;
    struct lp_sink *sink = calloc(1, sizeof *sink);
    if (sink == NULL) return lp_fail_memory(err, sizeof *sink);
    sink->options = *options;
    sink->report = options->report;
    sink->context = options->context;
    sink->has_tickets = options->report != NULL;
    if (options->transactional_id != NULL) LP_GUARD(sink_txn_new(sink, err));
    LP_GUARD(sink_open(sink, err));
    *ret_sink = sink;
    return LP_OK;
out:
    lp_sink_free(sink);
    return rc;
}

void lp_sink_free(struct lp_sink *sink)
{
    if (sink == NULL) return;
    sink->has_tickets = false;
    /* Left to itself past the deadline: what it points to stays allocated for good. */
    if (sink->txn != NULL && !sink_txn_end(sink)) return;
    sink_close(sink);
    for (uint32_t i = 0; i < sink->topic_count; i++) {
        sink_park_clear(&sink->topics[i].park);
        free(sink->topics[i].name);
    }
    sink->topic_count = 0;
    sink_txn_free(sink);
    if (!sink->hangs) free(sink);
}

enum lp_code lp_sink_topic(struct lp_sink *sink, const char *name, struct lp_sink_topic **ret_topic,
                           struct lp_error *err)
{
    for (uint32_t i = 0; i < sink->topic_count; i++)
        if (strcmp(sink->topics[i].name, name) == 0) {
            *ret_topic = &sink->topics[i];
            return LP_OK;
        }
    if (sink->topic_count == TOPICS_MAX)
        return lp_fail(err, LP_E_LIMIT, LP_FATAL, "more than %d output topics", TOPICS_MAX);
    struct lp_sink_topic *topic = &sink->topics[sink->topic_count];
    topic->name = strdup(name);
    if (topic->name == NULL) return lp_fail_memory(err, strlen(name));
    topic->topic = rd_kafka_topic_new(sink->client, name, NULL);
    if (topic->topic == NULL) {
        free(topic->name);
        return lp_client_fail(err, rd_kafka_last_error(), name);
    }
    sink->topic_count++;
    *ret_topic = topic;
    return LP_OK;
}

enum lp_code sink_send_failed(rd_kafka_error_t *error, const struct lp_sink_message *message, struct lp_error *err)
{
    rd_kafka_resp_err_t code = rd_kafka_error_code(error);
    bool fatal = rd_kafka_error_is_fatal(error) != 0;
    char what[ERROR_TEXT_BYTES];
    snprintf(what, sizeof what, "topic %s", message->topic->name);
    lp_client_fail_on(err, code, LP_SIDE_PRODUCE, what);
    if (fatal) err->action = LP_FATAL;
    rd_kafka_error_destroy(error);
    return err->code;
}

rd_kafka_error_t *sink_produce(struct lp_sink *sink, const struct lp_sink_message *message)
{
    rd_kafka_vu_t parts[8];
    size_t count = 0;
    parts[count].vtype = RD_KAFKA_VTYPE_RKT;
    parts[count++].u.rkt = message->topic->topic;
    parts[count].vtype = RD_KAFKA_VTYPE_PARTITION;
    parts[count++].u.i32 = message->partition == LP_SINK_PARTITION_BY_KEY ? RD_KAFKA_PARTITION_UA : message->partition;
    parts[count].vtype = RD_KAFKA_VTYPE_MSGFLAGS;
    parts[count++].u.i = RD_KAFKA_MSG_F_COPY;
    parts[count].vtype = RD_KAFKA_VTYPE_VALUE;
    parts[count].u.mem.ptr = (void *)(uintptr_t)message->value.data;
    parts[count++].u.mem.size = message->value.size;
    parts[count].vtype = RD_KAFKA_VTYPE_KEY;
    parts[count].u.mem.ptr = (void *)(uintptr_t)message->key.data;
    parts[count++].u.mem.size = message->key.size;
    parts[count].vtype = RD_KAFKA_VTYPE_TIMESTAMP;
    parts[count++].u.i64 = message->timestamp_ms;
    parts[count].vtype = RD_KAFKA_VTYPE_OPAQUE;
    parts[count++].u.ptr = (void *)(uintptr_t)message->ticket;
    if (message->headers != NULL) {
        parts[count].vtype = RD_KAFKA_VTYPE_HEADERS;
        parts[count++].u.headers = (rd_kafka_headers_t *)message->headers;
    }
    rd_kafka_error_t *error = rd_kafka_produceva(sink->client, parts, count);
    if (__builtin_expect(error != NULL, 0)) return error;
    sink->queued++;
    sink->queued_bytes += message->value.size + message->key.size;
    return NULL;
}

enum lp_code lp_sink_send(struct lp_sink *sink, const struct lp_sink_message *message, struct lp_error *err)
{
    if (sink->txn != NULL) return sink_txn_send(sink, message, err);
    if (sink->options.patience != NULL) return sink_send_patiently(sink, message, err);
    rd_kafka_error_t *error = sink_produce(sink, message);
    return __builtin_expect(error != NULL, 0) ? sink_send_failed(error, message, err) : LP_OK;
}

int lp_sink_poll(struct lp_sink *sink, int timeout_ms)
{
    if (sink->txn != NULL && sink_txn_away(sink)) {
        if (timeout_ms > 0) lp_sink_txn_wait(sink, timeout_ms);
        return 0;
    }
    sink->reported = 0;
    rd_kafka_poll(sink->client, timeout_ms);
    if (__builtin_expect(sink->parked, 0)) sink_serve_parks(sink);
    return sink->reported;
}

enum lp_code lp_sink_flush(struct lp_sink *sink, int timeout_ms, struct lp_error *err)
{
    uint64_t deadline_ns = lp_clock_ns() + (uint64_t)(timeout_ms > 0 ? timeout_ms : 0) * 1000000u;
    sink->reported = 0;
    /* Nothing waits for what is kept back by a stalled topic: it is not acknowledged, and comes again. */
    while (rd_kafka_flush(sink->client, sink->parked ? 0 : lp_client_left_ms(deadline_ns)) !=
               RD_KAFKA_RESP_ERR_NO_ERROR ||
           lp_sink_moving(sink) > 0) {
        if (lp_client_left_ms(deadline_ns) == 0) break;
        lp_sink_poll(sink, PARK_POLL_MS);
    }
    if (sink->queued == 0) return LP_OK;
    return lp_fail(err, LP_E_TIMEOUT, LP_RETRY, "%u messages not acknowledged within %d ms", sink->queued, timeout_ms);
}

bool lp_sink_fatal(struct lp_sink *sink, struct lp_error *err)
{
    char text[ERROR_TEXT_BYTES];
    if (atomic_load_explicit(&sink->crippled, memory_order_acquire)) {
        *err = sink->crippled_by;
        return true;
    }
    if (sink->txn != NULL) return sink_txn_failed(sink, err);
    rd_kafka_resp_err_t error = rd_kafka_fatal_error(sink->client, text, sizeof text);
    if (error == RD_KAFKA_RESP_ERR_NO_ERROR) return false;
    lp_fail(err, LP_E_IO, LP_FATAL, "producer: %s: %s", rd_kafka_err2name(error), text);
    return true;
}

uint32_t lp_sink_queued(struct lp_sink *sink) { return sink->txn != NULL ? sink_txn_queued(sink) : sink->queued; }

size_t lp_sink_queued_bytes(struct lp_sink *sink)
{
    return sink->txn != NULL ? sink_txn_queued_bytes(sink) : sink->queued_bytes;
}
