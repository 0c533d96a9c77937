#include "decode/avro_schema.h"

#include <stdlib.h>

enum { CHUNK_BYTES = 16 * 1024 };

struct lp_avro_chunk {
    struct lp_avro_chunk *next;
    size_t capacity;
    size_t used;
    _Alignas(8) unsigned char bytes[];
};

void *lp_avro_pool_take(struct lp_avro_pool *pool, size_t count, size_t size)
{
    size_t bytes = 0;
    if (__builtin_mul_overflow(count, size, &bytes) || bytes > LP_AVRO_POOL_MAX_BYTES) {
        pool->full = true;
        return NULL;
    }
    bytes = (bytes + 7u) & ~(size_t)7u;
    struct lp_avro_chunk *chunk = pool->chunks;
    if (chunk == NULL || chunk->capacity - chunk->used < bytes) {
        size_t capacity = bytes > CHUNK_BYTES ? bytes : CHUNK_BYTES;
        pool->full = pool->used_bytes + capacity > LP_AVRO_POOL_MAX_BYTES;
        if (pool->full) return NULL;
        chunk = calloc(1, sizeof *chunk + capacity);
        if (chunk == NULL) return NULL;
        *chunk = (struct lp_avro_chunk){.next = pool->chunks, .capacity = capacity};
        pool->chunks = chunk;
        pool->used_bytes += capacity;
    }
    void *taken = chunk->bytes + chunk->used;
    chunk->used += bytes;
    return taken;
}

enum lp_code lp_avro_pool_fail(const struct lp_avro_pool *pool, struct lp_error *err)
{
    if (!pool->full) return lp_fail_memory(err, CHUNK_BYTES);
    return lp_fail(err, LP_E_LIMIT, LP_FATAL,
                   "avro schema: it needs more than %d bytes of memory: shorten its names and lists",
                   LP_AVRO_POOL_MAX_BYTES);
}

void lp_avro_pool_done(struct lp_avro_pool *pool)
{
    while (pool->chunks != NULL) {
        struct lp_avro_chunk *next = pool->chunks->next;
        free(pool->chunks);
        pool->chunks = next;
    }
    pool->used_bytes = 0;
}

const char *lp_avro_kind_name(enum lp_avro_kind kind)
{
    static const char *const names[] = {
        [LP_AVRO_NULL] = "null",   [LP_AVRO_BOOLEAN] = "boolean", [LP_AVRO_INT] = "int",
        [LP_AVRO_LONG] = "long",   [LP_AVRO_FLOAT] = "float",     [LP_AVRO_DOUBLE] = "double",
        [LP_AVRO_BYTES] = "bytes", [LP_AVRO_STRING] = "string",   [LP_AVRO_RECORD] = "record",
        [LP_AVRO_ENUM] = "enum",   [LP_AVRO_FIXED] = "fixed",     [LP_AVRO_ARRAY] = "array",
        [LP_AVRO_MAP] = "map",     [LP_AVRO_UNION] = "union",
    };
    return names[kind];
}

int64_t lp_avro_index_of(const json_t *index, struct lp_span name)
{
    if (index == NULL || name.data == NULL) return -1;
    const json_t *at = json_object_getn(index, (const char *)name.data, name.size);
    return at != NULL ? json_integer_value(at) : -1;
}

/* Bytes of the JSON number at text[0], and whether it is an integer that may not fit in 64 bits. */
static size_t number_bytes(const unsigned char *text, size_t left, bool *ret_wide)
{
    size_t bytes = 0, digits = 0;
    bool integer = true;
    for (; bytes < left && strchr("+-.eE0123456789", text[bytes]) != NULL && text[bytes] != '\0'; bytes++) {
        if (text[bytes] >= '0' && text[bytes] <= '9') digits++;
        else if (bytes > 0) integer = false;
    }
    *ret_wide = integer && digits >= 19;
    return bytes;
}

/*
 * Copy `text` with "e0" after each integer of 19 digits or more that strtoll refuses: jansson fails the whole text for
 * them, and a default of 1e25 may well be written out. Others stay integers, so that longs above 2^53 stay exact.
 */
static size_t widen_integers(struct lp_span text, unsigned char *to)
{
    size_t used = 0;
    for (size_t i = 0; i < text.size;) {
        unsigned char c = text.data[i];
        size_t bytes = 1;
        bool wide = false;
        if (c == '"') {
            while (i + bytes < text.size && text.data[i + bytes] != '"') bytes += text.data[i + bytes] == '\\' ? 2 : 1;
            bytes = i + bytes < text.size ? bytes + 1 : text.size - i;
        } else if (c == '-' || (c >= '0' && c <= '9')) {
            bytes = number_bytes(text.data + i, text.size - i, &wide);
        }
        memcpy(to + used, text.data + i, bytes);
        used += bytes;
        i += bytes;
        char digits[32] = "";
        if (wide && bytes < sizeof digits) memcpy(digits, text.data + i - bytes, bytes);
        json_t *fits = wide && digits[0] != '\0' ? json_loads(digits, JSON_DECODE_ANY, NULL) : NULL;
        if (wide && fits == NULL) {
            memcpy(to + used, "e0", 2);
            used += 2;
        }
        json_decref(fits);
    }
    return used;
}

enum lp_code lp_avro_json_load(struct lp_span text, json_t **ret_json, struct lp_error *err)
{
    const size_t flags = JSON_DECODE_ANY | JSON_ALLOW_NUL;
    json_error_t error;
    json_t *json = json_loadb((const char *)text.data, text.size, flags, &error);
    if (json == NULL && json_error_code(&error) == json_error_numeric_overflow) {
        unsigned char *wide = malloc(text.size + text.size / 8 + 2); /* two bytes more for each 19 */
        if (wide == NULL) return lp_fail_memory(err, text.size);
        json = json_loadb((const char *)wide, widen_integers(text, wide), flags, &error);
        free(wide);
    }
    if (json == NULL)
        return lp_fail(err, LP_E_INVALID, LP_FATAL, "avro schema: line %d column %d: not JSON: %s", error.line,
                       error.column, error.text);
    *ret_json = json;
    return LP_OK;
}

enum lp_code lp_avro_schema_parse(struct lp_span json, struct lp_avro_schema **ret_schema, struct lp_error *err)
{
    if (json.size > LP_AVRO_SCHEMA_MAX_BYTES)
        return lp_fail(err, LP_E_LIMIT, LP_FATAL, "avro schema: %zu bytes, at most %d", json.size,
                       LP_AVRO_SCHEMA_MAX_BYTES);
    if (json.data == NULL || json.size == 0) return lp_fail(err, LP_E_INVALID, LP_FATAL, "avro schema: empty");
    struct lp_avro_schema *schema = calloc(1, sizeof *schema);
    if (schema == NULL) return lp_fail_memory(err, sizeof *schema);
    enum lp_code rc = LP_OK;
    LP_GUARD(lp_avro_json_load(json, &schema->json, err));
    LP_GUARD(lp_avro_schema_build(schema, schema->json, err));
    schema->fingerprint = lp_avro_canonical(schema->root, NULL, NULL);
    *ret_schema = schema;
    return LP_OK;
out:
    lp_avro_schema_free(schema);
    return rc;
}

void lp_avro_schema_free(struct lp_avro_schema *schema)
{
    if (schema == NULL) return;
    for (uint32_t i = 0; i < schema->named_count; i++) {
        json_decref(schema->named[i]->index);
        json_decref(schema->named[i]->alias_index);
    }
    free(schema->named);
    json_decref(schema->names);
    json_decref(schema->json);
    lp_avro_pool_done(&schema->pool);
    free(schema);
}

uint64_t lp_avro_schema_fingerprint(const struct lp_avro_schema *schema) { return schema->fingerprint; }
