#include "control/control.h"

#include "control/desired.h"
#include "control/source.h"
#include "core/clock.h"
#include "core/log.h"
#include "kafka/reader.h"
#include "kafka/sink.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    POLL_MS = 200,
    STATUS_QUEUE_MAX = 1024,
    STATUS_QUEUE_MAX_BYTES = 16 << 20,
};

struct lp_control {
    struct lp_control_options options;
    struct lp_control_callbacks callbacks;
    struct lp_reader *reader; /* NULL: no control topic */
    struct lp_sink *sink;     /* NULL: no status topic */
    struct lp_sink_topic *status_topic;
    pthread_t thread;
    bool started;
    atomic_bool stop, replayed;

    /* control thread only */
    struct lp_desired *wanted; /* replay: the control topic's latest; NULL: none */
    bool retired_at_replay;    /* replay: the latest was a null value */
    struct lp_desired *known;  /* replay: the highest that any replica says it accepted */
    bool paused;               /* by the last state acted upon */
    uint64_t observed;         /* highest generation acted upon or refused */
    uint64_t next_status_ns;

    pthread_mutex_t mutex;          /* guards what follows */
    struct lp_status_record status; /* owns desired_json */
    struct lp_control_event events[LP_CONTROL_EVENTS_MAX];
    uint32_t event_count;
};

/* --- status --- */

static void publish_status(struct lp_control *control)
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
                                      .value = lp_span_text(text)};
    struct lp_error err;
    if (lp_sink_send(control->sink, &message, &err) != LP_OK)
        LP_LOG(LP_LOG_WARN, "status_not_sent", lp_kv("topic", control->options.status_topic),
               lp_kv("reason", err.text));
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

/* One step: log line, timeline, status record. */
static void say(struct lp_control *control, uint64_t generation, enum lp_slot_state state, const char *reason)
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
    publish_status(control);
}

static void set_serving(struct lp_control *control, const struct lp_model *model, uint64_t generation)
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

static void set_accepted(struct lp_control *control, const char *json)
{
    char *copy = json != NULL ? strdup(json) : NULL;
    pthread_mutex_lock(&control->mutex);
    free(control->status.desired_json);
    control->status.desired_json = copy;
    pthread_mutex_unlock(&control->mutex);
}

/* --- acting --- */

/* Load, check and hand to the lanes. */
static enum lp_code put_live(struct lp_control *control, const struct lp_model_source *source, const char *root,
                             uint64_t generation, bool degraded, struct lp_error *err)
{
    struct lp_model *model = NULL;
    LP_TRY(lp_source_load_model(source, root, &control->options.model, &model, err));
    enum lp_code rc = control->callbacks.check(control->callbacks.context, model, err);
    if (rc == LP_OK) rc = control->callbacks.stage(control->callbacks.context, model, generation, degraded, err);
    if (rc == LP_OK) set_serving(control, model, generation);
    lp_model_unref(model);
    return rc;
}

static void act(struct lp_control *control, const struct lp_desired *desired)
{
    struct lp_error err;
    control->observed = desired->generation;
    say(control, desired->generation, LP_SLOT_LOADING, "");
    /* Paused before the model is there, so that not one record slips through; resumed only after. */
    if (desired->paused) control->callbacks.pause(control->callbacks.context, true);
    if (put_live(control, &desired->active, control->options.root, desired->generation, false, &err) != LP_OK) {
        control->callbacks.pause(control->callbacks.context, control->paused);
        say(control, desired->generation, LP_SLOT_REFUSED, err.text);
        return;
    }
    control->paused = desired->paused;
    control->callbacks.pause(control->callbacks.context, desired->paused);
    set_accepted(control, desired->json);
    say(control, desired->generation, LP_SLOT_LIVE, desired->paused ? "paused" : "");
}

static void retire(struct lp_control *control)
{
    struct lp_error err;
    if (control->callbacks.stage(control->callbacks.context, NULL, control->observed, false, &err) != LP_OK) {
        say(control, control->observed, LP_SLOT_REFUSED, err.text);
        return;
    }
    set_serving(control, NULL, 0);
    /* Nothing is accepted any more: a replica that starts after compaction has dropped the null value must not find it.
     */
    set_accepted(control, NULL);
    say(control, control->observed, LP_SLOT_RETIRED, "");
}

/* What to serve instead at a start whose wanted model cannot be loaded: its predecessor, or the last accepted state. */
static bool serve_fallback(struct lp_control *control, const struct lp_desired *wanted, const char *why)
{
    const struct lp_model_source *choices[] = {
        wanted->has_previous ? &wanted->previous : NULL,
        control->known != NULL ? &control->known->active : NULL,
        control->known != NULL && control->known->has_previous ? &control->known->previous : NULL,
    };
    for (size_t i = 0; i < sizeof choices / sizeof *choices; i++) {
        struct lp_error err;
        if (choices[i] == NULL) continue;
        if (put_live(control, choices[i], control->options.root, wanted->generation, true, &err) != LP_OK) continue;
        say(control, wanted->generation, LP_SLOT_DEGRADED, why);
        return true;
    }
    return false;
}

static void start_with(struct lp_control *control, const struct lp_desired *wanted)
{
    act(control, wanted);
    pthread_mutex_lock(&control->mutex);
    bool refused = control->status.state == LP_SLOT_REFUSED;
    char why[LP_ERROR_TEXT_BYTES];
    snprintf(why, sizeof why, "%s", control->status.reason);
    pthread_mutex_unlock(&control->mutex);
    if (!refused || !serve_fallback(control, wanted, why)) return;
    control->paused = wanted->paused;
    control->callbacks.pause(control->callbacks.context, wanted->paused);
}

static void start_from_configuration(struct lp_control *control)
{
    struct lp_error err;
    if (control->options.model_uri == NULL) {
        say(control, 0, LP_SLOT_STARTING, "no model yet: deploy one, or set model.uri");
        return;
    }
    struct lp_model_source source = {0};
    snprintf(source.uri, sizeof source.uri, "%s", control->options.model_uri);
    if (control->options.model_sha256 != NULL)
        snprintf(source.sha256, sizeof source.sha256, "%s", control->options.model_sha256);
    say(control, 0, LP_SLOT_LOADING, "");
    if (put_live(control, &source, NULL, 0, false, &err) != LP_OK) say(control, 0, LP_SLOT_REFUSED, err.text);
    else say(control, 0, LP_SLOT_LIVE, "");
}

/* The topics are read to their ends: land in the state they say. */
static void finish_replay(struct lp_control *control)
{
    struct lp_desired *wanted = control->wanted, *known = control->known;
    if (known != NULL && (wanted == NULL || known->generation > wanted->generation) && !control->retired_at_replay)
        wanted = known; /* compaction kept a stale record, or the newest is not there */
    if (control->retired_at_replay) {
        /* What replicas that ran all along have observed: neither starts at a generation that the other ignores. */
        if (wanted != NULL) control->observed = wanted->generation;
        if (known != NULL && known->generation > control->observed) control->observed = known->generation;
        retire(control);
    } else if (wanted != NULL) {
        start_with(control, wanted);
    } else {
        start_from_configuration(control);
    }
    lp_desired_free(control->wanted);
    lp_desired_free(control->known);
    control->wanted = control->known = NULL;
    atomic_store(&control->replayed, true);
}

static void on_new_desired(struct lp_control *control, struct lp_desired *desired)
{
    if (desired->generation > control->observed) {
        act(control, desired);
        return;
    }
    char reason[160];
    snprintf(reason, sizeof reason, "generation %llu is not above the observed %llu: ignored",
             (unsigned long long)desired->generation, (unsigned long long)control->observed);
    pthread_mutex_lock(&control->mutex);
    struct lp_status_record before = control->status;
    pthread_mutex_unlock(&control->mutex);
    say(control, desired->generation, LP_SLOT_REFUSED, reason);
    /* An ignored record changes nothing: the next heartbeat speaks of what is observed again. */
    pthread_mutex_lock(&control->mutex);
    control->status.generation = before.generation;
    control->status.state = before.state;
    memcpy(control->status.reason, before.reason, sizeof before.reason);
    pthread_mutex_unlock(&control->mutex);
}

/* Takes `desired`; was it above what is kept? */
static bool keep_higher(struct lp_desired **kept, struct lp_desired *desired)
{
    if (*kept != NULL && (*kept)->generation >= desired->generation) {
        lp_desired_free(desired);
        return false;
    }
    lp_desired_free(*kept);
    *kept = desired;
    return true;
}

static void on_control_record(struct lp_control *control, const struct lp_reader_record *record)
{
    if (!lp_span_is(record->key, control->options.slot)) return; /* another slot's */
    bool replayed = atomic_load(&control->replayed);
    if (record->value.data == NULL) {
        if (replayed) retire(control);
        else control->retired_at_replay = true;
        return;
    }
    struct lp_desired *desired = NULL;
    struct lp_error err;
    if (lp_desired_parse(record->value, control->options.control_max_bytes, &desired, &err) != LP_OK) {
        say(control, control->observed, LP_SLOT_REFUSED, err.text);
        return;
    }
    if (replayed) {
        on_new_desired(control, desired);
        lp_desired_free(desired);
        return;
    }
    /* As while running: an old generation after a null value revives nothing. */
    if (keep_higher(&control->wanted, desired)) control->retired_at_replay = false;
}

static void on_status_record(struct lp_control *control, const struct lp_reader_record *record)
{
    struct lp_status_record status;
    struct lp_desired *desired = NULL;
    struct lp_error err;
    if (atomic_load(&control->replayed) || record->value.data == NULL) return;
    if (lp_status_record_parse(record->value, &status, &err) != LP_OK) return;
    /* What any replica has retired or refused is not new to this one. */
    if (strcmp(status.slot, control->options.slot) == 0 && status.state == LP_SLOT_RETIRED &&
        status.generation > control->observed)
        control->observed = status.generation;
    if (strcmp(status.slot, control->options.slot) == 0 && status.desired_json != NULL &&
        lp_desired_parse(lp_span_text(status.desired_json), control->options.control_max_bytes, &desired, &err) ==
            LP_OK) {
        /* What this replica accepted before it crashed stays told, also when it cannot be loaded now. */
        if (strcmp(status.replica, control->options.replica) == 0) set_accepted(control, status.desired_json);
        (void)keep_higher(&control->known, desired);
    }
    lp_status_record_done(&status);
}

static void on_record(void *context, const struct lp_reader_record *record)
{
    struct lp_control *control = context;
    if (record->topic_index == 0) on_control_record(control, record);
    else on_status_record(control, record);
}

/* --- thread --- */

static void *control_main(void *context)
{
    struct lp_control *control = context;
    struct lp_error err;
    pthread_setname_np(pthread_self(), "control");
    if (control->reader == NULL) finish_replay(control);
    while (!atomic_load(&control->stop)) {
        if (control->reader != NULL) {
            if (lp_reader_poll(control->reader, POLL_MS, on_record, control, &err) != LP_OK)
                LP_LOG(LP_LOG_WARN, "control_read", lp_kv("reason", err.text));
            if (!atomic_load(&control->replayed) && lp_reader_caught_up(control->reader)) finish_replay(control);
        } else {
            struct timespec pause = {.tv_nsec = POLL_MS * 1000000L};
            nanosleep(&pause, NULL);
        }
        if (control->sink != NULL) lp_sink_poll(control->sink, 0);
        if (lp_clock_ns() >= control->next_status_ns) publish_status(control);
    }
    return NULL;
}

static enum lp_code open_topics(struct lp_control *control, struct lp_error *err)
{
    const struct lp_control_options *options = &control->options;
    const char *topics[2] = {options->control_topic, options->status_topic};
    if (options->control_topic != NULL)
        LP_TRY(lp_reader_new(options->conf, options->client_id, topics, options->status_topic != NULL ? 2 : 1,
                             &control->reader, err));
    if (options->status_topic == NULL) return LP_OK;
    struct lp_sink_options sink = {.conf = options->conf,
                                   .client_id = options->client_id,
                                   .queue_max = STATUS_QUEUE_MAX,
                                   .queue_max_bytes = STATUS_QUEUE_MAX_BYTES};
    LP_TRY(lp_sink_new(&sink, &control->sink, err));
    return lp_sink_topic(control->sink, options->status_topic, &control->status_topic, err);
}

enum lp_code lp_control_new(const struct lp_control_options *options, const struct lp_control_callbacks *callbacks,
                            struct lp_control **ret_control, struct lp_error *err)
{
    struct lp_control *control = calloc(1, sizeof *control);
    if (control == NULL) return lp_fail_memory(err, sizeof *control);
    control->options = *options;
    control->callbacks = *callbacks;
    pthread_mutex_init(&control->mutex, NULL);
    snprintf(control->status.slot, sizeof control->status.slot, "%s", options->slot);
    snprintf(control->status.replica, sizeof control->status.replica, "%s", options->replica);
    enum lp_code rc = open_topics(control, err);
    if (rc != LP_OK) {
        lp_control_free(control);
        return rc;
    }
    *ret_control = control;
    return LP_OK;
}

enum lp_code lp_control_start(struct lp_control *control, struct lp_error *err)
{
    int rc = pthread_create(&control->thread, NULL, control_main, control);
    if (rc != 0) return lp_fail(err, LP_E_IO, LP_FATAL, "control thread: %s", strerror(rc));
    control->started = true;
    return LP_OK;
}

/* A clean stop takes the replica off the status topic. */
static void leave_status(struct lp_control *control, int timeout_ms)
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

void lp_control_stop(struct lp_control *control, bool clean, int timeout_ms)
{
    if (!control->started) return;
    atomic_store(&control->stop, true);
    if (control->reader != NULL) lp_reader_wake(control->reader);
    pthread_join(control->thread, NULL);
    control->started = false;
    if (control->sink == NULL || !clean) return;
    say(control, control->status.generation, LP_SLOT_STOPPED, "");
    leave_status(control, timeout_ms);
}

void lp_control_free(struct lp_control *control)
{
    if (control == NULL) return;
    lp_reader_free(control->reader);
    lp_sink_free(control->sink);
    lp_desired_free(control->wanted);
    lp_desired_free(control->known);
    lp_status_record_done(&control->status);
    pthread_mutex_destroy(&control->mutex);
    free(control);
}

bool lp_control_replayed(struct lp_control *control) { return atomic_load(&control->replayed); }

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
