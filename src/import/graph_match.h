/* Looking at a graph for patterns. Private to the passes. */
#ifndef LP_IMPORT_GRAPH_MATCH_H
#define LP_IMPORT_GRAPH_MATCH_H

#include "import/graph.h"

/** A graph while it is rewritten: an op becomes another one of earlier values, and what it leaves unused is swept. */
struct lp_rewrite {
    struct lp_graph *graph;
    uint32_t *uses;     /* [ops + 1], of each value by ops */
    uint32_t value;     /* the margin */
    uint32_t rewritten; /* ops */
};

/** The op that makes a value; NULL for `features`. */
static inline struct lp_graph_op *lp_rewrite_op(const struct lp_rewrite *rewrite, uint32_t value)
{
    return value != LP_GRAPH_FEATURES ? &rewrite->graph->ops[value - 1] : NULL;
}

/** The op that makes a value, if it is of this kind and function; else NULL. */
const struct lp_graph_op *lp_rewrite_is(const struct lp_rewrite *rewrite, uint32_t value, enum lp_graph_kind kind,
                                        enum lp_graph_function function);

/** Nobody but one op reads it. */
bool lp_rewrite_single(const struct lp_rewrite *rewrite, uint32_t value);

bool lp_graph_same_shape(const struct lp_graph_op *a, const struct lp_graph_op *b);

/** op := kind and function of one value, of the shape it has. */
void lp_rewrite_unary(struct lp_rewrite *rewrite, uint32_t at, enum lp_graph_kind kind, enum lp_graph_function function,
                      uint32_t input);

/** A value times or divided by numbers and other values: coefficient * leaves[0] * leaves[1] ... */
enum { LP_PRODUCT_LEAVES = 6 };
struct lp_product {
    double coefficient;
    uint32_t count, leaves[LP_PRODUCT_LEAVES];
};

/**
 * The value as a product. Values that others read too are not taken apart, but `value` itself is.
 * @return false: more than LP_PRODUCT_LEAVES
 */
bool lp_rewrite_product(const struct lp_rewrite *rewrite, uint32_t value, struct lp_product *ret_product);

/** value = term + number; the number 0 and the value itself where it is no such sum. */
uint32_t lp_rewrite_sum(const struct lp_rewrite *rewrite, uint32_t value, double *ret_number);

/** Activations written out, layer normalizations, bags. */
LP_MUST_USE enum lp_code lp_graph_patterns(struct lp_rewrite *rewrite, struct lp_error *err);
/** Into dense layers and convolutions: biases, factors, activations. */
LP_MUST_USE enum lp_code lp_graph_fuse(struct lp_rewrite *rewrite, struct lp_error *err);

#endif
