/* Skipping: every datum is still checked. Small records are skipped in place, the others by subroutine. */
#include "decode/avro_compile.h"

static void skip_array(struct lp_avro_compiler *compiler, const struct lp_avro_type *type)
{
    const struct lp_avro_type *items = type->branches[0];
    if (type->kind == LP_AVRO_ARRAY && items->fixed_bytes >= 0) {
        lp_avro_emit(compiler, (struct lp_avro_op){.code = LP_AVRO_OP_SKIP_ITEMS, .arg = (uint32_t)items->fixed_bytes});
        return;
    }
    lp_avro_emit(compiler, (struct lp_avro_op){.code = LP_AVRO_OP_BLOCKS});
    uint32_t item = lp_avro_emit_label(compiler);
    if (type->kind == LP_AVRO_MAP)
        lp_avro_emit(compiler, (struct lp_avro_op){.code = LP_AVRO_OP_SKIP_BYTES, .count = 1});
    lp_avro_skip(compiler, items);
    lp_avro_emit(compiler, (struct lp_avro_op){.code = LP_AVRO_OP_NEXT, .target = item});
    uint32_t behind = lp_avro_emit_label(compiler);
    if (!compiler->full) lp_avro_emit_at(compiler, item - 1)->target = behind;
}

static void skip_union(struct lp_avro_compiler *compiler, const struct lp_avro_type *type)
{
    uint32_t first = compiler->plan->targets.count, chain = LP_AVRO_NOWHERE;
    if (lp_avro_list_add(&compiler->plan->targets, type->count, sizeof(uint32_t)) == NULL && type->count > 0) {
        compiler->full = true;
        return;
    }
    lp_avro_emit(compiler, (struct lp_avro_op){.code = LP_AVRO_OP_UNION, .count = type->count, .arg = first});
    for (uint32_t i = 0; i < type->count && !compiler->full; i++) {
        uint32_t at = lp_avro_emit_label(compiler);
        lp_avro_skip(compiler, type->branches[i]);
        if (i + 1 < type->count) lp_avro_emit_jump(compiler, &chain);
        if (!compiler->full) ((uint32_t *)compiler->plan->targets.data)[first + i] = at;
    }
    lp_avro_emit_patch(compiler, chain, lp_avro_emit_label(compiler));
}

static void skip_fields(struct lp_avro_compiler *compiler, const struct lp_avro_type *type)
{
    uint32_t outer = compiler->place;
    for (uint32_t i = 0; i < type->count && !compiler->full; i++) {
        compiler->place = lp_avro_emit_place(compiler, outer, type->fields[i].name);
        lp_avro_skip(compiler, type->fields[i].type);
    }
    compiler->place = outer;
}

/* The subroutine's number for a record; its address takes its place at the end. */
static uint32_t subroutine(struct lp_avro_compiler *compiler, const struct lp_avro_type *type)
{
    uint32_t *number = &compiler->subroutine_of[type->id];
    if (*number == LP_AVRO_NOWHERE) {
        *number = compiler->skipped_count;
        compiler->skipped[compiler->skipped_count++] = type;
    }
    return *number;
}

static void skip_record(struct lp_avro_compiler *compiler, const struct lp_avro_type *type)
{
    if (type->weight <= LP_AVRO_INLINE_WEIGHT_MAX) {
        skip_fields(compiler, type);
        return;
    }
    lp_avro_emit(compiler, (struct lp_avro_op){.code = LP_AVRO_OP_CALL, .target = subroutine(compiler, type)});
}

/* Recursion stays within one record's definition, or within LP_AVRO_INLINE_WEIGHT_MAX types. */
void lp_avro_skip(struct lp_avro_compiler *compiler, const struct lp_avro_type *type)
{
    if (compiler->full || type->fixed_bytes == 0) return;
    if (type->fixed_bytes > 0) {
        lp_avro_emit_fixed(compiler, LP_AVRO_OP_SKIP, 0, (uint32_t)type->fixed_bytes, 0);
        return;
    }
    switch (type->kind) {
    case LP_AVRO_BOOLEAN: lp_avro_emit_fixed(compiler, LP_AVRO_OP_AT_BOOL_CHECK, 0, 1, 0); break;
    case LP_AVRO_INT: lp_avro_emit(compiler, (struct lp_avro_op){.code = LP_AVRO_OP_SKIP_INTS, .count = 1}); break;
    case LP_AVRO_LONG: lp_avro_emit(compiler, (struct lp_avro_op){.code = LP_AVRO_OP_SKIP_LONGS, .count = 1}); break;
    case LP_AVRO_BYTES:
    case LP_AVRO_STRING: lp_avro_emit(compiler, (struct lp_avro_op){.code = LP_AVRO_OP_SKIP_BYTES, .count = 1}); break;
    case LP_AVRO_ENUM:
        lp_avro_emit(compiler, (struct lp_avro_op){.code = LP_AVRO_OP_SKIP_ENUM, .arg = type->count});
        break;
    case LP_AVRO_ARRAY:
    case LP_AVRO_MAP: skip_array(compiler, type); break;
    case LP_AVRO_UNION: skip_union(compiler, type); break;
    case LP_AVRO_RECORD: skip_record(compiler, type); break;
    default: break; /* null, float, double and fixed have fixed sizes */
    }
}

void lp_avro_skip_subroutines(struct lp_avro_compiler *compiler)
{
    for (uint32_t i = 0; i < compiler->skipped_count && !compiler->full; i++) {
        compiler->skipped_at[i] = lp_avro_emit_label(compiler);
        compiler->place = LP_AVRO_NOWHERE;
        skip_fields(compiler, compiler->skipped[i]);
        lp_avro_emit(compiler, (struct lp_avro_op){.code = LP_AVRO_OP_RETURN});
    }
    for (uint32_t i = 0; i < compiler->plan->ops.count && !compiler->full; i++) {
        struct lp_avro_op *op = lp_avro_emit_at(compiler, i);
        if (op->code == LP_AVRO_OP_CALL) op->target = compiler->skipped_at[op->target];
    }
}
