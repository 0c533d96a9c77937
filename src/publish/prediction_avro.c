/* Avro: one reservation of what the record can take at most, then straight writes. */
#include "core/checked.h"
#include "publish/avro_write.h"
#include "publish/prediction_fields.h"

/* What the fields take whose length depends on the data, without their lengths' own bytes. */
static bool variable_bytes(const struct lp_prediction *prediction, size_t score_count, size_t *ret_bytes)
{
    size_t bytes = prediction->copied.size, scores;
    if (!lp_checked_mul(score_count, sizeof(float), &scores)) return false;
    for (uint32_t i = 0; prediction->items != NULL && i < prediction->item_count; i++)
        if (!lp_checked_add(bytes, prediction->items[i].id.size + 1 + LP_AVRO_LONG_MAX_BYTES + sizeof(float), &bytes))
            return false;
    return lp_checked_add(bytes, scores, ret_bytes);
}

static unsigned char *write_text(unsigned char *at, struct lp_span text)
{
    at = lp_avro_branch(at, text.data != NULL);
    return text.data != NULL ? lp_avro_bytes(at, text) : at;
}

static unsigned char *write_scores(unsigned char *at, const float *scores, size_t count)
{
    at = lp_avro_branch(at, scores != NULL);
    if (scores == NULL) return at;
    if (count > 0) {
        at = lp_avro_long(at, (int64_t)count);
        for (size_t i = 0; i < count; i++) at = lp_avro_float(at, scores[i]);
    }
    *at = 0; /* end of blocks */
    return at + 1;
}

static unsigned char *write_items(unsigned char *at, const struct lp_prediction *prediction)
{
    at = lp_avro_branch(at, prediction->items != NULL);
    if (prediction->items == NULL) return at;
    if (prediction->item_count > 0) at = lp_avro_long(at, prediction->item_count);
    for (uint32_t i = 0; i < prediction->item_count; i++) {
        at = write_text(at, prediction->items[i].id);
        at = lp_avro_float(at, prediction->items[i].score);
    }
    *at = 0;
    return at + 1;
}

static unsigned char *write_unless_minus_1(unsigned char *at, int64_t value)
{
    at = lp_avro_branch(at, value != -1);
    return value != -1 ? lp_avro_long(at, value) : at;
}

static unsigned char *write_bool(unsigned char *at, bool value)
{
    at = lp_avro_branch(at, true);
    *at = value;
    return at + 1;
}

static unsigned char *write_copied(unsigned char *at, struct lp_span copied)
{
    at = lp_avro_branch(at, copied.data != NULL);
    if (copied.size > 0) memcpy(at, copied.data, copied.size);
    return at + copied.size;
}

static unsigned char *write_field(unsigned char *at, enum lp_prediction_field field,
                                  const struct lp_prediction *prediction, struct lp_span label, size_t score_count)
{
    switch (field) {
    case LP_FIELD_SLOT: return write_text(at, lp_span_text(prediction->slot));
    case LP_FIELD_VERSION: return write_text(at, lp_span_text(prediction->version));
    case LP_FIELD_MODEL_SHA256: return lp_avro_hash(lp_avro_branch(at, true), prediction->model_sha256_prefix);
    case LP_FIELD_ROWS: return lp_avro_long(lp_avro_branch(at, true), (int32_t)prediction->row_count);
    case LP_FIELD_SCORES: return write_scores(at, prediction->scores, score_count);
    case LP_FIELD_LABEL: return write_text(at, label);
    case LP_FIELD_ITEMS: return write_items(at, prediction);
    case LP_FIELD_EVENT_TIME: return write_unless_minus_1(at, prediction->event_time_ms);
    case LP_FIELD_SCORED_TIME: return write_unless_minus_1(at, prediction->scored_time_ms);
    case LP_FIELD_PARTITION: return write_unless_minus_1(at, prediction->partition);
    case LP_FIELD_OFFSET: return write_unless_minus_1(at, prediction->offset);
    case LP_FIELD_DEGRADED: return write_bool(at, prediction->degraded);
    case LP_FIELD_SHADOW: return write_bool(at, prediction->shadow);
    case LP_FIELD_CANARY: return write_bool(at, prediction->canary);
    case LP_FIELD_MISSING_COUNT: return lp_avro_long(lp_avro_branch(at, true), (int32_t)prediction->missing_count);
    case LP_FIELD_COPIED: return write_copied(at, prediction->copied);
    case LP_FIELDS_MAX: break;
    }
    return at;
}

/* Branch, length, end of blocks: no field takes more besides its data. */
enum { FIELD_BYTES = 1 + LP_AVRO_LONG_MAX_BYTES + 1 };

/* Strings that the encoder writes; the label's text may lie in `digits`. */
static size_t text_bytes(const struct lp_encoder *encoder, const struct lp_prediction *prediction,
                         char digits[static 16], struct lp_span *ret_label)
{
    *ret_label = (struct lp_span){0};
    if (lp_encoder_has(encoder, LP_FIELD_LABEL)) *ret_label = lp_prediction_label(prediction, digits);
    size_t bytes = ret_label->size;
    if (lp_encoder_has(encoder, LP_FIELD_SLOT)) bytes += lp_span_text(prediction->slot).size;
    if (lp_encoder_has(encoder, LP_FIELD_VERSION)) bytes += lp_span_text(prediction->version).size;
    return bytes;
}

void lp_prediction_write_head(const struct lp_encoder *encoder, struct lp_span framing, uint32_t field_count,
                              const struct lp_prediction *prediction, struct lp_buffer *out)
{
    char digits[16];
    struct lp_span label;
    size_t texts = text_bytes(encoder, prediction, digits, &label);
    unsigned char *start = lp_buffer_reserve(out, framing.size + field_count * (size_t)FIELD_BYTES + texts);
    if (start == NULL) return;
    unsigned char *at = start;
    if (framing.size > 0) memcpy(at, framing.data, framing.size);
    at += framing.size;
    for (uint32_t i = 0; i < field_count; i++) at = write_field(at, encoder->fields[i], prediction, label, 0);
    out->size += (size_t)(at - start);
}

/* The head and scores alone: what the lean set is. */
static void write_scores_behind(const struct lp_prediction_head *head, const struct lp_prediction *prediction,
                                size_t score_count, struct lp_buffer *out)
{
    unsigned char *start = lp_buffer_reserve(out, head->bytes.size + FIELD_BYTES + score_count * sizeof(float));
    if (start == NULL) return;
    if (head->bytes.size > 0) memcpy(start, head->bytes.data, head->bytes.size);
    unsigned char *end = write_scores(start + head->bytes.size, prediction->scores, score_count);
    out->size += (size_t)(end - start);
}

void lp_prediction_write_avro(const struct lp_encoder *encoder, const struct lp_prediction_head *head,
                              const struct lp_prediction *prediction, struct lp_buffer *out)
{
    char digits[16];
    struct lp_span label;
    size_t score_count = (size_t)prediction->row_count * prediction->output_count, bytes;
    uint32_t left = encoder->field_count - head->field_count;
    if (left == 1 && head->field_count > 0 && encoder->fields[head->field_count] == LP_FIELD_SCORES &&
        score_count < out->max / sizeof(float)) {
        write_scores_behind(head, prediction, score_count, out);
        return;
    }
    size_t texts = text_bytes(encoder, prediction, digits, &label);
    if (!variable_bytes(prediction, score_count, &bytes) || bytes > out->max) {
        out->failed = true;
        return;
    }
    unsigned char *start = lp_buffer_reserve(out, head->bytes.size + left * (size_t)FIELD_BYTES + texts + bytes);
    if (start == NULL) return;
    unsigned char *at = start;
    if (head->bytes.size > 0) memcpy(at, head->bytes.data, head->bytes.size);
    at += head->bytes.size;
    for (uint32_t i = head->field_count; i < encoder->field_count; i++)
        at = write_field(at, encoder->fields[i], prediction, label, score_count);
    out->size += (size_t)(at - start);
}
