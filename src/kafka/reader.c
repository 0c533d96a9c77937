#include "kafka/reader.h"

#include "core/clock.h"
#include "kafka/client.h"
#include "kafka/trouble.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum {
    TOPICS_MAX = 16,
    PARTITIONS_MAX = 10000, /* a topic */
    LOOK_MISSING_PERIOD_MS = 1000,
    LOOK_FOUND_PERIOD_MS = 60000, /* for partitions that were added */
    LOOK_TIMEOUT_MIN_MS = 200,
    LOOK_TIMEOUT_MAX_MS = 1000,
    DESTROY_TIMEOUT_MS = 5000
};

struct partition {
    bool started, caught_up;
    int64_t end; /* where the log ended when we first heard of it; -1: not heard */
};

struct topic {
    const char *name; /* borrowed */
    rd_kafka_topic_t *handle;
    struct partition *partitions; /* [partition_count], those that are being read */
    int32_t partition_count;
    bool looked;                      /* the broker has said whether it exists */
    struct lp_client_trouble refused; /* its fetches, which say so once; until one of them succeeds */
    uint64_t look_due_ns, looked_ns;
};

/* One topic's callback at a time: the topic of a message is its handle's opaque. */
struct lp_reader {
    rd_kafka_t *client;
    const struct lp_kafka_conf *conf; /* borrowed */
    struct lp_client_trouble trouble; /* reader's thread: callbacks are served by its polls */
    const char *troubled;             /* the topic, or what else has it */
    rd_kafka_queue_t *queue;
    struct topic topics[TOPICS_MAX];
    uint32_t topic_count;
    lp_reader_callback *callback;
    void *context;
    uint64_t retries;
    bool crippled; /* the client got no thread for a broker, and does not ask again */
};

static void complain(struct lp_reader *reader, const char *what, rd_kafka_resp_err_t code, const char *reason)
{
    reader->retries++;
    if (reader->troubled == NULL) reader->trouble.code = RD_KAFKA_RESP_ERR_NO_ERROR;
    reader->troubled = what;
    lp_client_note(&reader->trouble, code, reason);
}

/* Brokers that are away: their log lines come from the broker threads. */
static void on_error(rd_kafka_t *client, int code, const char *reason, void *opaque)
{
    struct lp_reader *reader = opaque;
    (void)client;
    complain(reader, "brokers", (rd_kafka_resp_err_t)code, reason);
    if (code == RD_KAFKA_RESP_ERR__CRIT_SYS_RESOURCE) reader->crippled = true;
}

static enum lp_code new_topic(struct lp_reader *reader, const char *name, struct lp_error *err)
{
    struct topic *topic = &reader->topics[reader->topic_count];
    rd_kafka_topic_conf_t *conf = rd_kafka_default_topic_conf_dup(reader->client);
    if (conf == NULL) return lp_fail_memory(err, sizeof *topic);
    rd_kafka_topic_conf_set_opaque(conf, topic);
    topic->name = name;
    topic->handle = rd_kafka_topic_new(reader->client, name, conf);
    if (topic->handle == NULL) {
        rd_kafka_topic_conf_destroy(conf);
        return lp_client_fail(err, rd_kafka_last_error(), name);
    }
    reader->topic_count++;
    return LP_OK;
}

enum lp_code lp_reader_new(const struct lp_kafka_conf *conf, const char *client_id, const char *const *topics,
                           uint32_t topic_count, struct lp_reader **ret_reader, struct lp_error *err)
{
    enum lp_code rc = LP_OK;
    rd_kafka_conf_t *rk_conf = NULL;
    if (topic_count > TOPICS_MAX)
        return lp_fail(err, LP_E_LIMIT, LP_FATAL, "%u topics: at most %d", topic_count, TOPICS_MAX);
    struct lp_reader *reader = calloc(1, sizeof *reader);
    if (reader == NULL) return lp_fail_memory(err, sizeof *reader);
    reader->conf = conf;
    LP_GUARD(lp_client_conf_new(conf, LP_CLIENT_READER, client_id, NULL, 0, &rk_conf, err));
    rd_kafka_conf_set_opaque(rk_conf, reader);
    rd_kafka_conf_set_error_cb(rk_conf, on_error);
    LP_GUARD(lp_client_new(RD_KAFKA_CONSUMER, rk_conf, &reader->client, err));
    reader->queue = rd_kafka_queue_new(reader->client);
    for (uint32_t i = 0; i < topic_count; i++) LP_GUARD(new_topic(reader, topics[i], err));
    *ret_reader = reader;
    return LP_OK;
out:
    lp_reader_free(reader);
    return rc;
}

static void stop_topic(struct topic *topic)
{
    for (int32_t i = 0; i < topic->partition_count; i++)
        if (topic->partitions[i].started) rd_kafka_consume_stop(topic->handle, i);
    free(topic->partitions);
    topic->partitions = NULL;
    topic->partition_count = 0;
}

void lp_reader_free(struct lp_reader *reader)
{
    bool gone = true;
    if (reader == NULL) return;
    for (uint32_t i = 0; i < reader->topic_count; i++) {
        stop_topic(&reader->topics[i]);
        rd_kafka_topic_destroy(reader->topics[i].handle);
    }
    if (reader->queue != NULL) rd_kafka_queue_destroy(reader->queue);
    if (reader->client != NULL)
        gone = lp_client_destroy(reader->client, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE, DESTROY_TIMEOUT_MS);
    if (gone) free(reader);
}

/* --- records --- */

static void on_end(struct topic *topic, int32_t partition)
{
    topic->refused.code = RD_KAFKA_RESP_ERR_NO_ERROR;
    if (partition >= 0 && partition < topic->partition_count) topic->partitions[partition].caught_up = true;
}

static void on_failed(struct lp_reader *reader, struct topic *topic, const rd_kafka_message_t *message)
{
    if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
        on_end(topic, message->partition);
        return;
    }
    if (message->err == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART || message->err == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC ||
        message->err == RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION)
        topic->look_due_ns = 0; /* deleted? librdkafka itself recovers from anything less */
    lp_client_note(&topic->refused, message->err, rd_kafka_message_errstr(message));
    reader->retries++;
}

/* Caught up at the end that the log had when its first record came, even if it grows faster than we read. */
static void note_progress(struct lp_reader *reader, struct topic *topic, const rd_kafka_message_t *message)
{
    struct partition *partition = &topic->partitions[message->partition];
    int64_t low = -1, high = -1;
    if (partition->end < 0 && rd_kafka_get_watermark_offsets(reader->client, topic->name, message->partition, &low,
                                                             &high) == RD_KAFKA_RESP_ERR_NO_ERROR)
        partition->end = high;
    if (partition->end >= 0 && message->offset + 1 >= partition->end) partition->caught_up = true;
}

static void on_message(rd_kafka_message_t *message, void *opaque)
{
    struct lp_reader *reader = opaque;
    struct topic *topic = message->rkt != NULL ? rd_kafka_topic_opaque(message->rkt) : NULL;
    if (topic == NULL) {
        reader->retries++;
        return;
    }
    if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        on_failed(reader, topic, message);
        return;
    }
    rd_kafka_timestamp_type_t type;
    struct lp_reader_record record = {
        .topic_index = (uint32_t)(topic - reader->topics),
        .partition = message->partition,
        .offset = message->offset,
        .timestamp_ms = rd_kafka_message_timestamp(message, &type),
        .key = lp_span_of(message->key, message->key_len),
        .value = lp_span_of(message->payload, message->len),
    };
    topic->refused.code = RD_KAFKA_RESP_ERR_NO_ERROR;
    reader->callback(reader->context, &record);
    if (message->partition >= 0 && message->partition < topic->partition_count &&
        !topic->partitions[message->partition].caught_up)
        note_progress(reader, topic, message);
}

/* --- topics that appear, grow and go --- */

static enum lp_code start_partitions(struct lp_reader *reader, struct topic *topic, int32_t count, struct lp_error *err)
{
    if (count > PARTITIONS_MAX)
        return lp_fail(err, LP_E_LIMIT, LP_FATAL, "topic %s has %d partitions: at most %d", topic->name, (int)count,
                       PARTITIONS_MAX);
    if (count <= topic->partition_count) return LP_OK;
    struct partition *partitions = realloc(topic->partitions, (size_t)count * sizeof *partitions);
    if (partitions == NULL) return lp_fail_memory(err, (size_t)count * sizeof *partitions);
    topic->partitions = partitions;
    for (int32_t i = topic->partition_count; i < count; i++) {
        partitions[i] = (struct partition){.end = -1};
        topic->partition_count = i + 1;
        if (rd_kafka_consume_start_queue(topic->handle, i, RD_KAFKA_OFFSET_BEGINNING, reader->queue) != 0)
            return lp_client_fail(err, rd_kafka_last_error(), topic->name);
        partitions[i].started = true;
    }
    return LP_OK;
}

static bool is_missing(const struct rd_kafka_metadata_topic *found)
{
    return found->err == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART ||
           (found->err == RD_KAFKA_RESP_ERR_NO_ERROR && found->partition_cnt == 0);
}

static enum lp_code look_at(struct lp_reader *reader, struct topic *topic, int timeout_ms, struct lp_error *err)
{
    enum lp_code rc = LP_OK;
    const struct rd_kafka_metadata *metadata = NULL;
    topic->looked_ns = lp_clock_ns();
    rd_kafka_resp_err_t error = rd_kafka_metadata(reader->client, 0, topic->handle, &metadata, timeout_ms);
    if (error != RD_KAFKA_RESP_ERR_NO_ERROR || metadata->topic_cnt != 1) {
        /* The error callback knows better why nobody answers. */
        if (reader->troubled == NULL) complain(reader, topic->name, error, "no answer about the topic");
        else reader->retries++;
    } else if (is_missing(&metadata->topics[0])) {
        stop_topic(topic); /* made anew, it is read from its beginning */
        topic->refused.code = RD_KAFKA_RESP_ERR_NO_ERROR;
        topic->looked = true;
        reader->troubled = NULL;
    } else if (metadata->topics[0].err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        complain(reader, topic->name, metadata->topics[0].err, "the broker's answer about the topic");
    } else {
        topic->looked = true;
        reader->troubled = NULL;
        rc = start_partitions(reader, topic, metadata->topics[0].partition_cnt, err);
    }
    if (metadata != NULL) rd_kafka_metadata_destroy(metadata);
    int period_ms = topic->partition_count > 0 ? LOOK_FOUND_PERIOD_MS : LOOK_MISSING_PERIOD_MS;
    topic->look_due_ns = lp_clock_ns() + (uint64_t)period_ms * 1000000u;
    return rc;
}

/* Never looked at more often than missing topics are. */
static bool is_due(const struct topic *topic, uint64_t now_ns)
{
    return now_ns >= topic->look_due_ns &&
           (topic->looked_ns == 0 || now_ns - topic->looked_ns >= LOOK_MISSING_PERIOD_MS * UINT64_C(1000000));
}

enum lp_code lp_reader_poll(struct lp_reader *reader, int timeout_ms, lp_reader_callback *callback, void *context,
                            struct lp_error *err)
{
    uint64_t now_ns = lp_clock_ns();
    int look_ms = timeout_ms < LOOK_TIMEOUT_MIN_MS   ? LOOK_TIMEOUT_MIN_MS
                  : timeout_ms < LOOK_TIMEOUT_MAX_MS ? timeout_ms
                                                     : LOOK_TIMEOUT_MAX_MS;
    reader->callback = callback;
    reader->context = context;
    for (uint32_t i = 0; i < reader->topic_count; i++)
        if (is_due(&reader->topics[i], now_ns)) LP_TRY(look_at(reader, &reader->topics[i], look_ms, err));
    rd_kafka_poll(reader->client, 0);
    if (reader->crippled) return lp_client_fail(err, RD_KAFKA_RESP_ERR__CRIT_SYS_RESOURCE, reader->topics[0].name);
    int wait_ms = timeout_ms < 0 || timeout_ms > LOOK_MISSING_PERIOD_MS ? LOOK_MISSING_PERIOD_MS : timeout_ms;
    rd_kafka_consume_callback_queue(reader->queue, wait_ms, on_message, reader);
    return LP_OK;
}

bool lp_reader_caught_up(const struct lp_reader *reader)
{
    for (uint32_t i = 0; i < reader->topic_count; i++) {
        if (!reader->topics[i].looked) return false;
        for (int32_t p = 0; p < reader->topics[i].partition_count; p++)
            if (!reader->topics[i].partitions[p].caught_up) return false;
    }
    return true;
}

bool lp_reader_trouble(const struct lp_reader *reader, struct lp_error *ret_why)
{
    const struct lp_client_trouble *trouble = reader->troubled != NULL ? &reader->trouble : NULL;
    const char *troubled = reader->troubled;
    for (uint32_t i = 0; trouble == NULL && i < reader->topic_count; i++) {
        if (reader->topics[i].refused.code == RD_KAFKA_RESP_ERR_NO_ERROR) continue;
        trouble = &reader->topics[i].refused;
        troubled = reader->topics[i].name;
    }
    if (trouble == NULL) return false;
    lp_client_fail_trouble(ret_why, trouble, reader->conf, troubled);
    return true;
}

uint64_t lp_reader_retries(const struct lp_reader *reader) { return reader->retries; }

void lp_reader_wake(struct lp_reader *reader) { rd_kafka_queue_yield(reader->queue); }
