/*
 * The general kernel: every ensemble, every CPU. Nodes of 16 bytes, children side by side; a row is first brought into
 * a form in which each node is one comparison. Eight walks run side by side to hide the loads: rows of one tree, or
 * trees of one row.
 */
#ifndef LP_KERNELS_TREES_WALK_H
#define LP_KERNELS_TREES_WALK_H

#include "kernels/trees/trees.h"

struct lp_walk;

LP_MUST_USE enum lp_code lp_walk_new(const struct lp_trees *trees, struct lp_walk **ret_walk, struct lp_error *err);
void lp_walk_free(struct lp_walk *walk);
size_t lp_walk_bytes(const struct lp_walk *walk);
size_t lp_walk_scratch_bytes(const struct lp_walk *walk);

/** As lp_trees_run; margins hold the base. */
void lp_walk_run(const struct lp_walk *walk, const double *rows, uint32_t row_count, size_t row_stride_doubles,
                 double *margins, void *scratch);

#endif
