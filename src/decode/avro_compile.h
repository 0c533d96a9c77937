/* The compiler's state and its parts. Private to src/decode/avro*.c. */
#ifndef LP_DECODE_AVRO_COMPILE_H
#define LP_DECODE_AVRO_COMPILE_H

#include "decode/avro_path.h"
#include "decode/avro_plan.h"

enum {
    LP_AVRO_STEPS_MAX = 1 << 20,    /* datums and constants looked at while compiling */
    LP_AVRO_INLINE_WEIGHT_MAX = 64, /* a skipped record of more types becomes a subroutine */
};

/* A fixed-width datum that waits for the end of its run. */
struct lp_avro_pending {
    uint16_t code; /* an AT op, or LP_AVRO_OP_SKIP */
    uint32_t slot;
    uint32_t bytes;
    uint32_t scale; /* decimal */
    uint32_t offset;
    uint32_t place;
};

struct lp_avro_compiler {
    struct lp_avro_plan *plan;
    struct lp_avro_tree tree;
    struct lp_avro_pool pool;
    struct lp_avro_list pending; /* struct lp_avro_pending: the open run */
    uint32_t pending_bytes;
    uint32_t barrier; /* no op before this index may be fused with a later one: something jumps here */
    uint32_t place;   /* of the datum being compiled */
    uint32_t steps;
    uint32_t marks; /* registers in use */
    /* Records that are skipped by subroutine; [the writer's named types] each, in `pool`. */
    uint32_t *subroutine_of;             /* by type id: its number, or LP_AVRO_NOWHERE */
    const struct lp_avro_type **skipped; /* by number */
    uint32_t *skipped_at;                /* by number: its first op, once compiled */
    uint32_t skipped_count;
    bool full; /* an emit failed: memory or LP_AVRO_OPS_MAX */
};

/** What is asked of one datum: the children of `node`, or one want. */
struct lp_avro_view {
    const struct lp_avro_node *node; /* NULL: a leaf */
    enum lp_want_type type;
    uint32_t width;
    uint32_t slot;
};

/* ---- avro_emit.c: ops; failures are sticky in `full`, checked once a datum ---- */

/** Append an op behind the open run, or fuse it with the last one. */
void lp_avro_emit(struct lp_avro_compiler *compiler, struct lp_avro_op op);
/** Add a fixed-width datum to the open run. */
void lp_avro_emit_fixed(struct lp_avro_compiler *compiler, uint16_t code, uint32_t slot, uint32_t bytes,
                        uint32_t scale);
/** Close the open run and return the next op's index, as a jump's target. */
uint32_t lp_avro_emit_label(struct lp_avro_compiler *compiler);
struct lp_avro_op *lp_avro_emit_at(struct lp_avro_compiler *compiler, uint32_t at);
/** A JUMP whose target is set later; `*chain` links those to be set together. */
void lp_avro_emit_jump(struct lp_avro_compiler *compiler, uint32_t *chain);
void lp_avro_emit_patch(struct lp_avro_compiler *compiler, uint32_t chain, uint32_t target);
uint32_t lp_avro_emit_chars(struct lp_avro_compiler *compiler, struct lp_span text);
void lp_avro_emit_fail(struct lp_avro_compiler *compiler, const char *text);
void lp_avro_emit_double(struct lp_avro_compiler *compiler, uint32_t slot, double value);
void lp_avro_emit_text(struct lp_avro_compiler *compiler, uint32_t slot, struct lp_span text);
/** Everything that `view` asks for, as absent. */
void lp_avro_emit_absent(struct lp_avro_compiler *compiler, const struct lp_avro_view *view);
/** Enter a name for errors: within `parent`, or by itself when that is LP_AVRO_NOWHERE. */
uint32_t lp_avro_emit_place(struct lp_avro_compiler *compiler, uint32_t parent, struct lp_span name);

/* ---- avro_match.c ---- */

/** The specification's match of two types, shallow for records; a writer's union matches anything. */
bool lp_avro_match(const struct lp_avro_type *writer, const struct lp_avro_type *reader);
/** `reader`, or of a union its branch of the same type, or its first that matches; NULL: none. */
const struct lp_avro_type *lp_avro_match_pick(const struct lp_avro_type *writer, const struct lp_avro_type *reader);
/** The writer's field that becomes reader field `at`, by name or alias; -1: none. */
int64_t lp_avro_match_field(const struct lp_avro_type *writer, const struct lp_avro_type *reader, uint32_t at);

/* ---- avro_skip.c ---- */

/** Code that checks and skips a datum. */
void lp_avro_skip(struct lp_avro_compiler *compiler, const struct lp_avro_type *type);
/** The skip programs that CALLs asked for, and the CALLs' targets. */
void lp_avro_skip_subroutines(struct lp_avro_compiler *compiler);

/* ---- avro_default.c ---- */

/** Constants for `view` of a datum that is not in the writer's record: `json` read as the reader's `type`. */
LP_MUST_USE enum lp_code lp_avro_default(struct lp_avro_compiler *compiler, const struct lp_avro_type *type,
                                         const json_t *json, const struct lp_avro_view *view, struct lp_error *err);

/* ---- avro_leaf.c ---- */

/** One wanted value of a datum that is no union; the reader's type was matched and fits. A vector's items that are more
 * than plain numbers are the caller's: see lp_avro_leaf_is_plain. */
void lp_avro_leaf(struct lp_avro_compiler *compiler, const struct lp_avro_type *writer,
                  const struct lp_avro_type *reader, const struct lp_avro_view *view);
/** Can lp_avro_leaf read the whole of it? Everything but vectors of nullable, decimal, boolean or rounded items. */
bool lp_avro_leaf_is_plain(const struct lp_avro_type *writer, const struct lp_avro_type *reader,
                           const struct lp_avro_view *view);
/** A union [null, X] of a number wanted as one, in an op that runs of such fields share; false: not that simple. */
bool lp_avro_leaf_optional(struct lp_avro_compiler *compiler, const struct lp_avro_type *writer,
                           const struct lp_avro_type *reader, const struct lp_avro_view *view);

/* ---- avro_compile.c ---- */

/** The views of a tree node, into [count of its wants + 1]; returns how many. */
uint32_t lp_avro_views(const struct lp_avro_compiler *compiler, const struct lp_avro_node *node, uint32_t at,
                       struct lp_avro_view *ret_view);
/** Name `node` in a mismatch that names no field yet; returns `code`. */
LP_MUST_USE enum lp_code lp_avro_blame(enum lp_code code, const struct lp_avro_node *node, struct lp_error *err);
/** Count one step; LP_E_LIMIT past LP_AVRO_STEPS_MAX or when `full`. */
LP_MUST_USE enum lp_code lp_avro_step(struct lp_avro_compiler *compiler, struct lp_error *err);

#endif
