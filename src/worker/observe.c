/* What HTTP serves: metrics in the Prometheus text format, and the status as JSON. HTTP thread; reads snapshots only.
 */
#include "worker/worker_private.h"

#include "core/clock.h"
#include "core/version.h"
#include "decode/registry.h"
#include "http/exposition.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LAGS_MAX = 4096, LATEST_MAX = 4096, FEATURES_MAX = 4096 };

static void one(struct lp_buffer *out, const char *name, const char *type, const char *help, double value)
{
    lp_exposition_family(out, name, type, help);
    lp_exposition_sample(out, name, NULL, value);
}

static void render_counters(struct lp_buffer *out, const struct lp_lane_stats *s)
{
    const struct {
        const char *name, *help;
        uint64_t value;
    } counters[] = {
        {"lepton_records_total", "Records consumed; exactly_once: attempts, an aborted transaction's come again.",
         s->records},
        {"lepton_record_bytes_total", "Bytes of the values consumed.", s->record_bytes},
        {"lepton_rows_total", "Rows scored; with lepton_batches_total the mean batch size.", s->rows},
        {"lepton_batches_total", "Batches scored.", s->batches},
        {"lepton_predictions_total",
         "Predictions handed to the producer; exactly_once: attempts, see lepton_committed_records_total.",
         s->predictions},
        {"lepton_prediction_bytes_total", "Bytes of the predictions.", s->prediction_bytes},
        {"lepton_acknowledged_total", "Messages that the brokers acknowledged; exactly_once: records committed.",
         s->acknowledged},
        {"lepton_delivery_errors_total",
         "Messages that the brokers refused for good; predictions among them became dead letters.", s->delivery_errors},
        {"lepton_dead_letters_total", "Records sent to the dead-letter topic.", s->dead_letters},
        {"lepton_tombstones_total", "Records with a null value.", s->tombstones},
        {"lepton_swaps_total", "Model changes taken by lanes.", s->swaps},
        {"lepton_rebalances_total", "Assignments and revocations.", s->rebalances},
        {"lepton_lost_assignments_total", "Assignments lost without a revocation; duplicates may follow.",
         s->lost_assignments},
        {"lepton_revoke_deadlines_missed_total",
         "Revocations with unacknowledged records; duplicates may follow (exactly_once: they come again).",
         s->revoke_deadlines_missed},
        {"lepton_stale_reports_total", "Acknowledgements that came after their partition was revoked.",
         s->stale_reports},
        {"lepton_stale_records_total", "Records that the client handed over twice; dropped.", s->stale_records},
        {"lepton_offset_resets_total", "Committed offsets that were out of range.", s->offset_resets},
        {"lepton_offset_gap_records_total", "Records that were gone when an offset was out of range.",
         s->offset_gap_records},
        {"lepton_commits_total", "Offset commits.", s->commits},
        {"lepton_commit_failures_total", "Offset commits that failed; those of partitions still owned are retried.",
         s->commit_failures},
        {"lepton_revoke_commits_failed_total",
         "Last commits before partitions were given up that failed; duplicates may follow.", s->revoke_commits_failed},
        {"lepton_committed_records_total", "exactly_once: records whose transaction is committed.",
         s->committed_records},
        {"lepton_transactions_committed_total", "exactly_once: transactions committed.", s->transactions_committed},
        {"lepton_transactions_aborted_total", "exactly_once: transactions aborted; their records came again.",
         s->transactions_aborted},
        {"lepton_transactions_fenced_total",
         "exactly_once: producers made anew, after a time-out or because another process uses their name.",
         s->transactions_fenced},
        {"lepton_consumer_alarms_total", "Errors of the consumer that somebody must act on.", s->alarms},
        {"lepton_backpressure_total", "Loops in which nothing more could be in flight.", s->backpressure_loops},
        {"lepton_drift_late_rows_total", "Rows whose drift window had closed.", s->late_rows},
    };
    for (size_t i = 0; i < sizeof counters / sizeof *counters; i++)
        one(out, counters[i].name, "counter", counters[i].help, (double)counters[i].value);
    one(out, "lepton_in_flight_records", "gauge", "Records taken and not yet acknowledged.", s->in_flight);
    one(out, "lepton_assigned_partitions", "gauge", "Partitions owned.", s->assigned);
    one(out, "lepton_stalled_partitions", "gauge", "Partitions that wait because an output topic cannot be written.",
        s->stalled);
    one(out, "lepton_held_partitions", "gauge", "Partitions paused until their schema comes.", s->held);
    lp_exposition_family(out, "lepton_errors_total", "counter", "Bad records by stage.");
    for (uint32_t i = 0; i < LP_STAGE_COUNT; i++) {
        struct lp_label labels[] = {{"stage", lp_stage_name((enum lp_stage)i)}, {NULL, NULL}};
        lp_exposition_sample(out, "lepton_errors_total", labels, (double)s->errors[i]);
    }
}

static void render_latency(struct lp_buffer *out, const char *name, const char *help, const struct lp_latency *latency)
{
    double bounds[LP_LATENCY_BOUNDS];
    for (uint32_t i = 0; i < LP_LATENCY_BOUNDS; i++) bounds[i] = (double)lp_latency_bounds_ns[i] / 1e9;
    lp_exposition_family(out, name, "histogram", help);
    lp_exposition_histogram(out, name, NULL, bounds, LP_LATENCY_BOUNDS, latency->counts, (double)latency->sum_ns / 1e9);
}

static void render_lags(struct lp_worker *worker, struct lp_buffer *out)
{
    struct lp_lane_lag *lags = calloc(LAGS_MAX, sizeof *lags);
    lp_exposition_family(out, "lepton_lag_records", "gauge", "Records behind the end of each owned partition.");
    for (uint32_t i = 0; lags != NULL && i < worker->shared.lane_count; i++) {
        struct lp_lane_stats stats;
        uint32_t count;
        lp_lane_snapshot(worker->lanes[i], &stats, lags, LAGS_MAX, &count);
        for (uint32_t j = 0; j < count; j++) {
            char partition[16];
            snprintf(partition, sizeof partition, "%d", lags[j].partition);
            struct lp_label labels[] = {{"topic", worker->shared.config->input_topics.items[lags[j].topic_index]},
                                        {"partition", partition},
                                        {NULL, NULL}};
            if (lags[j].lag >= 0) lp_exposition_sample(out, "lepton_lag_records", labels, (double)lags[j].lag);
        }
    }
    free(lags);
}

static void render_feature_counts(struct lp_buffer *out, const struct lp_bundle *bundle, uint32_t feature_count,
                                  const struct lp_clean_counts *sums)
{
    static const char *const names[] = {"missing", "clipped", "unknown", "rejected"};
    lp_exposition_family(out, "lepton_feature_events_total", "counter",
                         "Values that cleaning acted upon, since this model went live.");
    for (uint32_t f = 0; f < feature_count; f++) {
        const uint64_t values[] = {sums[f].missing, sums[f].clipped, sums[f].unknown, sums[f].rejected};
        for (int k = 0; k < 4; k++) {
            struct lp_label labels[] = {{"feature", bundle->features[f].name}, {"event", names[k]}, {NULL, NULL}};
            lp_exposition_sample(out, "lepton_feature_events_total", labels, (double)values[k]);
        }
    }
}

static void render_model(struct lp_worker *worker, struct lp_buffer *out)
{
    uint64_t generation, models, bytes;
    bool degraded;
    char sha256[LP_SHA256_TEXT_BYTES] = "";
    lp_model_totals(&models, &bytes);
    one(out, "lepton_models", "gauge", "Models in memory.", (double)models);
    one(out, "lepton_model_bytes", "gauge", "Heap bytes of the models in memory.", (double)bytes);
    struct lp_model *model = lp_slot_model(&worker->slot, &generation, &degraded);
    if (model == NULL) return;
    for (int i = 0; i < LP_SHA256_BYTES; i++) snprintf(sha256 + 2 * i, 3, "%02x", model->bundle->sha256[i]);
    struct lp_status_record status;
    struct lp_control_event events[LP_CONTROL_EVENTS_MAX];
    (void)lp_worker_control(worker, &status, events);
    one(out, "lepton_model_generation", "gauge", "Generation that is served, by its own model or a predecessor.",
        (double)generation);
    one(out, "lepton_model_degraded", "gauge", "1 when a predecessor serves: the model wanted was refused.",
        degraded || status.state == LP_SLOT_REFUSED);
    struct lp_label labels[] = {{"slot", worker->shared.config->slots.items[0]},
                                {"name", model->bundle->name},
                                {"version", model->bundle->version},
                                {"sha256", sha256},
                                {NULL, NULL}};
    lp_exposition_family(out, "lepton_model_info", "gauge", "The model that serves.");
    lp_exposition_sample(out, "lepton_model_info", labels, 1);
    one(out, "lepton_features_absent", "gauge",
        "Features that were missing in every one of the first 10,000 rows of this model.",
        atomic_load(&worker->absent_features));
    uint32_t features = model->bundle->feature_count < FEATURES_MAX ? model->bundle->feature_count : FEATURES_MAX;
    struct lp_clean_counts *sums = calloc(2 * (size_t)features + 1, sizeof *sums);
    if (sums != NULL && features > 0) {
        (void)lp_worker_sum_features(worker, generation, features, sums, sums + features);
        render_feature_counts(out, model->bundle, features, sums);
    }
    free(sums);
    lp_model_unref(model);
}

static void render_drift(struct lp_worker *worker, struct lp_buffer *out)
{
    struct lp_drift_latest *latest = calloc(LATEST_MAX, sizeof *latest);
    uint32_t count = latest != NULL ? lp_worker_drift(worker, latest, LATEST_MAX) : 0;
    lp_exposition_family(out, "lepton_drift", "gauge", "Statistics of the last closed window by feature.");
    for (uint32_t i = 0; i < count; i++) {
        const struct {
            const char *name;
            double value;
        } values[] = {{"psi", latest[i].psi},
                      {"ks", latest[i].ks},
                      {"js", latest[i].js},
                      {"missing_rate", latest[i].missing_rate},
                      {"clipped_rate", latest[i].clipped_rate},
                      {"unknown_rate", latest[i].unknown_rate}};
        for (size_t k = 0; k < sizeof values / sizeof *values; k++) {
            struct lp_label labels[] = {{"feature", latest[i].feature}, {"statistic", values[k].name}, {NULL, NULL}};
            if (!isnan(values[k].value)) lp_exposition_sample(out, "lepton_drift", labels, values[k].value);
        }
    }
    lp_exposition_family(out, "lepton_drift_severity", "gauge", "0 ok, 1 warn, 2 alert, by feature.");
    for (uint32_t i = 0; i < count; i++) {
        struct lp_label labels[] = {{"feature", latest[i].feature}, {NULL, NULL}};
        lp_exposition_sample(out, "lepton_drift_severity", labels, (double)latest[i].severity);
    }
    free(latest);
}

void lp_worker_render_metrics(void *context, struct lp_buffer *out)
{
    struct lp_worker *worker = context;
    const char *reason;
    struct lp_label build[] = {{"version", lp_version()},
                               {"commit", lp_version_commit()},
                               {"librdkafka", lp_kafka_version_text()},
                               {NULL, NULL}};
    lp_exposition_family(out, "lepton_build_info", "gauge", "This build.");
    lp_exposition_sample(out, "lepton_build_info", build, 1);
    one(out, "lepton_ready", "gauge", "1 when ready.", lp_worker_ready(worker, &reason));
    one(out, "lepton_start_time_seconds", "gauge", "When the process started.", (double)worker->start_wall_ms / 1e3);
    if (!atomic_load(&worker->running)) return;
    struct lp_lane_stats stats;
    int64_t lag;
    lp_worker_totals(worker, &stats, &lag);
    render_counters(out, &stats);
    render_latency(out, "lepton_batch_fill_seconds",
                   "One batch: its first row to its close: decoding, cleaning, waiting.", &stats.fill);
    render_latency(out, "lepton_score_seconds", "One batch: cleaned rows to scores, drift counted.", &stats.score);
    render_latency(out, "lepton_publish_seconds", "One batch: scores to the producer's queue.", &stats.publish);
    render_latency(out, "lepton_transaction_commit_seconds", "exactly_once: a transaction's last record to its commit.",
                   &stats.commit);
    render_latency(out, "lepton_swap_seconds", "A lane's pause for a model change.", &stats.swap);
    render_latency(out, "lepton_event_to_prediction_seconds", "A record's event time to its prediction.",
                   &stats.event_to_prediction);
    render_latency(out, "lepton_record_to_prediction_seconds", "A record's Kafka timestamp to its prediction.",
                   &stats.record_to_prediction);
    if (worker->shared.registry != NULL) {
        struct lp_registry_counts counts;
        lp_registry_counts(worker->shared.registry, &counts);
        one(out, "lepton_registry_requests_total", "counter", "Requests to the schema registry.",
            (double)counts.requests);
        one(out, "lepton_registry_failures_total", "counter", "Requests that failed and are retried.",
            (double)counts.failures);
    }
    render_lags(worker, out);
    render_model(worker, out);
    render_drift(worker, out);
}

/* --- /status --- */

static void json_text(struct lp_buffer *out, const char *name, const char *text)
{
    lp_buffer_format(out, "\"%s\":", name);
    if (text == NULL || text[0] == '\0') lp_buffer_text(out, "null");
    else lp_buffer_json_string(out, lp_span_text(text));
}

static void json_number(struct lp_buffer *out, double value)
{
    if (isfinite(value)) lp_buffer_double(out, value);
    else lp_buffer_text(out, "null");
}

static void status_model(struct lp_worker *worker, struct lp_buffer *out)
{
    struct lp_status_record status;
    struct lp_control_event events[LP_CONTROL_EVENTS_MAX];
    uint32_t count = lp_worker_control(worker, &status, events);
    lp_buffer_format(out, ",\"model\":{\"state\":\"%s\",\"generation\":%" PRIu64 ",\"serving_generation\":%" PRIu64 ",",
                     lp_slot_state_name(status.state), status.generation, status.serving_generation);
    json_text(out, "version", status.version);
    lp_buffer_text(out, ",");
    json_text(out, "sha256", status.sha256);
    lp_buffer_text(out, ",");
    json_text(out, "reason", status.reason);
    lp_buffer_text(out, ",\"events\":[");
    for (uint32_t i = 0; i < count; i++) {
        lp_buffer_format(out, "%s{\"time_ms\":%" PRId64 ",\"generation\":%" PRIu64 ",\"state\":\"%s\",",
                         i > 0 ? "," : "", events[i].time_ms, events[i].generation,
                         lp_slot_state_name(events[i].state));
        json_text(out, "version", events[i].version);
        lp_buffer_text(out, ",");
        json_text(out, "reason", events[i].reason);
        lp_buffer_text(out, "}");
    }
    lp_buffer_text(out, "]}");
}

static void status_lanes(struct lp_worker *worker, struct lp_buffer *out)
{
    struct lp_lane_stats sum;
    int64_t lag;
    lp_worker_totals(worker, &sum, &lag);
    lp_buffer_format(out,
                     ",\"records\":%" PRIu64 ",\"predictions\":%" PRIu64 ",\"dead_letters\":%" PRIu64
                     ",\"lag\":%" PRId64 ",\"in_flight\":%u,\"lanes\":[",
                     sum.records, sum.predictions, sum.dead_letters, lag, sum.in_flight);
    for (uint32_t i = 0; i < worker->shared.lane_count; i++) {
        struct lp_lane_stats stats;
        uint32_t lags;
        lp_lane_snapshot(worker->lanes[i], &stats, NULL, 0, &lags);
        lp_buffer_format(out,
                         "%s{\"lane\":%u,\"joined\":%s,\"partitions\":%u,\"held\":%u,\"records\":%" PRIu64
                         ",\"in_flight\":%u,\"generation\":%" PRIu64 "}",
                         i > 0 ? "," : "", i, stats.joined ? "true" : "false", stats.assigned, stats.held,
                         stats.records, stats.in_flight, stats.generation);
    }
    lp_buffer_text(out, "]");
}

static void status_drift(struct lp_worker *worker, struct lp_buffer *out)
{
    static const char *const severities[] = {"ok", "warn", "alert"};
    struct lp_drift_latest *latest = calloc(LATEST_MAX, sizeof *latest);
    uint32_t count = latest != NULL ? lp_worker_drift(worker, latest, LATEST_MAX) : 0;
    lp_buffer_text(out, ",\"drift\":[");
    for (uint32_t i = 0; i < count; i++) {
        lp_buffer_text(out, i > 0 ? ",{" : "{");
        json_text(out, "feature", latest[i].feature);
        lp_buffer_format(out, ",\"severity\":\"%s\",\"window_end_ms\":%" PRId64 ",\"rows\":%" PRIu64 ",\"psi\":",
                         severities[latest[i].severity], latest[i].window_end_ms, latest[i].rows);
        json_number(out, latest[i].psi);
        lp_buffer_text(out, ",\"ks\":");
        json_number(out, latest[i].ks);
        lp_buffer_text(out, ",\"js\":");
        json_number(out, latest[i].js);
        lp_buffer_text(out, "}");
    }
    lp_buffer_text(out, "]");
    free(latest);
}

void lp_worker_render_status(void *context, struct lp_buffer *out)
{
    struct lp_worker *worker = context;
    const char *reason = "";
    bool ready = lp_worker_ready(worker, &reason);
    lp_buffer_text(out, "{");
    json_text(out, "version", lp_version());
    lp_buffer_text(out, ",");
    json_text(out, "replica", worker->shared.replica);
    lp_buffer_format(out, ",\"ready\":%s,", ready ? "true" : "false");
    json_text(out, "waiting_for", ready ? "" : reason);
    lp_buffer_format(out, ",\"uptime_s\":%.1f", (double)(lp_clock_ns() - worker->start_ns) / 1e9);
    if (atomic_load(&worker->running)) {
        status_model(worker, out);
        status_lanes(worker, out);
        status_drift(worker, out);
    }
    lp_buffer_text(out, "}\n");
}
