/*
 * JSON to types. parse_type and its helpers call each other, one level of the schema a call: a bounded recursion
 * (LP_AVRO_DEPTH_MAX), because the explicit stack would need each helper's loop split in two.
 */
#include "decode/avro_name.h"
#include "decode/avro_schema.h"

#include <stdlib.h>

struct parser {
    struct lp_avro_schema *schema;
    struct lp_span space; /* namespace of the enclosing definition */
    uint32_t depth;
};

static enum lp_code parse_type(struct parser *parser, const json_t *json, const struct lp_avro_type **ret_type,
                               struct lp_error *err);

static enum lp_code invalid(struct lp_error *err, struct lp_span where, const char *what)
{
    return lp_fail(err, LP_E_INVALID, LP_FATAL, "avro schema: %.*s: %s", (int)(where.size < 200 ? where.size : 200),
                   where.data != NULL ? (const char *)where.data : "", what);
}

static enum lp_code take(struct parser *parser, size_t count, size_t size, void *ret, struct lp_error *err)
{
    void *taken = lp_avro_pool_take(&parser->schema->pool, count, size);
    if (taken == NULL) return lp_avro_pool_fail(&parser->schema->pool, err);
    memcpy(ret, &taken, sizeof taken);
    return LP_OK;
}

static enum lp_code type_new(struct parser *parser, enum lp_avro_kind kind, struct lp_avro_type **ret_type,
                             struct lp_error *err)
{
    if (++parser->schema->node_count > LP_AVRO_NODES_MAX)
        return lp_fail(err, LP_E_LIMIT, LP_FATAL, "avro schema: more than %d types", LP_AVRO_NODES_MAX);
    struct lp_avro_type *type = NULL;
    LP_TRY(take(parser, 1, sizeof *type, &type, err));
    static const int fixed_bytes[LP_AVRO_PRIMITIVES] = {0, -1, -1, -1, 4, 8, -1, -1};
    *type = (struct lp_avro_type){.kind = kind, .complete = true, .weight = 1, .fallback_symbol = -1};
    type->fixed_bytes = kind < LP_AVRO_PRIMITIVES ? fixed_bytes[kind] : -1;
    *ret_type = type;
    return LP_OK;
}

static void add_weight(struct lp_avro_type *type, const struct lp_avro_type *part)
{
    uint32_t more = part->complete ? part->weight : LP_AVRO_WEIGHT_MAX;
    uint32_t sum = type->weight + more;
    type->weight = sum > LP_AVRO_WEIGHT_MAX ? LP_AVRO_WEIGHT_MAX : sum;
}

/* ---- names ---- */

static enum lp_code keep_named(struct lp_avro_schema *schema, struct lp_avro_type *type, struct lp_error *err)
{
    if (schema->named_count == schema->named_capacity) {
        uint32_t capacity = schema->named_capacity > 0 ? schema->named_capacity * 2 : 16;
        struct lp_avro_type **grown = realloc(schema->named, capacity * sizeof(struct lp_avro_type *));
        if (grown == NULL) return lp_fail_memory(err, capacity);
        schema->named = grown;
        schema->named_capacity = capacity;
    }
    json_int_t at = schema->named_count;
    if (json_object_setn_new(schema->names, (const char *)type->full.data, type->full.size, json_integer(at)) != 0)
        return lp_fail_memory(err, type->full.size);
    type->id = schema->named_count;
    schema->named[schema->named_count++] = type;
    return LP_OK;
}

static const struct lp_avro_type *named_get(const struct lp_avro_schema *schema, struct lp_span full)
{
    int64_t at = lp_avro_index_of(schema->names, full);
    return at >= 0 ? schema->named[at] : NULL;
}

/* A name used as a type: the enclosing namespace first, then (as Java does) the null namespace. */
static enum lp_code parse_reference(struct parser *parser, struct lp_span name, const struct lp_avro_type **ret_type,
                                    struct lp_error *err)
{
    char text[LP_AVRO_NAME_MAX_BYTES + 1];
    struct lp_span full;
    LP_TRY(lp_avro_name_full(name, parser->space, text, &full, err));
    const struct lp_avro_type *type = named_get(parser->schema, full);
    if (type == NULL) type = named_get(parser->schema, name);
    if (type == NULL) return invalid(err, full, "unknown type: define it before its use");
    *ret_type = type;
    return LP_OK;
}

static enum lp_code parse_aliases(struct parser *parser, struct lp_avro_type *type, const json_t *json,
                                  struct lp_error *err)
{
    const json_t *aliases = json_object_get(json, "aliases");
    if (aliases == NULL || json_is_null(aliases)) return LP_OK;
    if (!json_is_array(aliases)) return invalid(err, type->full, "aliases: not an array");
    LP_TRY(take(parser, json_array_size(aliases), sizeof *type->aliases, &type->aliases, err));
    struct lp_span space = lp_avro_name_space(type->full);
    for (size_t i = 0; i < json_array_size(aliases); i++) {
        struct lp_span name = lp_avro_string(json_array_get(aliases, i));
        if (name.data == NULL) return invalid(err, type->full, "aliases: not a string");
        LP_TRY(lp_avro_name_keep(&parser->schema->pool, name, space, &type->aliases[i], err));
        type->alias_count++;
    }
    return LP_OK;
}

/* Name, namespace and aliases of a record, enum or fixed; enters it under its name, so that it can refer to itself. */
static enum lp_code parse_name(struct parser *parser, struct lp_avro_type *type, const json_t *json,
                               struct lp_error *err)
{
    struct lp_span name = lp_avro_string(json_object_get(json, "name"));
    if (name.data == NULL) return invalid(err, lp_span_text(lp_avro_kind_name(type->kind)), "has no name");
    const json_t *attribute = json_object_get(json, "namespace");
    if (attribute != NULL && !json_is_string(attribute) && !json_is_null(attribute))
        return invalid(err, name, "namespace: not a string");
    struct lp_span space = json_is_string(attribute) ? lp_avro_string(attribute) : parser->space;
    LP_TRY(lp_avro_name_keep(&parser->schema->pool, name, space, &type->full, err));
    type->plain = lp_avro_name_plain(type->full);
    if (lp_avro_name_primitive(type->full) != LP_AVRO_PRIMITIVES)
        return invalid(err, type->full, "named as a primitive type");
    if (named_get(parser->schema, type->full) != NULL) return invalid(err, type->full, "defined twice");
    LP_TRY(keep_named(parser->schema, type, err));
    return parse_aliases(parser, type, json, err);
}

/* Enter `name` at `position`; false when it is there already. */
static bool index_add(json_t *index, struct lp_span name, size_t position)
{
    if (lp_avro_index_of(index, name) >= 0) return false;
    return json_object_setn_new(index, (const char *)name.data, name.size, json_integer((json_int_t)position)) == 0;
}

/* ---- records ---- */

static enum lp_code parse_field_aliases(struct parser *parser, struct lp_avro_type *type, struct lp_avro_field *field,
                                        const json_t *aliases, struct lp_error *err)
{
    if (aliases == NULL || json_is_null(aliases)) return LP_OK;
    if (!json_is_array(aliases)) return invalid(err, field->name, "aliases: not an array");
    if (type->alias_index == NULL) type->alias_index = json_object();
    LP_TRY(take(parser, json_array_size(aliases), sizeof *field->aliases, &field->aliases, err));
    for (size_t i = 0; i < json_array_size(aliases); i++) {
        struct lp_span name = lp_avro_string(json_array_get(aliases, i));
        if (!lp_avro_name_valid(name)) return invalid(err, field->name, "aliases: not a name");
        field->aliases[field->alias_count++] = name;
        /* Of two fields with one alias the first has it. */
        index_add(type->alias_index, name, (size_t)(field - type->fields));
    }
    return LP_OK;
}

static enum lp_code parse_field(struct parser *parser, struct lp_avro_type *type, const json_t *json,
                                struct lp_error *err)
{
    struct lp_avro_field *field = &type->fields[type->count];
    if (!json_is_object(json)) return invalid(err, type->full, "fields: not an object");
    field->name = lp_avro_string(json_object_get(json, "name"));
    if (field->name.size > LP_AVRO_NAME_MAX_BYTES || !lp_avro_name_valid(field->name))
        return invalid(err, type->full, "fields: a field has no valid name");
    if (!index_add(type->index, field->name, type->count)) return invalid(err, field->name, "field defined twice");
    field->fallback = json_object_get(json, "default");
    LP_TRY(parse_field_aliases(parser, type, field, json_object_get(json, "aliases"), err));
    const json_t *of = json_object_get(json, "type");
    if (of == NULL) return invalid(err, field->name, "field has no type");
    LP_TRY(parse_type(parser, of, &field->type, err));
    add_weight(type, field->type);
    type->count++;
    return LP_OK;
}

/* Zero-size and fixed-size records are skipped without a look at their fields. */
static void set_fixed_bytes(struct lp_avro_type *type)
{
    int64_t bytes = 0;
    for (uint32_t i = 0; i < type->count && bytes >= 0; i++) {
        const struct lp_avro_type *of = type->fields[i].type;
        bool fixed = of->complete && of->fixed_bytes >= 0 && bytes + of->fixed_bytes <= LP_AVRO_FIXED_MAX_BYTES;
        bytes = fixed ? bytes + of->fixed_bytes : -1;
    }
    type->fixed_bytes = bytes;
}

static enum lp_code parse_record(struct parser *parser, struct lp_avro_type *type, const json_t *json,
                                 struct lp_error *err)
{
    const json_t *fields = json_object_get(json, "fields");
    type->complete = false;
    LP_TRY(parse_name(parser, type, json, err));
    if (!json_is_array(fields)) return invalid(err, type->full, "record without an array of fields");
    LP_TRY(take(parser, json_array_size(fields), sizeof *type->fields, &type->fields, err));
    type->index = json_object();
    if (type->index == NULL) return lp_fail_memory(err, json_array_size(fields));
    struct lp_span outer = parser->space;
    parser->space = lp_avro_name_space(type->full);
    for (size_t i = 0; i < json_array_size(fields); i++)
        LP_TRY(parse_field(parser, type, json_array_get(fields, i), err));
    parser->space = outer;
    set_fixed_bytes(type);
    type->complete = true;
    return LP_OK;
}

/* ---- the other types ---- */

static enum lp_code parse_enum(struct parser *parser, struct lp_avro_type *type, const json_t *json,
                               struct lp_error *err)
{
    const json_t *symbols = json_object_get(json, "symbols"), *fallback = json_object_get(json, "default");
    LP_TRY(parse_name(parser, type, json, err));
    if (!json_is_array(symbols)) return invalid(err, type->full, "enum without an array of symbols");
    LP_TRY(take(parser, json_array_size(symbols), sizeof *type->symbols, &type->symbols, err));
    type->index = json_object();
    if (type->index == NULL) return lp_fail_memory(err, json_array_size(symbols));
    for (size_t i = 0; i < json_array_size(symbols); i++) {
        struct lp_span symbol = lp_avro_string(json_array_get(symbols, i));
        if (!lp_avro_name_valid(symbol)) return invalid(err, type->full, "symbols: not a name");
        if (!index_add(type->index, symbol, i)) return invalid(err, type->full, "symbols: one is there twice");
        type->symbols[type->count++] = symbol;
    }
    if (fallback == NULL) return LP_OK;
    type->fallback_symbol = lp_avro_index_of(type->index, lp_avro_string(fallback));
    return type->fallback_symbol >= 0 ? LP_OK : invalid(err, type->full, "default: not one of the symbols");
}

static enum lp_code parse_fixed(struct parser *parser, struct lp_avro_type *type, const json_t *json,
                                struct lp_error *err)
{
    const json_t *size = json_object_get(json, "size");
    LP_TRY(parse_name(parser, type, json, err));
    if (!json_is_integer(size) || json_integer_value(size) < 0) return invalid(err, type->full, "fixed without a size");
    if (json_integer_value(size) > LP_AVRO_FIXED_MAX_BYTES)
        return lp_fail(err, LP_E_LIMIT, LP_FATAL, "avro schema: a fixed of %lld bytes, at most %d",
                       (long long)json_integer_value(size), LP_AVRO_FIXED_MAX_BYTES);
    type->fixed_size = (uint32_t)json_integer_value(size);
    type->fixed_bytes = type->fixed_size;
    return LP_OK;
}

static enum lp_code parse_items(struct parser *parser, struct lp_avro_type *type, const json_t *json,
                                struct lp_error *err)
{
    const char *key = type->kind == LP_AVRO_ARRAY ? "items" : "values";
    const json_t *items = json_object_get(json, key);
    if (items == NULL) return invalid(err, lp_span_text(lp_avro_kind_name(type->kind)), "has no items or values");
    LP_TRY(take(parser, 1, sizeof *type->branches, &type->branches, err));
    LP_TRY(parse_type(parser, items, &type->branches[0], err));
    type->count = 1;
    add_weight(type, type->branches[0]);
    return LP_OK;
}

static enum lp_code parse_union(struct parser *parser, struct lp_avro_type *type, const json_t *json,
                                struct lp_error *err)
{
    size_t count = json_array_size(json);
    if (count > LP_AVRO_BRANCHES_MAX) /* each is compared with each when two schemas are resolved */
        return lp_fail(err, LP_E_LIMIT, LP_FATAL, "avro schema: a union of %zu branches, at most %d", count,
                       LP_AVRO_BRANCHES_MAX);
    LP_TRY(take(parser, count, sizeof *type->branches, &type->branches, err));
    json_t *seen = json_object();
    if (seen == NULL) return lp_fail_memory(err, count);
    enum lp_code rc = LP_OK;
    for (size_t i = 0; i < count; i++) {
        LP_GUARD(parse_type(parser, json_array_get(json, i), &type->branches[i], err));
        const struct lp_avro_type *branch = type->branches[i];
        struct lp_span name = branch->full.data != NULL ? branch->full : lp_span_text(lp_avro_kind_name(branch->kind));
        if (branch->kind == LP_AVRO_UNION) LP_GUARD(invalid(err, lp_span_text("union"), "directly within a union"));
        if (!index_add(seen, name, i)) LP_GUARD(invalid(err, name, "twice in a union"));
        add_weight(type, branch);
        type->count++;
    }
out:
    json_decref(seen);
    return rc;
}

static enum lp_code parse_complex(struct parser *parser, enum lp_avro_kind kind, const json_t *json,
                                  const struct lp_avro_type **ret_type, struct lp_error *err)
{
    struct lp_avro_type *type = NULL;
    LP_TRY(type_new(parser, kind, &type, err));
    switch (kind) {
    case LP_AVRO_RECORD: LP_TRY(parse_record(parser, type, json, err)); break;
    case LP_AVRO_ENUM: LP_TRY(parse_enum(parser, type, json, err)); break;
    case LP_AVRO_FIXED: LP_TRY(parse_fixed(parser, type, json, err)); break;
    case LP_AVRO_UNION: LP_TRY(parse_union(parser, type, json, err)); break;
    case LP_AVRO_ARRAY:
    case LP_AVRO_MAP: LP_TRY(parse_items(parser, type, json, err)); break;
    default: break; /* a primitive in an object */
    }
    if (json_is_object(json)) lp_avro_logical_read(type, json);
    *ret_type = type;
    return LP_OK;
}

static enum lp_code parse_object(struct parser *parser, const json_t *json, const struct lp_avro_type **ret_type,
                                 struct lp_error *err)
{
    static const struct {
        const char *name;
        enum lp_avro_kind kind;
    } complex_types[] = {{"record", LP_AVRO_RECORD}, {"error", LP_AVRO_RECORD}, {"enum", LP_AVRO_ENUM},
                         {"fixed", LP_AVRO_FIXED},   {"array", LP_AVRO_ARRAY},  {"map", LP_AVRO_MAP}};
    const json_t *of = json_object_get(json, "type");
    if (of == NULL) return invalid(err, lp_span_text("an object"), "has no type");
    struct lp_span name = lp_avro_string(of);
    if (name.data == NULL) return parse_type(parser, of, ret_type, err); /* {"type": {"type": ...}} */
    for (size_t i = 0; i < sizeof complex_types / sizeof *complex_types; i++)
        if (lp_span_is(name, complex_types[i].name))
            return parse_complex(parser, complex_types[i].kind, json, ret_type, err);
    enum lp_avro_kind primitive = lp_avro_name_primitive(name);
    if (primitive != LP_AVRO_PRIMITIVES) return parse_complex(parser, primitive, json, ret_type, err);
    return parse_reference(parser, name, ret_type, err);
}

static enum lp_code parse_type(struct parser *parser, const json_t *json, const struct lp_avro_type **ret_type,
                               struct lp_error *err)
{
    if (parser->depth >= LP_AVRO_DEPTH_MAX)
        return lp_fail(err, LP_E_LIMIT, LP_FATAL, "avro schema: nested more than %d deep", LP_AVRO_DEPTH_MAX);
    parser->depth++;
    struct lp_span name = lp_avro_string(json);
    if (json_is_object(json)) {
        LP_TRY(parse_object(parser, json, ret_type, err));
    } else if (json_is_array(json)) {
        LP_TRY(parse_complex(parser, LP_AVRO_UNION, json, ret_type, err));
    } else if (name.data == NULL) {
        return invalid(err, lp_span_text("a type"), "neither a name, an object nor an array");
    } else if (lp_avro_name_primitive(name) != LP_AVRO_PRIMITIVES) {
        LP_TRY(parse_complex(parser, lp_avro_name_primitive(name), json, ret_type, err));
    } else {
        LP_TRY(parse_reference(parser, name, ret_type, err));
    }
    parser->depth--;
    return LP_OK;
}

enum lp_code lp_avro_schema_build(struct lp_avro_schema *schema, const json_t *json, struct lp_error *err)
{
    struct parser parser = {.schema = schema};
    schema->names = json_object();
    if (schema->names == NULL) return lp_fail_memory(err, 1);
    return parse_type(&parser, json, &schema->root, err);
}
