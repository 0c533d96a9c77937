/* Ops that convert single values: texts that go through the scratch, decimals, uuids. */
#include "decode/avro_step.h"

static unsigned char *scratch_take(struct lp_record *record, size_t bytes)
{
    if (bytes > record->scratch_bytes - record->scratch_used || record->scratch == NULL) return NULL;
    unsigned char *taken = record->scratch + record->scratch_used;
    record->scratch_used += bytes;
    return taken;
}

static lp_avro_position text_copy(struct lp_avro_run *run, uint32_t slot, const void *text, size_t bytes,
                                  lp_avro_position p)
{
    unsigned char *to = scratch_take(run->record, bytes);
    if (to == NULL) return lp_avro_bad(run, LP_AVRO_BAD_SCRATCH, p, 0);
    memcpy(to, text, bytes);
    run->record->texts[slot] = lp_span_of(to, bytes);
    return p;
}

/* A text of the plan's own, which outlives the record: a copy would let a record of few bytes fill the scratch. */
static struct lp_span plan_text(const struct lp_avro_run *run, uint32_t at, uint32_t bytes)
{
    return bytes > 0 ? lp_span_of((const char *)run->plan->chars.data + at, bytes) : lp_span_of("", 0);
}

void lp_avro_text_const(struct lp_avro_run *run, lp_avro_op_at op)
{
    run->record->texts[op->slot] = plan_text(run, op->arg, op->count);
}

/* ---- fixed-width runs ---- */

lp_avro_position lp_avro_at_text(struct lp_avro_run *run, lp_avro_op_at op, lp_avro_position p)
{
    const unsigned char *at = run->base + op->arg;
    if (!lp_utf8_valid_before(at, op->target, run->end)) return lp_avro_bad(run, LP_AVRO_BAD_UTF8, at, 0);
    run->record->texts[op->slot] = lp_span_of(at, op->target);
    return p;
}

lp_avro_position lp_avro_at_uuid(struct lp_avro_run *run, lp_avro_op_at op, lp_avro_position p)
{
    unsigned char text[LP_AVRO_UUID_TEXT_BYTES];
    lp_avro_uuid_text(run->base + op->arg, text);
    return text_copy(run, op->slot, text, sizeof text, p);
}

lp_avro_position lp_avro_at_decimal(struct lp_avro_run *run, lp_avro_op_at op, lp_avro_position p)
{
    struct lp_span bytes = lp_span_of(run->base + op->arg, op->target);
    if (!lp_avro_decimal(bytes, op->count, &run->numbers[op->slot]))
        return lp_avro_bad(run, LP_AVRO_BAD_DECIMAL, bytes.data, 0);
    return p;
}

/* ---- the others ---- */

lp_avro_position lp_avro_step_decimal(struct lp_avro_run *run, lp_avro_op_at op, lp_avro_position p)
{
    struct lp_span bytes;
    p = lp_avro_step_bytes(run, p, 0, &bytes);
    if (p != NULL && !lp_avro_decimal(bytes, op->arg, &run->numbers[op->slot]))
        return lp_avro_bad(run, LP_AVRO_BAD_DECIMAL, bytes.data, 0);
    return p;
}

static lp_avro_position read_number(struct lp_avro_run *run, lp_avro_position p, struct lp_avro_number *number)
{
    static const unsigned char widths[] = {
        [LP_AVRO_FROM_BOOLEAN] = 1, [LP_AVRO_FROM_FLOAT] = 4, [LP_AVRO_FROM_DOUBLE] = 8};
    if (number->source == LP_AVRO_FROM_INT || number->source == LP_AVRO_FROM_LONG)
        return lp_avro_step_whole(run, p, number->source == LP_AVRO_FROM_LONG, 0, &number->integer);
    size_t width = widths[number->source];
    if (lp_avro_left(run, p) < width) return lp_avro_bad(run, LP_AVRO_BAD_SHORT, p, 0);
    if (number->source == LP_AVRO_FROM_BOOLEAN) {
        if (*p > 1) return lp_avro_bad(run, LP_AVRO_BAD_BOOLEAN, p, 0);
        number->integer = *p;
    } else {
        number->real = width == 4 ? (double)*(const lp_avro_f32 *)p : *(const lp_avro_f64 *)p;
    }
    return p + width;
}

lp_avro_position lp_avro_text_number(struct lp_avro_run *run, lp_avro_op_at op, lp_avro_position p)
{
    struct lp_avro_number number = {.source = op->extra};
    char digits[LP_AVRO_NUMBER_TEXT_BYTES];
    p = read_number(run, p, &number);
    return p != NULL ? text_copy(run, op->slot, digits, lp_avro_number_text(number, op->arg, digits), p) : NULL;
}

lp_avro_position lp_avro_enum_text(struct lp_avro_run *run, lp_avro_op_at op, lp_avro_position p)
{
    int64_t index = 0;
    lp_avro_position next = lp_avro_step_symbol(run, p, op->count, &index);
    if (next == NULL) return NULL;
    const struct lp_avro_pair *symbol = (const struct lp_avro_pair *)run->plan->symbols.data + op->arg + index;
    if (symbol->offset == LP_AVRO_NOWHERE) return lp_avro_bad(run, LP_AVRO_BAD_SYMBOL, p, 0);
    run->record->texts[op->slot] = plan_text(run, symbol->offset, symbol->slot);
    return next;
}
