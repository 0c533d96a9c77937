#include "core/clock.h"
#include "kafka/source_private.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    TOPICS_MAX = 1000,
    PARTITIONS_MAX = 100000,
    EVENTS_MAX = 1000,          /* a poll */
    STORE_PERIOD_MS = 100,      /* looks at what is done */
    COMMIT_RECORDS_MAX = 10000, /* done since the last commit: the next one does not wait for commit.interval_ms */
    CLOSE_POLL_MS = 50,
    DESTROY_TIMEOUT_MS = 5000
};

void source_event(struct lp_source *source, enum lp_source_event event, const char *format, ...)
{
    char text[LP_SOURCE_EVENT_TEXT_BYTES];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (source->callbacks.event != NULL) source->callbacks.event(source->callbacks.context, event, text);
}

void source_set_fatal(struct lp_source *source, const struct lp_error *err)
{
    if (source->state.fatal) return;
    source->fatal = *err;
    source->fatal.action = LP_FATAL;
    source->state.fatal = true;
}

rd_kafka_topic_partition_list_t *source_list_one(const struct lp_source *source, const struct source_slot *slot,
                                                 int64_t offset)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    if (list == NULL) return NULL;
    rd_kafka_topic_partition_list_add(list, source->topics[slot->topic_index].name, slot->partition)->offset = offset;
    return list;
}

void source_failed(struct lp_source *source, rd_kafka_resp_err_t error, const char *what, const char *reason)
{
    struct lp_error err;
    char text[LP_SOURCE_EVENT_TEXT_BYTES];
    bool ended = error == RD_KAFKA_RESP_ERR__FATAL; /* the client, for a reason that it keeps apart */
    if (ended) error = rd_kafka_fatal_error(source->client, text, sizeof text);
    lp_client_fail_on(&err, error, LP_SIDE_CONSUME, what);
    source->state.errors++;
    if (err.action == LP_PAUSE) source->state.alarms++;
    /* While it leaves, nothing is taken from it any more. */
    if ((ended || err.action == LP_FATAL) && !source->closing) source_set_fatal(source, &err);
    source_event(source, err.action == LP_PAUSE ? LP_SOURCE_ALARM : LP_SOURCE_ERROR, "%s (%s)", err.text, reason);
}

/* An event came while the lane may sleep on its record queue. Runs under the event queue's lock, on librdkafka's
 * threads: it only sets a flag and signals. */
static void on_event(rd_kafka_t *client, void *opaque)
{
    (void)client;
    rd_kafka_queue_yield(((struct lp_source *)opaque)->lane);
}

static void on_error(rd_kafka_t *client, int code, const char *reason, void *opaque)
{
    (void)client;
    source_failed(opaque, (rd_kafka_resp_err_t)code, "consumer", reason);
}

static enum lp_code check_options(const struct lp_source_options *options, struct lp_error *err)
{
    if (options->topic_count == 0 || options->topic_count > TOPICS_MAX)
        return lp_fail(err, LP_E_INVALID, LP_FATAL, "%u input topics: 1 to %d", options->topic_count, TOPICS_MAX);
    if (options->partitions_max == 0 || options->partitions_max > PARTITIONS_MAX)
        return lp_fail(err, LP_E_INVALID, LP_FATAL, "partitions_max %u: 1 to %d", options->partitions_max,
                       PARTITIONS_MAX);
    for (uint32_t i = 0; i < options->topic_count; i++) {
        /* librdkafka would take it for a regular expression, whose topics have no index. */
        if (options->topics[i][0] == '^' || options->topics[i][0] == '\0')
            return lp_fail_field(err, LP_E_INVALID, LP_FATAL, "input.topics",
                                 "input topic '%s': a name is needed, patterns are not supported", options->topics[i]);
        for (uint32_t j = 0; j < i; j++)
            if (strcmp(options->topics[i], options->topics[j]) == 0)
                return lp_fail_field(err, LP_E_INVALID, LP_FATAL, "input.topics", "input topic '%s' is named twice",
                                     options->topics[i]);
    }
    return LP_OK;
}

static enum lp_code new_client(struct lp_source *source, struct lp_error *err)
{
    const struct lp_source_options *options = &source->options;
    struct lp_kafka_conf conf = *options->conf;
    conf.exactly_once = conf.exactly_once || options->transactional;
    struct lp_client_value values[2] = {{"group.id", options->group_id}};
    uint32_t count = 1;
    if (options->group_instance_id != NULL)
        values[count++] = (struct lp_client_value){"group.instance.id", options->group_instance_id};
    rd_kafka_conf_t *rk_conf = NULL;
    LP_TRY(lp_client_conf_new(&conf, LP_CLIENT_SOURCE, options->client_id, values, count, &rk_conf, err));
    rd_kafka_conf_set_opaque(rk_conf, source);
    rd_kafka_conf_set_rebalance_cb(rk_conf, source_on_rebalance);
    rd_kafka_conf_set_offset_commit_cb(rk_conf, source_on_commit);
    rd_kafka_conf_set_error_cb(rk_conf, on_error);
    LP_TRY(lp_client_new(RD_KAFKA_CONSUMER, rk_conf, &source->client, err));
    rd_kafka_poll_set_consumer(source->client);
    source->lane = rd_kafka_queue_new(source->client);
    source->events = rd_kafka_queue_get_consumer(source->client);
    if (source->lane == NULL || source->events == NULL) return lp_fail(err, LP_E_IO, LP_FATAL, "consumer: no queue");
    rd_kafka_queue_cb_event_enable(source->events, on_event, source);
    return source_refill_start(source, err);
}

/* Handles first, so that every message of a topic carries the pointer that we keep, with its index as opaque. */
static enum lp_code new_topics(struct lp_source *source, struct lp_error *err)
{
    for (uint32_t i = 0; i < source->options.topic_count; i++) {
        struct source_topic *topic = &source->topics[i];
        topic->name = source->options.topics[i];
        topic->first_count = -1;
        rd_kafka_topic_conf_t *conf = rd_kafka_default_topic_conf_dup(source->client);
        if (conf == NULL) return lp_fail_memory(err, sizeof *topic);
        rd_kafka_topic_conf_set_opaque(conf, topic);
        topic->handle = rd_kafka_topic_new(source->client, topic->name, conf);
        if (topic->handle == NULL) {
            rd_kafka_topic_conf_destroy(conf);
            return lp_client_fail(err, rd_kafka_last_error(), topic->name);
        }
    }
    return LP_OK;
}

static enum lp_code subscribe(struct lp_source *source, struct lp_error *err)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)source->options.topic_count);
    if (list == NULL) return lp_fail_memory(err, source->options.topic_count);
    for (uint32_t i = 0; i < source->options.topic_count; i++)
        rd_kafka_topic_partition_list_add(list, source->options.topics[i], RD_KAFKA_PARTITION_UA);
    rd_kafka_resp_err_t error = rd_kafka_subscribe(source->client, list);
    rd_kafka_topic_partition_list_destroy(list);
    return error == RD_KAFKA_RESP_ERR_NO_ERROR ? LP_OK : lp_client_fail(err, error, "subscribe");
}

enum lp_code lp_source_new(const struct lp_source_options *options, const struct lp_source_callbacks *callbacks,
                           struct lp_source **ret_source, struct lp_error *err)
{
    enum lp_code rc = LP_OK;
    LP_TRY(check_options(options, err));
    struct lp_source *source = calloc(1, sizeof *source);
    if (source == NULL) return lp_fail_memory(err, sizeof *source);
    pthread_mutex_init(&source->shared_lock, NULL);
    source->options = *options;
    source->callbacks = *callbacks;
    source->topics = calloc(options->topic_count, sizeof *source->topics);
    source->slots = calloc(options->partitions_max, sizeof *source->slots);
    source->scratch = calloc(options->partitions_max, sizeof *source->scratch);
    if (source->topics == NULL || source->slots == NULL || source->scratch == NULL) {
        rc = lp_fail_memory(err, options->partitions_max * sizeof *source->slots);
        goto out;
    }
    LP_GUARD(new_client(source, err));
    LP_GUARD(new_topics(source, err));
    LP_GUARD(subscribe(source, err));
    *ret_source = source;
    return LP_OK;
out:
    lp_source_free(source);
    return rc;
}

static void publish_state(struct lp_source *source)
{
    pthread_mutex_lock(&source->shared_lock);
    source->shared = source->state;
    pthread_mutex_unlock(&source->shared_lock);
}

void lp_source_get_state(const struct lp_source *source, struct lp_source_state *ret_state)
{
    pthread_mutex_t *lock = (pthread_mutex_t *)(uintptr_t)&source->shared_lock;
    pthread_mutex_lock(lock);
    *ret_state = source->shared;
    pthread_mutex_unlock(lock);
}

/* Group events, and records of partitions whose queue could not be forwarded. Drained, because the event queue wakes
 * the lane only when it was empty. */
static void serve_events(struct lp_source *source, int timeout_ms)
{
    for (int i = 0; i < EVENTS_MAX && !source->stopped; i++) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(source->client, i == 0 ? timeout_ms : 0);
        if (message == NULL) return;
        source_on_message(message, source);
        rd_kafka_message_destroy(message);
    }
}

/* What is done and not given to the client yet; a partition's first counts as much as gives all of it at once. */
static int64_t not_given(const struct lp_source *source)
{
    int64_t count = 0;
    for (uint32_t i = 0; i < source->options.partitions_max; i++) {
        const struct source_slot *slot = &source->slots[i];
        if (!slot->used || slot->stored <= slot->given) continue;
        count += slot->given >= 0 ? slot->stored - slot->given : COMMIT_RECORDS_MAX;
    }
    return count;
}

/*
 * The client commits what it is given a moment later (auto.commit.interval.ms), but never while the group changes, when
 * a commit of ours could cost it the assignment. An interval bounds seconds, not records: a lane that catches up does
 * hundreds of thousands a second, and its successor all of them again if it dies. So many records end the interval.
 */
static void serve_stores(struct lp_source *source, uint64_t now_ns)
{
    source->store_due_ns = now_ns + STORE_PERIOD_MS * UINT64_C(1000000);
    if (now_ns < source->commit_due_ns && not_given(source) < COMMIT_RECORDS_MAX) return;
    source->commit_due_ns = now_ns + source->options.conf->commit_interval_ms * UINT64_C(1000000);
    source_give_stores(source);
}

enum lp_code lp_source_poll(struct lp_source *source, int timeout_ms, bool records, struct lp_error *err)
{
    if (timeout_ms < 0 || timeout_ms > LP_SOURCE_WAIT_MAX_MS) timeout_ms = LP_SOURCE_WAIT_MAX_MS;
    uint64_t now_ns = lp_clock_ns();
    source->state.last_poll_ns = now_ns;
    source->polls++;
    source->records = records;
    source->stopped = false;
    if (source->dirty && now_ns >= source->store_due_ns) serve_stores(source, now_ns);
    serve_events(source, records ? 0 : timeout_ms);
    if (source->attention) {
        source_serve_starts(source);
        source_serve_held(source);
    }
    if (records && !source->stopped && !source->state.fatal)
        rd_kafka_consume_callback_queue(source->lane, timeout_ms, source_on_message, source);
    source_refill_look(source);
    publish_state(source);
    if (!source->state.fatal) return LP_OK;
    *err = source->fatal;
    return err->code;
}

void lp_source_wake(struct lp_source *source)
{
    rd_kafka_queue_yield(source->lane);
    rd_kafka_queue_yield(source->events);
}

enum lp_code lp_source_close(struct lp_source *source, int timeout_ms, struct lp_error *err)
{
    source->close_deadline_ns = lp_clock_ns() + (uint64_t)(timeout_ms > 0 ? timeout_ms : 0) * 1000000u;
    source->closing = true;
    source->records = false;
    source_give_stores(source);
    rd_kafka_error_t *error = rd_kafka_consumer_close_queue(source->client, source->events);
    bool refused = error != NULL; /* after a fatal error: there is no membership to leave */
    if (refused) rd_kafka_error_destroy(error);
    while (!refused && !rd_kafka_consumer_closed(source->client) && lp_client_left_ms(source->close_deadline_ns) > 0) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(source->client, CLOSE_POLL_MS);
        if (message != NULL) rd_kafka_message_destroy(message);
    }
    source->closed = refused || rd_kafka_consumer_closed(source->client);
    source_drop_slots(source);
    publish_state(source);
    if (source->closed) return LP_OK;
    return lp_fail(err, LP_E_TIMEOUT, LP_RETRY, "group %s was not left within %d ms", source->options.group_id,
                   timeout_ms);
}

/*
 * Before 2.3.0 librdkafka asserts when a cooperative-sticky member ends before its first assignment (its issue 4312): a
 * SIGTERM in the first seconds would be an abort.
 */
static bool must_stay(const struct lp_source *source)
{
    enum { FIXED_VERSION = 0x02030000 };
    char assignors[256] = "";
    size_t bytes = sizeof assignors;
    if (rd_kafka_version() >= FIXED_VERSION || source->state.joined) return false;
    if (rd_kafka_conf_get(rd_kafka_conf(source->client), "partition.assignment.strategy", assignors, &bytes) !=
        RD_KAFKA_CONF_OK)
        return false;
    return strstr(assignors, "cooperative-sticky") != NULL;
}

void lp_source_free(struct lp_source *source)
{
    if (source == NULL) return;
    bool gone = true;
    /* A client that hangs keeps its opaque pointers, and what still uses it the client: all stays allocated for good.
     */
    if (!source_refill_stop(source->refill, DESTROY_TIMEOUT_MS) || (source->client != NULL && must_stay(source))) {
        lp_client_leave_behind();
        return;
    }
    if (source->events != NULL) {
        rd_kafka_queue_cb_event_enable(source->events, NULL, NULL);
        rd_kafka_queue_destroy(source->events);
    }
    if (source->lane != NULL) rd_kafka_queue_destroy(source->lane);
    for (uint32_t i = 0; source->topics != NULL && i < source->options.topic_count; i++) {
        if (source->topics[i].handle != NULL) rd_kafka_topic_destroy(source->topics[i].handle);
        free(source->topics[i].slots);
        free(source->topics[i].known);
        source->topics[i].slots = NULL;
        source->topics[i].known = NULL;
    }
    if (source->client != NULL)
        gone = lp_client_destroy(source->client, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE, DESTROY_TIMEOUT_MS);
    if (!gone) return;
    free(source->topics);
    free(source->slots);
    free(source->scratch);
    pthread_mutex_destroy(&source->shared_lock);
    free(source);
}

int64_t lp_source_lag(struct lp_source *source, uint32_t slot_index, int64_t next_offset)
{
    int64_t low = -1, high = -1;
    if (slot_index >= source->options.partitions_max || !source->slots[slot_index].used) return -1;
    const struct source_slot *slot = &source->slots[slot_index];
    if (next_offset < 0 ||
        rd_kafka_get_watermark_offsets(source->client, source->topics[slot->topic_index].name, slot->partition, &low,
                                       &high) != RD_KAFKA_RESP_ERR_NO_ERROR ||
        high < 0)
        return -1;
    return high > next_offset ? high - next_offset : 0;
}
