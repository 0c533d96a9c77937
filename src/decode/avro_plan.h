/*
 * The program a plan is: what the compiler writes and the runner executes. Private to src/decode/avro*.c.
 *
 * Ops run in order from ops[0] to LP_AVRO_OP_END. A loop over an array's or map's blocks is BLOCKS ... NEXT with one
 * frame on the runner's loop stack; a CALL runs a skip program (recursive and repeated records) up to its RETURN. Ops
 * with `count` are fused: element i has slot + i and place + i.
 */
#ifndef LP_DECODE_AVRO_PLAN_H
#define LP_DECODE_AVRO_PLAN_H

#include "decode/avro_schema.h"
#include "decode/avro_value.h"

enum {
    LP_AVRO_OPS_MAX = 1 << 18,
    LP_AVRO_RUN_MAX_BYTES = 1 << 30, /* one run of fixed-width data */
    LP_AVRO_NOWHERE = UINT32_MAX,
};

/* clang-format off */
enum lp_avro_op_code {
    LP_AVRO_OP_END,          /* the body must end here */
    LP_AVRO_OP_FAIL,         /* a datum that the schema or the want cannot take; arg, count: text in chars */
    LP_AVRO_OP_JUMP,         /* target */
    LP_AVRO_OP_CALL,         /* target */
    LP_AVRO_OP_RETURN,
    LP_AVRO_OP_MARK,         /* arg: register that keeps the position */
    LP_AVRO_OP_REWIND,       /* arg: register; read the same datum again for another want */

    LP_AVRO_OP_FILL,         /* NaN into slot, count */
    LP_AVRO_OP_CONST,        /* doubles[arg ...] into slot, count */
    LP_AVRO_OP_TEXT_NONE,    /* absent text into slot */
    LP_AVRO_OP_TEXT_CONST,   /* chars[arg, count bytes] as slot's text */

    /* Fixed-width data: one bounds check for arg bytes; the AT ops that follow read at arg within them, unchecked. */
    LP_AVRO_OP_SKIP,         /* arg bytes */
    LP_AVRO_OP_F32,          /* slot, count */
    LP_AVRO_OP_F64,          /* slot, count */
    LP_AVRO_OP_FIXED,        /* arg bytes; target: first of count entries in runs[], for errors */
    LP_AVRO_OP_AT_F32,       /* slot, count */
    LP_AVRO_OP_AT_F64,       /* slot, count */
    LP_AVRO_OP_AT_F32_EACH,  /* count pairs at pairs[target]: slot and offset */
    LP_AVRO_OP_AT_F64_EACH,
    LP_AVRO_OP_AT_BOOL,      /* slot, count */
    LP_AVRO_OP_AT_BOOL_CHECK,/* count */
    LP_AVRO_OP_AT_TEXT,      /* slot; target: bytes */
    LP_AVRO_OP_AT_UUID,      /* slot */
    LP_AVRO_OP_AT_DECIMAL,   /* slot; target: bytes; count: scale */

    /* Varints. */
    LP_AVRO_OP_SKIP_INTS,    /* count */
    LP_AVRO_OP_SKIP_LONGS,   /* count */
    LP_AVRO_OP_INTS,         /* slot, count */
    LP_AVRO_OP_LONGS,
    LP_AVRO_OP_INTS_ROUNDED, /* promoted to float: rounded to one */
    LP_AVRO_OP_LONGS_ROUNDED,
    LP_AVRO_OP_TIME,         /* slot; arg: enum lp_avro_time; extra: enum lp_avro_source */

    LP_AVRO_OP_SKIP_BYTES,   /* count lengths and contents */
    LP_AVRO_OP_TEXT,         /* slot */
    LP_AVRO_OP_DECIMAL,      /* slot; arg: scale */
    LP_AVRO_OP_TEXT_NUMBER,  /* slot; extra: enum lp_avro_source; arg: enum lp_avro_source of its text's form */
    LP_AVRO_OP_ENUM_TEXT,    /* slot; symbols[arg ...], count of the writer's symbols */
    LP_AVRO_OP_SKIP_ENUM,    /* arg: count of the writer's symbols */

    /* [null, X] unions; extra: null's index. */
    LP_AVRO_OP_OPT_F32,      /* slot, count */
    LP_AVRO_OP_OPT_F64,
    LP_AVRO_OP_OPT_INTS,
    LP_AVRO_OP_OPT_LONGS,
    LP_AVRO_OP_UNION,        /* targets[arg ...], count of branches */

    LP_AVRO_OP_BLOCKS,       /* target: behind the loop */
    LP_AVRO_OP_NEXT,         /* target: the item's code */
    LP_AVRO_OP_KEY,          /* a map entry's key */
    LP_AVRO_OP_KEY_IS,       /* chars[arg, count bytes]; target */
    LP_AVRO_OP_INDEX_IS,     /* arg; target */
    LP_AVRO_OP_SKIP_ITEMS,   /* an array; arg: bytes of each item */
    LP_AVRO_OP_VECTOR_F32,   /* slot, count: an array of exactly so many */
    LP_AVRO_OP_VECTOR_F64,
    LP_AVRO_OP_VECTOR_INTS,
    LP_AVRO_OP_VECTOR_LONGS,
    LP_AVRO_OP_VECTOR_ITEM,  /* within BLOCKS: the item's code writes to slot + index < slot + count */
    LP_AVRO_OP_VECTOR_END,   /* count items must have come; slots count from numbers[] again */
};
/* clang-format on */

struct lp_avro_op {
    uint16_t code; /* enum lp_avro_op_code */
    uint16_t extra;
    uint32_t slot;
    uint32_t count;
    uint32_t arg;
    uint32_t target;
    uint32_t place; /* of the (first) field it reads, in places[] */
};

/* A field's name for errors: its parent's, a dot, its own; a want's path stands alone. */
struct lp_avro_place {
    uint32_t parent; /* LP_AVRO_NOWHERE: none */
    uint32_t at;     /* in chars */
    uint32_t bytes;
};

/* Where a fixed-width field ends within its run. */
struct lp_avro_run_end {
    uint32_t offset;
    uint32_t place;
};

struct lp_avro_pair {
    uint32_t slot;
    uint32_t offset; /* in the run; symbols: in chars, LP_AVRO_NOWHERE: no such symbol in the reader */
};

/* A growing array; `data` is cast by its users. */
struct lp_avro_list {
    void *data;
    uint32_t count;
    uint32_t capacity;
};

struct lp_avro_plan {
    struct lp_avro_list ops;     /* struct lp_avro_op */
    struct lp_avro_list places;  /* struct lp_avro_place */
    struct lp_avro_list runs;    /* struct lp_avro_run_end */
    struct lp_avro_list pairs;   /* struct lp_avro_pair */
    struct lp_avro_list symbols; /* struct lp_avro_pair: slot is the length */
    struct lp_avro_list targets; /* uint32_t */
    struct lp_avro_list doubles; /* double */
    struct lp_avro_list chars;   /* char */
};

/** Room for `count` more of `size` bytes; they are counted and left unset. NULL: out of memory or past 16 MiB.
 */
void *lp_avro_list_add(struct lp_avro_list *list, uint32_t count, size_t size);

#endif
