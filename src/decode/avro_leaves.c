#include "decode/avro_leaves.h"

#include "decode/avro_schema.h"
#include "decode/path.h"

/* The only branch that is not null, or the type itself. */
static const struct lp_avro_type *without_null(const struct lp_avro_type *type)
{
    if (type->kind != LP_AVRO_UNION) return type;
    const struct lp_avro_type *only = NULL;
    for (uint32_t i = 0; i < type->count; i++) {
        if (type->branches[i]->kind == LP_AVRO_NULL) continue;
        if (only != NULL) return type;
        only = type->branches[i];
    }
    return only != NULL ? only : type;
}

static enum lp_avro_leaf leaf_of(const struct lp_avro_type *type)
{
    bool timed = type->logical == LP_AVRO_DATE || type->logical >= LP_AVRO_TIMESTAMP_MILLIS;
    switch (type->kind) {
    case LP_AVRO_BOOLEAN: return LP_AVRO_LEAF_BOOLEAN;
    case LP_AVRO_INT:
    case LP_AVRO_LONG: return timed ? LP_AVRO_LEAF_TIME : LP_AVRO_LEAF_NUMBER;
    case LP_AVRO_FLOAT:
    case LP_AVRO_DOUBLE: return LP_AVRO_LEAF_NUMBER;
    case LP_AVRO_BYTES:
    case LP_AVRO_FIXED:
        if (type->logical == LP_AVRO_DECIMAL) return LP_AVRO_LEAF_NUMBER;
        return type->logical == LP_AVRO_UUID ? LP_AVRO_LEAF_TEXT : LP_AVRO_LEAF_OTHER;
    case LP_AVRO_STRING:
    case LP_AVRO_ENUM: return LP_AVRO_LEAF_TEXT;
    case LP_AVRO_NULL:
    case LP_AVRO_RECORD:
    case LP_AVRO_ARRAY:
    case LP_AVRO_MAP:
    case LP_AVRO_UNION: break;
    }
    return LP_AVRO_LEAF_OTHER;
}

/* A union's branches together. */
static enum lp_avro_leaf union_leaf(const struct lp_avro_type *type)
{
    enum lp_avro_leaf all = LP_AVRO_LEAF_OTHER;
    bool first = true;
    for (uint32_t i = 0; i < type->count; i++) {
        if (type->branches[i]->kind == LP_AVRO_NULL) continue;
        enum lp_avro_leaf leaf = leaf_of(type->branches[i]);
        if (leaf == LP_AVRO_LEAF_OTHER) return leaf;
        all = first || all == leaf ? leaf : LP_AVRO_LEAF_ANY;
        first = false;
    }
    return all;
}

/* Append a field's name as a step of the path; false: too long. */
static bool push_name(unsigned char *path, size_t *used, struct lp_span name)
{
    size_t at = *used;
    if (name.size == 0 || at + 1 + 2 * name.size >= LP_PATH_BYTES_MAX) return false;
    if (at > 0) path[at++] = '.';
    for (size_t i = 0; i < name.size; i++) {
        if (strchr(".[]\\", name.data[i]) != NULL) path[at++] = '\\';
        path[at++] = name.data[i];
    }
    *used = at;
    return true;
}

enum lp_code lp_avro_leaves(const struct lp_avro_schema *schema,
                            enum lp_code (*leaf)(void *context, struct lp_span path, enum lp_avro_leaf kind,
                                                 struct lp_error *err),
                            void *context, struct lp_error *err)
{
    struct {
        const struct lp_avro_type *record;
        uint32_t field;
        size_t used;
    } stack[LP_AVRO_LEAVES_DEPTH_MAX] = {{without_null(schema->root), 0, 0}};
    unsigned char path[LP_PATH_BYTES_MAX];
    if (stack[0].record->kind != LP_AVRO_RECORD)
        return lp_fail(err, LP_E_UNSUPPORTED, LP_FATAL,
                       "the Avro schema is a %s, not a record: its fields have no names",
                       lp_avro_kind_name(stack[0].record->kind));
    for (int depth = 0; depth >= 0;) {
        if (stack[depth].field == stack[depth].record->count) {
            depth--;
            continue;
        }
        const struct lp_avro_field *field = &stack[depth].record->fields[stack[depth].field++];
        const struct lp_avro_type *type = without_null(field->type);
        size_t used = stack[depth].used;
        if (!push_name(path, &used, field->name)) continue;
        bool inside = false; /* itself: it has no end */
        for (int i = 0; i <= depth; i++) inside |= stack[i].record == type;
        if (type->kind == LP_AVRO_RECORD && !inside && depth + 1 < LP_AVRO_LEAVES_DEPTH_MAX) {
            depth++;
            stack[depth].record = type;
            stack[depth].field = 0;
            stack[depth].used = used;
            continue;
        }
        enum lp_avro_leaf kind = type->kind == LP_AVRO_UNION ? union_leaf(type) : leaf_of(type);
        LP_TRY(leaf(context, lp_span_of(path, used), kind, err));
    }
    return LP_OK;
}
