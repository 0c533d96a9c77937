/* The wants of a plan as a tree of path segments. Private to src/decode/avro*.c. */
#ifndef LP_DECODE_AVRO_PATH_H
#define LP_DECODE_AVRO_PATH_H

#include "decode/avro_schema.h"

enum { LP_AVRO_NO_WANT = UINT32_MAX };

/** One segment: a record's field or a map's key (name), or an array's element (name.data == NULL: index). */
struct lp_avro_node {
    struct lp_span name;
    uint32_t index;
    uint32_t first_want; /* wants that end here, chained through lp_avro_tree.next_want; LP_AVRO_NO_WANT ends */
    struct lp_span path; /* for errors: a want's path, or the names down to here */
    struct lp_avro_node *child, *last_child, *next;
};

struct lp_avro_tree {
    struct lp_avro_node *root;
    uint32_t *next_want; /* [want_count] */
    uint32_t want_count;
    const struct lp_want *wants;
};

/** Built in `pool`; LP_E_INVALID (err->field: the path) for a path that breaks want.h's grammar, LP_E_UNSUPPORTED for
 * `[]`. */
LP_MUST_USE enum lp_code lp_avro_tree_build(struct lp_avro_pool *pool, const struct lp_want *wants, uint32_t want_count,
                                            struct lp_avro_tree *ret_tree, struct lp_error *err);

/** Does each want's path exist in `reader`, and does its type fit there? LP_E_NOT_FOUND, LP_E_MISMATCH. */
LP_MUST_USE enum lp_code lp_avro_tree_check(const struct lp_avro_tree *tree, const struct lp_avro_type *reader,
                                            struct lp_error *err);

/** May a want of `type` be served from a datum of `reader` (not a union)? */
bool lp_avro_fits(enum lp_want_type type, const struct lp_avro_type *reader);
const char *lp_avro_want_name(enum lp_want_type type);

#endif
