/* The open batch goes out: infer, drift, one prediction a record, in order. */
#include "worker/lane_private.h"

#include "core/actions.h"
#include "core/clock.h"

#include <stdio.h>
#include <string.h>

enum { QUEUE_FULL_WAIT_MS = 10 };

void lp_lane_on_report(void *context, uint64_t ticket, const struct lp_error *error)
{
    struct lp_lane *lane = context;
    if (error != NULL && lane->txn.on) {
        lane->stats.delivery_errors++;
        lp_lane_txn_on_refused(lane, ticket, error);
        return;
    }
    if (error != NULL) {
        /* Not acknowledged, so not done: the offset stays where it is and the record comes again after a restart. */
        lane->stats.delivery_errors++;
        lp_lane_fail(lane, error);
        return;
    }
    lane->stats.acknowledged++;
    if (ticket != 0 && !lp_ledger_done(lane->ledger, ticket)) lane->stats.stale_reports++;
}

bool lp_lane_drain_is_over(struct lp_lane *lane)
{
    if (!atomic_load_explicit(&lane->stop, memory_order_relaxed)) return false;
    uint64_t now_ns = lp_clock_ns();
    /* Half of the time-out for acknowledgements, the rest for the commit and for leaving the group. */
    if (lane->drain_deadline_ns == 0)
        lane->drain_deadline_ns = now_ns + (uint64_t)lane->shared->config->shutdown_timeout_ms * 1000000 / 2;
    return now_ns >= lane->drain_deadline_ns;
}

enum lp_code lp_lane_send(struct lp_lane *lane, const struct lp_sink_message *message, struct lp_error *err)
{
    for (;;) {
        enum lp_code rc = lp_sink_send(lane->sink, message, err);
        if (rc == LP_OK || err->action != LP_RETRY) return rc;
        if (lane->failed) {
            *err = lane->failure;
            return err->code;
        }
        if (lp_lane_drain_is_over(lane))
            return lp_fail(err, LP_E_TIMEOUT, LP_FATAL,
                           "stopped while the producer's queue was full: %u messages not acknowledged",
                           lp_sink_queued(lane->sink));
        /* lp_lane_full keeps what is in flight at half of the queue: only a very large batch comes here. */
        lp_sink_poll(lane->sink, QUEUE_FULL_WAIT_MS);
    }
}

static bool scores_finite(const float *scores, size_t count)
{
    enum { EXPONENT = 0x7f800000 };
    uint32_t special = 0;
    for (size_t i = 0; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, &scores[i], sizeof bits);
        special |= (bits & EXPONENT) == EXPONENT;
    }
    return special == 0;
}

/* Headers that described the old value; set anew where the input had them (DESIGN, "Topics"). */
static void retell_headers(const struct lp_lane *lane, struct lp_headers *headers)
{
    bool json = lane->shared->config->output_format == LP_CONFIG_JSON;
    const char *type = json ? "application/json" : "application/avro";
    (void)lp_headers_remove(headers, "__value_schema_id");
    (void)lp_headers_remove(headers, "ce_dataschema");
    if (lp_headers_remove(headers, "content-type")) (void)lp_headers_add(headers, "content-type", lp_span_text(type));
    if (lp_headers_remove(headers, "ce_datacontenttype"))
        (void)lp_headers_add(headers, "ce_datacontenttype", lp_span_text(type));
    if (lp_headers_remove(headers, "ce_type"))
        (void)lp_headers_add(headers, "ce_type", lp_span_text("lepton.prediction"));
}

static void add_text_header(struct lp_headers *headers, const char *name, const char *format, long long a, long long b)
{
    char text[64];
    snprintf(text, sizeof text, format, a, b);
    (void)lp_headers_add(headers, name, lp_span_text(text));
}

static void copy_trace(void *context, const char *name, struct lp_span value)
{
    if (strcmp(name, "traceparent") == 0 || strcmp(name, "tracestate") == 0) (void)lp_headers_add(context, name, value);
}

struct lp_headers *lp_lane_output_headers(const struct lp_lane *lane, struct lp_headers *headers, int32_t partition,
                                          int64_t offset)
{
    if (headers == NULL) return NULL;
    switch (lane->shared->config->output_headers) {
    case LP_CONFIG_HEADERS_NONE: lp_headers_free(headers); return NULL;
    case LP_CONFIG_HEADERS_TRACE: {
        struct lp_headers *trace = lp_headers_new(2);
        if (trace != NULL) lp_headers_each(headers, copy_trace, trace);
        lp_headers_free(headers);
        return trace;
    }
    default: break;
    }
    retell_headers(lane, headers);
    if (lp_headers_remove(headers, "ce_id")) add_text_header(headers, "ce_id", "%lld-%lld", partition, offset);
    return headers;
}

int64_t lp_lane_output_time(const struct lp_lane *lane, int64_t timestamp_ms)
{
    bool keep = lane->shared->config->output_timestamp == LP_CONFIG_TIMESTAMP_SOURCE && timestamp_ms > 0;
    return keep ? timestamp_ms : 0;
}

bool lp_lane_full(const struct lp_lane *lane)
{
    if (lane->txn.on && lp_sink_queued(lane->sink) >= (uint32_t)lane->shared->config->inflight_max_records) return true;
    return lp_ledger_free_entries(lane->ledger) == 0 ||
           lp_sink_queued_bytes(lane->sink) > lane->shared->producer_queue_bytes / 2;
}

static bool reject_batched(struct lp_lane *lane, struct lp_batch_record *kept, enum lp_stage stage,
                           const struct lp_error *error)
{
    struct lp_source_record record = {.topic_index = (uint32_t)kept->topic_index,
                                      .partition = kept->partition,
                                      .offset = kept->offset,
                                      .timestamp_ms = kept->timestamp_ms,
                                      .key = kept->key,
                                      .value = kept->value};
    struct lp_headers *headers = kept->headers;
    kept->headers = NULL;
    return lp_lane_reject(lane, &record, headers, kept->ticket, stage, error);
}

static void encode(struct lp_lane *lane, const struct lp_batch_record *record)
{
    struct lp_kit *kit = lane->kit;
    struct lp_prediction *prediction = &kit->prediction;
    prediction->row_count = record->row_count;
    prediction->scores = kit->scores + (size_t)record->first_row * prediction->output_count;
    if (prediction->labels != NULL) prediction->labels = kit->labels + record->first_row;
    prediction->event_time_ms = record->event_time_ms;
    prediction->partition = record->partition;
    prediction->offset = record->offset;
    prediction->missing_count = record->missing_count;
    if (kit->copies) prediction->copied = lp_span_of(kit->copied.data + record->copied_first, record->copied_bytes);
    lp_buffer_clear(&lane->out);
    lp_encoder_run_behind(lane->shared->encoder, &kit->head, prediction, &lane->out);
}

static void add_age(struct lp_latency *latency, int64_t age_ms)
{
    lp_latency_add(latency, age_ms > 0 ? (uint64_t)age_ms * 1000000 : 0, 1);
}

/* False: the record has no output, and the lane failed. */
static bool send_prediction(struct lp_lane *lane, struct lp_batch_record *record)
{
    struct lp_error err;
    encode(lane, record);
    if (lp_buffer_check(&lane->out, "prediction", &err) != LP_OK) {
        err.action = lp_action_of_stage("publish", err.code);
        return reject_batched(lane, record, LP_STAGE_PUBLISH, &err);
    }
    struct lp_headers *headers = lp_lane_output_headers(lane, record->headers, record->partition, record->offset);
    record->headers = NULL;
    struct lp_sink_message message = {
        .topic = lane->output,
        .partition = lane->shared->keep_partition ? record->partition : LP_SINK_PARTITION_BY_KEY,
        .key = record->key,
        .value = lp_buffer_span(&lane->out),
        .timestamp_ms = lp_lane_output_time(lane, record->timestamp_ms),
        .headers = headers,
        .ticket = record->ticket,
    };
    if (lp_lane_send(lane, &message, &err) != LP_OK) {
        record->headers = headers;
        if (err.action == LP_SKIP_RECORD) return reject_batched(lane, record, LP_STAGE_PUBLISH, &err);
        lp_lane_fail(lane, &err);
        lp_headers_free(headers);
        return false;
    }
    lane->stats.predictions++;
    lane->stats.prediction_bytes += lane->out.size;
    int64_t now_ms = lane->kit->prediction.scored_time_ms;
    add_age(&lane->stats.event_to_prediction, now_ms - record->event_time_ms);
    if (record->timestamp_ms >= 0) add_age(&lane->stats.record_to_prediction, now_ms - record->timestamp_ms);
    return true;
}

/* What cleaning clipped or did not know in this batch. */
static void count_cleaned(struct lp_kit *kit)
{
    uint32_t features = kit->model->bundle->feature_count;
    for (uint32_t i = 0; i < features; i++) {
        kit->clipped[i] = kit->counts[i].clipped - kit->counted[i].clipped;
        kit->unknown[i] = kit->counts[i].unknown - kit->counted[i].unknown;
        kit->counted[i] = kit->counts[i];
    }
    lp_drift_lane_add_counts(kit->drift_lane, kit->event_time[kit->batch.row_count - 1], kit->clipped, kit->unknown);
}

static void observe_drift(struct lp_lane *lane)
{
    struct lp_kit *kit = lane->kit;
    if (kit->drift_lane == NULL) return;
    lp_drift_lane_observe(kit->drift_lane, kit->batch.observed, kit->batch.observed_stride, kit->scores,
                          kit->event_time, kit->batch.row_count);
    count_cleaned(kit);
}

void lp_lane_drop_batch(struct lp_lane *lane)
{
    struct lp_batch *batch = lane->kit != NULL ? &lane->kit->batch : NULL;
    if (batch == NULL) return;
    for (uint32_t i = 0; i < batch->record_count; i++) lp_headers_free(batch->records[i].headers);
    lp_batch_clear(batch);
    lp_buffer_clear(&lane->kit->copied);
    /* What cleaning counted for these is counted when they come again. */
    memcpy(lane->kit->counted, lane->kit->counts, lane->kit->model->bundle->feature_count * sizeof *lane->kit->counted);
}

/* The labels of the batch's rows, where predictions show them. */
static void find_labels(const struct lp_lane *lane, struct lp_kit *kit)
{
    bool wanted = lp_encoder_has_labels(lane->shared->encoder);
    uint32_t outputs = kit->prediction.output_count;
    kit->prediction.labels = wanted ? kit->labels : NULL;
    for (uint32_t row = 0; wanted && row < kit->batch.row_count; row++)
        kit->labels[row] = lp_model_label(kit->model, kit->scores + (size_t)row * outputs);
}

/* Is a score of the record no number? Says which. */
static bool is_unfit(const struct lp_kit *kit, const struct lp_batch_record *record, struct lp_error *err)
{
    uint32_t outputs = kit->prediction.output_count;
    const float *scores = kit->scores + (size_t)record->first_row * outputs;
    return !scores_finite(scores, (size_t)record->row_count * outputs) &&
           lp_model_check_scores(kit->model, scores, record->row_count, err) != LP_OK;
}

void lp_lane_flush_batch(struct lp_lane *lane)
{
    struct lp_kit *kit = lane->kit;
    struct lp_batch *batch = kit != NULL ? &kit->batch : NULL;
    if (batch == NULL || batch->row_count == 0) return;
    bool failed_before = lane->failed; /* by a record behind these: they go out and count */
    uint64_t begin_ns = lp_clock_ns();
    lp_infer_run(kit->infer, batch->rows, batch->row_count, NULL, kit->scores);
    observe_drift(lane);
    uint64_t scored_ns = lp_clock_ns();
    kit->prediction.scored_time_ms = lp_clock_wall_ms();
    /* The quick look over all decides; the check by output only words the answer. */
    bool all_finite = scores_finite(kit->scores, (size_t)batch->row_count * kit->prediction.output_count);
    find_labels(lane, kit);
    for (uint32_t i = 0; i < batch->record_count; i++) {
        struct lp_batch_record *record = &batch->records[i];
        if (lane->failed && !failed_before) { /* nothing behind the record that could not be sent */
            lp_headers_free(record->headers);
            lane->txn.broken = true;
            continue;
        }
        struct lp_error err;
        if (!all_finite && is_unfit(kit, record, &err)) {
            if (!reject_batched(lane, record, LP_STAGE_INFER, &err)) lane->txn.broken = true;
            continue;
        }
        if (!send_prediction(lane, record)) lane->txn.broken = true;
    }
    lane->now_ns = lp_clock_ns();
    uint64_t first_ns = batch->deadline_ns - lane->wait_ns;
    lp_latency_add(&lane->stats.fill, begin_ns > first_ns ? begin_ns - first_ns : 0, 1);
    lp_latency_add(&lane->stats.score, scored_ns - begin_ns, 1);
    lp_latency_add(&lane->stats.publish, lane->now_ns - scored_ns, 1);
    lane->stats.batches++;
    lane->stats.rows += batch->row_count;
    lp_batch_clear(batch);
    lp_buffer_clear(&kit->copied);
    lp_sink_poll(lane->sink, 0);
}
