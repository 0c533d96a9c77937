#include "worker/reporter.h"

#include "core/buffer.h"
#include "core/log.h"
#include "kafka/sink.h"
#include "publish/drift_record.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { QUEUE_MAX = 100000, QUEUE_MAX_BYTES = 64 << 20, RECORD_MAX_BYTES = 8 << 20, LATEST_MAX = 4096 };

struct lp_reporter {
    const struct lp_shared *shared;
    struct lp_sink *sink; /* NULL: no drift topic */
    struct lp_sink_topic *topic;
    struct lp_buffer out;
    const struct lp_drift_share *share; /* whose reports are being made */
    pthread_mutex_t mutex;              /* guards the latest values */
    struct lp_drift_latest *latest;     /* [LATEST_MAX] */
    uint32_t latest_count;
};

enum lp_code lp_reporter_new(const struct lp_shared *shared, struct lp_reporter **ret_reporter, struct lp_error *err)
{
    struct lp_reporter *reporter = calloc(1, sizeof *reporter);
    if (reporter == NULL) return lp_fail_memory(err, sizeof *reporter);
    reporter->shared = shared;
    pthread_mutex_init(&reporter->mutex, NULL);
    lp_buffer_init(&reporter->out, RECORD_MAX_BYTES);
    reporter->latest = calloc(LATEST_MAX, sizeof *reporter->latest);
    enum lp_code rc = reporter->latest != NULL ? LP_OK : lp_fail_memory(err, LATEST_MAX * sizeof *reporter->latest);
    if (rc == LP_OK && shared->config->drift_enabled && shared->config->drift_topic != NULL) {
        struct lp_sink_options options = {.conf = &shared->kafka,
                                          .client_id = "lepton-drift",
                                          .queue_max = QUEUE_MAX,
                                          .queue_max_bytes = QUEUE_MAX_BYTES};
        rc = lp_sink_new(&options, &reporter->sink, err);
        if (rc == LP_OK) rc = lp_sink_topic(reporter->sink, shared->config->drift_topic, &reporter->topic, err);
    }
    if (rc != LP_OK) {
        lp_reporter_free(reporter);
        return rc;
    }
    *ret_reporter = reporter;
    return LP_OK;
}

void lp_reporter_free(struct lp_reporter *reporter)
{
    if (reporter == NULL) return;
    lp_sink_free(reporter->sink);
    lp_buffer_done(&reporter->out);
    free(reporter->latest);
    pthread_mutex_destroy(&reporter->mutex);
    free(reporter);
}

const struct lp_drift_latest *lp_drift_latest_find(const struct lp_drift_latest *latest, uint32_t count,
                                                   const char *feature)
{
    for (uint32_t i = 0; i < count; i++)
        if (strcmp(latest[i].feature, feature) == 0) return &latest[i];
    return NULL;
}

static double statistic(const struct lp_drift_report *report, const char *name)
{
    for (uint32_t i = 0; i < report->statistic_count; i++)
        if (strcmp(report->statistics[i].name, name) == 0) return report->statistics[i].value;
    return NAN;
}

static void remember(struct lp_reporter *reporter, const struct lp_drift_report *report)
{
    double rows = report->rows > 0 ? (double)report->rows : NAN;
    struct lp_drift_latest latest = {
        .window_end_ms = report->window_end_ms,
        .rows = report->rows,
        .severity = report->severity,
        .psi = statistic(report, "psi"),
        .ks = statistic(report, "ks"),
        .js = statistic(report, "js"),
        .missing_rate = (double)report->missing / rows,
        .clipped_rate = (double)report->clipped / rows,
        .unknown_rate = (double)report->unknown / rows,
    };
    snprintf(latest.feature, sizeof latest.feature, "%s", report->feature);
    pthread_mutex_lock(&reporter->mutex);
    const struct lp_drift_latest *known =
        lp_drift_latest_find(reporter->latest, reporter->latest_count, latest.feature);
    /* A window of too few rows (the end of a stream) says nothing about drift: the last full one stays. */
    if (known != NULL && isnan(latest.psi) && !isnan(known->psi)) {
        pthread_mutex_unlock(&reporter->mutex);
        return;
    }
    if (known != NULL) reporter->latest[known - reporter->latest] = latest;
    else if (reporter->latest_count < LATEST_MAX) reporter->latest[reporter->latest_count++] = latest;
    pthread_mutex_unlock(&reporter->mutex);
}

static void publish(struct lp_reporter *reporter, const struct lp_drift_report *report)
{
    const struct lp_shared *shared = reporter->shared;
    const struct lp_bundle *bundle = reporter->share->model->bundle;
    struct lp_drift_source source = {
        .slot = shared->config->slots.items[0], .replica = shared->replica, .version = bundle->version};
    for (int i = 0; i < 8; i++) source.model_sha256_prefix = source.model_sha256_prefix << 8 | bundle->sha256[i];
    lp_buffer_clear(&reporter->out);
    lp_drift_record_encode(shared->drift_framing_bytes > 0 ? LP_OUTPUT_AVRO : LP_OUTPUT_JSON,
                           lp_span_of(shared->drift_framing, shared->drift_framing_bytes), &source, report,
                           &reporter->out);
    char key[520];
    snprintf(key, sizeof key, "%s/%s", source.slot, report->feature);
    struct lp_sink_message message = {.topic = reporter->topic,
                                      .partition = LP_SINK_PARTITION_BY_KEY,
                                      .key = lp_span_text(key),
                                      .value = lp_buffer_span(&reporter->out)};
    struct lp_error err;
    if (lp_buffer_check(&reporter->out, "drift record", &err) != LP_OK ||
        lp_sink_send(reporter->sink, &message, &err) != LP_OK)
        LP_LOG(LP_LOG_WARN, "drift_not_sent", lp_kv("feature", report->feature), lp_kv("reason", err.text));
}

static void on_report(void *context, const struct lp_drift_report *report)
{
    struct lp_reporter *reporter = context;
    remember(reporter, report);
    if (report->severity != LP_SEVERITY_OK)
        LP_LOG(LP_LOG_WARN, "drift", lp_kv("feature", report->feature),
               lp_kv("severity", report->severity == LP_SEVERITY_ALERT ? "alert" : "warn"),
               lp_kv_double("psi", statistic(report, "psi")), lp_kv_double("ks", statistic(report, "ks")),
               lp_kv_double("js", statistic(report, "js")), lp_kv_int("rows", (int64_t)report->rows),
               lp_kv("version", reporter->share->model->bundle->version),
               lp_kv_int("window_end_ms", report->window_end_ms));
    if (reporter->sink != NULL) publish(reporter, report);
}

static void on_share(void *context, struct lp_drift_share *share)
{
    struct lp_reporter *reporter = context;
    reporter->share = share;
    (void)lp_drift_report(share->drift, on_report, reporter);
    reporter->share = NULL;
}

void lp_reporter_run(struct lp_reporter *reporter, struct lp_slot *slot)
{
    lp_slot_each_drift(slot, on_share, reporter);
    lp_slot_collect(slot, on_share, reporter);
    if (reporter->sink != NULL) lp_sink_poll(reporter->sink, 0);
}

void lp_reporter_flush(struct lp_reporter *reporter, int timeout_ms)
{
    struct lp_error err;
    if (reporter->sink != NULL && lp_sink_flush(reporter->sink, timeout_ms, &err) != LP_OK)
        LP_LOG(LP_LOG_WARN, "drift_not_sent", lp_kv("reason", err.text));
}

uint32_t lp_reporter_latest(struct lp_reporter *reporter, struct lp_drift_latest *latest, uint32_t max)
{
    pthread_mutex_lock(&reporter->mutex);
    uint32_t count = reporter->latest_count < max ? reporter->latest_count : max;
    if (count > 0) memcpy(latest, reporter->latest, count * sizeof *latest);
    pthread_mutex_unlock(&reporter->mutex);
    return count;
}
