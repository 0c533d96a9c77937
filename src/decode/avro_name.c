#include "decode/avro_name.h"

struct lp_span lp_avro_string(const json_t *json)
{
    if (!json_is_string(json)) return lp_span_of(NULL, 0);
    return lp_span_of(json_string_value(json), json_string_length(json));
}

static bool letter(unsigned char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_' || c >= 0x80;
}

bool lp_avro_name_valid(struct lp_span name)
{
    if (name.size == 0 || name.data == NULL || !letter(name.data[0])) return false;
    for (size_t i = 1; i < name.size; i++)
        if (!letter(name.data[i]) && (name.data[i] < '0' || name.data[i] > '9')) return false;
    return true;
}

/* Bytes up to and with the last dot. */
static size_t space_bytes(struct lp_span full)
{
    size_t at = full.size;
    while (at > 0 && full.data[at - 1] != '.') at--;
    return at;
}

struct lp_span lp_avro_name_space(struct lp_span full)
{
    size_t bytes = space_bytes(full);
    return lp_span_of(full.data, bytes > 0 ? bytes - 1 : 0);
}

struct lp_span lp_avro_name_plain(struct lp_span full)
{
    size_t bytes = space_bytes(full);
    return lp_span_of(full.data + bytes, full.size - bytes);
}

static bool parts_valid(struct lp_span full)
{
    size_t start = 0;
    for (size_t i = 0; i <= full.size; i++) {
        if (i < full.size && full.data[i] != '.') continue;
        if (!lp_avro_name_valid(lp_span_of(full.data + start, i - start))) return false;
        start = i + 1;
    }
    return true;
}

enum lp_code lp_avro_name_full(struct lp_span name, struct lp_span space, char ret_text[LP_AVRO_NAME_MAX_BYTES + 1],
                               struct lp_span *ret_full, struct lp_error *err)
{
    bool dotted = name.size > 0 && memchr(name.data, '.', name.size) != NULL;
    if (dotted && name.data[0] == '.') name = lp_span_of(name.data + 1, name.size - 1); /* the null namespace */
    if (dotted) space = lp_span_of(NULL, 0);
    size_t all = name.size + (space.size > 0 ? space.size + 1 : 0);
    if (name.size > LP_AVRO_NAME_MAX_BYTES || all > LP_AVRO_NAME_MAX_BYTES)
        return lp_fail(err, LP_E_LIMIT, LP_FATAL, "avro schema: a name of %zu bytes, at most %d", all,
                       LP_AVRO_NAME_MAX_BYTES);
    size_t bytes = 0;
    if (space.size > 0) {
        memcpy(ret_text, space.data, space.size);
        ret_text[space.size] = '.';
        bytes = space.size + 1;
    }
    if (name.size > 0) memcpy(ret_text + bytes, name.data, name.size);
    bytes += name.size;
    ret_text[bytes] = '\0';
    if (!parts_valid(lp_span_of(ret_text, bytes)))
        return lp_fail(err, LP_E_INVALID, LP_FATAL,
                       "avro schema: %.200s: not a name: letters, digits and _ between dots", ret_text);
    *ret_full = lp_span_of(ret_text, bytes);
    return LP_OK;
}

enum lp_code lp_avro_name_keep(struct lp_avro_pool *pool, struct lp_span name, struct lp_span space,
                               struct lp_span *ret_full, struct lp_error *err)
{
    char text[LP_AVRO_NAME_MAX_BYTES + 1];
    struct lp_span full;
    LP_TRY(lp_avro_name_full(name, space, text, &full, err));
    char *kept = lp_avro_pool_take(pool, full.size + 1, 1);
    if (kept == NULL) return lp_avro_pool_fail(pool, err);
    memcpy(kept, text, full.size);
    *ret_full = lp_span_of(kept, full.size);
    return LP_OK;
}

enum lp_avro_kind lp_avro_name_primitive(struct lp_span name)
{
    for (int kind = 0; kind < LP_AVRO_PRIMITIVES; kind++)
        if (lp_span_is(name, lp_avro_kind_name((enum lp_avro_kind)kind))) return (enum lp_avro_kind)kind;
    return LP_AVRO_PRIMITIVES;
}
