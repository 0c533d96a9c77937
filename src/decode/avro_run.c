/*
 * The runner. Each op is an inline function from a position to the next one, NULL for a failure whose reason is in the
 * run; one switch drives them. Positions never pass `end`; every count is checked before it is used as a length.
 */
#include "decode/avro_step.h"

#include <math.h>

/* ---- the same datum again ---- */

LP_HOT void mark(struct lp_avro_run *run, lp_avro_op_at op, lp_avro_position p)
{
    run->marks[op->arg] = p;
    run->mark_items[op->arg] = run->items_left;
}

LP_HOT lp_avro_position rewind_to(struct lp_avro_run *run, lp_avro_op_at op)
{
    run->items_left = run->mark_items[op->arg];
    return run->marks[op->arg];
}

/* ---- constants ---- */

LP_HOT void fill(struct lp_avro_run *run, lp_avro_op_at op)
{
    for (uint32_t i = 0; i < op->count; i++) run->numbers[op->slot + i] = (double)NAN;
}

/* ---- fixed-width runs ---- */

LP_HOT lp_avro_position floats(struct lp_avro_run *run, lp_avro_op_at op, lp_avro_position p)
{
    size_t bytes = (size_t)op->count * 4;
    if (LP_UNLIKELY(lp_avro_left(run, p) < bytes)) return lp_avro_bad(run, LP_AVRO_BAD_SHORT, p, 0);
    lp_avro_widen(p, run->numbers + op->slot, op->count);
    return p + bytes;
}

LP_HOT lp_avro_position doubles(struct lp_avro_run *run, lp_avro_op_at op, lp_avro_position p)
{
    size_t bytes = (size_t)op->count * 8;
    if (LP_UNLIKELY(lp_avro_left(run, p) < bytes)) return lp_avro_bad(run, LP_AVRO_BAD_SHORT, p, 0);
    memcpy(run->numbers + op->slot, p, bytes);
    return p + bytes;
}

LP_HOT lp_avro_position fixed(struct lp_avro_run *run, lp_avro_op_at op, lp_avro_position p)
{
    if (LP_UNLIKELY(lp_avro_left(run, p) < op->arg)) return lp_avro_bad(run, LP_AVRO_BAD_SHORT, p, 0);
    run->base = p;
    return p + op->arg;
}

LP_HOT void at_floats_each(struct lp_avro_run *run, lp_avro_op_at op)
{
    const struct lp_avro_pair *pairs = (const struct lp_avro_pair *)run->plan->pairs.data + op->target;
    for (uint32_t i = 0; i < op->count; i++)
        run->numbers[pairs[i].slot] = (double)*(const lp_avro_f32 *)(run->base + pairs[i].offset);
}

LP_HOT void at_doubles_each(struct lp_avro_run *run, lp_avro_op_at op)
{
    const struct lp_avro_pair *pairs = (const struct lp_avro_pair *)run->plan->pairs.data + op->target;
    for (uint32_t i = 0; i < op->count; i++)
        run->numbers[pairs[i].slot] = *(const lp_avro_f64 *)(run->base + pairs[i].offset);
}

LP_HOT lp_avro_position at_booleans(struct lp_avro_run *run, lp_avro_op_at op, lp_avro_position p, bool keep)
{
    const unsigned char *at = run->base + op->arg;
    for (uint32_t i = 0; i < op->count; i++) {
        if (LP_UNLIKELY(at[i] > 1)) return lp_avro_bad(run, LP_AVRO_BAD_BOOLEAN, at + i, i);
        if (keep) run->numbers[op->slot + i] = at[i];
    }
    return p;
}

/* ---- varints ---- */

LP_HOT lp_avro_position wholes(struct lp_avro_run *run, lp_avro_op_at op, lp_avro_position p, bool wide, bool rounded)
{
    for (uint32_t i = 0; i < op->count; i++) {
        int64_t value = 0;
        p = lp_avro_step_whole(run, p, wide, i, &value);
        if (LP_UNLIKELY(p == NULL)) return NULL;
        run->numbers[op->slot + i] = rounded ? (double)(float)value : (double)value;
    }
    return p;
}

LP_HOT lp_avro_position skip_wholes(struct lp_avro_run *run, lp_avro_op_at op, lp_avro_position p, bool wide)
{
    for (uint32_t i = 0; i < op->count; i++) {
        int64_t value = 0;
        p = lp_avro_step_whole(run, p, wide, i, &value);
        if (LP_UNLIKELY(p == NULL)) return NULL;
    }
    return p;
}

LP_HOT lp_avro_position time_ms(struct lp_avro_run *run, lp_avro_op_at op, lp_avro_position p)
{
    int64_t value = 0;
    p = lp_avro_step_whole(run, p, op->extra == LP_AVRO_FROM_LONG, 0, &value);
    if (LP_LIKELY(p != NULL))
        run->numbers[op->slot] = op->arg == LP_AVRO_MILLIS ? (double)value : lp_avro_time_ms(value, op->arg);
    return p;
}

/* ---- lengths and texts ---- */

LP_HOT lp_avro_position skip_bytes(struct lp_avro_run *run, lp_avro_op_at op, lp_avro_position p)
{
    struct lp_span bytes;
    for (uint32_t i = 0; i < op->count && p != NULL; i++) p = lp_avro_step_bytes(run, p, i, &bytes);
    return p;
}

LP_HOT lp_avro_position text(struct lp_avro_run *run, lp_avro_op_at op, lp_avro_position p)
{
    struct lp_span bytes;
    p = lp_avro_step_bytes(run, p, 0, &bytes);
    if (LP_UNLIKELY(p == NULL)) return NULL;
    if (LP_UNLIKELY(!lp_utf8_valid_before(bytes.data, bytes.size, run->end)))
        return lp_avro_bad(run, LP_AVRO_BAD_UTF8, bytes.data, 0);
    run->record->texts[op->slot] = bytes;
    return p;
}

/* ---- unions ---- */

LP_HOT lp_avro_position read_branch(struct lp_avro_run *run, lp_avro_position p, uint32_t count, uint32_t element,
                                    uint32_t *ret_index)
{
    int64_t index = 0;
    if (LP_LIKELY(p < run->end && *p < 0x80)) {
        index = lp_avro_zigzag(*p);
        if (LP_UNLIKELY((uint64_t)index >= count)) return lp_avro_bad(run, LP_AVRO_BAD_UNION, p, element);
        *ret_index = (uint32_t)index;
        return p + 1;
    }
    lp_avro_position next = lp_avro_read_long(p, run->end, &index);
    if (LP_UNLIKELY(next == NULL)) return lp_avro_bad(run, LP_AVRO_BAD_VARINT, p, element);
    if (LP_UNLIKELY((uint64_t)index >= count)) return lp_avro_bad(run, LP_AVRO_BAD_UNION, p, element);
    *ret_index = (uint32_t)index;
    return next;
}

LP_HOT double read_real(lp_avro_position p, size_t width)
{
    return width == 4 ? (double)*(const lp_avro_f32 *)p : *(const lp_avro_f64 *)p;
}

LP_HOT lp_avro_position optional_real(struct lp_avro_run *run, lp_avro_op_at op, lp_avro_position p, size_t width,
                                      uint32_t i)
{
    uint32_t branch = 0;
    p = read_branch(run, p, 2, i, &branch);
    if (LP_UNLIKELY(p == NULL)) return NULL;
    run->numbers[op->slot + i] = (double)NAN;
    if (branch == op->extra) return p;
    if (LP_UNLIKELY(lp_avro_left(run, p) < width)) return lp_avro_bad(run, LP_AVRO_BAD_SHORT, p, i);
    run->numbers[op->slot + i] = read_real(p, width);
    return p + width;
}

/* While all of them would fit, one byte tells the branches apart; the rest goes field by field. */
LP_HOT lp_avro_position optional_reals(struct lp_avro_run *run, lp_avro_op_at op, lp_avro_position p, size_t width)
{
    const unsigned null_byte = op->extra * 2u, value_byte = 2u - null_byte;
    const uint32_t count = op->count;
    double *to = run->numbers + op->slot;
    uint32_t i = 0;
    if (LP_LIKELY(lp_avro_left(run, p) >= count * (width + 1))) {
        for (; i < count; i++) {
            unsigned byte = *p;
            if (LP_LIKELY(byte == value_byte)) {
                to[i] = read_real(p + 1, width);
                p += width + 1;
            } else if (byte == null_byte) {
                to[i] = (double)NAN;
                p++;
            } else {
                break;
            }
        }
    }
    for (; i < count && p != NULL; i++) p = optional_real(run, op, p, width, i);
    return p;
}

LP_HOT lp_avro_position optional_wholes(struct lp_avro_run *run, lp_avro_op_at op, lp_avro_position p, bool wide)
{
    for (uint32_t i = 0; i < op->count; i++) {
        uint32_t branch = 0;
        p = read_branch(run, p, 2, i, &branch);
        if (LP_UNLIKELY(p == NULL)) return NULL;
        int64_t value = 0;
        if (branch != op->extra) p = lp_avro_step_whole(run, p, wide, i, &value);
        if (LP_UNLIKELY(p == NULL)) return NULL;
        run->numbers[op->slot + i] = branch != op->extra ? (double)value : (double)NAN;
    }
    return p;
}

/* ---- blocks of arrays and maps ---- */

/* A block's head: its count into frame->left, 0 at the end. A negative count is followed by the block's size. */
LP_HOT lp_avro_position block_open(struct lp_avro_run *run, lp_avro_position p, struct lp_avro_frame *frame)
{
    int64_t count = 0, bytes = 0;
    lp_avro_position next = lp_avro_read_long(p, run->end, &count);
    if (LP_UNLIKELY(next == NULL)) return lp_avro_bad(run, LP_AVRO_BAD_VARINT, p, 0);
    frame->block_end = NULL;
    if (LP_UNLIKELY(count < 0)) {
        if (count == INT64_MIN) return lp_avro_bad(run, LP_AVRO_BAD_BLOCK, p, 0);
        count = -count;
        lp_avro_position size_at = next;
        next = lp_avro_read_long(next, run->end, &bytes);
        if (next == NULL) return lp_avro_bad(run, LP_AVRO_BAD_VARINT, size_at, 0);
        if ((uint64_t)bytes > lp_avro_left(run, next)) return lp_avro_bad(run, LP_AVRO_BAD_BLOCK, p, 0);
        frame->block_end = next + bytes;
    }
    if (LP_UNLIKELY((uint64_t)count > run->items_left)) return lp_avro_bad(run, LP_AVRO_BAD_ITEMS, p, 0);
    run->items_left -= (uint64_t)count;
    frame->left = (uint64_t)count;
    return next;
}

LP_HOT lp_avro_position block_close(struct lp_avro_run *run, lp_avro_position p, const struct lp_avro_frame *frame)
{
    if (LP_UNLIKELY(frame->block_end != NULL && p != frame->block_end))
        return lp_avro_bad(run, LP_AVRO_BAD_BLOCK, p, 0);
    return p;
}

static lp_avro_position loop_enter(struct lp_avro_run *run, lp_avro_position p)
{
    if (run->loop_count == LP_AVRO_DEPTH_MAX) return lp_avro_bad(run, LP_AVRO_BAD_DEPTH, p, 0);
    struct lp_avro_frame *frame = &run->loops[run->loop_count++];
    frame->index = 0;
    return block_open(run, p, frame);
}

/* The loop's next item, or the next block's first; frame->left is 0 when it is over. */
LP_HOT lp_avro_position loop_next(struct lp_avro_run *run, lp_avro_position p, struct lp_avro_frame *frame)
{
    frame->index++;
    if (--frame->left > 0) return p;
    p = block_close(run, p, frame);
    return p != NULL ? block_open(run, p, frame) : NULL;
}

static lp_avro_position skip_items(struct lp_avro_run *run, lp_avro_op_at op, lp_avro_position p)
{
    struct lp_avro_frame frame = {.left = 1};
    while (p != NULL) {
        p = block_open(run, p, &frame);
        if (p == NULL || frame.left == 0) break;
        if (frame.left * op->arg > lp_avro_left(run, p)) return lp_avro_bad(run, LP_AVRO_BAD_SHORT, p, 0);
        p = block_close(run, p + frame.left * op->arg, &frame);
    }
    return p;
}

/* One block's values to numbers[slot ...]: the block was found to fit in the vector. */
LP_HOT lp_avro_position vector_block(struct lp_avro_run *run, lp_avro_op_at op, lp_avro_position p,
                                     const struct lp_avro_frame *frame)
{
    double *to = run->numbers + op->slot + frame->index;
    uint32_t count = (uint32_t)frame->left;
    if (op->code == LP_AVRO_OP_VECTOR_F32 || op->code == LP_AVRO_OP_VECTOR_F64) {
        size_t bytes = (size_t)count * (op->code == LP_AVRO_OP_VECTOR_F32 ? 4 : 8);
        if (LP_UNLIKELY(lp_avro_left(run, p) < bytes)) return lp_avro_bad(run, LP_AVRO_BAD_SHORT, p, 0);
        if (op->code == LP_AVRO_OP_VECTOR_F32) lp_avro_widen(p, to, count);
        else memcpy(to, p, bytes);
        return p + bytes;
    }
    for (uint32_t i = 0; i < count && p != NULL; i++) {
        int64_t value = 0;
        p = lp_avro_step_whole(run, p, op->code == LP_AVRO_OP_VECTOR_LONGS, 0, &value);
        to[i] = (double)value;
    }
    return p;
}

static lp_avro_position vector(struct lp_avro_run *run, lp_avro_op_at op, lp_avro_position p)
{
    struct lp_avro_frame frame = {.index = 0};
    for (;;) {
        lp_avro_position block = p;
        p = block_open(run, p, &frame);
        if (p == NULL) return NULL;
        if (frame.left == 0) break;
        if (frame.left > op->count - frame.index) return lp_avro_bad(run, LP_AVRO_BAD_WIDTH, block, 0);
        p = vector_block(run, op, p, &frame);
        if (p != NULL) p = block_close(run, p, &frame);
        if (p == NULL) return NULL;
        frame.index += (uint32_t)frame.left;
    }
    return frame.index == op->count ? p : lp_avro_bad(run, LP_AVRO_BAD_WIDTH, p, 0);
}

static lp_avro_position vector_item(struct lp_avro_run *run, lp_avro_op_at op, lp_avro_position p)
{
    uint32_t index = run->loops[run->loop_count - 1].index;
    if (index >= op->count) return lp_avro_bad(run, LP_AVRO_BAD_WIDTH, p, 0);
    run->numbers = run->record->numbers + op->slot + index;
    return p;
}

/* The loop's frame was left where it was. */
static lp_avro_position vector_end(struct lp_avro_run *run, lp_avro_op_at op, lp_avro_position p)
{
    run->numbers = run->record->numbers;
    return run->loops[run->loop_count].index == op->count ? p : lp_avro_bad(run, LP_AVRO_BAD_WIDTH, p, 0);
}

static bool key_is(const struct lp_avro_run *run, lp_avro_op_at op)
{
    return run->key.size == op->count &&
           memcmp(run->key.data, (const char *)run->plan->chars.data + op->arg, op->count) == 0;
}

/* ---- the switch ---- */

#define STEP(code, call)                     \
    case code:                               \
        p = (call);                          \
        if (LP_UNLIKELY(p == NULL)) goto no; \
        break

#define DO(code, call) \
    case code: call; break

static enum lp_code execute(struct lp_avro_run *run, lp_avro_position p, struct lp_error *err)
{
    const struct lp_avro_op *const ops = run->plan->ops.data;
    const uint32_t *const targets = run->plan->targets.data;
    lp_avro_op_at op = ops;
    uint32_t branch = 0;
    for (;; op++) {
        switch ((enum lp_avro_op_code)op->code) {
        case LP_AVRO_OP_END:
            if (LP_LIKELY(p == run->end && run->ret_bytes == NULL)) return LP_OK;
            if (run->ret_bytes != NULL) {
                *run->ret_bytes = (size_t)(p - run->body);
                return LP_OK;
            }
            lp_avro_bad(run, LP_AVRO_BAD_TRAILING, p, 0);
            goto no;
        case LP_AVRO_OP_FAIL: lp_avro_bad(run, LP_AVRO_BAD_DATUM, p, 0); goto no;
        case LP_AVRO_OP_JUMP: op = ops + op->target - 1; break;
        case LP_AVRO_OP_CALL:
            if (run->call_count == LP_AVRO_DEPTH_MAX) {
                lp_avro_bad(run, LP_AVRO_BAD_DEPTH, p, 0);
                goto no;
            }
            run->returns[run->call_count++] = op;
            op = ops + op->target - 1;
            break;
            DO(LP_AVRO_OP_RETURN, op = run->returns[--run->call_count]);
            DO(LP_AVRO_OP_MARK, mark(run, op, p));
            DO(LP_AVRO_OP_REWIND, p = rewind_to(run, op));
            DO(LP_AVRO_OP_FILL, fill(run, op));
            DO(LP_AVRO_OP_CONST, memcpy(run->numbers + op->slot, (const double *)run->plan->doubles.data + op->arg,
                                        op->count * sizeof(double)));
            DO(LP_AVRO_OP_TEXT_NONE, run->record->texts[op->slot] = lp_span_of(NULL, 0));
            DO(LP_AVRO_OP_TEXT_CONST, lp_avro_text_const(run, op));
            STEP(LP_AVRO_OP_SKIP, fixed(run, op, p));
            STEP(LP_AVRO_OP_F32, floats(run, op, p));
            STEP(LP_AVRO_OP_F64, doubles(run, op, p));
            STEP(LP_AVRO_OP_FIXED, fixed(run, op, p));
            DO(LP_AVRO_OP_AT_F32, lp_avro_widen(run->base + op->arg, run->numbers + op->slot, op->count));
            DO(LP_AVRO_OP_AT_F64, memcpy(run->numbers + op->slot, run->base + op->arg, (size_t)op->count * 8));
            DO(LP_AVRO_OP_AT_F32_EACH, at_floats_each(run, op));
            DO(LP_AVRO_OP_AT_F64_EACH, at_doubles_each(run, op));
            STEP(LP_AVRO_OP_AT_BOOL, at_booleans(run, op, p, true));
            STEP(LP_AVRO_OP_AT_BOOL_CHECK, at_booleans(run, op, p, false));
            STEP(LP_AVRO_OP_AT_TEXT, lp_avro_at_text(run, op, p));
            STEP(LP_AVRO_OP_AT_UUID, lp_avro_at_uuid(run, op, p));
            STEP(LP_AVRO_OP_AT_DECIMAL, lp_avro_at_decimal(run, op, p));
            STEP(LP_AVRO_OP_SKIP_INTS, skip_wholes(run, op, p, false));
            STEP(LP_AVRO_OP_SKIP_LONGS, skip_wholes(run, op, p, true));
            STEP(LP_AVRO_OP_INTS, wholes(run, op, p, false, false));
            STEP(LP_AVRO_OP_LONGS, wholes(run, op, p, true, false));
            STEP(LP_AVRO_OP_INTS_ROUNDED, wholes(run, op, p, false, true));
            STEP(LP_AVRO_OP_LONGS_ROUNDED, wholes(run, op, p, true, true));
            STEP(LP_AVRO_OP_TIME, time_ms(run, op, p));
            STEP(LP_AVRO_OP_SKIP_BYTES, skip_bytes(run, op, p));
            STEP(LP_AVRO_OP_TEXT, text(run, op, p));
            STEP(LP_AVRO_OP_DECIMAL, lp_avro_step_decimal(run, op, p));
            STEP(LP_AVRO_OP_TEXT_NUMBER, lp_avro_text_number(run, op, p));
            STEP(LP_AVRO_OP_ENUM_TEXT, lp_avro_enum_text(run, op, p));
            STEP(LP_AVRO_OP_SKIP_ENUM, lp_avro_step_symbol(run, p, op->arg, &(int64_t){0}));
            STEP(LP_AVRO_OP_OPT_F32, optional_reals(run, op, p, 4));
            STEP(LP_AVRO_OP_OPT_F64, optional_reals(run, op, p, 8));
            STEP(LP_AVRO_OP_OPT_INTS, optional_wholes(run, op, p, false));
            STEP(LP_AVRO_OP_OPT_LONGS, optional_wholes(run, op, p, true));
        case LP_AVRO_OP_UNION:
            p = read_branch(run, p, op->count, 0, &branch);
            if (LP_UNLIKELY(p == NULL)) goto no;
            op = ops + targets[op->arg + branch] - 1;
            break;
        case LP_AVRO_OP_BLOCKS:
            p = loop_enter(run, p);
            if (LP_UNLIKELY(p == NULL)) goto no;
            if (run->loops[run->loop_count - 1].left > 0) break;
            run->loop_count--;
            op = ops + op->target - 1;
            break;
        case LP_AVRO_OP_NEXT:
            p = loop_next(run, p, &run->loops[run->loop_count - 1]);
            if (LP_UNLIKELY(p == NULL)) goto no;
            if (run->loops[run->loop_count - 1].left > 0) op = ops + op->target - 1;
            else run->loop_count--;
            break;
            STEP(LP_AVRO_OP_KEY, lp_avro_step_bytes(run, p, 0, &run->key));
        case LP_AVRO_OP_KEY_IS:
            if (key_is(run, op)) op = ops + op->target - 1;
            break;
        case LP_AVRO_OP_INDEX_IS:
            if (run->loops[run->loop_count - 1].index == op->arg) op = ops + op->target - 1;
            break;
            STEP(LP_AVRO_OP_SKIP_ITEMS, skip_items(run, op, p));
        case LP_AVRO_OP_VECTOR_F32:
        case LP_AVRO_OP_VECTOR_F64:
        case LP_AVRO_OP_VECTOR_INTS:
            STEP(LP_AVRO_OP_VECTOR_LONGS, vector(run, op, p));
            STEP(LP_AVRO_OP_VECTOR_ITEM, vector_item(run, op, p));
            STEP(LP_AVRO_OP_VECTOR_END, vector_end(run, op, p));
        }
    }
no:
    return lp_avro_run_fail(run, op, err);
}

static enum lp_code run_plan(const struct lp_avro_plan *plan, struct lp_span body, struct lp_record *record,
                             size_t *ret_bytes, struct lp_error *err)
{
    struct lp_avro_run run; /* the stacks are set as they are used */
    run.plan = plan;
    run.record = record;
    run.body = body.data != NULL ? body.data : (const unsigned char *)"";
    run.end = run.body + body.size;
    run.ret_bytes = ret_bytes;
    run.numbers = record->numbers;
    run.loop_count = 0;
    run.call_count = 0;
    /* What has bytes is no more than the bytes, so that a short body cannot ask for long loops. */
    bool long_body = body.size > LP_AVRO_ITEMS_MAX - LP_AVRO_EMPTY_ITEMS_MAX;
    run.items_left = long_body ? LP_AVRO_ITEMS_MAX : body.size + LP_AVRO_EMPTY_ITEMS_MAX;
    record->scratch_used = 0;
    return execute(&run, run.body, err);
}

enum lp_code lp_avro_plan_run(const struct lp_avro_plan *plan, struct lp_span body, struct lp_record *record,
                              struct lp_error *err)
{
    return run_plan(plan, body, record, NULL, err);
}

enum lp_code lp_avro_plan_run_prefix(const struct lp_avro_plan *plan, struct lp_span bytes, struct lp_record *record,
                                     size_t *ret_bytes, struct lp_error *err)
{
    return run_plan(plan, bytes, record, ret_bytes, err);
}
