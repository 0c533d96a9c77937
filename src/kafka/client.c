#include "kafka/client.h"

#include "core/clock.h"

#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

enum { ERROR_TEXT_BYTES = 512, DESTROY_LEAST_MS = 100 };

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

static atomic_uint_fast64_t hurry_ns;
static atomic_uint left_behind;

void lp_kafka_hurry(uint64_t deadline_ns) { atomic_store(&hurry_ns, deadline_ns); }

uint32_t lp_kafka_left_behind(void) { return atomic_load(&left_behind); }

static int within_hurry(int timeout_ms)
{
    uint64_t deadline_ns = atomic_load(&hurry_ns);
    if (deadline_ns == 0) return timeout_ms;
    int left_ms = lp_client_left_ms(deadline_ns);
    if (left_ms < DESTROY_LEAST_MS) left_ms = DESTROY_LEAST_MS;
    return left_ms < timeout_ms ? left_ms : timeout_ms;
}

void lp_client_leave_behind(void) { atomic_fetch_add(&left_behind, 1); }

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
    if (!reaper_wait(reaper, within_hurry(timeout_ms < 0 ? 0 : timeout_ms))) {
        lp_client_leave_behind();
        pthread_detach(thread);
        return false;
    }
    pthread_join(thread, NULL);
    reaper_free(reaper);
    return true;
}

/* --- errors --- */

enum lp_code lp_client_fail_on(struct lp_error *err, rd_kafka_resp_err_t error, enum lp_side side, const char *what)
{
    const struct lp_kafka_action *row = lp_action_of_kafka(error);
    return lp_fail_field(err, row->code, row->actions[side],
                         error == RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP ? "timestamp" : NULL, "%s: %s%s%s", what,
                         rd_kafka_err2str(error), row->cure != NULL ? ": " : "", row->cure != NULL ? row->cure : "");
}

enum lp_code lp_client_fail(struct lp_error *err, rd_kafka_resp_err_t error, const char *what)
{
    return lp_client_fail_on(err, error, LP_SIDE_CONSUME, what);
}
