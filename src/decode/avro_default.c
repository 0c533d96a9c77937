/* Reader defaults: JSON values as constants (Avro specification, "Complex Types", table of field default values). */
#include "core/utf8.h"
#include "decode/avro_compile.h"
#include "decode/avro_name.h"

#include <math.h>
#include <stdlib.h>

static enum lp_code unfit(const struct lp_avro_type *type, struct lp_error *err)
{
    return lp_fail(err, LP_E_MISMATCH, LP_FATAL, "avro: the reader's default is not a value of %s",
                   lp_avro_kind_name(type->kind));
}

/* Could `json` be a default of `type`? Decides which of a union's branches it means; contents are checked at use. */
static bool plausible(const struct lp_avro_type *type, const json_t *json)
{
    switch (type->kind) {
    case LP_AVRO_NULL: return json_is_null(json);
    case LP_AVRO_BOOLEAN: return json_is_boolean(json);
    case LP_AVRO_INT:
        return json_is_integer(json) && json_integer_value(json) >= INT32_MIN && json_integer_value(json) <= INT32_MAX;
    case LP_AVRO_LONG: return json_is_integer(json);
    case LP_AVRO_FLOAT:
    case LP_AVRO_DOUBLE: return json_is_number(json);
    case LP_AVRO_ENUM: return lp_avro_index_of(type->index, lp_avro_string(json)) >= 0;
    case LP_AVRO_ARRAY: return json_is_array(json);
    case LP_AVRO_RECORD:
    case LP_AVRO_MAP: return json_is_object(json);
    default: return json_is_string(json);
    }
}

/* ISO-8859-1, as the specification writes bytes and fixed: one byte for each of the code points 0 to 255. */
static bool latin1_bytes(struct lp_span text, unsigned char *to, size_t *ret_bytes)
{
    size_t bytes = 0;
    for (size_t i = 0; i < text.size; i++) {
        unsigned c = text.data[i];
        if (c >= 0x80) {
            if (c > 0xc3 || i + 1 >= text.size) return false;
            c = (c & 3u) << 6 | (text.data[++i] & 0x3fu);
        }
        to[bytes++] = (unsigned char)c;
    }
    *ret_bytes = bytes;
    return true;
}

static enum lp_code binary(struct lp_avro_compiler *compiler, const struct lp_avro_type *type, const json_t *json,
                           struct lp_span *ret_bytes, struct lp_error *err)
{
    struct lp_span text = lp_avro_string(json);
    unsigned char *bytes = lp_avro_pool_take(&compiler->pool, text.size + 1, 1);
    if (bytes == NULL) return lp_avro_pool_fail(&compiler->pool, err);
    size_t size = 0;
    if (!latin1_bytes(text, bytes, &size)) return unfit(type, err);
    if (type->kind == LP_AVRO_FIXED && size != type->fixed_size) return unfit(type, err);
    *ret_bytes = lp_span_of(bytes, size);
    return LP_OK;
}

static struct lp_avro_number number_of(const struct lp_avro_type *type, const json_t *json)
{
    switch (type->kind) {
    case LP_AVRO_BOOLEAN: return (struct lp_avro_number){.source = LP_AVRO_FROM_BOOLEAN, .integer = json_is_true(json)};
    case LP_AVRO_FLOAT:
        if (json_is_integer(json)) /* rounded once */
            return (struct lp_avro_number){.source = LP_AVRO_FROM_FLOAT,
                                           .real = (double)(float)json_integer_value(json)};
        return (struct lp_avro_number){.source = LP_AVRO_FROM_FLOAT, .real = (double)(float)json_real_value(json)};
    case LP_AVRO_DOUBLE: return (struct lp_avro_number){.source = LP_AVRO_FROM_DOUBLE, .real = json_number_value(json)};
    default: return (struct lp_avro_number){.source = LP_AVRO_FROM_LONG, .integer = json_integer_value(json)};
    }
}

static enum lp_code default_number(struct lp_avro_compiler *compiler, const struct lp_avro_type *type,
                                   const json_t *json, double *ret_value, struct lp_error *err)
{
    if (type->logical == LP_AVRO_DECIMAL) {
        struct lp_span bytes;
        LP_TRY(binary(compiler, type, json, &bytes, err));
        return lp_avro_decimal(bytes, type->scale, ret_value) ? LP_OK : unfit(type, err);
    }
    struct lp_avro_number number = number_of(type, json);
    *ret_value = number.source >= LP_AVRO_FROM_FLOAT ? number.real : (double)number.integer;
    return LP_OK;
}

static enum lp_code default_text(struct lp_avro_compiler *compiler, const struct lp_avro_type *type, const json_t *json,
                                 uint32_t slot, struct lp_error *err)
{
    struct lp_span text = lp_avro_string(json);
    char digits[LP_AVRO_NUMBER_TEXT_BYTES];
    unsigned char uuid[LP_AVRO_UUID_TEXT_BYTES];
    if (type->kind <= LP_AVRO_DOUBLE) {
        struct lp_avro_number number = number_of(type, json);
        text = lp_span_of(digits, lp_avro_number_text(number, number.source, digits));
    } else if (type->kind == LP_AVRO_BYTES || type->kind == LP_AVRO_FIXED) {
        LP_TRY(binary(compiler, type, json, &text, err));
        if (type->logical == LP_AVRO_UUID) {
            lp_avro_uuid_text(text.data, uuid);
            text = lp_span_of(uuid, sizeof uuid);
        }
    }
    if (!lp_utf8_valid(text.data, text.size)) return unfit(type, err);
    lp_avro_emit_text(compiler, slot, text);
    return LP_OK;
}

/* The branch of a union (or the type itself) that `json` means; NULL: none. */
static const struct lp_avro_type *branch_of(const struct lp_avro_type *type, const json_t *json)
{
    if (type->kind != LP_AVRO_UNION) return plausible(type, json) ? type : NULL;
    for (uint32_t i = 0; i < type->count; i++)
        if (plausible(type->branches[i], json)) return type->branches[i];
    return NULL;
}

static enum lp_code default_vector(struct lp_avro_compiler *compiler, const struct lp_avro_type *type,
                                   const json_t *json, const struct lp_avro_view *view, struct lp_error *err)
{
    if (json_array_size(json) != view->width)
        return lp_fail(err, LP_E_MISMATCH, LP_FATAL, "avro: the reader's default has %zu values, wanted %u",
                       json_array_size(json), (unsigned)view->width);
    for (uint32_t i = 0; i < view->width; i++) {
        const json_t *item = json_array_get(json, i);
        const struct lp_avro_type *items = branch_of(type->branches[0], item);
        if (items == NULL || !lp_avro_fits(LP_WANT_NUMBER, items)) return unfit(type->branches[0], err);
        double value = (double)NAN;
        if (items->kind != LP_AVRO_NULL) LP_TRY(default_number(compiler, items, item, &value, err));
        lp_avro_emit_double(compiler, view->slot + i, value);
        LP_TRY(lp_avro_step(compiler, err));
    }
    return LP_OK;
}

static enum lp_code default_time(struct lp_avro_compiler *compiler, const struct lp_avro_type *type, const json_t *json,
                                 uint32_t slot)
{
    enum lp_avro_time unit = LP_AVRO_MILLIS;
    if (type->logical == LP_AVRO_DATE) unit = LP_AVRO_DAYS;
    if (type->logical == LP_AVRO_TIMESTAMP_MICROS) unit = LP_AVRO_MICROS;
    if (type->logical == LP_AVRO_TIMESTAMP_NANOS) unit = LP_AVRO_NANOS;
    lp_avro_emit_double(compiler, slot, lp_avro_time_ms(json_integer_value(json), unit));
    return LP_OK;
}

static enum lp_code default_leaf(struct lp_avro_compiler *compiler, const struct lp_avro_type *type, const json_t *json,
                                 const struct lp_avro_view *view, struct lp_error *err)
{
    double value = 0.0;
    if (!lp_avro_fits(view->type, type)) return unfit(type, err);
    if (type->kind == LP_AVRO_NULL) {
        lp_avro_emit_absent(compiler, view);
        return LP_OK;
    }
    switch (view->type) {
    case LP_WANT_TEXT: return default_text(compiler, type, json, view->slot, err);
    case LP_WANT_VECTOR: return default_vector(compiler, type, json, view, err);
    case LP_WANT_TIME_MS: return default_time(compiler, type, json, view->slot);
    case LP_WANT_NUMBER: break;
    }
    LP_TRY(default_number(compiler, type, json, &value, err));
    lp_avro_emit_double(compiler, view->slot, value);
    return LP_OK;
}

/* The part of a default that a path segment names: its JSON and its type; *ret_json NULL: absent. */
static enum lp_code part_of(const struct lp_avro_type *type, const json_t *json, const struct lp_avro_node *child,
                            const struct lp_avro_type **ret_type, const json_t **ret_json, struct lp_error *err)
{
    *ret_json = NULL;
    if (type->kind == LP_AVRO_RECORD && child->name.data != NULL) {
        int64_t at = lp_avro_index_of(type->index, child->name);
        if (at < 0) return LP_OK;
        const struct lp_avro_field *field = &type->fields[at];
        *ret_type = field->type;
        *ret_json = json_object_getn(json, (const char *)field->name.data, field->name.size);
        if (*ret_json == NULL) *ret_json = field->fallback; /* left out of the record's default: its own applies */
        return *ret_json != NULL ? LP_OK : unfit(type, err);
    }
    if (type->kind == LP_AVRO_MAP && child->name.data != NULL)
        *ret_json = json_object_getn(json, (const char *)child->name.data, child->name.size);
    if (type->kind == LP_AVRO_ARRAY && child->name.data == NULL) *ret_json = json_array_get(json, child->index);
    if (*ret_json != NULL) *ret_type = type->branches[0];
    return LP_OK;
}

static enum lp_code default_child(struct lp_avro_compiler *compiler, const struct lp_avro_type *type,
                                  const json_t *json, const struct lp_avro_node *child, struct lp_error *err)
{
    const struct lp_avro_type *inner = NULL;
    const json_t *part = NULL;
    struct lp_avro_view view;
    LP_TRY(part_of(type, json, child, &inner, &part, err));
    for (uint32_t i = 0; lp_avro_views(compiler, child, i, &view) > i; i++) {
        if (part == NULL) lp_avro_emit_absent(compiler, &view);
        else LP_TRY(lp_avro_default(compiler, inner, part, &view, err));
    }
    return LP_OK;
}

/* Recursion follows the paths: at most LP_AVRO_DEPTH_MAX deep. */
enum lp_code lp_avro_default(struct lp_avro_compiler *compiler, const struct lp_avro_type *type, const json_t *json,
                             const struct lp_avro_view *view, struct lp_error *err)
{
    LP_TRY(lp_avro_step(compiler, err));
    const struct lp_avro_type *branch = branch_of(type, json);
    if (branch == NULL) return unfit(type, err);
    if (view->node == NULL) return default_leaf(compiler, branch, json, view, err);
    for (const struct lp_avro_node *child = view->node->child; child != NULL; child = child->next)
        LP_TRY(lp_avro_blame(default_child(compiler, branch, json, child, err), child, err));
    return LP_OK;
}
