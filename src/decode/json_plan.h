/* The compiled form of a list of wants: a tree of steps, with one hash table for all of its edges. */
#ifndef LP_DECODE_JSON_PLAN_H
#define LP_DECODE_JSON_PLAN_H

#include "decode/json.h"

#include <stdbool.h>

enum { LP_JSON_ROOT = 0, LP_JSON_NONE = 0 }; /* the root is nobody's child */

/** A step of one or several wants' paths. Node 0 is the record itself. */
struct lp_json_node {
    uint32_t parent;
    uint32_t next; /* the sibling whose key is expected after this one, in the order of wants; LP_JSON_NONE: last */
    uint32_t first_child;            /* first child with a key */
    uint32_t first_want, want_count; /* wants that end here */
    uint32_t index;                  /* of an element; else unused */
    uint32_t last_index;             /* largest index among the children */
    bool is_index, has_keys, has_items;
    bool guess; /* the key's bytes are the same in JSON text: no escapes, no controls */
    uint32_t key_size;
    const unsigned char *key; /* [key_size], then a quote */
    uint64_t head, tail;      /* guess: first and last eight bytes of key and quote (head masked when shorter) */
    uint64_t head_mask;
    const char *path; /* of the first want through here */
};

struct lp_json_want {
    enum lp_want_type type;
    uint32_t width, slot;
    const char *path; /* owned by the plan */
};

struct lp_json_plan {
    struct lp_json_node *nodes;
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
