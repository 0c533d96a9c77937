/* What went wrong in a body: the text and the field. Off the hot path. */
#include "decode/avro_run.h"

struct field_text {
    char text[LP_ERROR_FIELD_BYTES];
    size_t used;
};

/* One place's names, outermost first, behind those of the calls that led to it; cut at the field's limit. */
static void put_place(struct field_text *field, const struct lp_avro_plan *plan, uint32_t place)
{
    const struct lp_avro_place *places = plan->places.data;
    const struct lp_avro_place *chain[LP_AVRO_DEPTH_MAX * 2];
    size_t count = 0;
    for (; place != LP_AVRO_NOWHERE && count < sizeof chain / sizeof *chain; place = places[place].parent)
        if (places[place].bytes > 0) chain[count++] = &places[place];
    while (count-- > 0) {
        size_t room = sizeof field->text - 1 - field->used;
        if (field->used > 0 && room > 0) {
            field->text[field->used++] = '.';
            room--;
        }
        size_t bytes = chain[count]->bytes < room ? chain[count]->bytes : room;
        memcpy(field->text + field->used, (const char *)plan->chars.data + chain[count]->at, bytes);
        field->used += bytes;
    }
}

/* The first field of a fixed-width run that is not whole in what is left of the body. */
static uint32_t short_place(const struct lp_avro_run *run, const struct lp_avro_op *op)
{
    const struct lp_avro_run_end *ends = run->plan->runs.data;
    size_t left = (size_t)(run->end - run->bad_at);
    for (uint32_t i = 0; i < op->count; i++)
        if (ends[op->target + i].offset > left) return ends[op->target + i].place;
    return op->place;
}

static uint32_t place_of(const struct lp_avro_run *run, const struct lp_avro_op *op)
{
    size_t left = (size_t)(run->end - run->bad_at);
    switch (op->code) {
    case LP_AVRO_OP_FIXED: return short_place(run, op);
    case LP_AVRO_OP_F32: return op->place + (uint32_t)(left / 4);
    case LP_AVRO_OP_F64: return op->place + (uint32_t)(left / 8);
    default: return op->place + run->element;
    }
}

/* A varint that lp_avro_varint refused: is it the body that ends, or the number that does not? */
static const char *varint_text(const struct lp_avro_run *run)
{
    const unsigned char *p = run->bad_at;
    while (p < run->end && p - run->bad_at < 10 && (*p & 0x80) != 0) p++;
    if (p == run->end) return "the record ends within a number";
    if (p - run->bad_at >= 9) return "a long of more than 64 bits";
    return run->why == LP_AVRO_BAD_INT ? "an int of more than 32 bits or five bytes" : "not a number";
}

static const char *why_text(const struct lp_avro_run *run)
{
    static const char *const texts[] = {
        [LP_AVRO_BAD_SHORT] = "the record ends early",
        [LP_AVRO_BAD_BOOLEAN] = "a boolean that is neither 0 nor 1",
        [LP_AVRO_BAD_LENGTH] = "a length that is negative or past the record's end",
        [LP_AVRO_BAD_UTF8] = "not valid UTF-8",
        [LP_AVRO_BAD_UNION] = "a branch that the union does not have",
        [LP_AVRO_BAD_ENUM] = "a symbol that the enum does not have",
        [LP_AVRO_BAD_SYMBOL] = "a symbol that the reader's enum lacks, and it has no default",
        [LP_AVRO_BAD_DECIMAL] = "a decimal of too many digits",
        [LP_AVRO_BAD_BLOCK] = "a block whose count or size is wrong",
        [LP_AVRO_BAD_TRAILING] = "bytes after the record's end: is this the right schema?",
        [LP_AVRO_BAD_ITEMS] = "too many array and map items in one record",
        [LP_AVRO_BAD_DEPTH] = "nested too deep",
        [LP_AVRO_BAD_SCRATCH] = "the record's texts do not fit in the scratch",
    };
    if (run->why == LP_AVRO_BAD_VARINT || run->why == LP_AVRO_BAD_INT) return varint_text(run);
    return texts[run->why];
}

const unsigned char *lp_avro_bad(struct lp_avro_run *run, enum lp_avro_why why, const unsigned char *at,
                                 uint32_t element)
{
    run->why = why;
    run->bad_at = at;
    run->element = element;
    return NULL;
}

enum lp_code lp_avro_run_fail(const struct lp_avro_run *run, const struct lp_avro_op *op, struct lp_error *err)
{
    struct field_text field = {.used = 0};
    for (uint32_t i = 0; i < run->call_count; i++) put_place(&field, run->plan, run->returns[i]->place);
    put_place(&field, run->plan, place_of(run, op));
    const char *name = field.text, *shown = field.used > 0 ? name : "the record";
    size_t offset = (size_t)(run->bad_at - run->body);
    enum lp_code code = run->why >= LP_AVRO_BAD_ITEMS ? LP_E_LIMIT : LP_E_INVALID;
    if (run->why == LP_AVRO_BAD_WIDTH)
        return lp_fail_field(err, code, LP_SKIP_RECORD, name, "avro: %s: byte %zu: an array that has not %u values",
                             name, offset, (unsigned)op->count);
    if (run->why == LP_AVRO_BAD_DATUM)
        return lp_fail_field(err, code, LP_SKIP_RECORD, name, "avro: %s: byte %zu: %.*s", shown, offset, (int)op->count,
                             (const char *)run->plan->chars.data + op->arg);
    return lp_fail_field(err, code, LP_SKIP_RECORD, name, "avro: %s: byte %zu: %s", shown, offset, why_text(run));
}
