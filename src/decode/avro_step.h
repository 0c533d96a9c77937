/*
 * One step of the runner: from a position in the body to the next one, NULL for a failure whose reason is in the run.
 * Shared by the runner's files. Private to src/decode/avro*.c.
 */
#ifndef LP_DECODE_AVRO_STEP_H
#define LP_DECODE_AVRO_STEP_H

#include "decode/avro_read.h"
#include "decode/avro_run.h"

typedef const unsigned char *lp_avro_position; /* in the body; NULL: failed */
typedef const struct lp_avro_op *lp_avro_op_at;

#define LP_HOT static inline __attribute__((always_inline))

LP_HOT size_t lp_avro_left(const struct lp_avro_run *run, lp_avro_position p) { return (size_t)(run->end - p); }

LP_HOT lp_avro_position lp_avro_step_whole(struct lp_avro_run *run, lp_avro_position p, bool wide, uint32_t element,
                                           int64_t *ret_value)
{
    lp_avro_position next = wide ? lp_avro_read_long(p, run->end, ret_value) : lp_avro_read_int(p, run->end, ret_value);
    if (LP_UNLIKELY(next == NULL)) return lp_avro_bad(run, wide ? LP_AVRO_BAD_VARINT : LP_AVRO_BAD_INT, p, element);
    return next;
}

LP_HOT lp_avro_position lp_avro_step_bytes(struct lp_avro_run *run, lp_avro_position p, uint32_t element,
                                           struct lp_span *ret_bytes)
{
    int64_t length = 0;
    lp_avro_position next = lp_avro_read_long(p, run->end, &length);
    if (LP_UNLIKELY(next == NULL)) return lp_avro_bad(run, LP_AVRO_BAD_VARINT, p, element);
    if (LP_UNLIKELY((uint64_t)length > lp_avro_left(run, next)))
        return lp_avro_bad(run, LP_AVRO_BAD_LENGTH, p, element);
    *ret_bytes = lp_span_of(next, (size_t)length);
    return next + length;
}

LP_HOT lp_avro_position lp_avro_step_symbol(struct lp_avro_run *run, lp_avro_position p, uint32_t count,
                                            int64_t *ret_index)
{
    lp_avro_position next = lp_avro_step_whole(run, p, false, 0, ret_index);
    if (LP_LIKELY(next != NULL) && LP_UNLIKELY((uint64_t)*ret_index >= count))
        return lp_avro_bad(run, LP_AVRO_BAD_ENUM, p, 0);
    return next;
}

/* ---- avro_run_value.c ---- */

void lp_avro_text_const(struct lp_avro_run *run, lp_avro_op_at op);
lp_avro_position lp_avro_at_text(struct lp_avro_run *run, lp_avro_op_at op, lp_avro_position p);
lp_avro_position lp_avro_at_uuid(struct lp_avro_run *run, lp_avro_op_at op, lp_avro_position p);
lp_avro_position lp_avro_at_decimal(struct lp_avro_run *run, lp_avro_op_at op, lp_avro_position p);
lp_avro_position lp_avro_step_decimal(struct lp_avro_run *run, lp_avro_op_at op, lp_avro_position p);
lp_avro_position lp_avro_text_number(struct lp_avro_run *run, lp_avro_op_at op, lp_avro_position p);
lp_avro_position lp_avro_enum_text(struct lp_avro_run *run, lp_avro_op_at op, lp_avro_position p);

#endif
