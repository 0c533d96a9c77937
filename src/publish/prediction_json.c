/* JSON: as prediction.h lays it out. */
#include "publish/json_write.h"
#include "publish/prediction_fields.h"

static void write_scores(struct lp_buffer *out, const struct lp_prediction *prediction)
{
    if (prediction->scores == NULL) lp_buffer_append(out, "null", 4);
    else lp_json_floats(out, prediction->scores, (size_t)prediction->row_count * prediction->output_count);
}

static void write_items(struct lp_buffer *out, const struct lp_prediction *prediction)
{
    if (prediction->items == NULL) {
        lp_buffer_append(out, "null", 4);
        return;
    }
    lp_buffer_append(out, "[", 1);
    for (uint32_t i = 0; i < prediction->item_count && !out->failed; i++) {
        lp_buffer_text(out, i > 0 ? ",{\"id\":" : "{\"id\":");
        lp_json_text(out, prediction->items[i].id);
        lp_buffer_text(out, ",\"score\":");
        lp_json_float(out, prediction->items[i].score);
        lp_buffer_append(out, "}", 1);
    }
    lp_buffer_append(out, "]", 1);
}

static void write_unless_minus_1(struct lp_buffer *out, int64_t value)
{
    if (value == -1) lp_buffer_append(out, "null", 4);
    else lp_json_integer(out, value);
}

static void write_bool(struct lp_buffer *out, bool value) { lp_buffer_text(out, value ? "true" : "false"); }

static void write_field(struct lp_buffer *out, enum lp_prediction_field field, const struct lp_prediction *prediction)
{
    char digits[16];
    switch (field) {
    case LP_FIELD_SLOT: lp_json_text(out, lp_span_text(prediction->slot)); break;
    case LP_FIELD_VERSION: lp_json_text(out, lp_span_text(prediction->version)); break;
    case LP_FIELD_MODEL_SHA256: lp_json_hash(out, prediction->model_sha256_prefix); break;
    case LP_FIELD_ROWS: lp_json_integer(out, prediction->row_count); break;
    case LP_FIELD_SCORES: write_scores(out, prediction); break;
    case LP_FIELD_LABEL: lp_json_text(out, lp_prediction_label(prediction, digits)); break;
    case LP_FIELD_ITEMS: write_items(out, prediction); break;
    case LP_FIELD_EVENT_TIME: write_unless_minus_1(out, prediction->event_time_ms); break;
    case LP_FIELD_SCORED_TIME: write_unless_minus_1(out, prediction->scored_time_ms); break;
    case LP_FIELD_PARTITION: write_unless_minus_1(out, prediction->partition); break;
    case LP_FIELD_OFFSET: write_unless_minus_1(out, prediction->offset); break;
    case LP_FIELD_DEGRADED: write_bool(out, prediction->degraded); break;
    case LP_FIELD_SHADOW: write_bool(out, prediction->shadow); break;
    case LP_FIELD_CANARY: write_bool(out, prediction->canary); break;
    case LP_FIELD_MISSING_COUNT: lp_json_integer(out, prediction->missing_count); break;
    case LP_FIELD_COPIED:
        if (prediction->copied.data == NULL) lp_buffer_append(out, "null", 4);
        else lp_buffer_append(out, prediction->copied.data, prediction->copied.size);
        break;
    case LP_FIELDS_MAX: break;
    }
}

void lp_prediction_write_json(const struct lp_encoder *encoder, const struct lp_prediction *prediction,
                              struct lp_buffer *out)
{
    for (uint32_t i = 0; i < encoder->field_count; i++) {
        bool copied = encoder->fields[i] == LP_FIELD_COPIED;
        lp_json_key(out, i == 0, copied ? "copied" : lp_prediction_fields[encoder->fields[i]].name);
        write_field(out, encoder->fields[i], prediction);
    }
    lp_buffer_append(out, "}", 1);
}
