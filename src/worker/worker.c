#include "worker/worker_private.h"

#include "core/clock.h"
#include "core/cpu.h"
#include "core/log.h"
#include "core/version.h"
#include "worker/watchdog.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { STATUS_FLUSH_MS = 2000, STATUS_FLUSH_LEAST_MS = 100, LOG_INTERVAL_S = 60, COUNT_INTERVAL_S = 60 };

/* --- what control asks of us --- */

static enum lp_code stage_model(void *context, struct lp_model *model, uint64_t generation, bool degraded,
                                struct lp_error *err)
{
    struct lp_worker *worker = context;
    LP_TRY(lp_slot_stage(&worker->slot, &worker->shared, model, generation, degraded, err));
    for (uint32_t i = 0; i < worker->shared.lane_count; i++) lp_lane_wake(worker->lanes[i]);
    return LP_OK;
}

static void pause_lanes(void *context, bool paused)
{
    struct lp_worker *worker = context;
    atomic_store(&worker->slot.paused, paused);
}

/* --- start --- */

static enum lp_code open_http(struct lp_worker *worker, struct lp_error *err);

static enum lp_code open_control(struct lp_worker *worker, struct lp_error *err)
{
    const struct lp_config *config = worker->shared.config;
    struct lp_control_options options = {
        .conf = &worker->shared.kafka,
        .client_id = "lepton-control",
        .control_topic = config->control_topic,
        .status_topic = config->status_topic,
        .slot = config->slots.items[0],
        .replica = worker->shared.replica,
        .root = config->model_root_path,
        .model_uri = config->model_uri,
        .model_sha256 = config->model_sha256,
        .model_signature = config->model_signature,
        .trusted_keys_path = config->model_trusted_keys_path,
        .model = {.bundle_max_bytes = (uint64_t)config->model_max_bytes,
                  .require_golden = config->model_require_golden},
        .control_max_bytes = (size_t)config->control_max_bytes,
        .max_loads_per_minute = (uint32_t)config->control_max_loads,
        .status_interval_ms = config->status_interval_ms,
    };
    struct lp_control_callbacks callbacks = {
        .context = worker, .check = lp_worker_check_model, .stage = stage_model, .pause = pause_lanes};
    return lp_control_new(&options, &callbacks, &worker->control, err);
}

static enum lp_code open_lanes(struct lp_worker *worker, struct lp_error *err)
{
    uint32_t count = worker->shared.lane_count;
    LP_TRY(lp_slot_init(&worker->slot, count, err));
    worker->lanes = calloc(count, sizeof(struct lp_lane *));
    if (worker->lanes == NULL) return lp_fail_memory(err, count * sizeof(struct lp_lane *));
    for (uint32_t i = 0; i < count; i++) LP_TRY(lp_lane_new(&worker->shared, &worker->slot, i, &worker->lanes[i], err));
    for (uint32_t i = 0; i < count; i++) LP_TRY(lp_lane_start(worker->lanes[i], err));
    return LP_OK;
}

static void log_start(const struct lp_worker *worker)
{
    const struct lp_config *config = worker->shared.config;
    LP_LOG(LP_LOG_INFO, "start", lp_kv("version", lp_version()), lp_kv("commit", lp_version_commit()),
           lp_kv("cpu", lp_cpu_level()), lp_kv("librdkafka", lp_kafka_version_text()),
           lp_kv("replica", worker->shared.replica), lp_kv("group", config->group_id),
           lp_kv("assignor", lp_kafka_assignor(&worker->shared.kafka)), lp_kv_int("lanes", worker->shared.lane_count),
           lp_kv_int("memory_limit_bytes", config->memory_limit_bytes),
           lp_kv_int("fetch_queue_bytes", config->fetch_queue_bytes),
           lp_kv("partition", worker->shared.keep_partition ? "source" : "key"),
           lp_kv_int("http_port", worker->http != NULL ? lp_http_port(worker->http) : 0));
    if (worker->http != NULL && !lp_http_is_local(worker->http) && config->http_token == NULL)
        LP_LOG(LP_LOG_WARN, "http_open", lp_kv("listen", config->http_listen),
               lp_kv("reason", "other machines can read /metrics and /status: set http.token.file, or listen on "
                               "127.0.0.1"));
    const struct lp_config_list *ignored = lp_config_ignored_environment(config);
    for (uint32_t i = 0; i < ignored->count; i++)
        LP_LOG(LP_LOG_WARN, "environment_ignored", lp_kv("name", ignored->items[i]));
}

static enum lp_code start(struct lp_worker *worker, lp_worker_interrupted *interrupted, void *context,
                          struct lp_error *err)
{
    lp_worker_name_replica(&worker->shared);
    LP_TRY(open_http(worker, err));
    LP_TRY(lp_worker_prepare(worker, interrupted, context, err));
    LP_TRY(lp_reporter_new(&worker->shared, &worker->reporter, err));
    LP_TRY(open_lanes(worker, err));
    LP_TRY(open_control(worker, err));
    atomic_store(&worker->running, true);
    log_start(worker);
    return lp_control_start(worker->control, err);
}

enum lp_code lp_worker_start(const struct lp_config *config, lp_worker_interrupted *interrupted, void *context,
                             struct lp_worker **ret_worker, struct lp_error *err)
{
    struct lp_worker *worker = calloc(1, sizeof *worker);
    if (worker == NULL) return lp_fail_memory(err, sizeof *worker);
    worker->shared.config = config;
    worker->start_ns = lp_clock_ns();
    worker->start_wall_ms = lp_clock_wall_ms();
    worker->watchdog = lp_watchdog_new((uint64_t)config->shutdown_timeout_ms, interrupted, context);
    enum lp_code rc = worker->watchdog != NULL ? LP_OK : lp_fail(err, LP_E_IO, LP_FATAL, "no thread for the watchdog");
    if (rc == LP_OK) rc = start(worker, interrupted, context, err);
    if (rc != LP_OK) {
        lp_worker_stop(worker);
        lp_worker_free(worker);
        return rc;
    }
    *ret_worker = worker;
    return LP_OK;
}

/* --- housekeeping --- */

static void log_progress(struct lp_worker *worker)
{
    uint64_t now_ns = lp_clock_ns();
    if (now_ns < worker->next_log_ns) return;
    worker->next_log_ns = now_ns + (uint64_t)LOG_INTERVAL_S * 1000000000;
    struct lp_lane_stats stats;
    int64_t lag;
    lp_worker_totals(worker, &stats, &lag);
    if (stats.records == worker->logged_records) return;
    LP_LOG(LP_LOG_INFO, "progress", lp_kv_int("records", (int64_t)stats.records),
           lp_kv_int("predictions", (int64_t)stats.predictions), lp_kv_int("dead_letters", (int64_t)stats.dead_letters),
           lp_kv_int("lag", lag));
    worker->logged_records = stats.records;
}

/* Without a control topic nothing can mend a model that was refused: say so and end, as a wrong configuration does. */
static enum lp_code check_only_model(struct lp_worker *worker, struct lp_error *err)
{
    struct lp_status_record status;
    struct lp_control_event events[LP_CONTROL_EVENTS_MAX];
    if (worker->shared.config->control_topic != NULL || !lp_control_replayed(worker->control)) return LP_OK;
    (void)lp_worker_control(worker, &status, events);
    if (status.state != LP_SLOT_REFUSED) return LP_OK;
    return lp_fail_field(err, LP_E_REFUSED, LP_FATAL, "model.uri", "model.uri: %.400s", status.reason);
}

enum lp_code lp_worker_tick(struct lp_worker *worker, struct lp_error *err)
{
    lp_reporter_run(worker->reporter, &worker->slot);
    log_progress(worker);
    lp_worker_watch_features(worker);
    if (lp_clock_ns() >= worker->next_count_ns) {
        /* Not at the first tick: the start has just asked. */
        if (worker->next_count_ns > 0) LP_TRY(lp_worker_check_partitions(worker, err));
        worker->next_count_ns = lp_clock_ns() + (uint64_t)COUNT_INTERVAL_S * 1000000000;
    }
    LP_TRY(check_only_model(worker, err));
    LP_TRY(lp_control_check(worker->control, err));
    /* Not when it has ended: the stop that follows counts the time for all lanes, and a drain may hang. */
    for (uint32_t i = 0; i < worker->shared.lane_count; i++) LP_TRY(lp_lane_check(worker->lanes[i], err));
    return LP_OK;
}

/* --- stop --- */

static void stop_lanes(struct lp_worker *worker)
{
    struct lp_error err;
    for (uint32_t i = 0; worker->lanes != NULL && i < worker->shared.lane_count; i++)
        if (worker->lanes[i] != NULL) lp_lane_stop(worker->lanes[i]);
    for (uint32_t i = 0; worker->lanes != NULL && i < worker->shared.lane_count; i++)
        if (worker->lanes[i] != NULL && lp_lane_join(worker->lanes[i], &err) != LP_OK)
            LP_LOG(LP_LOG_ERROR, "lane_ended", lp_kv_int("lane", i), lp_kv("reason", err.text));
}

/* What the lanes have left of the time, at most STATUS_FLUSH_MS. */
static int flush_ms(uint64_t deadline_ns)
{
    uint64_t now_ns = lp_clock_ns();
    uint64_t left_ms = deadline_ns > now_ns ? (deadline_ns - now_ns) / 1000000u : 0;
    return left_ms < STATUS_FLUSH_LEAST_MS ? STATUS_FLUSH_LEAST_MS
           : left_ms < STATUS_FLUSH_MS     ? (int)left_ms
                                           : STATUS_FLUSH_MS;
}

static void stop_control(struct lp_worker *worker, uint64_t deadline_ns)
{
    lp_watchdog_phase(worker->watchdog, "drift and status records");
    if (worker->reporter != NULL && worker->slot.mailboxes != NULL) {
        lp_reporter_run(worker->reporter, &worker->slot);
        lp_reporter_flush(worker->reporter, flush_ms(deadline_ns));
    }
    if (worker->control != NULL) lp_control_stop(worker->control, true, flush_ms(deadline_ns));
}

static void free_parts(struct lp_worker *worker)
{
    lp_watchdog_phase(worker->watchdog, "closing Kafka clients");
    lp_http_free(worker->http);
    worker->http = NULL;
    lp_control_free(worker->control);
    worker->control = NULL;
    for (uint32_t i = 0; worker->lanes != NULL && i < worker->shared.lane_count; i++) lp_lane_free(worker->lanes[i]);
    free(worker->lanes);
    worker->lanes = NULL;
    lp_slot_done(&worker->slot);
    lp_reporter_free(worker->reporter);
    worker->reporter = NULL;
    lp_worker_unprepare(worker);
}

void lp_worker_stop(struct lp_worker *worker)
{
    if (atomic_exchange(&worker->stopping, true)) return;
    uint64_t deadline_ns = lp_watchdog_arm(worker->watchdog);
    lp_kafka_hurry(deadline_ns);
    lp_watchdog_phase(worker->watchdog, "lanes: outputs, offsets, leaving the group");
    stop_lanes(worker);
    stop_control(worker, deadline_ns);
    struct lp_lane_stats stats = {0};
    int64_t lag = -1;
    if (atomic_load(&worker->running)) lp_worker_totals(worker, &stats, &lag);
    atomic_store(&worker->running, false);
    free_parts(worker);
    LP_LOG(LP_LOG_INFO, "stop", lp_kv_int("records", (int64_t)stats.records),
           lp_kv_int("predictions", (int64_t)stats.predictions), lp_kv_int("dead_letters", (int64_t)stats.dead_letters),
           lp_kv_int("unacknowledged", stats.in_flight), lp_kv_int("clients_left_behind", lp_kafka_left_behind()));
    lp_kafka_hurry(0);
    lp_watchdog_free(worker->watchdog);
    worker->watchdog = NULL;
}

void lp_worker_free(struct lp_worker *worker) { free(worker); }

/* --- state for HTTP and the demo --- */

void lp_worker_totals(struct lp_worker *worker, struct lp_lane_stats *ret_stats, int64_t *ret_lag)
{
    struct lp_lane_stats sum = {0};
    struct lp_lane_lag *lags = calloc(LP_LANE_PARTITIONS_MAX, sizeof *lags);
    int64_t lag = lags != NULL ? 0 : -1;
    for (uint32_t i = 0; i < worker->shared.lane_count; i++) {
        struct lp_lane_stats one;
        uint32_t count;
        lp_lane_snapshot(worker->lanes[i], &one, lags, lags != NULL ? LP_LANE_PARTITIONS_MAX : 0, &count);
        lp_lane_stats_merge(&sum, &one);
        for (uint32_t j = 0; j < count; j++)
            if (lags[j].lag > 0) lag += lags[j].lag;
    }
    free(lags);
    *ret_stats = sum;
    *ret_lag = lag;
}

uint32_t lp_worker_drift(struct lp_worker *worker, struct lp_drift_latest *latest, uint32_t max)
{
    return lp_reporter_latest(worker->reporter, latest, max);
}

uint32_t lp_worker_control(struct lp_worker *worker, struct lp_status_record *ret_status,
                           struct lp_control_event events[LP_CONTROL_EVENTS_MAX])
{
    return lp_control_state(worker->control, ret_status, events);
}

uint16_t lp_worker_http_port(const struct lp_worker *worker)
{
    return worker->http != NULL ? lp_http_port(worker->http) : 0;
}

bool lp_worker_ready(struct lp_worker *worker, const char **ret_reason)
{
    const char *waiting = atomic_load(&worker->waiting_for);
    if (!atomic_load(&worker->running)) {
        *ret_reason = waiting != NULL ? waiting : "starting";
        return false;
    }
    if (!lp_control_replayed(worker->control)) {
        *ret_reason = "control topic not replayed yet";
        return false;
    }
    for (uint32_t i = 0; i < worker->shared.lane_count; i++) {
        struct lp_lane_stats stats;
        uint32_t lags;
        lp_lane_snapshot(worker->lanes[i], &stats, NULL, 0, &lags);
        *ret_reason = !stats.serving               ? "no model live"
                      : stats.transactions_awaited ? "transaction coordinator not reached yet"
                      : !stats.joined              ? "consumer group not joined"
                                                   : NULL;
        struct lp_error err; /* a failed lane drains before it stops */
        if (stats.stopped || lp_lane_check(worker->lanes[i], &err) != LP_OK) *ret_reason = "a lane has stopped";
        if (*ret_reason != NULL) return false;
    }
    if (atomic_load(&worker->slot.paused)) {
        *ret_reason = "paused by the control topic";
        return false;
    }
    return true;
}

bool lp_worker_live(struct lp_worker *worker, const char **ret_reason)
{
    if (!atomic_load(&worker->running)) return true; /* waiting at start is alive */
    uint64_t now_ns = lp_clock_ns();
    for (uint32_t i = 0; i < worker->shared.lane_count; i++) {
        struct lp_lane_stats stats;
        uint32_t lags;
        lp_lane_snapshot(worker->lanes[i], &stats, NULL, 0, &lags);
        *ret_reason = stats.stopped ? "a lane has stopped" : "a lane has not polled within max.poll.interval.ms";
        if (stats.stopped || (stats.last_loop_ns > 0 && now_ns - stats.last_loop_ns > worker->poll_interval_ns &&
                              now_ns > stats.last_loop_ns))
            return false;
    }
    return true;
}

static bool http_ready(void *context, struct lp_buffer *out)
{
    const char *reason = "";
    bool ready = lp_worker_ready(context, &reason);
    lp_buffer_format(out, "%s\n", ready ? "ready" : reason);
    return ready;
}

static bool http_live(void *context, struct lp_buffer *out)
{
    const char *reason = "";
    bool live = lp_worker_live(context, &reason);
    lp_buffer_format(out, "%s\n", live ? "live" : reason);
    return live;
}

static enum lp_code open_http(struct lp_worker *worker, struct lp_error *err)
{
    const struct lp_config *config = worker->shared.config;
    if (strcmp(config->http_listen, "off") == 0) return LP_OK;
    struct lp_http_handlers handlers = {.context = worker,
                                        .metrics = lp_worker_render_metrics,
                                        .status = lp_worker_render_status,
                                        .live = http_live,
                                        .ready = http_ready};
    return lp_http_new(config->http_listen, config->http_token, &handlers, &worker->http, err);
}
