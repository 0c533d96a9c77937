/* What the control thread says: status records, log lines, the timeline. */
#include "control/control_private.h"

#include "control/source.h"
#include "core/clock.h"
#include "core/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STATUS_QUEUE_MAX = 1024, STATUS_QUEUE_MAX_BYTES = 16 << 20 };

/* The fate of a status record: a heartbeat that cannot be written is said once, not every ten seconds. */
static void on_written(void *context, uint64_t ticket, const struct lp_error *error)
{
    struct lp_control *control = context;
    (void)ticket;
    if (error != NULL && !control->status_unsent)
        LP_LOG(LP_LOG_WARN, "status_not_sent", lp_kv("topic", control->options.status_topic),
               lp_kv("reason", error->text));
    control->status_unsent = error != NULL;
}

enum lp_code control_open_status(struct lp_control *control, struct lp_error *err)
{
    if (control->options.status_topic == NULL) return LP_OK;
    struct lp_sink_options sink = {.conf = control->options.conf,
                                   .client_id = control->options.client_id,
                                   .queue_max = STATUS_QUEUE_MAX,
                                   .queue_max_bytes = STATUS_QUEUE_MAX_BYTES,
                                   .report = on_written,
                                   .context = control};
    LP_TRY(lp_sink_new(&sink, &control->sink, err));
    return lp_sink_topic(control->sink, control->options.status_topic, &control->status_topic, err);
}

void control_publish_status(struct lp_control *control)
{
    control->next_status_ns = lp_clock_ns() + (uint64_t)control->options.status_interval_ms * 1000000;
    if (control->sink == NULL) return;
    pthread_mutex_lock(&control->mutex);
    control->status.time_ms = lp_clock_wall_ms();
    char *text = lp_status_record_encode(&control->status);
    pthread_mutex_unlock(&control->mutex);
    if (text == NULL) return;
    char key[sizeof control->status.slot + sizeof control->status.replica + 2];
    snprintf(key, sizeof key, "%s/%s", control->options.slot, control->options.replica);
    struct lp_sink_message message = {.topic = control->status_topic,
                                      .partition = LP_SINK_PARTITION_BY_KEY,
                                      .key = lp_span_text(key),
                                      .value = lp_span_text(text),
                                      .ticket = 1};
    struct lp_error err;
    if (lp_sink_send(control->sink, &message, &err) != LP_OK) on_written(control, 0, &err);
    lp_sink_poll(control->sink, 0);
    free(text);
}

static void remember_event(struct lp_control *control, uint64_t generation, enum lp_slot_state state,
                           const char *version, const char *reason)
{
    if (control->event_count == LP_CONTROL_EVENTS_MAX)
        memmove(control->events, control->events + 1, sizeof control->events[0] * --control->event_count);
    struct lp_control_event *event = &control->events[control->event_count++];
    *event = (struct lp_control_event){.time_ms = lp_clock_wall_ms(), .generation = generation, .state = state};
    snprintf(event->version, sizeof event->version, "%.63s", version);
    snprintf(event->reason, sizeof event->reason, "%.255s", reason);
}

void control_say(struct lp_control *control, uint64_t generation, enum lp_slot_state state, const char *reason)
{
    pthread_mutex_lock(&control->mutex);
    control->status.generation = generation;
    control->status.state = state;
    snprintf(control->status.reason, sizeof control->status.reason, "%s", reason);
    bool served = state == LP_SLOT_LIVE || state == LP_SLOT_DEGRADED;
    remember_event(control, generation, state, served ? control->status.version : "", reason);
    pthread_mutex_unlock(&control->mutex);
    LP_LOG(state == LP_SLOT_REFUSED || state == LP_SLOT_DEGRADED ? LP_LOG_WARN : LP_LOG_INFO, "model",
           lp_kv("slot", control->options.slot), lp_kv("state", lp_slot_state_name(state)),
           lp_kv_int("generation", (int64_t)generation), lp_kv("version", control->status.version),
           lp_kv("reason", reason));
    control_publish_status(control);
}

void control_set_serving(struct lp_control *control, const struct lp_model *model, uint64_t generation)
{
    pthread_mutex_lock(&control->mutex);
    control->status.serving = model != NULL;
    control->status.serving_generation = generation;
    control->status.version[0] = control->status.sha256[0] = '\0';
    if (model != NULL) {
        snprintf(control->status.version, sizeof control->status.version, "%s", model->bundle->version);
        lp_sha256_text(model->bundle->sha256, control->status.sha256);
    }
    pthread_mutex_unlock(&control->mutex);
}

void control_set_accepted(struct lp_control *control, const char *json)
{
    char *copy = json != NULL ? strdup(json) : NULL;
    pthread_mutex_lock(&control->mutex);
    free(control->status.desired_json);
    control->status.desired_json = copy;
    pthread_mutex_unlock(&control->mutex);
}

void control_refuse(struct lp_control *control, uint64_t generation, const char *reason)
{
    if (!lp_limiter_take(&control->refusals, lp_clock_ns())) {
        control->untold++;
        return;
    }
    char text[LP_ERROR_TEXT_BYTES];
    if (control->untold == 0) snprintf(text, sizeof text, "%s", reason);
    else
        snprintf(text, sizeof text, "%.400s (and %llu refused records before it)", reason,
                 (unsigned long long)control->untold);
    control->untold = 0;
    pthread_mutex_lock(&control->mutex);
    struct lp_status_record before = control->status;
    pthread_mutex_unlock(&control->mutex);
    control_say(control, generation, LP_SLOT_REFUSED, text);
    /* The next heartbeat speaks of what is observed again. */
    pthread_mutex_lock(&control->mutex);
    control->status.generation = before.generation;
    control->status.state = before.state;
    memcpy(control->status.reason, before.reason, sizeof before.reason);
    pthread_mutex_unlock(&control->mutex);
}

void control_leave_status(struct lp_control *control, int timeout_ms)
{
    char key[sizeof control->status.slot + sizeof control->status.replica + 2];
    snprintf(key, sizeof key, "%s/%s", control->options.slot, control->options.replica);
    struct lp_sink_message tombstone = {
        .topic = control->status_topic, .partition = LP_SINK_PARTITION_BY_KEY, .key = lp_span_text(key)};
    struct lp_error err;
    if (lp_sink_send(control->sink, &tombstone, &err) != LP_OK ||
        lp_sink_flush(control->sink, timeout_ms, &err) != LP_OK)
        LP_LOG(LP_LOG_WARN, "status_not_sent", lp_kv("topic", control->options.status_topic),
               lp_kv("reason", err.text));
}

uint32_t lp_control_state(struct lp_control *control, struct lp_status_record *ret_status,
                          struct lp_control_event events[LP_CONTROL_EVENTS_MAX])
{
    pthread_mutex_lock(&control->mutex);
    *ret_status = control->status;
    ret_status->desired_json = NULL;
    uint32_t count = control->event_count;
    memcpy(events, control->events, count * sizeof *events);
    pthread_mutex_unlock(&control->mutex);
    return count;
}
