/* The reference, and what other files of this folder share with it. */
#ifndef LP_KERNELS_TREES_PRIVATE_H
#define LP_KERNELS_TREES_PRIVATE_H

#include "kernels/trees/trees.h"

/* LightGBM's kZeroThreshold, a float literal in a double: values this close to 0 are 0. */
#define LP_LIGHTGBM_ZERO ((double)1e-35f)

/** Which side a value takes at an inner node. */
bool lp_trees_goes_left(const struct lp_trees *trees, uint32_t node, double value);

/** The leaf node that a row reaches. */
uint32_t lp_trees_walk(const struct lp_trees *trees, uint32_t tree, const double *row);

/** Add what a leaf gives a row to the sums, in the library's precision. */
void lp_trees_add_leaf(const struct lp_trees *trees, uint32_t tree, uint32_t leaf, const double *row, double *margins);

/** Add all trees to margins, which hold the base; rows and margins as in lp_trees_run. */
void lp_trees_scalar_run(const struct lp_trees *trees, const double *rows, uint32_t row_count,
                         size_t row_stride_doubles, double *margins);

#endif
