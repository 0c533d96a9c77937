/* Ops for single values: numbers, texts, times, whole vectors. The reader's type was found to fit the want. */
#include "decode/avro_compile.h"

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

bool lp_avro_leaf_is_plain(const struct lp_avro_type *writer, const struct lp_avro_type *reader,
                           const struct lp_avro_view *view)
{
    if (view->type != LP_WANT_VECTOR || writer->kind == LP_AVRO_NULL) return true;
    return vector_code(writer->branches[0], reader->branches[0]) != LP_AVRO_OP_END;
}

void lp_avro_leaf(struct lp_avro_compiler *compiler, const struct lp_avro_type *writer,
                  const struct lp_avro_type *reader, const struct lp_avro_view *view)
{
    if (writer->kind == LP_AVRO_NULL) {
        lp_avro_emit_absent(compiler, view);
        return;
    }
    switch (view->type) {
    case LP_WANT_NUMBER: leaf_number(compiler, writer, reader, view->slot); break;
    case LP_WANT_TEXT: leaf_text(compiler, writer, reader, view->slot); break;
    case LP_WANT_TIME_MS: leaf_time(compiler, writer, reader, view->slot); break;
    case LP_WANT_VECTOR:
        lp_avro_emit(compiler, (struct lp_avro_op){.code = vector_code(writer->branches[0], reader->branches[0]),
                                                   .slot = view->slot,
                                                   .count = view->width});
    }
}

static bool is_optional(const struct lp_avro_type *type)
{
    return type->count == 2 && (type->branches[0]->kind == LP_AVRO_NULL || type->branches[1]->kind == LP_AVRO_NULL);
}

bool lp_avro_leaf_optional(struct lp_avro_compiler *compiler, const struct lp_avro_type *writer,
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
