/* Writing ops: runs of fixed-width data under one bounds check, fused neighbours, labels and jumps. */
#include "decode/avro_compile.h"

#include <math.h>
#include <stdlib.h>

enum { LIST_MAX_BYTES = 16 * 1024 * 1024 }; /* of each of a plan's lists */

void *lp_avro_list_add(struct lp_avro_list *list, uint32_t count, size_t size)
{
    if (list->data == NULL || count > list->capacity - list->count) {
        size_t capacity = list->capacity < 16 ? 16 : (size_t)list->capacity * 2;
        if (capacity < (size_t)list->count + count) capacity = (size_t)list->count + count;
        if (capacity > LIST_MAX_BYTES / size) return NULL;
        void *grown = realloc(list->data, capacity * size);
        if (grown == NULL) return NULL;
        list->data = grown;
        list->capacity = (uint32_t)capacity;
    }
    void *added = (char *)list->data + (size_t)list->count * size;
    list->count += count;
    return added;
}

struct lp_avro_op *lp_avro_emit_at(struct lp_avro_compiler *compiler, uint32_t at)
{
    return (struct lp_avro_op *)compiler->plan->ops.data + at;
}

static void append(struct lp_avro_compiler *compiler, struct lp_avro_op op)
{
    if (compiler->full || compiler->plan->ops.count >= LP_AVRO_OPS_MAX) {
        compiler->full = true;
        return;
    }
    struct lp_avro_op *to = lp_avro_list_add(&compiler->plan->ops, 1, sizeof op);
    if (to != NULL) *to = op;
    else compiler->full = true;
}

/* Do the op's elements follow `last`'s in the body, in the record and in the places? */
static bool fuses(const struct lp_avro_op *last, const struct lp_avro_op *op)
{
    if (last->code != op->code || last->extra != op->extra) return false;
    bool place = last->place + last->count == op->place, slot = last->slot + last->count == op->slot;
    switch (op->code) {
    case LP_AVRO_OP_FILL: return slot;
    case LP_AVRO_OP_CONST: return slot && last->arg + last->count == op->arg;
    case LP_AVRO_OP_SKIP_INTS:
    case LP_AVRO_OP_SKIP_LONGS:
    case LP_AVRO_OP_SKIP_BYTES: return place;
    case LP_AVRO_OP_INTS:
    case LP_AVRO_OP_LONGS:
    case LP_AVRO_OP_INTS_ROUNDED:
    case LP_AVRO_OP_LONGS_ROUNDED:
    case LP_AVRO_OP_OPT_F32:
    case LP_AVRO_OP_OPT_F64:
    case LP_AVRO_OP_OPT_INTS:
    case LP_AVRO_OP_OPT_LONGS: return place && slot;
    default: return false;
    }
}

static void append_or_fuse(struct lp_avro_compiler *compiler, struct lp_avro_op op)
{
    uint32_t count = compiler->plan->ops.count;
    if (count > compiler->barrier && fuses(lp_avro_emit_at(compiler, count - 1), &op))
        lp_avro_emit_at(compiler, count - 1)->count += op.count;
    else append(compiler, op);
}

/* ---- runs ---- */

static const struct lp_avro_pending *pending(const struct lp_avro_compiler *compiler, uint32_t at)
{
    return (const struct lp_avro_pending *)compiler->pending.data + at;
}

/* How many entries from `from` on have one code and consecutive offsets and slots (and places). */
static uint32_t streak(const struct lp_avro_compiler *compiler, uint32_t from)
{
    const struct lp_avro_pending *first = pending(compiler, from);
    uint32_t count = 1;
    for (; from + count < compiler->pending.count; count++) {
        const struct lp_avro_pending *next = pending(compiler, from + count);
        bool slots = first->code == LP_AVRO_OP_AT_BOOL_CHECK || next->slot == first->slot + count;
        if (next->code != first->code || !slots) break;
        if (next->offset != first->offset + count * first->bytes || next->place != first->place + count) break;
    }
    return count;
}

static bool is_real(uint16_t code) { return code == LP_AVRO_OP_AT_F32 || code == LP_AVRO_OP_AT_F64; }

/* Floats (or doubles) whose slots follow no order: one op over a table instead of an op each. */
static uint32_t emit_scattered(struct lp_avro_compiler *compiler, uint32_t from)
{
    uint16_t code = pending(compiler, from)->code;
    uint32_t at = from, count = 0, first = compiler->plan->pairs.count;
    for (; at < compiler->pending.count; at++) {
        const struct lp_avro_pending *next = pending(compiler, at);
        if (next->code == LP_AVRO_OP_SKIP) continue;
        if (next->code != code || streak(compiler, at) > 4) break;
        struct lp_avro_pair *pair = lp_avro_list_add(&compiler->plan->pairs, 1, sizeof *pair);
        if (pair == NULL) {
            compiler->full = true;
            break;
        }
        *pair = (struct lp_avro_pair){.slot = next->slot, .offset = next->offset};
        count++;
    }
    append(compiler,
           (struct lp_avro_op){.code = code == LP_AVRO_OP_AT_F32 ? LP_AVRO_OP_AT_F32_EACH : LP_AVRO_OP_AT_F64_EACH,
                               .count = count,
                               .target = first,
                               .place = pending(compiler, from)->place});
    return at - from;
}

/* The AT ops of the run; returns nothing that can fail but by `full`. */
static void emit_parts(struct lp_avro_compiler *compiler)
{
    for (uint32_t i = 0; i < compiler->pending.count && !compiler->full;) {
        const struct lp_avro_pending *part = pending(compiler, i);
        bool fusible = is_real(part->code) || part->code == LP_AVRO_OP_AT_BOOL;
        uint32_t count = fusible || part->code == LP_AVRO_OP_AT_BOOL_CHECK ? streak(compiler, i) : 1;
        if (is_real(part->code) && count <= 4 && i + count < compiler->pending.count) {
            i += emit_scattered(compiler, i);
            continue;
        }
        bool decimal = part->code == LP_AVRO_OP_AT_DECIMAL;
        struct lp_avro_op op = {.code = part->code,
                                .slot = part->slot,
                                .count = decimal ? part->scale : count,
                                .arg = part->offset,
                                .target = part->bytes,
                                .place = part->place};
        if (part->code != LP_AVRO_OP_SKIP) append(compiler, op);
        i += count;
    }
}

static void emit_run(struct lp_avro_compiler *compiler)
{
    uint32_t count = compiler->pending.count, first = compiler->plan->runs.count;
    struct lp_avro_run_end *ends = lp_avro_list_add(&compiler->plan->runs, count, sizeof *ends);
    if (ends == NULL) {
        compiler->full = true;
        return;
    }
    for (uint32_t i = 0; i < count; i++)
        ends[i] = (struct lp_avro_run_end){.offset = pending(compiler, i)->offset + pending(compiler, i)->bytes,
                                           .place = pending(compiler, i)->place};
    append(compiler, (struct lp_avro_op){.code = LP_AVRO_OP_FIXED,
                                         .count = count,
                                         .arg = compiler->pending_bytes,
                                         .target = first,
                                         .place = pending(compiler, 0)->place});
    emit_parts(compiler);
}

static void close_run(struct lp_avro_compiler *compiler)
{
    uint32_t count = compiler->pending.count;
    if (count == 0) return;
    const struct lp_avro_pending *first = pending(compiler, 0);
    if (is_real(first->code) && streak(compiler, 0) == count)
        append(compiler, (struct lp_avro_op){.code = first->code == LP_AVRO_OP_AT_F32 ? LP_AVRO_OP_F32 : LP_AVRO_OP_F64,
                                             .slot = first->slot,
                                             .count = count,
                                             .place = first->place});
    else if (count == 1 && first->code == LP_AVRO_OP_SKIP)
        append(compiler, (struct lp_avro_op){.code = LP_AVRO_OP_SKIP, .arg = first->bytes, .place = first->place});
    else emit_run(compiler);
    compiler->pending.count = 0;
    compiler->pending_bytes = 0;
}

void lp_avro_emit_fixed(struct lp_avro_compiler *compiler, uint16_t code, uint32_t slot, uint32_t bytes, uint32_t scale)
{
    if (bytes > LP_AVRO_RUN_MAX_BYTES - compiler->pending_bytes) close_run(compiler);
    struct lp_avro_pending *part = lp_avro_list_add(&compiler->pending, 1, sizeof *part);
    if (part == NULL) {
        compiler->full = true;
        return;
    }
    *part = (struct lp_avro_pending){.code = code,
                                     .slot = slot,
                                     .bytes = bytes,
                                     .scale = scale,
                                     .offset = compiler->pending_bytes,
                                     .place = compiler->place};
    compiler->pending_bytes += bytes;
}

/* ---- ops ---- */

void lp_avro_emit(struct lp_avro_compiler *compiler, struct lp_avro_op op)
{
    close_run(compiler);
    op.place = compiler->place;
    append_or_fuse(compiler, op);
}

uint32_t lp_avro_emit_label(struct lp_avro_compiler *compiler)
{
    close_run(compiler);
    compiler->barrier = compiler->plan->ops.count;
    return compiler->barrier;
}

void lp_avro_emit_jump(struct lp_avro_compiler *compiler, uint32_t *chain)
{
    lp_avro_emit(compiler, (struct lp_avro_op){.code = LP_AVRO_OP_JUMP, .target = *chain});
    if (!compiler->full) *chain = compiler->plan->ops.count - 1;
}

void lp_avro_emit_patch(struct lp_avro_compiler *compiler, uint32_t chain, uint32_t target)
{
    while (chain != LP_AVRO_NOWHERE && !compiler->full) {
        struct lp_avro_op *op = lp_avro_emit_at(compiler, chain);
        chain = op->target;
        op->target = target;
    }
}

uint32_t lp_avro_emit_chars(struct lp_avro_compiler *compiler, struct lp_span text)
{
    uint32_t at = compiler->plan->chars.count;
    char *to = text.size <= LIST_MAX_BYTES ? lp_avro_list_add(&compiler->plan->chars, (uint32_t)text.size, 1) : NULL;
    if (to == NULL) compiler->full = true;
    else if (text.size > 0) memcpy(to, text.data, text.size);
    return at;
}

void lp_avro_emit_fail(struct lp_avro_compiler *compiler, const char *text)
{
    lp_avro_emit(compiler, (struct lp_avro_op){.code = LP_AVRO_OP_FAIL,
                                               .arg = lp_avro_emit_chars(compiler, lp_span_text(text)),
                                               .count = (uint32_t)strlen(text)});
}

void lp_avro_emit_double(struct lp_avro_compiler *compiler, uint32_t slot, double value)
{
    double *to = lp_avro_list_add(&compiler->plan->doubles, 1, sizeof *to);
    if (to == NULL) {
        compiler->full = true;
        return;
    }
    *to = value;
    lp_avro_emit(compiler,
                 (struct lp_avro_op){
                     .code = LP_AVRO_OP_CONST, .slot = slot, .count = 1, .arg = compiler->plan->doubles.count - 1});
}

void lp_avro_emit_text(struct lp_avro_compiler *compiler, uint32_t slot, struct lp_span text)
{
    uint32_t at = lp_avro_emit_chars(compiler, text);
    lp_avro_emit(compiler, (struct lp_avro_op){
                               .code = LP_AVRO_OP_TEXT_CONST, .slot = slot, .arg = at, .count = (uint32_t)text.size});
}

static void absent_want(struct lp_avro_compiler *compiler, enum lp_want_type type, uint32_t slot, uint32_t width)
{
    uint32_t count = type == LP_WANT_VECTOR ? width : 1;
    lp_avro_emit(compiler, (struct lp_avro_op){.code = type == LP_WANT_TEXT ? LP_AVRO_OP_TEXT_NONE : LP_AVRO_OP_FILL,
                                               .slot = slot,
                                               .count = count});
}

/* Recursion follows the paths: at most LP_AVRO_DEPTH_MAX deep. */
static void absent_node(struct lp_avro_compiler *compiler, const struct lp_avro_node *node)
{
    for (uint32_t i = node->first_want; i != LP_AVRO_NO_WANT; i = compiler->tree.next_want[i]) {
        const struct lp_want *want = &compiler->tree.wants[i];
        absent_want(compiler, want->type, want->slot, want->width);
    }
    for (const struct lp_avro_node *child = node->child; child != NULL; child = child->next)
        absent_node(compiler, child);
}

void lp_avro_emit_absent(struct lp_avro_compiler *compiler, const struct lp_avro_view *view)
{
    if (view->node == NULL) {
        absent_want(compiler, view->type, view->slot, view->width);
        return;
    }
    for (const struct lp_avro_node *child = view->node->child; child != NULL; child = child->next)
        absent_node(compiler, child);
}

uint32_t lp_avro_emit_place(struct lp_avro_compiler *compiler, uint32_t parent, struct lp_span name)
{
    uint32_t bytes = (uint32_t)(name.size < LP_ERROR_FIELD_BYTES ? name.size : LP_ERROR_FIELD_BYTES);
    uint32_t at = lp_avro_emit_chars(compiler, lp_span_of(name.data, bytes));
    struct lp_avro_place *place = lp_avro_list_add(&compiler->plan->places, 1, sizeof *place);
    if (place == NULL) {
        compiler->full = true;
        return 0;
    }
    *place = (struct lp_avro_place){.parent = parent, .at = at, .bytes = bytes};
    return compiler->plan->places.count - 1;
}
