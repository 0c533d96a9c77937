/* Rewriting a graph: the same numbers by fewer ops. `value` is the margin; a pass may replace it. */
#ifndef LP_IMPORT_GRAPH_PASSES_H
#define LP_IMPORT_GRAPH_PASSES_H

#include "import/graph.h"

/** Patterns and fusions until none is left, then lp_graph_sweep. */
LP_MUST_USE enum lp_code lp_graph_simplify(struct lp_graph *graph, uint32_t *value, struct lp_error *err);

/** Ops that the margin does not need go; the last op is the margin's (a reshape, when the margin is `features`). */
LP_MUST_USE enum lp_code lp_graph_sweep(struct lp_graph *graph, uint32_t *value, struct lp_error *err);

/** Where the margin is 1 - p and p of a sigmoid p, or what equals that, it becomes p. */
bool lp_graph_take_two_classes(struct lp_graph *graph, uint32_t *value);

/** A softmax or sigmoid that makes the margin is taken off and said as a link; else LP_LINK_IDENTITY. */
enum lp_link lp_graph_take_link(struct lp_graph *graph, uint32_t *value);

/** A slice that is all of `features` becomes `features`. */
LP_MUST_USE enum lp_code lp_graph_whole_features(struct lp_graph *graph, uint32_t column_count, uint32_t *value,
                                                 struct lp_error *err);

/**
 * Which columns may be NaN: those that only trees and imputations read.
 * @param keeps [column_count], written
 */
LP_MUST_USE enum lp_code lp_graph_find_keeps(const struct lp_graph *graph, uint32_t column_count, bool *keeps,
                                             struct lp_error *err);

#endif
