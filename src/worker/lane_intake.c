/* A record comes in: ledger entry, decode, clean, a row of the open batch; or a dead letter. */
#include "worker/lane_private.h"

#include "core/actions.h"
#include "core/clock.h"
#include "core/log.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { RECORD_QUOTED_BYTES = 256 };

void lp_lane_fail(struct lp_lane *lane, const struct lp_error *error)
{
    if (lane->failed) return;
    lane->failed = true;
    lane->failure = *error;
    atomic_store(&lane->failing, true);
}

static void add_header(void *context, const char *name, struct lp_span value)
{
    (void)lp_headers_add(context, name, value);
}

/* Only when asked (log.records): a bad record's contents may be anybody's. */
static void log_record(const struct lp_lane *lane, const char *topic, const struct lp_source_record *record,
                       enum lp_stage stage, const struct lp_error *error)
{
    char quoted[RECORD_QUOTED_BYTES * 2 + 1];
    size_t bytes = record->value.size < RECORD_QUOTED_BYTES ? record->value.size : RECORD_QUOTED_BYTES;
    bool text = lane->shared->config->input_format == LP_CONFIG_JSON;
    for (size_t i = 0; i < bytes; i++) {
        if (text) quoted[i] = (char)record->value.data[i];
        else snprintf(quoted + 2 * i, 3, "%02x", record->value.data[i]);
    }
    quoted[text ? bytes : 2 * bytes] = '\0';
    LP_LOG(LP_LOG_WARN, "bad_record", lp_kv("topic", topic), lp_kv_int("partition", record->partition),
           lp_kv_int("offset", record->offset), lp_kv("stage", lp_stage_name(stage)), lp_kv("field", error->field),
           lp_kv("reason", error->text), lp_kv("value", quoted));
}

bool lp_lane_reject(struct lp_lane *lane, const struct lp_source_record *record, struct lp_headers *headers,
                    lp_ledger_ticket entry, enum lp_stage stage, const struct lp_error *error)
{
    const struct lp_config *config = lane->shared->config;
    const char *topic = config->input_topics.items[record->topic_index];
    lane->stats.errors[stage]++;
    if (error->action == LP_FATAL) { /* nobody's bytes are to blame: nothing is stepped over */
        struct lp_error failure = *error;
        (void)lp_error_wrap(&failure, "%s [%d] offset %lld: %s", topic, record->partition, (long long)record->offset,
                            lp_stage_name(stage));
        lp_lane_fail(lane, &failure);
        lp_headers_free(headers);
        return false;
    }
    if (lane->shared->config->log_records && record->value.data != NULL) log_record(lane, topic, record, stage, error);
    if (lane->dead_letter == NULL) {
        struct lp_error failure = *error;
        (void)lp_error_wrap(&failure, "%s [%d] offset %lld: no dead_letter.topic is set", topic, record->partition,
                            (long long)record->offset);
        lp_lane_fail(lane, &failure);
        lp_headers_free(headers);
        return false;
    }
    if (headers == NULL) headers = lp_headers_new(16);
    struct lp_dead_letter letter = {.topic = topic,
                                    .partition = record->partition,
                                    .offset = record->offset,
                                    .stage = stage,
                                    .error = error,
                                    .connector = config->group_id,
                                    .lane = lane->index};
    if (headers != NULL) lp_dead_letter_headers(&letter, add_header, headers);
    struct lp_sink_message message = {
        .topic = lane->dead_letter,
        .partition = record->partition % (int32_t)lane->shared->dead_letter_partitions,
        .key = record->key,
        .value = record->value,
        .timestamp_ms = lp_lane_output_time(lane, record->timestamp_ms),
        .headers = headers,
        .ticket = entry,
    };
    struct lp_error err;
    enum lp_code rc = lp_lane_send(lane, &message, &err);
    while (rc != LP_OK && err.action == LP_SKIP_RECORD && lp_lane_shrink_letter(&message))
        rc = lp_lane_send(lane, &message, &err);
    if (rc != LP_OK) {
        (void)lp_error_wrap(&err, "dead letter of %s [%d] offset %lld", topic, record->partition,
                            (long long)record->offset);
        lp_lane_fail(lane, &err);
        lp_headers_free(message.headers);
        return false;
    }
    lane->stats.dead_letters++;
    return true;
}

/* A null value: a tombstone of a compacted topic. */
static void take_tombstone(struct lp_lane *lane, const struct lp_source_record *record, struct lp_headers *headers,
                           lp_ledger_ticket entry)
{
    struct lp_error err;
    lane->stats.tombstones++;
    switch (lane->shared->config->input_tombstone) {
    case LP_CONFIG_TOMBSTONE_SKIP:
        lp_headers_free(headers);
        if (!lane->txn.on) (void)lp_ledger_done(lane->ledger, entry);
        return;
    case LP_CONFIG_TOMBSTONE_DEAD_LETTER:
        (void)lp_fail(&err, LP_E_INVALID, LP_SKIP_RECORD, "null value: input.tombstone=dead_letter");
        lp_lane_reject(lane, record, headers, entry, LP_STAGE_DECODE, &err);
        return;
    default: break;
    }
    lp_lane_flush_batch(lane); /* order within the partition */
    struct lp_sink_message message = {
        .topic = lane->output,
        .partition = lane->shared->keep_partition ? record->partition : LP_SINK_PARTITION_BY_KEY,
        .key = record->key,
        .timestamp_ms = lp_lane_output_time(lane, record->timestamp_ms),
        .headers = lp_lane_output_headers(lane, headers, record->partition, record->offset),
        .ticket = entry,
    };
    if (lp_lane_send(lane, &message, &err) == LP_OK) return;
    lp_headers_free(message.headers);
    lp_lane_fail(lane, &err);
}

/* Decode and clean into the batch's next row. */
static enum lp_code fill_row(struct lp_lane *lane, const struct lp_source_record *record, struct lp_span schema_id,
                             uint32_t *ret_missing_count, enum lp_stage *ret_stage, struct lp_error *err)
{
    struct lp_kit *kit = lane->kit;
    struct lp_batch *batch = &kit->batch;
    *ret_stage = LP_STAGE_DECODE;
    LP_TRY(lp_decoder_run(kit->decoder, record->value, schema_id, &kit->record, err));
    *ret_stage = LP_STAGE_CLEAN;
    return lp_cleaner_run(kit->model->cleaner, kit->record.numbers, kit->record.texts, lp_batch_next_row(batch),
                          batch->observed + batch->row_count, batch->observed_stride, kit->counts, ret_missing_count,
                          err);
}

/* Not taken: the record comes again once the schema is there, or (id 0) the pause or the lack of room is over. */
static enum lp_source_step hold(struct lp_lane *lane, const struct lp_source_record *record, uint64_t schema_id)
{
    struct lp_lane_partition *partition = &lane->partitions[record->slot];
    if (!partition->held) lane->held_count++;
    partition->held = true;
    partition->held_schema_id = schema_id;
    partition->retry_ns = lane->now_ns + LP_LANE_RETRY_NS;
    return LP_SOURCE_HOLD;
}

static int64_t event_time(const struct lp_kit *kit, const struct lp_source_record *record)
{
    double field = kit->has_event_time ? kit->record.numbers[kit->event_time_slot] : NAN;
    /* Beyond these bounds (the year 5138) the field is no time; NaN fails the comparison, too. */
    if (field > -1e14 && field < 1e14) return (int64_t)field;
    return record->timestamp_ms;
}

/* Texts last until the next decode: what predictions carry along is written now. */
static enum lp_code write_copied(struct lp_kit *kit, const struct lp_encoder *encoder, struct lp_error *err)
{
    lp_encoder_run_copied(encoder, kit->record.numbers + kit->copied_numbers, kit->record.texts + kit->copied_texts,
                          &kit->copied);
    if (!kit->copied.failed) return LP_OK;
    return lp_fail_field(err, LP_E_LIMIT, lp_action_of_stage("publish", LP_E_LIMIT), "output.copy",
                         "the fields of output.copy do not fit output.record.max_bytes");
}

/* Nothing stays in the buffer of a record that joined no batch: only a batch that goes out empties it. */
static void unwrite_copied(struct lp_kit *kit, size_t size_before)
{
    kit->copied.failed = false;
    kit->copied.size = size_before;
}

/* The row is in place: keep what publishing needs, `output_ms` as the output's time. Fails only for a record that no
 * empty batch could hold, or whose copied fields no prediction could. */
static enum lp_code keep(struct lp_lane *lane, const struct lp_source_record *record, struct lp_headers *headers,
                         lp_ledger_ticket entry, uint32_t missing_count, int64_t output_ms, enum lp_stage *ret_stage,
                         struct lp_error *err)
{
    struct lp_kit *kit = lane->kit;
    struct lp_batch_record *kept;
    size_t copied_first = kit->copied.size;
    enum lp_code rc = kit->copies ? write_copied(kit, lane->shared->encoder, err) : LP_OK;
    if (rc != LP_OK) *ret_stage = LP_STAGE_PUBLISH;
    else rc = lp_batch_append(&kit->batch, record->key, record->value, lane->now_ns, lane->wait_ns, &kept, err);
    if (rc != LP_OK) {
        unwrite_copied(kit, copied_first);
        return rc;
    }
    int64_t event_time_ms = event_time(kit, record);
    kept->ticket = entry;
    kept->topic_index = (int32_t)record->topic_index;
    kept->partition = record->partition;
    kept->offset = record->offset;
    kept->timestamp_ms = output_ms;
    kept->event_time_ms = event_time_ms;
    kept->headers = headers;
    kept->missing_count = missing_count;
    kept->copied_first = (uint32_t)copied_first;
    kept->copied_bytes = (uint32_t)(kit->copied.size - copied_first);
    kit->event_time[kit->batch.row_count - 1] = event_time_ms;
    struct lp_lane_partition *partition = &lane->partitions[record->slot];
    if (event_time_ms > partition->event_time_ms) partition->event_time_ms = event_time_ms;
    partition->last_record_ns = lane->now_ns;
    return LP_OK;
}

/* What the record's headers say of its schema: they name that of a bare body, whatever byte it begins with. */
static struct lp_span schema_header(const struct lp_lane *lane, const struct lp_headers *headers)
{
    bool framed = lane->shared->config->input_format != LP_CONFIG_CONFLUENT;
    return headers == NULL || framed ? (struct lp_span){0} : lp_headers_last(headers, "__value_schema_id");
}

/* exactly_once: the record again, to become something else than what was refused: an output with the time of now and
 * the old one in a header (which the sink does otherwise; within a transaction it must be known before), or a dead
 * letter, the second one without its value. */
static const struct lp_source_record *other_output(const struct lp_source_record *record, struct lp_headers **headers,
                                                   const struct lp_lane_refusal *refusal,
                                                   struct lp_source_record *other)
{
    char text[24];
    *other = *record;
    if (refusal->times > 1) other->value = (struct lp_span){0};
    if (!refusal->retimed) return other;
    if (*headers == NULL) *headers = lp_headers_new(1);
    snprintf(text, sizeof text, "%lld", (long long)record->timestamp_ms);
    if (*headers != NULL) (void)lp_headers_add(*headers, "lepton.timestamp", lp_span_text(text));
    other->timestamp_ms = -1;
    return other;
}

/* Out of the ordinary before the record is looked into: true, and *ret_step says what became of it. */
static bool set_aside(struct lp_lane *lane, const struct lp_source_record *record, enum lp_source_step *ret_step)
{
    *ret_step = LP_SOURCE_NEXT;
    bool again = lane->replay_count > 0 || lane->began_full;
    if (!lane->txn.reset && again && lp_lane_replayed(lane, record)) return true;
    /* After a reset all partitions go back. */
    bool wait = lane->txn.reset || (again && lp_lane_full(lane)) ||
                (lane->stalled_count > 0 && lane->partitions[record->slot].stalled);
    if (wait) *ret_step = hold(lane, record, 0);
    return wait;
}

enum lp_source_step lp_lane_on_record(void *context, const struct lp_source_record *record)
{
    struct lp_lane *lane = context;
    struct lp_batch *batch = &lane->kit->batch;
    struct lp_error err;
    enum lp_stage stage = LP_STAGE_DECODE;
    uint32_t missing_count = 0;
    enum lp_code rc = LP_OK;
    enum lp_source_step step;
    bool unusual = lane->txn.reset | lane->began_full | ((lane->replay_count | lane->stalled_count) != 0);
    if (__builtin_expect(unusual, 0) && set_aside(lane, record, &step)) return step;
    /* Paused since the loop looked: a replica that says so on the status topic takes nothing after it. */
    if (atomic_load_explicit(&lane->slot->paused, memory_order_relaxed)) return hold(lane, record, 0);
    /* A record needs a row, arena for its bytes and a ledger entry; the loop left room for at least one of each. */
    if (batch->row_count == batch->rows_max || lane->kit->copied.size > LP_COPIED_BATCH_BYTES ||
        lp_arena_left(&batch->arena) < record->key.size + record->value.size + 16) {
        lane->now_ns = lp_clock_ns();
        lp_lane_flush_batch(lane);
    }
    struct lp_headers *headers = lp_headers_take(record->message);
    if (record->value.data != NULL) {
        rc = fill_row(lane, record, schema_header(lane, headers), &missing_count, &stage, &err);
        if (rc != LP_OK) err.action = lp_action_of_stage(lp_stage_name(stage), rc);
        if (rc != LP_OK && err.action == LP_RETRY) {
            lp_headers_free(headers); /* they come again with the record */
            return hold(lane, record, lp_decoder_schema_id(lane->kit->decoder));
        }
    }
    lane->stats.records++;
    lane->stats.record_bytes += record->value.size;
    lp_ledger_ticket entry = lane->txn.on ? lp_lane_txn_ticket(record->slot, record->offset)
                                          : lp_ledger_add(lane->ledger, record->slot, record->offset, 1);
    const struct lp_lane_refusal *refusal = lane->txn.refusal_count > 0 ? lp_lane_txn_refusal(lane, entry) : NULL;
    const struct lp_source_record *given = record;
    struct lp_source_record other;
    if (__builtin_expect(refusal != NULL, 0)) record = other_output(record, &headers, refusal, &other);
    if (__builtin_expect(refusal != NULL && refusal->times > 0, 0)) {
        lp_lane_reject(lane, record, headers, entry, LP_STAGE_PUBLISH, &refusal->error);
    } else if (record->value.data == NULL) {
        take_tombstone(lane, record, headers, entry);
    } else {
        if (rc == LP_OK) rc = keep(lane, given, headers, entry, missing_count, record->timestamp_ms, &stage, &err);
        if (rc != LP_OK) lp_lane_reject(lane, record, headers, entry, stage, &err);
    }
    if (lane->txn.on) lp_lane_txn_note(lane, record);
    /* A record that only joined the batch put nothing into the producer's queue. */
    bool joined = rc == LP_OK && refusal == NULL && record->value.data != NULL && batch->row_count > 1;
    bool full = joined ? lp_ledger_free_entries(lane->ledger) == 0 : lp_lane_full(lane);
    return full || lane->failed || (lane->txn.limit > 0 && lp_lane_txn_at_limit(lane)) ||
                   atomic_load_explicit(&lane->stop, memory_order_relaxed)
               ? LP_SOURCE_STOP
               : LP_SOURCE_NEXT;
}
