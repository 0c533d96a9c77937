/*
 * Two schemas and the wants to a program. compile_datum and its helpers call each other along the wanted paths: a
 * recursion bounded by LP_AVRO_DEPTH_MAX path parts, and by LP_AVRO_STEPS_MAX in all where unions multiply.
 */
#include "decode/avro_compile.h"

#include <stdio.h>
#include <stdlib.h>

static enum lp_code compile_view(struct lp_avro_compiler *compiler, const struct lp_avro_type *writer,
                                 const struct lp_avro_type *reader, const struct lp_avro_view *view,
                                 struct lp_error *err);

enum lp_code lp_avro_step(struct lp_avro_compiler *compiler, struct lp_error *err)
{
    if (compiler->full || ++compiler->steps > LP_AVRO_STEPS_MAX)
        return lp_fail(err, LP_E_LIMIT, LP_FATAL,
                       "avro: the schemas and the wanted fields need a plan of more than %d steps", LP_AVRO_OPS_MAX);
    return LP_OK;
}

enum lp_code lp_avro_blame(enum lp_code code, const struct lp_avro_node *node, struct lp_error *err)
{
    if (code == LP_E_MISMATCH && err->field[0] == '\0')
        snprintf(err->field, sizeof err->field, "%.*s", (int)node->path.size, (const char *)node->path.data);
    return code;
}

uint32_t lp_avro_views(const struct lp_avro_compiler *compiler, const struct lp_avro_node *node, uint32_t at,
                       struct lp_avro_view *ret_view)
{
    uint32_t count = 0;
    for (uint32_t i = node->first_want; i != LP_AVRO_NO_WANT; i = compiler->tree.next_want[i], count++) {
        const struct lp_want *want = &compiler->tree.wants[i];
        if (count == at)
            *ret_view = (struct lp_avro_view){.type = want->type, .width = want->width, .slot = want->slot};
    }
    if (node->child == NULL) return count;
    if (count == at) *ret_view = (struct lp_avro_view){.node = node};
    return count + 1;
}

/* Name the datum being compiled in `err`, and return its code. */
static enum lp_code at_place(const struct lp_avro_compiler *compiler, struct lp_error *err)
{
    if (compiler->full) return err->code;
    const struct lp_avro_place *place = (const struct lp_avro_place *)compiler->plan->places.data + compiler->place;
    snprintf(err->field, sizeof err->field, "%.*s", (int)place->bytes,
             (const char *)compiler->plan->chars.data + place->at);
    return err->code;
}

static enum lp_code mismatch(const struct lp_avro_compiler *compiler, const struct lp_avro_type *writer,
                             const struct lp_avro_type *reader, struct lp_error *err)
{
    lp_fail(err, LP_E_MISMATCH, LP_FATAL, "avro: the writer's %s does not match the reader's %s",
            lp_avro_kind_name(writer->kind), lp_avro_kind_name(reader->kind));
    return at_place(compiler, err);
}

/* A datum once for each view of its node: all but the last go back to its start. */
static enum lp_code compile_datum(struct lp_avro_compiler *compiler, const struct lp_avro_type *writer,
                                  const struct lp_avro_type *reader, const struct lp_avro_node *node,
                                  struct lp_error *err)
{
    struct lp_avro_view view = {.node = node};
    uint32_t count = lp_avro_views(compiler, node, 0, &view);
    if (count == 0) {
        lp_avro_skip(compiler, writer);
        return LP_OK;
    }
    uint32_t mark = compiler->marks;
    if (count > 1) {
        if (++compiler->marks > LP_AVRO_DEPTH_MAX)
            return lp_fail(err, LP_E_LIMIT, LP_FATAL, "avro: fields wanted twice within one another too often");
        lp_avro_emit(compiler, (struct lp_avro_op){.code = LP_AVRO_OP_MARK, .arg = mark});
    }
    for (uint32_t i = 0; i < count; i++) {
        lp_avro_views(compiler, node, i, &view);
        if (i > 0) lp_avro_emit(compiler, (struct lp_avro_op){.code = LP_AVRO_OP_REWIND, .arg = mark});
        LP_TRY(compile_view(compiler, writer, reader, &view, err));
    }
    compiler->marks = mark;
    return LP_OK;
}

/* ---- records ---- */

/* Reader fields that the writer lacks: the default's constants. */
static enum lp_code compile_missing(struct lp_avro_compiler *compiler, const struct lp_avro_field *field,
                                    const struct lp_avro_node *child, struct lp_error *err)
{
    struct lp_avro_view view;
    if (field->fallback == NULL)
        return lp_fail(err, LP_E_MISMATCH, LP_FATAL,
                       "avro: the writer has no field '%.*s' and the reader's has no default: add one",
                       (int)field->name.size, (const char *)field->name.data);
    for (uint32_t i = 0; lp_avro_views(compiler, child, i, &view) > i; i++)
        LP_TRY(lp_avro_default(compiler, field->type, field->fallback, &view, err));
    return LP_OK;
}

static void absent_child(struct lp_avro_compiler *compiler, const struct lp_avro_node *child)
{
    struct lp_avro_view view;
    for (uint32_t i = 0; lp_avro_views(compiler, child, i, &view) > i; i++) lp_avro_emit_absent(compiler, &view);
}

/* A wanted field of the writer: its reader's field and its node. */
struct wanted {
    const struct lp_avro_field *field;
    const struct lp_avro_node *node;
};

static enum lp_code find_wanted(struct lp_avro_compiler *compiler, const struct lp_avro_type *writer,
                                const struct lp_avro_type *reader, const struct lp_avro_node *node,
                                struct wanted *wanted, struct lp_error *err)
{
    for (const struct lp_avro_node *child = node->child; child != NULL; child = child->next) {
        int64_t at = child->name.data != NULL ? lp_avro_index_of(reader->index, child->name) : -1;
        int64_t from = at >= 0 ? lp_avro_match_field(writer, reader, (uint32_t)at) : -1;
        LP_TRY(lp_avro_step(compiler, err));
        if (from >= 0) wanted[from] = (struct wanted){.field = &reader->fields[at], .node = child};
        else if (at < 0) absent_child(compiler, child); /* another branch of the union has it */
        else LP_TRY(lp_avro_blame(compile_missing(compiler, &reader->fields[at], child, err), child, err));
    }
    return LP_OK;
}

static enum lp_code compile_field(struct lp_avro_compiler *compiler, const struct lp_avro_field *field,
                                  const struct wanted *wanted, uint32_t outer, struct lp_error *err)
{
    if (wanted->node == NULL) {
        compiler->place = lp_avro_emit_place(compiler, outer, field->name);
        lp_avro_skip(compiler, field->type);
        return LP_OK;
    }
    compiler->place = lp_avro_emit_place(compiler, LP_AVRO_NOWHERE, wanted->node->path);
    return compile_datum(compiler, field->type, wanted->field->type, wanted->node, err);
}

static enum lp_code compile_record(struct lp_avro_compiler *compiler, const struct lp_avro_type *writer,
                                   const struct lp_avro_type *reader, const struct lp_avro_node *node,
                                   struct lp_error *err)
{
    struct wanted *wanted = calloc((size_t)writer->count + 1, sizeof *wanted);
    if (wanted == NULL) return lp_fail_memory(err, writer->count);
    enum lp_code rc = LP_OK;
    uint32_t outer = compiler->place;
    LP_GUARD(find_wanted(compiler, writer, reader, node, wanted, err));
    for (uint32_t i = 0; i < writer->count; i++) {
        LP_GUARD(lp_avro_step(compiler, err));
        LP_GUARD(compile_field(compiler, &writer->fields[i], &wanted[i], outer, err));
    }
out:
    compiler->place = outer;
    free(wanted);
    return rc;
}

/* ---- arrays and maps ---- */

/* Wanted elements and entries: absent first, then a loop whose items are compared with each wanted index or key. */
static enum lp_code compile_items(struct lp_avro_compiler *compiler, const struct lp_avro_type *writer,
                                  const struct lp_avro_type *reader, const struct lp_avro_node *node,
                                  struct lp_error *err)
{
    bool map = writer->kind == LP_AVRO_MAP;
    uint32_t chain = LP_AVRO_NOWHERE, outer = compiler->place;
    lp_avro_emit_absent(compiler, &(struct lp_avro_view){.node = node});
    lp_avro_emit(compiler, (struct lp_avro_op){.code = LP_AVRO_OP_BLOCKS});
    uint32_t item = lp_avro_emit_label(compiler);
    if (map) lp_avro_emit(compiler, (struct lp_avro_op){.code = LP_AVRO_OP_KEY});
    uint32_t test = lp_avro_emit_label(compiler);
    for (const struct lp_avro_node *child = node->child; child != NULL; child = child->next) {
        if ((child->name.data != NULL) != map) continue;
        struct lp_avro_op op = {.code = LP_AVRO_OP_INDEX_IS, .arg = child->index};
        if (map)
            op = (struct lp_avro_op){.code = LP_AVRO_OP_KEY_IS,
                                     .count = (uint32_t)child->name.size,
                                     .arg = lp_avro_emit_chars(compiler, child->name)};
        lp_avro_emit(compiler, op);
    }
    lp_avro_emit_label(compiler);
    lp_avro_skip(compiler, writer->branches[0]);
    for (const struct lp_avro_node *child = node->child; child != NULL; child = child->next) {
        if ((child->name.data != NULL) != map) continue;
        lp_avro_emit_jump(compiler, &chain);
        uint32_t at = lp_avro_emit_label(compiler);
        if (!compiler->full) lp_avro_emit_at(compiler, test++)->target = at;
        compiler->place = lp_avro_emit_place(compiler, LP_AVRO_NOWHERE, child->path);
        LP_TRY(lp_avro_step(compiler, err));
        LP_TRY(compile_datum(compiler, writer->branches[0], reader->branches[0], child, err));
        compiler->place = outer;
    }
    lp_avro_emit_patch(compiler, chain, lp_avro_emit_label(compiler));
    lp_avro_emit(compiler, (struct lp_avro_op){.code = LP_AVRO_OP_NEXT, .target = item});
    uint32_t behind = lp_avro_emit_label(compiler);
    if (!compiler->full) lp_avro_emit_at(compiler, item - 1)->target = behind;
    return LP_OK;
}

static enum lp_code compile_inside(struct lp_avro_compiler *compiler, const struct lp_avro_type *writer,
                                   const struct lp_avro_type *reader, const struct lp_avro_node *node,
                                   struct lp_error *err)
{
    if (writer->kind == LP_AVRO_RECORD) return compile_record(compiler, writer, reader, node, err);
    if (writer->kind == LP_AVRO_ARRAY || writer->kind == LP_AVRO_MAP)
        return compile_items(compiler, writer, reader, node, err);
    lp_avro_skip(compiler, writer); /* a datum that has no parts: null, or another branch of the union */
    lp_avro_emit_absent(compiler, &(struct lp_avro_view){.node = node});
    return LP_OK;
}

/* ---- leaves ---- */

static enum lp_avro_source source_of(const struct lp_avro_type *type)
{
    static const enum lp_avro_source sources[] = {
        [LP_AVRO_BOOLEAN] = LP_AVRO_FROM_BOOLEAN, [LP_AVRO_INT] = LP_AVRO_FROM_INT,
        [LP_AVRO_LONG] = LP_AVRO_FROM_LONG,       [LP_AVRO_FLOAT] = LP_AVRO_FROM_FLOAT,
        [LP_AVRO_DOUBLE] = LP_AVRO_FROM_DOUBLE,
    };
    return sources[type->kind];
}

static void leaf_number(struct lp_avro_compiler *compiler, const struct lp_avro_type *writer,
                        const struct lp_avro_type *reader, uint32_t slot)
{
    bool rounded = reader->kind == LP_AVRO_FLOAT;
    switch (writer->kind) {
    case LP_AVRO_BOOLEAN: lp_avro_emit_fixed(compiler, LP_AVRO_OP_AT_BOOL, slot, 1, 0); break;
    case LP_AVRO_FLOAT: lp_avro_emit_fixed(compiler, LP_AVRO_OP_AT_F32, slot, 4, 0); break;
    case LP_AVRO_DOUBLE: lp_avro_emit_fixed(compiler, LP_AVRO_OP_AT_F64, slot, 8, 0); break;
    case LP_AVRO_INT:
        lp_avro_emit(
            compiler,
            (struct lp_avro_op){.code = rounded ? LP_AVRO_OP_INTS_ROUNDED : LP_AVRO_OP_INTS, .slot = slot, .count = 1});
        break;
    case LP_AVRO_LONG:
        lp_avro_emit(compiler, (struct lp_avro_op){.code = rounded ? LP_AVRO_OP_LONGS_ROUNDED : LP_AVRO_OP_LONGS,
                                                   .slot = slot,
                                                   .count = 1});
        break;
    case LP_AVRO_FIXED:
        lp_avro_emit_fixed(compiler, LP_AVRO_OP_AT_DECIMAL, slot, writer->fixed_size, reader->scale);
        break;
    default:
        lp_avro_emit(compiler, (struct lp_avro_op){.code = LP_AVRO_OP_DECIMAL, .slot = slot, .arg = reader->scale});
    }
}

static void leaf_enum_text(struct lp_avro_compiler *compiler, const struct lp_avro_type *writer,
                           const struct lp_avro_type *reader, uint32_t slot)
{
    uint32_t first = compiler->plan->symbols.count;
    for (uint32_t i = 0; i < writer->count && !compiler->full; i++) {
        int64_t at = lp_avro_index_of(reader->index, writer->symbols[i]);
        if (at < 0) at = reader->fallback_symbol;
        struct lp_avro_pair symbol = {.offset = LP_AVRO_NOWHERE};
        if (at >= 0)
            symbol = (struct lp_avro_pair){.slot = (uint32_t)reader->symbols[at].size,
                                           .offset = lp_avro_emit_chars(compiler, reader->symbols[at])};
        struct lp_avro_pair *to = lp_avro_list_add(&compiler->plan->symbols, 1, sizeof *to);
        if (to != NULL) *to = symbol;
        else compiler->full = true;
    }
    lp_avro_emit(compiler,
                 (struct lp_avro_op){.code = LP_AVRO_OP_ENUM_TEXT, .slot = slot, .count = writer->count, .arg = first});
}

static void leaf_text(struct lp_avro_compiler *compiler, const struct lp_avro_type *writer,
                      const struct lp_avro_type *reader, uint32_t slot)
{
    if (writer->kind == LP_AVRO_ENUM) {
        leaf_enum_text(compiler, writer, reader, slot);
    } else if (writer->kind == LP_AVRO_FIXED) {
        bool uuid = writer->fixed_size == 16 && reader->logical == LP_AVRO_UUID;
        lp_avro_emit_fixed(compiler, uuid ? LP_AVRO_OP_AT_UUID : LP_AVRO_OP_AT_TEXT, slot, writer->fixed_size, 0);
    } else if (writer->kind <= LP_AVRO_DOUBLE) {
        lp_avro_emit(compiler, (struct lp_avro_op){.code = LP_AVRO_OP_TEXT_NUMBER,
                                                   .extra = (uint16_t)source_of(writer),
                                                   .slot = slot,
                                                   .arg = source_of(reader)});
    } else {
        lp_avro_emit(compiler, (struct lp_avro_op){.code = LP_AVRO_OP_TEXT, .slot = slot});
    }
}

/* The writer's own unit says what was written; the reader's speaks where the writer's says nothing. */
static void leaf_time(struct lp_avro_compiler *compiler, const struct lp_avro_type *writer,
                      const struct lp_avro_type *reader, uint32_t slot)
{
    static const enum lp_avro_time units[] = {
        [LP_AVRO_PLAIN] = LP_AVRO_MILLIS,
        [LP_AVRO_DATE] = LP_AVRO_DAYS,
        [LP_AVRO_TIMESTAMP_MILLIS] = LP_AVRO_MILLIS,
        [LP_AVRO_TIMESTAMP_MICROS] = LP_AVRO_MICROS,
        [LP_AVRO_TIMESTAMP_NANOS] = LP_AVRO_NANOS,
    };
    enum lp_avro_logical logical = writer->logical != LP_AVRO_PLAIN ? writer->logical : reader->logical;
    lp_avro_emit(compiler, (struct lp_avro_op){.code = LP_AVRO_OP_TIME,
                                               .extra = (uint16_t)source_of(writer),
                                               .slot = slot,
                                               .arg = units[logical]});
}

/* The op that reads a whole array of plain numbers, or LP_AVRO_OP_END. */
static uint16_t vector_code(const struct lp_avro_type *items, const struct lp_avro_type *reader_items)
{
    if (reader_items->kind == LP_AVRO_UNION) return LP_AVRO_OP_END;
    bool rounded = reader_items->kind == LP_AVRO_FLOAT;
    if (items->kind == LP_AVRO_FLOAT) return LP_AVRO_OP_VECTOR_F32;
    if (items->kind == LP_AVRO_DOUBLE) return LP_AVRO_OP_VECTOR_F64;
    if (items->kind == LP_AVRO_INT && !rounded) return LP_AVRO_OP_VECTOR_INTS;
    if (items->kind == LP_AVRO_LONG && !rounded) return LP_AVRO_OP_VECTOR_LONGS;
    return LP_AVRO_OP_END;
}

static enum lp_code leaf_vector(struct lp_avro_compiler *compiler, const struct lp_avro_type *writer,
                                const struct lp_avro_type *reader, const struct lp_avro_view *view,
                                struct lp_error *err)
{
    const struct lp_avro_type *items = writer->branches[0];
    struct lp_avro_op op = {.slot = view->slot, .count = view->width};
    op.code = vector_code(items, reader->branches[0]);
    if (op.code != LP_AVRO_OP_END) {
        lp_avro_emit(compiler, op);
        return LP_OK;
    }
    lp_avro_emit(compiler, (struct lp_avro_op){.code = LP_AVRO_OP_BLOCKS});
    uint32_t item = lp_avro_emit_label(compiler);
    op.code = LP_AVRO_OP_VECTOR_ITEM;
    lp_avro_emit(compiler, op);
    struct lp_avro_view each = {.type = LP_WANT_NUMBER, .width = 1, .slot = 0};
    lp_avro_emit_label(compiler);
    LP_TRY(compile_view(compiler, items, reader->branches[0], &each, err));
    lp_avro_emit(compiler, (struct lp_avro_op){.code = LP_AVRO_OP_NEXT, .target = item});
    uint32_t behind = lp_avro_emit_label(compiler);
    if (!compiler->full) lp_avro_emit_at(compiler, item - 1)->target = behind;
    op.code = LP_AVRO_OP_VECTOR_END;
    lp_avro_emit(compiler, op);
    return LP_OK;
}

static enum lp_code compile_leaf(struct lp_avro_compiler *compiler, const struct lp_avro_type *writer,
                                 const struct lp_avro_type *reader, const struct lp_avro_view *view,
                                 struct lp_error *err)
{
    if (!lp_avro_fits(view->type, reader) || (view->type == LP_WANT_TIME_MS && writer->logical == LP_AVRO_TIME)) {
        lp_fail(err, LP_E_MISMATCH, LP_FATAL, "avro: %s, wanted as %s", lp_avro_kind_name(writer->kind),
                lp_avro_want_name(view->type));
        return at_place(compiler, err);
    }
    if (writer->kind == LP_AVRO_NULL) {
        lp_avro_emit_absent(compiler, view);
        return LP_OK;
    }
    switch (view->type) {
    case LP_WANT_NUMBER: leaf_number(compiler, writer, reader, view->slot); break;
    case LP_WANT_TEXT: leaf_text(compiler, writer, reader, view->slot); break;
    case LP_WANT_TIME_MS: leaf_time(compiler, writer, reader, view->slot); break;
    case LP_WANT_VECTOR: return leaf_vector(compiler, writer, reader, view, err);
    }
    return LP_OK;
}

/* ---- unions ---- */

static bool is_optional(const struct lp_avro_type *type)
{
    return type->count == 2 && (type->branches[0]->kind == LP_AVRO_NULL || type->branches[1]->kind == LP_AVRO_NULL);
}

/* A number of a [null, X] union in one op, which runs of such fields share; false: not that simple. */
static bool optional_number(struct lp_avro_compiler *compiler, const struct lp_avro_type *writer,
                            const struct lp_avro_type *reader, const struct lp_avro_view *view)
{
    if (view->node != NULL || view->type != LP_WANT_NUMBER || !is_optional(writer)) return false;
    uint16_t null_index = writer->branches[0]->kind == LP_AVRO_NULL ? 0 : 1;
    const struct lp_avro_type *value = writer->branches[1 - null_index];
    const struct lp_avro_type *to = lp_avro_match_pick(value, reader);
    if (to == NULL || lp_avro_match_pick(writer->branches[null_index], reader) == NULL) return false;
    if (!lp_avro_fits(LP_WANT_NUMBER, to)) return false;
    struct lp_avro_op op = {.extra = null_index, .slot = view->slot, .count = 1};
    if (value->kind == LP_AVRO_FLOAT) op.code = LP_AVRO_OP_OPT_F32;
    else if (value->kind == LP_AVRO_DOUBLE) op.code = LP_AVRO_OP_OPT_F64;
    else if (value->kind == LP_AVRO_INT && to->kind != LP_AVRO_FLOAT) op.code = LP_AVRO_OP_OPT_INTS;
    else if (value->kind == LP_AVRO_LONG && to->kind != LP_AVRO_FLOAT) op.code = LP_AVRO_OP_OPT_LONGS;
    else return false;
    lp_avro_emit(compiler, op);
    return true;
}

/* One branch; one that does not resolve becomes an op that fails when a datum takes it. */
static enum lp_code compile_branch(struct lp_avro_compiler *compiler, const struct lp_avro_type *branch,
                                   const struct lp_avro_type *reader, const struct lp_avro_view *view, bool *ret_good,
                                   struct lp_error *err)
{
    uint32_t start = lp_avro_emit_label(compiler), place = compiler->place, marks = compiler->marks;
    struct lp_error branch_err;
    enum lp_code rc = compile_view(compiler, branch, reader, view, &branch_err);
    if (rc == LP_OK) *ret_good = true;
    if (rc != LP_E_MISMATCH) {
        if (rc != LP_OK) *err = branch_err;
        return rc;
    }
    compiler->pending.count = 0;
    compiler->pending_bytes = 0;
    compiler->plan->ops.count = start;
    compiler->place = place;
    compiler->marks = marks;
    lp_avro_emit_label(compiler);
    lp_avro_emit_fail(compiler, branch_err.text);
    return LP_OK;
}

static uint32_t open_union(struct lp_avro_compiler *compiler, const struct lp_avro_type *writer)
{
    uint32_t first = compiler->plan->targets.count;
    struct lp_avro_op op = {.code = LP_AVRO_OP_UNION, .count = writer->count, .arg = first};
    if (lp_avro_list_add(&compiler->plan->targets, writer->count, sizeof(uint32_t)) == NULL && writer->count > 0)
        compiler->full = true;
    lp_avro_emit(compiler, op);
    return first;
}

static enum lp_code compile_union(struct lp_avro_compiler *compiler, const struct lp_avro_type *writer,
                                  const struct lp_avro_type *reader, const struct lp_avro_view *view,
                                  struct lp_error *err)
{
    if (optional_number(compiler, writer, reader, view)) return LP_OK;
    uint32_t first = open_union(compiler, writer), chain = LP_AVRO_NOWHERE;
    bool good = writer->count == 0; /* no datum of it exists */
    for (uint32_t i = 0; i < writer->count; i++) {
        LP_TRY(lp_avro_step(compiler, err));
        uint32_t at = lp_avro_emit_label(compiler);
        ((uint32_t *)compiler->plan->targets.data)[first + i] = at;
        LP_TRY(compile_branch(compiler, writer->branches[i], reader, view, &good, err));
        if (i + 1 < writer->count) lp_avro_emit_jump(compiler, &chain);
    }
    lp_avro_emit_patch(compiler, chain, lp_avro_emit_label(compiler));
    return good ? LP_OK : mismatch(compiler, writer, reader, err);
}

static enum lp_code compile_view(struct lp_avro_compiler *compiler, const struct lp_avro_type *writer,
                                 const struct lp_avro_type *reader, const struct lp_avro_view *view,
                                 struct lp_error *err)
{
    LP_TRY(lp_avro_step(compiler, err));
    if (writer->kind == LP_AVRO_UNION) return compile_union(compiler, writer, reader, view, err);
    const struct lp_avro_type *picked = lp_avro_match_pick(writer, reader);
    if (picked == NULL) return mismatch(compiler, writer, reader, err);
    if (view->node != NULL) return compile_inside(compiler, writer, picked, view->node, err);
    return compile_leaf(compiler, writer, picked, view, err);
}

/* ---- plans ---- */

static enum lp_code compile(struct lp_avro_compiler *compiler, const struct lp_avro_type *writer,
                            const struct lp_avro_type *reader, struct lp_error *err)
{
    compiler->place = lp_avro_emit_place(compiler, LP_AVRO_NOWHERE, lp_span_of(NULL, 0));
    LP_TRY(compile_datum(compiler, writer, reader, compiler->tree.root, err));
    lp_avro_emit(compiler, (struct lp_avro_op){.code = LP_AVRO_OP_END});
    lp_avro_skip_subroutines(compiler);
    return lp_avro_step(compiler, err);
}

static void compiler_done(struct lp_avro_compiler *compiler)
{
    free(compiler->pending.data);
    free(compiler->skipped);
    free(compiler->skipped_at);
    json_decref(compiler->skipped_index);
    lp_avro_pool_done(&compiler->pool);
}

enum lp_code lp_avro_plan_new(const struct lp_avro_schema *writer, const struct lp_avro_schema *reader,
                              const struct lp_want *wants, uint32_t want_count, struct lp_avro_plan **ret_plan,
                              struct lp_error *err)
{
    const struct lp_avro_type *reads = reader != NULL ? reader->root : writer->root;
    struct lp_avro_compiler compiler = {.skipped_index = json_object()};
    enum lp_code rc = LP_OK;
    compiler.plan = calloc(1, sizeof *compiler.plan);
    if (compiler.plan == NULL || compiler.skipped_index == NULL) LP_GUARD(lp_fail_memory(err, sizeof *compiler.plan));
    LP_GUARD(lp_avro_tree_build(&compiler.pool, wants, want_count, &compiler.tree, err));
    LP_GUARD(lp_avro_tree_check(&compiler.tree, reads, err));
    LP_GUARD(compile(&compiler, writer->root, reads, err));
    *ret_plan = compiler.plan;
    compiler.plan = NULL;
out:
    lp_avro_plan_free(compiler.plan);
    compiler_done(&compiler);
    return rc;
}

void lp_avro_plan_free(struct lp_avro_plan *plan)
{
    if (plan == NULL) return;
    struct lp_avro_list *lists[] = {&plan->ops,     &plan->places,  &plan->runs,    &plan->pairs,
                                    &plan->symbols, &plan->targets, &plan->doubles, &plan->chars};
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) free(lists[i]->data);
    free(plan);
}
