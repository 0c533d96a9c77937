/* One run of a plan over one record: what the walk over keys (json.c) shares with the reading of values (json_value.c).
 */
#ifndef LP_DECODE_JSON_PASS_H
#define LP_DECODE_JSON_PASS_H

#include "decode/json_plan.h"
#include "decode/json_scan.h"

/* An open container that has wanted things below it. */
struct lp_json_frame {
    uint32_t node;
    uint32_t guess; /* object: the child whose key is expected next */
    uint32_t last;  /* object: the child read last, LP_JSON_NONE: none yet */
    uint32_t index; /* array: of the next element */
    bool is_array;
    unsigned char closing; /* bracket */
};

/* Not cleared as a whole: frames and most of `seen` are never read. */
struct lp_json_pass {
    const struct lp_json_plan *plan;
    struct lp_record *record;
    const unsigned char *end; /* as in json_scan.h */
    unsigned depth;           /* frames in use */
    struct lp_span key;       /* last key, raw, when its value is skipped; else data == NULL */
    const char *path;         /* of the want whose value is being read; NULL: none */
    struct lp_json_fault fault;
    enum lp_code code; /* of the fault */
    struct lp_json_frame frames[LP_JSON_DEPTH_MAX];
    uint64_t seen[LP_JSON_NODES_MAX / 64]; /* bit n: node n's key has been read */
};

static inline const unsigned char *lp_json_pass_fail(struct lp_json_pass *s, const unsigned char *at, const char *what)
{
    return lp_json_fail(&s->fault, at, what);
}

/** Hands the value at p to each want of its node; past the value. */
const unsigned char *lp_json_read_wants(struct lp_json_pass *s, const unsigned char *p,
                                        const struct lp_json_node *node);

#endif
