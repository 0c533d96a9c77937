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

/* A vector whose items need code of their own: a loop that moves the slots' base from item to item. */
static enum lp_code compile_vector(struct lp_avro_compiler *compiler, const struct lp_avro_type *writer,
                                   const struct lp_avro_type *reader, const struct lp_avro_view *view,
                                   struct lp_error *err)
{
    struct lp_avro_op op = {.code = LP_AVRO_OP_VECTOR_ITEM, .slot = view->slot, .count = view->width};
    struct lp_avro_view each = {.type = LP_WANT_NUMBER, .width = 1, .slot = 0};
    lp_avro_emit(compiler, (struct lp_avro_op){.code = LP_AVRO_OP_BLOCKS});
    uint32_t item = lp_avro_emit_label(compiler);
    lp_avro_emit(compiler, op);
    lp_avro_emit_label(compiler);
    LP_TRY(compile_view(compiler, writer->branches[0], reader->branches[0], &each, err));
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
    if (!lp_avro_leaf_is_plain(writer, reader, view)) return compile_vector(compiler, writer, reader, view, err);
    lp_avro_leaf(compiler, writer, reader, view);
    return LP_OK;
}

/* ---- unions ---- */

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
    const char *text = branch_err.text; /* the run's own error begins with the stage, too */
    lp_avro_emit_fail(compiler, strncmp(text, "avro: ", 6) == 0 ? text + 6 : text);
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
    if (lp_avro_leaf_optional(compiler, writer, reader, view)) return LP_OK;
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

/* "avro: what" to "avro: field 'a.b': what". */
static void name_field(struct lp_error *err)
{
    static const char stage[] = "avro: ";
    size_t bytes = strncmp(err->text, stage, sizeof stage - 1) == 0 ? sizeof stage - 1 : 0;
    memmove(err->text, err->text + bytes, strlen(err->text + bytes) + 1);
    lp_error_wrap(err, "avro: field '%s'", err->field);
}

static enum lp_code compile(struct lp_avro_compiler *compiler, const struct lp_avro_type *writer,
                            const struct lp_avro_type *reader, struct lp_error *err)
{
    compiler->place = lp_avro_emit_place(compiler, LP_AVRO_NOWHERE, lp_span_of(NULL, 0));
    enum lp_code rc = compile_datum(compiler, writer, reader, compiler->tree.root, err);
    if (rc == LP_E_MISMATCH && err->field[0] != '\0') name_field(err);
    LP_TRY(rc);
    lp_avro_emit(compiler, (struct lp_avro_op){.code = LP_AVRO_OP_END});
    lp_avro_skip_subroutines(compiler);
    return lp_avro_step(compiler, err);
}

static enum lp_code compiler_init(struct lp_avro_compiler *compiler, const struct lp_avro_schema *writer,
                                  struct lp_error *err)
{
    size_t named = (size_t)writer->named_count + 1;
    compiler->plan = calloc(1, sizeof *compiler->plan);
    compiler->subroutine_of = lp_avro_pool_take(&compiler->pool, named, sizeof *compiler->subroutine_of);
    compiler->skipped = lp_avro_pool_take(&compiler->pool, named, sizeof *compiler->skipped);
    compiler->skipped_at = lp_avro_pool_take(&compiler->pool, named, sizeof *compiler->skipped_at);
    if (compiler->plan == NULL) return lp_fail_memory(err, sizeof *compiler->plan);
    if (compiler->subroutine_of == NULL || compiler->skipped == NULL || compiler->skipped_at == NULL)
        return lp_avro_pool_fail(&compiler->pool, err);
    memset(compiler->subroutine_of, 0xff, named * sizeof *compiler->subroutine_of); /* LP_AVRO_NOWHERE */
    return LP_OK;
}

enum lp_code lp_avro_plan_new(const struct lp_avro_schema *writer, const struct lp_avro_schema *reader,
                              const struct lp_want *wants, uint32_t want_count, struct lp_avro_plan **ret_plan,
                              struct lp_error *err)
{
    const struct lp_avro_type *reads = reader != NULL ? reader->root : writer->root;
    struct lp_avro_compiler compiler = {.plan = NULL};
    enum lp_code rc = LP_OK;
    LP_GUARD(compiler_init(&compiler, writer, err));
    LP_GUARD(lp_avro_tree_build(&compiler.pool, wants, want_count, &compiler.tree, err));
    LP_GUARD(lp_avro_tree_check(&compiler.tree, reads, err));
    LP_GUARD(compile(&compiler, writer->root, reads, err));
    *ret_plan = compiler.plan;
    compiler.plan = NULL;
out:
    lp_avro_plan_free(compiler.plan);
    free(compiler.pending.data);
    lp_avro_pool_done(&compiler.pool);
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
