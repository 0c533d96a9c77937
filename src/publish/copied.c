#include "publish/copied.h"

#include "publish/avro_write.h"
#include "publish/json_write.h"
#include "publish/prediction_fields.h"

#include <math.h>
#include <stdlib.h>

static const struct {
    const char *name, *schema;
} types[] = {
    [LP_COPIED_STRING] = {"string", "\"string\""},
    [LP_COPIED_DOUBLE] = {"double", "\"double\""},
    [LP_COPIED_TIMESTAMP] = {"timestamp", "{\"type\": \"long\", \"logicalType\": \"timestamp-millis\"}"},
};

static bool is_letter(char c) { return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_'; }

/* A path as an Avro name: what cannot stand in one becomes an underscore. */
static char *name_of(const char *path)
{
    size_t size = strlen(path);
    bool digit_first = *path >= '0' && *path <= '9';
    char *name = malloc(size + digit_first + 1);
    if (name == NULL) return NULL;
    char *at = name;
    if (digit_first) *at++ = '_';
    for (; *path != 0; path++) *at++ = is_letter(*path) || (*path >= '0' && *path <= '9') ? *path : '_';
    *at = 0;
    return name;
}

static enum lp_code type_of(const char *text, const char *colon, enum lp_copied_type *ret_type, struct lp_error *err)
{
    *ret_type = LP_COPIED_STRING;
    if (colon == NULL) return LP_OK;
    for (uint32_t i = 0; i < sizeof types / sizeof *types; i++) {
        *ret_type = (enum lp_copied_type)i;
        if (strcmp(colon + 1, types[i].name) == 0) return LP_OK;
    }
    return lp_fail_field(err, LP_E_INVALID, LP_FATAL, "output.copy",
                         "output.copy: %s: the type is string, double or timestamp", text);
}

enum lp_code lp_copied_add(struct lp_copied *copied, const char *text, struct lp_error *err)
{
    const char *colon = strrchr(text, ':');
    size_t size = colon != NULL ? (size_t)(colon - text) : strlen(text);
    struct lp_copied_field *field = &copied->fields[copied->count];
    if (copied->count == LP_COPIED_MAX)
        return lp_fail_field(err, LP_E_LIMIT, LP_FATAL, "output.copy", "output.copy: at most %d fields", LP_COPIED_MAX);
    if (size == 0) return lp_fail_field(err, LP_E_INVALID, LP_FATAL, "output.copy", "output.copy: %s: no path", text);
    LP_TRY(type_of(text, colon, &field->type, err));
    char *path = strndup(text, size), *name = path != NULL ? name_of(path) : NULL;
    if (name == NULL) {
        free(path);
        return lp_fail_memory(err, size);
    }
    field->path = path;
    copied->names[copied->count++] = name;
    for (uint32_t i = 0; i + 1 < copied->count; i++)
        if (strcmp(copied->names[i], name) == 0)
            return lp_fail_field(err, LP_E_INVALID, LP_FATAL, "output.copy",
                                 "output.copy: %s and %s both become %s in the prediction", copied->fields[i].path,
                                 path, name);
    return LP_OK;
}

void lp_copied_done(struct lp_copied *copied)
{
    for (uint32_t i = 0; i < copied->count; i++) {
        free((char *)(uintptr_t)copied->fields[i].path);
        free(copied->names[i]);
    }
    copied->count = 0;
}

void lp_copied_schema(const struct lp_copied *copied, struct lp_buffer *out)
{
    lp_buffer_text(
        out, "{\"name\": \"copied\", \"type\": [\"null\", {\"type\": \"record\", \"name\": \"Copied\", \"fields\": [");
    for (uint32_t i = 0; i < copied->count; i++) {
        lp_buffer_text(out, i > 0 ? ", {\"name\": \"" : "{\"name\": \"");
        lp_buffer_text(out, copied->names[i]);
        lp_buffer_text(out, "\", \"type\": [\"null\", ");
        lp_buffer_text(out, types[copied->fields[i].type].schema);
        lp_buffer_text(out, "], \"default\": null}");
    }
    lp_buffer_text(out, "]}], \"default\": null, \"doc\": \"Fields of the input record (output.copy).\"}");
}

/* Milliseconds of a time that a long holds; false: absent. */
static bool timestamp_of(double ms, int64_t *ret_ms)
{
    if (!(ms > -9e18 && ms < 9e18)) return false;
    *ret_ms = (int64_t)ms;
    return true;
}

static unsigned char *write_avro(unsigned char *at, enum lp_copied_type type, struct lp_span text, double number)
{
    int64_t ms = 0;
    switch (type) {
    case LP_COPIED_STRING:
        at = lp_avro_branch(at, text.data != NULL);
        return text.data != NULL ? lp_avro_bytes(at, text) : at;
    case LP_COPIED_DOUBLE:
        at = lp_avro_branch(at, !isnan(number));
        return isnan(number) ? at : lp_avro_double(at, number);
    case LP_COPIED_TIMESTAMP: {
        bool present = timestamp_of(number, &ms);
        at = lp_avro_branch(at, present);
        return present ? lp_avro_long(at, ms) : at;
    }
    }
    return at;
}

static void write_json(struct lp_buffer *out, enum lp_copied_type type, struct lp_span text, double number)
{
    int64_t ms;
    if (type == LP_COPIED_STRING) lp_json_text(out, text);
    else if (type == LP_COPIED_DOUBLE) lp_json_double(out, number);
    else if (timestamp_of(number, &ms)) lp_json_integer(out, ms);
    else lp_buffer_append(out, "null", 4);
}

void lp_encoder_run_copied(const struct lp_encoder *encoder, const double *numbers, const struct lp_span *texts,
                           struct lp_buffer *out)
{
    const struct lp_copied *copied = encoder->copied;
    for (uint32_t i = 0; i < copied->count; i++) {
        enum lp_copied_type type = copied->fields[i].type;
        struct lp_span text = type == LP_COPIED_STRING ? *texts++ : (struct lp_span){0};
        double number = type == LP_COPIED_STRING ? 0 : *numbers++;
        if (encoder->format == LP_OUTPUT_JSON) {
            lp_json_key(out, i == 0, copied->names[i]);
            write_json(out, type, text, number);
            continue;
        }
        unsigned char *start = lp_buffer_reserve(out, 1 + LP_AVRO_LONG_MAX_BYTES + text.size);
        if (start == NULL) return;
        out->size += (size_t)(write_avro(start, type, text, number) - start);
    }
    if (encoder->format == LP_OUTPUT_JSON) lp_buffer_append(out, "}", 1);
}
