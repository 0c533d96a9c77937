/* Private to publish/: the fields of a prediction in the order of schemas/prediction.avsc, each with its piece of the
 * schema. A test compares the whole with the file. */
#ifndef LP_PUBLISH_PREDICTION_FIELDS_H
#define LP_PUBLISH_PREDICTION_FIELDS_H

#include "publish/prediction.h"

enum lp_prediction_field {
    LP_FIELD_SLOT,
    LP_FIELD_VERSION,
    LP_FIELD_MODEL_SHA256,
    LP_FIELD_ROWS,
    LP_FIELD_SCORES,
    LP_FIELD_LABEL,
    LP_FIELD_ITEMS,
    LP_FIELD_EVENT_TIME,
    LP_FIELD_SCORED_TIME,
    LP_FIELD_PARTITION,
    LP_FIELD_OFFSET,
    LP_FIELD_DEGRADED,
    LP_FIELD_SHADOW,
    LP_FIELD_CANARY,
    LP_FIELD_MISSING_COUNT,
    LP_FIELD_COUNT,
    LP_FIELD_COPIED = LP_FIELD_COUNT, /* behind the file's fields; its schema is made from output.copy */
    LP_FIELDS_MAX,
};

struct lp_prediction_field_info {
    const char *name;
    const char *schema; /* its entry in "fields" */
};

extern const struct lp_prediction_field_info lp_prediction_fields[LP_FIELD_COUNT];
/** Text before and after the fields. */
extern const char lp_prediction_schema_head[], lp_prediction_schema_tail[];

struct lp_copied;

/** The compiled encoder: which fields, in order. */
struct lp_encoder {
    enum lp_output_format format;
    uint32_t selected; /* bit f: field f */
    uint32_t field_count;
    uint8_t fields[LP_FIELDS_MAX];
    struct lp_copied *copied; /* NULL: no such field */
    struct lp_buffer schema;  /* zero-terminated */
};

static inline bool lp_encoder_has(const struct lp_encoder *encoder, enum lp_prediction_field field)
{
    return encoder->selected >> field & 1;
}

/** Text of a label for a single row, data NULL when there is none; `digits` backs a number. */
struct lp_span lp_prediction_label(const struct lp_prediction *prediction, char digits[static 16]);

/** Is the field the same in all predictions of one model? */
static inline bool lp_prediction_is_constant(uint32_t field)
{
    return field == LP_FIELD_SLOT || field == LP_FIELD_VERSION || field == LP_FIELD_MODEL_SHA256 ||
           field == LP_FIELD_DEGRADED || field == LP_FIELD_SHADOW || field == LP_FIELD_CANARY;
}

/** Framing and the first `field_count` fields. */
void lp_prediction_write_head(const struct lp_encoder *encoder, struct lp_span framing, uint32_t field_count,
                              const struct lp_prediction *prediction, struct lp_buffer *out);
void lp_prediction_write_avro(const struct lp_encoder *encoder, const struct lp_prediction_head *head,
                              const struct lp_prediction *prediction, struct lp_buffer *out);
void lp_prediction_write_json(const struct lp_encoder *encoder, const struct lp_prediction *prediction,
                              struct lp_buffer *out);

#endif
