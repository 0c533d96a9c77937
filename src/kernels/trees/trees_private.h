/* What the files of this folder share. */
#ifndef LP_KERNELS_TREES_PRIVATE_H
#define LP_KERNELS_TREES_PRIVATE_H

#include "kernels/trees/trees.h"

/** The leaf node that a row reaches. */
uint32_t lp_trees_walk(const struct lp_trees *trees, uint32_t tree, const double *row);

/** Margins before the divisor; rows and margins as in lp_trees_run. */
void lp_trees_scalar_run(const struct lp_trees *trees, const double *rows, uint32_t row_count,
                         size_t row_stride_doubles, double *margins);

#endif
