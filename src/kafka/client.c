#include "kafka/client.h"

#include "core/clock.h"

#include <limits.h>
#include <pthread.h>
#include <stdlib.h>

enum { ERROR_TEXT_BYTES = 512 };

int lp_client_left_ms(uint64_t deadline_ns)
{
    uint64_t now_ns = lp_clock_ns();
    if (now_ns >= deadline_ns) return 0;
    uint64_t left_ms = (deadline_ns - now_ns) / 1000000u;
    return left_ms > INT_MAX ? INT_MAX : (int)left_ms;
}

enum lp_code lp_client_new(rd_kafka_type_t type, rd_kafka_conf_t *conf, rd_kafka_t **ret_client, struct lp_error *err)
{
    char text[ERROR_TEXT_BYTES];
    rd_kafka_t *client = rd_kafka_new(type, conf, text, sizeof text);
    if (client == NULL) {
        /* The configuration is taken on success only. */
        rd_kafka_conf_destroy(conf);
        return lp_fail(err, LP_E_INVALID, LP_FATAL, "Kafka client: %s", text);
    }
    rd_kafka_queue_t *sasl = rd_kafka_queue_get_sasl(client);
    if (sasl != NULL) {
        rd_kafka_queue_destroy(sasl);
        rd_kafka_error_t *error = rd_kafka_sasl_background_callbacks_enable(client);
        if (error != NULL) {
            lp_fail(err, LP_E_IO, LP_FATAL, "Kafka client: token refresh: %s", rd_kafka_error_string(error));
            rd_kafka_error_destroy(error);
            rd_kafka_destroy(client);
            return err->code;
        }
    }
    *ret_client = client;
    return LP_OK;
}

/* --- destruction with a deadline --- */

struct reaper {
    pthread_mutex_t lock;
    pthread_cond_t done_changed;
    rd_kafka_t *client;
    int flags;
    bool done, abandoned;
};

static void reaper_free(struct reaper *reaper)
{
    pthread_cond_destroy(&reaper->done_changed);
    pthread_mutex_destroy(&reaper->lock);
    free(reaper);
}

static void *reaper_main(void *argument)
{
    struct reaper *reaper = argument;
    rd_kafka_destroy_flags(reaper->client, reaper->flags);
    pthread_mutex_lock(&reaper->lock);
    reaper->done = true;
    bool abandoned = reaper->abandoned;
    pthread_cond_signal(&reaper->done_changed);
    pthread_mutex_unlock(&reaper->lock);
    if (abandoned) reaper_free(reaper);
    return NULL;
}

static struct reaper *reaper_new(rd_kafka_t *client, int flags)
{
    struct reaper *reaper = calloc(1, sizeof *reaper);
    if (reaper == NULL) return NULL;
    reaper->client = client;
    reaper->flags = flags;
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&reaper->done_changed, &attributes);
    pthread_condattr_destroy(&attributes);
    pthread_mutex_init(&reaper->lock, NULL);
    return reaper;
}

static bool reaper_wait(struct reaper *reaper, int timeout_ms)
{
    uint64_t deadline_ns = lp_clock_ns() + (uint64_t)timeout_ms * 1000000u;
    struct timespec deadline = {.tv_sec = (time_t)(deadline_ns / 1000000000u),
                                .tv_nsec = (long)(deadline_ns % 1000000000u)};
    pthread_mutex_lock(&reaper->lock);
    int waited = 0;
    while (!reaper->done && waited == 0)
        waited = pthread_cond_timedwait(&reaper->done_changed, &reaper->lock, &deadline);
    bool done = reaper->done;
    reaper->abandoned = !done;
    pthread_mutex_unlock(&reaper->lock);
    return done;
}

bool lp_client_destroy(rd_kafka_t *client, int flags, int timeout_ms)
{
    struct reaper *reaper = reaper_new(client, flags);
    pthread_t thread;
    if (reaper == NULL || pthread_create(&thread, NULL, reaper_main, reaper) != 0) {
        /* No memory or no thread left: then without a watchdog. */
        if (reaper != NULL) reaper_free(reaper);
        rd_kafka_destroy_flags(client, flags);
        return true;
    }
    if (!reaper_wait(reaper, timeout_ms < 0 ? 0 : timeout_ms)) {
        pthread_detach(thread);
        return false;
    }
    pthread_join(thread, NULL);
    reaper_free(reaper);
    return true;
}

/* --- errors --- */

static const struct {
    rd_kafka_resp_err_t error;
    enum lp_code code;
    enum lp_action action;
    const char *cure;
} meanings[] = {
    {RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, LP_E_LIMIT, LP_SKIP_RECORD,
     "raise message.max.bytes here and max.message.bytes of the topic"},
    {RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE, LP_E_LIMIT, LP_SKIP_RECORD, "raise the segment size of the topic"},
    {RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP, LP_E_INVALID, LP_SKIP_RECORD, "the topic refuses the record's timestamp"},
    {RD_KAFKA_RESP_ERR_INVALID_RECORD, LP_E_INVALID, LP_SKIP_RECORD, "the broker refuses the record"},
    {RD_KAFKA_RESP_ERR__QUEUE_FULL, LP_E_LIMIT, LP_RETRY, "poll and try again"},
    {RD_KAFKA_RESP_ERR__PURGE_QUEUE, LP_E_TIMEOUT, LP_RETRY, "dropped before it was sent"},
    {RD_KAFKA_RESP_ERR__PURGE_INFLIGHT, LP_E_TIMEOUT, LP_RETRY, "dropped in flight: it may have been written"},
    {RD_KAFKA_RESP_ERR__MSG_TIMED_OUT, LP_E_TIMEOUT, LP_RETRY, "it may have been written"},
    {RD_KAFKA_RESP_ERR__TIMED_OUT, LP_E_TIMEOUT, LP_RETRY, NULL},
    {RD_KAFKA_RESP_ERR__TIMED_OUT_QUEUE, LP_E_TIMEOUT, LP_RETRY, NULL},
    {RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT, LP_E_TIMEOUT, LP_RETRY, NULL},
    {RD_KAFKA_RESP_ERR__TRANSPORT, LP_E_IO, LP_RETRY, "is a broker reachable?"},
    {RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN, LP_E_IO, LP_RETRY, "check kafka.bootstrap.servers and the network"},
    {RD_KAFKA_RESP_ERR__RESOLVE, LP_E_IO, LP_RETRY, "check the host names in kafka.bootstrap.servers"},
    {RD_KAFKA_RESP_ERR__WAIT_COORD, LP_E_IO, LP_RETRY, NULL},
    {RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS, LP_E_IO, LP_RETRY, NULL},
    {RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE, LP_E_IO, LP_RETRY, NULL},
    {RD_KAFKA_RESP_ERR_NOT_COORDINATOR, LP_E_IO, LP_RETRY, NULL},
    {RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE, LP_E_IO, LP_RETRY, NULL},
    {RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION, LP_E_IO, LP_RETRY, NULL},
    {RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS, LP_E_IO, LP_RETRY, NULL},
    {RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS_AFTER_APPEND, LP_E_IO, LP_RETRY, NULL},
    {RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS, LP_E_IO, LP_RETRY, NULL},
    {RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, LP_E_NOT_FOUND, LP_FATAL, "create the topic"},
    {RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC, LP_E_NOT_FOUND, LP_FATAL, "create the topic"},
    {RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION, LP_E_NOT_FOUND, LP_FATAL, "the topic has fewer partitions"},
    {RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, LP_E_REFUSED, LP_FATAL, "grant the right on the topic"},
    {RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED, LP_E_REFUSED, LP_FATAL, "grant Read on the group"},
    {RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED, LP_E_REFUSED, LP_FATAL, "grant IdempotentWrite on the cluster"},
    {RD_KAFKA_RESP_ERR__AUTHENTICATION, LP_E_REFUSED, LP_FATAL, "check the credentials"},
    {RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED, LP_E_REFUSED, LP_FATAL, "check the credentials"},
    {RD_KAFKA_RESP_ERR__SSL, LP_E_REFUSED, LP_FATAL, "check the certificates"},
    {RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION, LP_E_INVALID, LP_FATAL, "the topic's name is not valid"},
    {RD_KAFKA_RESP_ERR_POLICY_VIOLATION, LP_E_REFUSED, LP_FATAL, NULL},
};

static int meaning_of(rd_kafka_resp_err_t error)
{
    for (int i = 0; i < (int)(sizeof meanings / sizeof meanings[0]); i++)
        if (meanings[i].error == error) return i;
    return -1;
}

void lp_client_classify(rd_kafka_resp_err_t error, enum lp_code *ret_code, enum lp_action *ret_action)
{
    int i = meaning_of(error);
    *ret_code = i >= 0 ? meanings[i].code : LP_E_IO;
    *ret_action = i >= 0 ? meanings[i].action : LP_FATAL;
}

enum lp_code lp_client_fail(struct lp_error *err, rd_kafka_resp_err_t error, const char *what)
{
    int i = meaning_of(error);
    enum lp_code code;
    enum lp_action action;
    lp_client_classify(error, &code, &action);
    const char *cure = i >= 0 ? meanings[i].cure : NULL;
    return lp_fail_field(err, code, action, error == RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP ? "timestamp" : NULL,
                         "%s: %s%s%s", what, rd_kafka_err2str(error), cure != NULL ? ": " : "",
                         cure != NULL ? cure : "");
}
