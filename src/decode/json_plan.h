/* The compiled form of a list of wants: a tree of steps, with one hash table for all of its edges. */
#ifndef LP_DECODE_JSON_PLAN_H
#define LP_DECODE_JSON_PLAN_H

#include "decode/json.h"

#include <stdbool.h>

enum { LP_JSON_ROOT = 0, LP_JSON_NONE = 0 }; /* the root is nobody's child */

/** A step of one or several wants' paths. Node 0 is the record itself. */
struct lp_json_node {
    uint64_t head, tail, head_mask; /* first (under the mask) and last eight bytes of the pattern */
    uint32_t pattern_size;          /* of `"key":` as JSON text has it; 0: the key needs escapes, or is none */
    uint32_t next;        /* hint: the sibling whose key comes after this one; at first in the order of wants */
    uint32_t first_child; /* hint: the child whose key comes first; LP_JSON_NONE: no child with a key */
    uint32_t slot;        /* is_number */
    bool is_number;       /* exactly one want, of a number, and no children */
    bool is_index, has_keys, has_items;
    uint32_t parent;
    uint32_t first_want, want_count; /* wants that end here */
    uint32_t index;                  /* of an element */
    uint32_t last_index;             /* largest index among the children */
    uint32_t key_size;
    const unsigned char *key; /* [key_size] within the pattern, which has a quote before it */
    const char *path;         /* of the first want through here */
};

struct lp_json_want {
    enum lp_want_type type;
    uint32_t width, slot;
    const char *path; /* owned by the plan */
};

struct lp_json_plan {
    struct lp_json_node *nodes; /* immutable but for the two hints, which are read and written atomically */
    uint32_t node_count;
    struct lp_json_want *wants; /* grouped by node */
    uint32_t want_count;
    uint32_t number_count, text_count; /* slots to clear before a record */
    uint32_t *table;                   /* node numbers by hash of (parent, key or index); LP_JSON_NONE: empty */
    uint32_t table_mask;
    uint32_t key_size_max;
    unsigned char *bytes; /* keys and paths */
};

/** The child of `parent` with that (unescaped) key, or LP_JSON_NONE. */
uint32_t lp_json_plan_child(const struct lp_json_plan *plan, uint32_t parent, struct lp_span key);
/** The child of `parent` for element `index`, or LP_JSON_NONE. */
uint32_t lp_json_plan_item(const struct lp_json_plan *plan, uint32_t parent, uint32_t index);

#endif
