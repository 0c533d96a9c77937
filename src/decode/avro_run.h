/* The runner's state and its account of failures. Private to src/decode/avro*.c. */
#ifndef LP_DECODE_AVRO_RUN_H
#define LP_DECODE_AVRO_RUN_H

#include "decode/avro_plan.h"

enum lp_avro_why {
    LP_AVRO_BAD_SHORT,  /* the body ends early */
    LP_AVRO_BAD_VARINT, /* cut short, too long or too wide: told apart when the error is written */
    LP_AVRO_BAD_INT,
    LP_AVRO_BAD_BOOLEAN,
    LP_AVRO_BAD_LENGTH, /* negative, or past the body's end */
    LP_AVRO_BAD_UTF8,
    LP_AVRO_BAD_UNION,
    LP_AVRO_BAD_ENUM,
    LP_AVRO_BAD_SYMBOL, /* not in the reader's enum, which has no default */
    LP_AVRO_BAD_BLOCK,  /* count or size of a block */
    LP_AVRO_BAD_WIDTH,  /* a vector of another length */
    LP_AVRO_BAD_DATUM,  /* LP_AVRO_OP_FAIL */
    LP_AVRO_BAD_TRAILING,
    LP_AVRO_BAD_ITEMS, /* limits from here on */
    LP_AVRO_BAD_DEPTH,
    LP_AVRO_BAD_DECIMAL, /* past LP_AVRO_DECIMAL_MAX_BYTES */
    LP_AVRO_BAD_SCRATCH,
};

/* A loop over blocks. */
struct lp_avro_frame {
    const unsigned char *block_end; /* NULL: the block gave no byte size */
    uint64_t left;                  /* items of the block still to come, the current one included */
    uint32_t index;                 /* of the current item */
};

struct lp_avro_run {
    const struct lp_avro_plan *plan;
    struct lp_record *record;
    const unsigned char *body;
    const unsigned char *end;
    size_t *ret_bytes;           /* where the datum's length goes; NULL: the body must end with it */
    double *numbers;             /* where slots count from: record->numbers, or a vector's current item */
    const unsigned char *base;   /* of the fixed-width run */
    struct lp_span key;          /* of the map entry */
    const unsigned char *bad_at; /* where a failure was found */
    enum lp_avro_why why;
    uint32_t element; /* of a fused op: which one failed */
    uint32_t loop_count;
    uint32_t call_count;
    uint64_t items_left; /* of LP_AVRO_ITEMS_MAX and LP_AVRO_EMPTY_ITEMS_MAX */
    /* Set when used. */
    struct lp_avro_frame loops[LP_AVRO_DEPTH_MAX];
    const struct lp_avro_op *returns[LP_AVRO_DEPTH_MAX];
    const unsigned char *marks[LP_AVRO_DEPTH_MAX];
    uint64_t mark_items[LP_AVRO_DEPTH_MAX]; /* items_left there */
};

/** Note a failure found at `at`, in element `element` of a fused op; returns NULL. */
const unsigned char *lp_avro_bad(struct lp_avro_run *run, enum lp_avro_why why, const unsigned char *at,
                                 uint32_t element) __attribute__((cold, noinline));

/** Write the failure of `op` into `err`; returns its code. */
enum lp_code lp_avro_run_fail(const struct lp_avro_run *run, const struct lp_avro_op *op, struct lp_error *err)
    __attribute__((cold, noinline));

#endif
