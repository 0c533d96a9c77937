/* Compiling the field list. */
#include "publish/copied.h"
#include "publish/prediction_fields.h"

#include <stdlib.h>

enum { SCHEMA_MAX_BYTES = 64 * 1024 };

static const enum lp_prediction_field lean[] = {LP_FIELD_VERSION, LP_FIELD_MODEL_SHA256, LP_FIELD_SCORES};

static enum lp_code select_field(const char *name, bool *selected, struct lp_error *err)
{
    for (uint32_t i = 0; i < LP_FIELD_COUNT; i++) {
        if (strcmp(name, lp_prediction_fields[i].name) != 0) continue;
        if (selected[i]) return lp_fail_field(err, LP_E_INVALID, LP_FATAL, name, "output field %s: named twice", name);
        selected[i] = true;
        return LP_OK;
    }
    return lp_fail_field(err, LP_E_INVALID, LP_FATAL, name,
                         "output field %s: not a field of a prediction (schemas/prediction.avsc lists them)", name);
}

static enum lp_code build_schema(struct lp_encoder *encoder, struct lp_error *err)
{
    struct lp_buffer *schema = &encoder->schema;
    lp_buffer_done(schema);
    lp_buffer_init(schema, SCHEMA_MAX_BYTES);
    lp_buffer_text(schema, lp_prediction_schema_head);
    for (uint32_t i = 0; i < encoder->field_count; i++) {
        if (i > 0) lp_buffer_text(schema, ", ");
        if (encoder->fields[i] == LP_FIELD_COPIED) lp_copied_schema(encoder->copied, schema);
        else lp_buffer_text(schema, lp_prediction_fields[encoder->fields[i]].schema);
    }
    lp_buffer_text(schema, lp_prediction_schema_tail);
    lp_buffer_append(schema, "", 1);
    if (!schema->failed) return LP_OK;
    return lp_fail_field(err, LP_E_LIMIT, LP_FATAL, "output.copy",
                         "output.copy: the predictions' schema does not fit %d bytes, or memory: copy fewer fields",
                         SCHEMA_MAX_BYTES);
}

enum lp_code lp_encoder_new(enum lp_output_format format, const char *const *fields, uint32_t field_count,
                            struct lp_encoder **ret_encoder, struct lp_error *err)
{
    bool selected[LP_FIELD_COUNT] = {false};
    for (uint32_t i = 0; i < field_count; i++) LP_TRY(select_field(fields[i], selected, err));
    for (uint32_t i = 0; field_count == 0 && i < sizeof lean / sizeof *lean; i++) selected[lean[i]] = true;

    struct lp_encoder *encoder = calloc(1, sizeof *encoder);
    if (encoder == NULL) return lp_fail_memory(err, sizeof *encoder);
    encoder->format = format;
    for (uint32_t i = 0; i < LP_FIELD_COUNT; i++) {
        if (!selected[i]) continue;
        encoder->selected |= 1u << i;
        encoder->fields[encoder->field_count++] = (uint8_t)i;
    }
    enum lp_code rc = build_schema(encoder, err);
    if (rc != LP_OK) {
        lp_encoder_free(encoder);
        return rc;
    }
    *ret_encoder = encoder;
    return LP_OK;
}

void lp_encoder_free(struct lp_encoder *encoder)
{
    if (encoder == NULL) return;
    if (encoder->copied != NULL) lp_copied_done(encoder->copied);
    free(encoder->copied);
    lp_buffer_done(&encoder->schema);
    free(encoder);
}

enum lp_code lp_encoder_copy(struct lp_encoder *encoder, const char *const *texts, uint32_t count, struct lp_error *err)
{
    if (count == 0) return LP_OK;
    encoder->copied = calloc(1, sizeof *encoder->copied);
    if (encoder->copied == NULL) return lp_fail_memory(err, sizeof *encoder->copied);
    for (uint32_t i = 0; i < count; i++) LP_TRY(lp_copied_add(encoder->copied, texts[i], err));
    encoder->selected |= 1u << LP_FIELD_COPIED;
    encoder->fields[encoder->field_count++] = LP_FIELD_COPIED;
    return build_schema(encoder, err);
}

const struct lp_copied_field *lp_encoder_copied(const struct lp_encoder *encoder, uint32_t *ret_count)
{
    *ret_count = encoder->copied != NULL ? encoder->copied->count : 0;
    return encoder->copied != NULL ? encoder->copied->fields : NULL;
}

const char *lp_encoder_schema(const struct lp_encoder *encoder) { return (const char *)encoder->schema.data; }

struct lp_span lp_prediction_label(const struct lp_prediction *prediction, char digits[static 16])
{
    if (prediction->row_count != 1 || prediction->labels == NULL || prediction->labels[0] < 0)
        return (struct lp_span){0};
    int32_t label = prediction->labels[0];
    if (prediction->label_names != NULL) return lp_span_text(prediction->label_names[label]);
    char *at = digits + 16;
    do {
        *--at = (char)('0' + label % 10);
        label /= 10;
    } while (label > 0);
    return lp_span_of(at, (size_t)(digits + 16 - at));
}

bool lp_encoder_has_labels(const struct lp_encoder *encoder) { return lp_encoder_has(encoder, LP_FIELD_LABEL); }

void lp_encoder_head(const struct lp_encoder *encoder, struct lp_span framing, const struct lp_prediction *prediction,
                     struct lp_buffer *out, struct lp_prediction_head *ret_head)
{
    size_t before = out->size;
    uint32_t count = 0;
    if (encoder->format == LP_OUTPUT_AVRO) {
        while (count < encoder->field_count && lp_prediction_is_constant(encoder->fields[count])) count++;
        lp_prediction_write_head(encoder, framing, count, prediction, out);
    }
    *ret_head = (struct lp_prediction_head){.field_count = count};
    if (out->size > before) ret_head->bytes = lp_span_of(out->data + before, out->size - before);
}

void lp_encoder_run_behind(const struct lp_encoder *encoder, const struct lp_prediction_head *head,
                           const struct lp_prediction *prediction, struct lp_buffer *out)
{
    if (encoder->format == LP_OUTPUT_JSON) lp_prediction_write_json(encoder, prediction, out);
    else lp_prediction_write_avro(encoder, head, prediction, out);
}

void lp_encoder_run(const struct lp_encoder *encoder, struct lp_span framing, const struct lp_prediction *prediction,
                    struct lp_buffer *out)
{
    lp_encoder_run_behind(encoder, &(struct lp_prediction_head){.bytes = framing}, prediction, out);
}
