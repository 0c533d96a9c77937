#include "cmd/fleet.h"

#include "control/signature.h"
#include "core/clock.h"
#include "kafka/reader.h"
#include "kafka/sink.h"
#include "worker/kafka_conf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { POLL_MS = 100, HEARTBEATS_ALIVE = 3 };

static void raise_generation(struct lp_fleet *fleet, uint64_t generation)
{
    if (generation > fleet->generation) fleet->generation = generation;
}

/* As the workers see it, where their trusted keys are at hand. */
static bool is_vouched_for(const struct lp_fleet *fleet, const struct lp_desired *desired)
{
    const char *keys = fleet->config->model_trusted_keys_path;
    struct lp_error err;
    return keys == NULL || access(keys, R_OK) != 0 ||
           lp_signature_verify(keys, desired->active.sha256, desired->active.signature, &err) == LP_OK;
}

static void on_control(struct lp_fleet *fleet, const struct lp_reader_record *record)
{
    struct lp_desired *desired = NULL;
    struct lp_error err;
    if (!lp_span_is(record->key, fleet->slot)) return;
    if (record->value.data != NULL &&
        lp_desired_parse(record->value, (size_t)fleet->config->control_max_bytes, &desired, &err) != LP_OK)
        return; /* a record that no worker accepts either */
    if (desired != NULL && !is_vouched_for(fleet, desired)) {
        lp_desired_free(desired);
        return;
    }
    lp_desired_free(fleet->desired);
    fleet->desired = desired;
    if (desired != NULL) raise_generation(fleet, desired->generation);
}

static struct lp_status_record *find(struct lp_fleet *fleet, struct lp_span key, size_t prefix)
{
    for (uint32_t i = 0; i < fleet->replica_count; i++) {
        const char *name = fleet->replicas[i].replica;
        if (key.size - prefix == strlen(name) && memcmp(key.data + prefix, name, strlen(name)) == 0)
            return &fleet->replicas[i];
    }
    return NULL;
}

static void remove_replica(struct lp_fleet *fleet, struct lp_status_record *replica)
{
    lp_status_record_done(replica);
    *replica = fleet->replicas[--fleet->replica_count];
}

static void learn_accepted(struct lp_fleet *fleet, const struct lp_status_record *status)
{
    struct lp_desired *desired = NULL;
    struct lp_error err;
    if (status->desired_json == NULL ||
        lp_desired_parse(lp_span_text(status->desired_json), (size_t)fleet->config->control_max_bytes, &desired,
                         &err) != LP_OK)
        return;
    raise_generation(fleet, desired->generation);
    if (fleet->known == NULL || desired->generation > fleet->known->generation) {
        lp_desired_free(fleet->known);
        fleet->known = desired;
    } else {
        lp_desired_free(desired);
    }
}

static void on_status(struct lp_fleet *fleet, const struct lp_reader_record *record)
{
    struct lp_status_record status;
    struct lp_error err;
    size_t prefix = strlen(fleet->slot) + 1;
    if (record->key.size <= prefix || memcmp(record->key.data, fleet->slot, prefix - 1) != 0 ||
        record->key.data[prefix - 1] != '/')
        return;
    struct lp_status_record *known = find(fleet, record->key, prefix);
    if (record->value.data == NULL) {
        if (known != NULL) remove_replica(fleet, known);
        return;
    }
    if (lp_status_record_parse(record->value, &status, &err) != LP_OK) return;
    /* With trusted keys a refusal may speak of what nobody signed, whose generation is not used up. */
    if (status.state != LP_SLOT_REFUSED || fleet->config->model_trusted_keys_path == NULL)
        raise_generation(fleet, status.generation);
    learn_accepted(fleet, &status);
    if (known == NULL && fleet->replica_count < LP_FLEET_REPLICAS_MAX) known = &fleet->replicas[fleet->replica_count++];
    else if (known != NULL) lp_status_record_done(known);
    if (known != NULL) *known = status;
    else lp_status_record_done(&status);
}

static void on_record(void *context, const struct lp_reader_record *record)
{
    struct lp_fleet *fleet = context;
    if (record->topic_index == 0) on_control(fleet, record);
    else on_status(fleet, record);
}

static enum lp_code not_read(const struct lp_fleet *fleet, struct lp_error *err)
{
    struct lp_error why;
    bool known = lp_reader_trouble(fleet->reader, &why);
    return lp_fail(err, LP_E_TIMEOUT, LP_RETRY, "%s, %s: not read to the end: %s", fleet->config->control_topic,
                   fleet->config->status_topic, known ? why.text : "are the brokers up?");
}

enum lp_code lp_fleet_open(struct lp_fleet *fleet, const struct lp_config *config, const char *slot, int timeout_ms,
                           struct lp_error *err)
{
    *fleet = (struct lp_fleet){.config = config, .slot = slot != NULL ? slot : config->slots.items[0]};
    bool named = false;
    for (uint32_t i = 0; i < config->slots.count; i++)
        named = named || strcmp(config->slots.items[i], fleet->slot) == 0;
    if (!named)
        return lp_fail(err, LP_E_INVALID, LP_FATAL,
                       "--slot %s: not one of slots: no worker of this configuration has it", fleet->slot);
    if (config->control_topic == NULL || config->status_topic == NULL)
        return lp_fail(err, LP_E_INVALID, LP_FATAL,
                       "control.topic and status.topic: both must be set: workers are told and answer through them");
    const char *topics[] = {config->control_topic, config->status_topic};
    fleet->replicas = calloc(LP_FLEET_REPLICAS_MAX, sizeof *fleet->replicas);
    if (fleet->replicas == NULL) return lp_fail_memory(err, LP_FLEET_REPLICAS_MAX * sizeof *fleet->replicas);
    LP_TRY(lp_kafka_conf_from_config(config, &fleet->kafka, err));
    LP_TRY(lp_reader_new(&fleet->kafka, "lepton-deploy", topics, 2, &fleet->reader, err));
    uint64_t deadline_ns = lp_clock_ns() + (uint64_t)timeout_ms * 1000000;
    while (!lp_reader_caught_up(fleet->reader)) {
        LP_TRY(lp_fleet_poll(fleet, POLL_MS, err));
        /* Somebody waits at a terminal: who is turned away learns it at once. */
        struct lp_error why;
        bool refused = lp_reader_trouble(fleet->reader, &why) && why.code == LP_E_REFUSED;
        if (refused || lp_clock_ns() > deadline_ns) return not_read(fleet, err);
    }
    return LP_OK;
}

enum lp_code lp_fleet_poll(struct lp_fleet *fleet, int timeout_ms, struct lp_error *err)
{
    return lp_reader_poll(fleet->reader, timeout_ms, on_record, fleet, err);
}

void lp_fleet_close(struct lp_fleet *fleet)
{
    lp_reader_free(fleet->reader);
    lp_desired_free(fleet->desired);
    lp_desired_free(fleet->known);
    for (uint32_t i = 0; i < fleet->replica_count; i++) lp_status_record_done(&fleet->replicas[i]);
    free(fleet->replicas);
    lp_kafka_conf_done(&fleet->kafka);
    *fleet = (struct lp_fleet){0};
}

bool lp_fleet_alive(const struct lp_fleet *fleet, const struct lp_status_record *replica)
{
    int64_t age_ms = lp_clock_wall_ms() - replica->time_ms;
    return replica->state != LP_SLOT_STOPPED && age_ms < HEARTBEATS_ALIVE * fleet->config->status_interval_ms;
}

struct written {
    bool done;
    enum lp_code code;
    struct lp_error err;
};

static void on_written(void *context, uint64_t ticket, const struct lp_error *error)
{
    struct written *written = context;
    (void)ticket;
    written->done = true;
    if (error == NULL) return;
    written->code = error->code;
    written->err = *error;
}

/* Who may write no topic at all gets no producer id: the message was dropped for that, and its own error says nothing.
 */
static void name_right(const struct lp_fleet *fleet, struct lp_sink *sink, struct lp_error *err)
{
    struct lp_error fatal;
    if (!lp_sink_fatal(sink, &fatal) || strstr(fatal.text, "AUTHORIZATION") == NULL) return;
    (void)lp_fail(err, err->code, LP_FATAL, "topic %s: %.300s: grant Write on it", fleet->config->control_topic,
                  fatal.text);
}

enum lp_code lp_fleet_write(struct lp_fleet *fleet, const char *json, int timeout_ms, struct lp_error *err)
{
    struct written written = {0};
    struct lp_sink *sink = NULL;
    struct lp_sink_topic *topic;
    struct lp_sink_options options = {.conf = &fleet->kafka,
                                      .client_id = "lepton-deploy",
                                      .queue_max = 16,
                                      .queue_max_bytes = 1 << 20,
                                      .report = on_written,
                                      .context = &written};
    enum lp_code rc;
    LP_GUARD(lp_sink_new(&options, &sink, err));
    LP_GUARD(lp_sink_topic(sink, fleet->config->control_topic, &topic, err));
    struct lp_sink_message message = {.topic = topic,
                                      .partition = LP_SINK_PARTITION_BY_KEY,
                                      .key = lp_span_text(fleet->slot),
                                      .value = lp_span_text(json),
                                      .ticket = 1};
    LP_GUARD(lp_sink_send(sink, &message, err));
    LP_GUARD(lp_sink_flush(sink, timeout_ms, err));
    rc = written.code;
    if (rc != LP_OK) *err = written.err;
out:
    if (rc != LP_OK && sink != NULL) name_right(fleet, sink, err);
    lp_sink_free(sink);
    return rc;
}

/* How many live replicas serve the generation; the first refusal ends the wait. */
static enum lp_code count_live(struct lp_fleet *fleet, uint64_t generation, uint32_t *ret_alive, uint32_t *ret_live,
                               struct lp_error *err)
{
    *ret_alive = *ret_live = 0;
    for (uint32_t i = 0; i < fleet->replica_count; i++) {
        const struct lp_status_record *replica = &fleet->replicas[i];
        if (!lp_fleet_alive(fleet, replica)) continue;
        ++*ret_alive;
        /* Degraded: it could not load this generation and serves the one before in its name. */
        if (replica->generation == generation &&
            (replica->state == LP_SLOT_REFUSED || replica->state == LP_SLOT_DEGRADED))
            return lp_fail(err, LP_E_REFUSED, LP_FATAL, "%s: refused generation %llu: %s", replica->replica,
                           (unsigned long long)generation, replica->reason);
        *ret_live += replica->serving && replica->serving_generation >= generation;
    }
    return LP_OK;
}

enum lp_code lp_fleet_wait(struct lp_fleet *fleet, uint64_t generation, int64_t timeout_ms, struct lp_error *err)
{
    uint64_t deadline_ns = lp_clock_ns() + (uint64_t)timeout_ms * 1000000;
    uint32_t alive, live, said = UINT32_MAX;
    for (;;) {
        LP_TRY(count_live(fleet, generation, &alive, &live, err));
        if (live != said)
            fprintf(stderr, "generation %llu: %u of %u live replicas\n", (unsigned long long)generation, live, alive);
        said = live;
        if (live == alive && alive > 0) return LP_OK;
        if (lp_clock_ns() > deadline_ns && alive == 0)
            return lp_fail(
                err, LP_E_TIMEOUT, LP_FATAL,
                "generation %llu is written, and no live replica was seen in %lld ms: start a worker, or use "
                "--wait 0",
                (unsigned long long)generation, (long long)timeout_ms);
        if (lp_clock_ns() > deadline_ns)
            return lp_fail(err, LP_E_TIMEOUT, LP_FATAL, "generation %llu: %u of %u replicas serve it after %lld ms",
                           (unsigned long long)generation, live, alive, (long long)timeout_ms);
        LP_TRY(lp_fleet_poll(fleet, POLL_MS, err));
    }
}
