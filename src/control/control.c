#include "control/control_private.h"

#include "control/desired.h"
#include "control/source.h"
#include "core/clock.h"
#include "core/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    POLL_MS = 200,
    TROUBLE_PERIOD_MS = 10000,
    REFUSALS_PER_MINUTE = 60,   /* that are reported; the others are counted */
    STATUS_EXTRA_BYTES = 16384, /* of a status record beside the desired state in it */
};

/* --- acting --- */

/* Load, check and hand to the lanes. */
static enum lp_code put_live(struct lp_control *control, const struct lp_model_source *source, const char *root,
                             uint64_t generation, bool degraded, struct lp_error *err)
{
    struct lp_model *model = NULL;
    LP_TRY(
        lp_source_load_model(source, root, control->options.trusted_keys_path, &control->options.model, &model, err));
    enum lp_code rc = control->callbacks.check(control->callbacks.context, model, err);
    if (rc == LP_OK) rc = control->callbacks.stage(control->callbacks.context, model, generation, degraded, err);
    if (rc == LP_OK) control_set_serving(control, model, generation);
    lp_model_unref(model);
    return rc;
}

static void act(struct lp_control *control, const struct lp_desired *desired)
{
    struct lp_error err;
    control->observed = desired->generation;
    control_say(control, desired->generation, LP_SLOT_LOADING, "");
    /* Paused before the model is there, so that not one record slips through; resumed only after. */
    if (desired->paused) control->callbacks.pause(control->callbacks.context, true);
    if (put_live(control, &desired->active, control->options.root, desired->generation, false, &err) != LP_OK) {
        control->callbacks.pause(control->callbacks.context, control->paused);
        control_say(control, desired->generation, LP_SLOT_REFUSED, err.text);
        return;
    }
    control->paused = desired->paused;
    control->callbacks.pause(control->callbacks.context, desired->paused);
    control_set_accepted(control, desired->json);
    control_say(control, desired->generation, LP_SLOT_LIVE, desired->paused ? "paused" : "");
}

static void retire(struct lp_control *control)
{
    struct lp_error err;
    lp_desired_free(control->waiting);
    control->waiting = NULL;
    if (control->status.state == LP_SLOT_RETIRED) return;
    if (control->callbacks.stage(control->callbacks.context, NULL, control->observed, false, &err) != LP_OK) {
        control_say(control, control->observed, LP_SLOT_REFUSED, err.text);
        return;
    }
    control_set_serving(control, NULL, 0);
    /* Nothing is accepted any more: a replica that starts after compaction has dropped the null value must not find it.
     */
    control_set_accepted(control, NULL);
    control_say(control, control->observed, LP_SLOT_RETIRED, "");
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
        control_say(control, wanted->generation, LP_SLOT_DEGRADED, why);
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
        control_say(control, 0, LP_SLOT_STARTING, "no model yet: deploy one, or set model.uri");
        return;
    }
    struct lp_model_source source = {0};
    snprintf(source.uri, sizeof source.uri, "%s", control->options.model_uri);
    if (control->options.model_sha256 != NULL)
        snprintf(source.sha256, sizeof source.sha256, "%s", control->options.model_sha256);
    if (control->options.model_signature != NULL)
        snprintf(source.signature, sizeof source.signature, "%s", control->options.model_signature);
    control_say(control, 0, LP_SLOT_LOADING, "");
    if (put_live(control, &source, NULL, 0, false, &err) != LP_OK) control_say(control, 0, LP_SLOT_REFUSED, err.text);
    else control_say(control, 0, LP_SLOT_LIVE, "");
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
    } else if (control->spoiled != NULL) {
        /* The topic has a record, if only refused ones: model.uri is for a topic that has none. */
        control_say(control, 0, LP_SLOT_REFUSED, control->spoiled);
    } else {
        start_from_configuration(control);
    }
    lp_desired_free(control->wanted);
    lp_desired_free(control->known);
    free(control->spoiled);
    control->wanted = control->known = NULL;
    control->spoiled = NULL;
    atomic_store(&control->replayed, true);
}

/* The one that waits, when its turn has come. */
static void act_on_waiting(struct lp_control *control)
{
    struct lp_desired *desired = control->waiting;
    if (desired == NULL || !lp_limiter_take(&control->loads, lp_clock_ns())) return;
    control->waiting = NULL;
    act(control, desired);
    lp_desired_free(desired);
}

/* Takes `desired`. */
static void on_new_desired(struct lp_control *control, struct lp_desired *desired)
{
    uint64_t observed = control->waiting != NULL ? control->waiting->generation : control->observed;
    if (desired->generation <= observed) {
        char reason[160];
        snprintf(reason, sizeof reason, "generation %llu is not above the observed %llu: ignored",
                 (unsigned long long)desired->generation, (unsigned long long)observed);
        control_refuse(control, desired->generation, reason);
        lp_desired_free(desired);
        return;
    }
    bool waited = control->waiting != NULL;
    lp_desired_free(control->waiting);
    control->waiting = desired;
    act_on_waiting(control);
    if (!waited && control->waiting != NULL)
        LP_LOG(LP_LOG_WARN, "model_waits", lp_kv("slot", control->options.slot),
               lp_kv_int("generation", (int64_t)desired->generation),
               lp_kv("reason", "control.max_loads_per_minute is reached: the latest is loaded when there is room"));
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

/* Of the signature only: before the record is kept, observed or given a load. Loading looks at it again. */
static enum lp_code check_signature(const struct lp_control *control, const struct lp_desired *desired,
                                    struct lp_error *err)
{
    if (control->options.trusted_keys_path == NULL) return LP_OK;
    return lp_signature_verify(control->options.trusted_keys_path, desired->active.sha256, desired->active.signature,
                               err);
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
    enum lp_code rc = lp_desired_parse(record->value, control->options.control_max_bytes, &desired, &err);
    if (rc == LP_OK) rc = check_signature(control, desired, &err);
    if (rc != LP_OK) {
        control_refuse(control, desired != NULL ? desired->generation : 0, err.text);
        lp_desired_free(desired);
        if (!replayed && control->spoiled == NULL) control->spoiled = strdup(err.text);
        return;
    }
    if (replayed) {
        on_new_desired(control, desired);
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
    if (record->value.size > control->options.control_max_bytes + STATUS_EXTRA_BYTES) return;
    if (lp_status_record_parse(record->value, &status, &err) != LP_OK) return;
    /* What any replica has retired or refused is not new to this one. */
    if (strcmp(status.slot, control->options.slot) == 0 && status.state == LP_SLOT_RETIRED &&
        status.generation > control->observed)
        control->observed = status.generation;
    if (strcmp(status.slot, control->options.slot) == 0 && status.desired_json != NULL &&
        lp_desired_parse(lp_span_text(status.desired_json), control->options.control_max_bytes, &desired, &err) ==
            LP_OK) {
        /* What this replica accepted before it crashed stays told, also when it cannot be loaded now. */
        if (strcmp(status.replica, control->options.replica) == 0) control_set_accepted(control, status.desired_json);
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

/* Until the topics are read: say why not, now and then. */
static void say_trouble(struct lp_control *control)
{
    struct lp_error why;
    if (lp_clock_ns() < control->next_trouble_ns || !lp_reader_trouble(control->reader, &why)) return;
    control->next_trouble_ns = lp_clock_ns() + TROUBLE_PERIOD_MS * UINT64_C(1000000);
    LP_LOG(LP_LOG_WARN, "control_waits", lp_kv("topic", control->options.control_topic), lp_kv("reason", why.text));
    pthread_mutex_lock(&control->mutex);
    snprintf(control->status.reason, sizeof control->status.reason, "%s", why.text);
    pthread_mutex_unlock(&control->mutex);
}

/* Only a process that comes up anew gets a client that was not granted its threads. */
static void cannot_read(struct lp_control *control, const struct lp_error *err)
{
    struct timespec pause = {.tv_nsec = POLL_MS * 1000000L};
    LP_LOG(LP_LOG_WARN, "control_read", lp_kv("reason", err->text));
    if (err->code == LP_E_IO && err->action == LP_FATAL && !atomic_load(&control->failing)) {
        control->failure = *err;
        atomic_store(&control->failing, true);
    }
    nanosleep(&pause, NULL);
}

static void *control_main(void *context)
{
    struct lp_control *control = context;
    struct lp_error err;
    pthread_setname_np(pthread_self(), "control");
    if (control->reader == NULL) finish_replay(control);
    while (!atomic_load(&control->stop)) {
        if (control->reader != NULL) {
            if (lp_reader_poll(control->reader, POLL_MS, on_record, control, &err) != LP_OK) cannot_read(control, &err);
            if (!atomic_load(&control->replayed)) {
                if (lp_reader_caught_up(control->reader)) finish_replay(control);
                else say_trouble(control);
            }
            act_on_waiting(control);
        } else {
            struct timespec pause = {.tv_nsec = POLL_MS * 1000000L};
            nanosleep(&pause, NULL);
        }
        if (control->sink != NULL) lp_sink_poll(control->sink, 0);
        if (lp_clock_ns() >= control->next_status_ns) control_publish_status(control);
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
    return control_open_status(control, err);
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
    enum lp_code rc = lp_limiter_init(&control->loads, options->max_loads_per_minute, err);
    if (rc == LP_OK) rc = lp_limiter_init(&control->refusals, REFUSALS_PER_MINUTE, err);
    if (rc == LP_OK) rc = open_topics(control, err);
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

void lp_control_stop(struct lp_control *control, bool clean, int timeout_ms)
{
    if (!control->started) return;
    atomic_store(&control->stop, true);
    if (control->reader != NULL) lp_reader_wake(control->reader);
    pthread_join(control->thread, NULL);
    control->started = false;
    if (control->sink == NULL || !clean) return;
    control_say(control, control->status.generation, LP_SLOT_STOPPED, "");
    control_leave_status(control, timeout_ms);
}

void lp_control_free(struct lp_control *control)
{
    if (control == NULL) return;
    lp_reader_free(control->reader);
    lp_sink_free(control->sink);
    lp_desired_free(control->wanted);
    lp_desired_free(control->known);
    lp_desired_free(control->waiting);
    free(control->spoiled);
    lp_limiter_done(&control->loads);
    lp_limiter_done(&control->refusals);
    lp_status_record_done(&control->status);
    pthread_mutex_destroy(&control->mutex);
    free(control);
}

bool lp_control_replayed(struct lp_control *control) { return atomic_load(&control->replayed); }

enum lp_code lp_control_check(struct lp_control *control, struct lp_error *err)
{
    if (!atomic_load(&control->failing)) return LP_OK;
    *err = control->failure;
    return err->code;
}
