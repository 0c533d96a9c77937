/* Logical types (Avro specification 1.12, "Logical Types"). */
#include "decode/avro_schema.h"

struct logical_row {
    const char *name;
    enum lp_avro_kind kind;
    enum lp_avro_logical logical;
};

static const struct logical_row ROWS[] = {
    {"uuid", LP_AVRO_STRING, LP_AVRO_UUID},
    {"date", LP_AVRO_INT, LP_AVRO_DATE},
    {"time-millis", LP_AVRO_INT, LP_AVRO_TIME},
    {"time-micros", LP_AVRO_LONG, LP_AVRO_TIME},
    {"timestamp-millis", LP_AVRO_LONG, LP_AVRO_TIMESTAMP_MILLIS},
    {"timestamp-micros", LP_AVRO_LONG, LP_AVRO_TIMESTAMP_MICROS},
    {"timestamp-nanos", LP_AVRO_LONG, LP_AVRO_TIMESTAMP_NANOS},
    {"local-timestamp-millis", LP_AVRO_LONG, LP_AVRO_TIMESTAMP_MILLIS},
    {"local-timestamp-micros", LP_AVRO_LONG, LP_AVRO_TIMESTAMP_MICROS},
    {"local-timestamp-nanos", LP_AVRO_LONG, LP_AVRO_TIMESTAMP_NANOS},
};

static bool text_is(const json_t *json, const char *text)
{
    return json_is_string(json) && json_string_length(json) == strlen(text) &&
           memcmp(json_string_value(json), text, strlen(text)) == 0;
}

/* Decimal digits that `bytes` bytes of two's complement always hold: floor(log10(2^(8n-1) - 1)). */
static json_int_t fixed_precision_max(uint32_t bytes)
{
    if (bytes == 0) return 0;
    return (json_int_t)((8.0 * bytes - 1.0) * 0.30102999566398120);
}

static void decimal_read(struct lp_avro_type *type, const json_t *attributes)
{
    const json_t *precision = json_object_get(attributes, "precision"), *scale = json_object_get(attributes, "scale");
    if (type->kind != LP_AVRO_BYTES && type->kind != LP_AVRO_FIXED) return;
    if (!json_is_integer(precision) || json_integer_value(precision) <= 0) return;
    if (json_integer_value(precision) > INT32_MAX || (scale != NULL && !json_is_integer(scale))) return;
    json_int_t digits = scale != NULL ? json_integer_value(scale) : 0;
    if (digits < 0 || digits > json_integer_value(precision)) return;
    if (type->kind == LP_AVRO_FIXED && json_integer_value(precision) > fixed_precision_max(type->fixed_size)) return;
    type->logical = LP_AVRO_DECIMAL;
    type->scale = (uint32_t)digits;
}

void lp_avro_logical_read(struct lp_avro_type *type, const json_t *attributes)
{
    const json_t *name = json_object_get(attributes, "logicalType");
    if (text_is(name, "decimal")) decimal_read(type, attributes);
    if (text_is(name, "uuid") && type->kind == LP_AVRO_FIXED && type->fixed_size == 16) type->logical = LP_AVRO_UUID;
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++)
        if (ROWS[i].kind == type->kind && text_is(name, ROWS[i].name)) type->logical = ROWS[i].logical;
}
