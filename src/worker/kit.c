#include "worker/kit.h"

#include "core/shortest.h"
#include "worker/shared.h"

#include <stdlib.h>
#include <string.h>

/* A record's key and value wait in the batch's arena: room for a batch of ordinary records, and for one of the largest.
 */
static size_t arena_bytes(const struct lp_config *config)
{
    size_t ordinary = (size_t)config->batch_max_rows * 4096, largest = (size_t)config->input_record_max_bytes * 2;
    size_t bound = (size_t)64 << 20;
    if (ordinary > bound) ordinary = bound;
    return ordinary > largest ? ordinary : largest;
}

/* Decoded texts that do not stand in the record as they are: its strings without escapes, for features; the same once
 * more for output.copy, and numbers as texts, which are longer than the numbers are in Avro. */
static size_t scratch_bytes(const struct lp_kit *kit, const struct lp_config *config)
{
    size_t record = (size_t)config->input_record_max_bytes;
    size_t copied_texts = lp_decoder_text_count(kit->decoder) - kit->copied_texts;
    return copied_texts > 0 ? 2 * record + copied_texts * LP_SHORTEST_DOUBLE_BYTES : record;
}

struct lp_want lp_kit_copied_want(const struct lp_copied_field *field)
{
    static const enum lp_want_type types[] = {[LP_COPIED_STRING] = LP_WANT_TEXT,
                                              [LP_COPIED_DOUBLE] = LP_WANT_NUMBER,
                                              [LP_COPIED_TIMESTAMP] = LP_WANT_TIME_MS};
    return (struct lp_want){.path = field->path, .type = types[field->type], .width = 1};
}

static enum lp_code new_decoder(struct lp_kit *kit, const struct lp_shared *shared, struct lp_error *err)
{
    const struct lp_config *config = shared->config;
    const struct lp_model *model = kit->model;
    kit->has_event_time = config->input_event_time != NULL;
    uint32_t copied_count, first_copied = model->want_count + kit->has_event_time;
    const struct lp_copied_field *copied = lp_encoder_copied(shared->encoder, &copied_count);
    uint32_t count = first_copied + copied_count;
    struct lp_want *wants = calloc(count + 1, sizeof *wants);
    if (wants == NULL) return lp_fail_memory(err, count * sizeof *wants);
    memcpy(wants, model->wants, model->want_count * sizeof *wants);
    if (kit->has_event_time)
        wants[model->want_count] =
            (struct lp_want){.path = config->input_event_time, .type = LP_WANT_TIME_MS, .width = 1};
    for (uint32_t i = 0; i < copied_count; i++) wants[first_copied + i] = lp_kit_copied_want(&copied[i]);
    lp_want_assign_slots(wants, first_copied, &kit->copied_numbers, &kit->copied_texts);
    kit->copies = copied_count > 0;
    struct lp_decoder_options options = {
        .format = (enum lp_input_format)config->input_format,
        .schema_id_bytes = (uint32_t)config->input_schema_id_bytes,
        .registry = shared->registry,
        .writers = (const struct lp_avro_schema *const *)shared->writers,
        .writer_count = shared->writer_count,
        .reader = shared->reader,
        .record_max_bytes = (size_t)config->input_record_max_bytes,
        .plans_max = 256,
    };
    enum lp_code rc = lp_decoder_new(&options, wants, count, &kit->decoder, err);
    kit->event_time_slot = wants[model->want_count].slot;
    free(wants);
    return rc;
}

static enum lp_code new_buffers(struct lp_kit *kit, const struct lp_shared *shared, struct lp_error *err)
{
    const struct lp_bundle *bundle = kit->model->bundle;
    size_t rows = (size_t)shared->config->batch_max_rows, features = bundle->feature_count;
    size_t numbers = lp_decoder_number_count(kit->decoder), texts = lp_decoder_text_count(kit->decoder);
    kit->record.scratch_bytes = scratch_bytes(kit, shared->config);
    kit->record.numbers = calloc(numbers + 1, sizeof *kit->record.numbers);
    kit->record.texts = calloc(texts + 1, sizeof *kit->record.texts);
    kit->record.scratch = malloc(kit->record.scratch_bytes);
    kit->scores = calloc(rows * bundle->output_count, sizeof *kit->scores);
    kit->labels = calloc(rows, sizeof *kit->labels);
    kit->event_time = calloc(rows, sizeof *kit->event_time);
    kit->counts = calloc(features + 1, sizeof *kit->counts);
    kit->counted = calloc(features + 1, sizeof *kit->counted);
    kit->clipped = calloc(features + 1, sizeof *kit->clipped);
    kit->unknown = calloc(features + 1, sizeof *kit->unknown);
    if (kit->record.numbers == NULL || kit->record.texts == NULL || kit->record.scratch == NULL ||
        kit->scores == NULL || kit->labels == NULL || kit->event_time == NULL || kit->counts == NULL ||
        kit->counted == NULL || kit->clipped == NULL || kit->unknown == NULL)
        return lp_fail_memory(err, rows * bundle->output_count * sizeof *kit->scores);
    return LP_OK;
}

static enum lp_code begin_predictions(struct lp_kit *kit, const struct lp_shared *shared, struct lp_error *err)
{
    const struct lp_bundle *bundle = kit->model->bundle;
    kit->prediction = (struct lp_prediction){.slot = shared->config->slots.items[0],
                                             .version = bundle->version,
                                             .model_sha256_prefix = kit->sha256_prefix,
                                             .output_count = bundle->output_count,
                                             .label_names = bundle->labels,
                                             .degraded = kit->degraded};
    lp_buffer_init(&kit->copied, LP_COPIED_BATCH_BYTES + (size_t)shared->config->output_record_max_bytes);
    if (kit->copies && lp_buffer_reserve(&kit->copied, LP_COPIED_BATCH_BYTES) == NULL)
        return lp_fail_memory(err, LP_COPIED_BATCH_BYTES);
    lp_buffer_init(&kit->head_bytes, (size_t)shared->config->output_record_max_bytes);
    lp_encoder_head(shared->encoder, lp_span_of(shared->framing, shared->framing_bytes), &kit->prediction,
                    &kit->head_bytes, &kit->head);
    return lp_buffer_check(&kit->head_bytes, "the head of predictions", err);
}

static enum lp_code build(struct lp_kit *kit, const struct lp_shared *shared, struct lp_error *err)
{
    const struct lp_bundle *bundle = kit->model->bundle;
    uint32_t rows = (uint32_t)shared->config->batch_max_rows;
    LP_TRY(new_decoder(kit, shared, err));
    LP_TRY(new_buffers(kit, shared, err));
    LP_TRY(lp_batch_init(&kit->batch, rows, bundle->column_count, bundle->feature_count, arena_bytes(shared->config),
                         err));
    LP_TRY(lp_infer_new(kit->model->plan, rows, &kit->infer, err));
    LP_TRY(begin_predictions(kit, shared, err));
    if (kit->drift_share == NULL) return LP_OK;
    LP_TRY(lp_drift_lane_new(bundle, &shared->drift, &kit->drift_lane, err));
    if (shared->config->delivery != LP_CONFIG_EXACTLY_ONCE) return LP_OK;
    LP_TRY(lp_drift_new(bundle, &shared->drift, 1, &kit->drift_open, err));
    return lp_drift_new(bundle, &shared->drift, 1, &kit->drift_cut, err);
}

enum lp_code lp_kit_new(const struct lp_shared *shared, struct lp_model *model, uint64_t generation, bool degraded,
                        struct lp_drift_share *share, struct lp_kit **ret_kit, struct lp_error *err)
{
    struct lp_kit *kit = calloc(1, sizeof *kit);
    if (kit == NULL) return lp_fail_memory(err, sizeof *kit);
    kit->model = lp_model_ref(model);
    for (int i = 0; i < 8; i++) kit->sha256_prefix = kit->sha256_prefix << 8 | model->bundle->sha256[i];
    kit->generation = generation;
    kit->degraded = degraded;
    kit->drift_share = share;
    enum lp_code rc = build(kit, shared, err);
    if (rc != LP_OK) {
        lp_kit_free(kit);
        return rc;
    }
    *ret_kit = kit;
    return LP_OK;
}

void lp_kit_free(struct lp_kit *kit)
{
    if (kit == NULL) return;
    lp_drift_lane_free(kit->drift_lane);
    lp_drift_free(kit->drift_open);
    lp_drift_free(kit->drift_cut);
    lp_infer_free(kit->infer);
    lp_batch_done(&kit->batch);
    lp_decoder_free(kit->decoder);
    free(kit->record.numbers);
    free(kit->record.texts);
    free(kit->record.scratch);
    lp_buffer_done(&kit->head_bytes);
    lp_buffer_done(&kit->copied);
    free(kit->scores);
    free(kit->labels);
    free(kit->event_time);
    free(kit->counts);
    free(kit->counted);
    free(kit->clipped);
    free(kit->unknown);
    lp_model_unref(kit->model);
    free(kit);
}
