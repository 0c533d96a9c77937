/*
 * Tree ensembles: rows of doubles -> margins, with the leaf choice and the sums of the library that trained them.
 *
 * Two families, by `compare`:
 *   XGBoost:  the value is rounded to float; value < threshold goes left; NaN takes the node's default side. A category
 *             in the node's set goes right. Sums are float, base first, then the trees in order.
 *   LightGBM: doubles; a value within +-1e-35f is 0 (its matrix readers drop such values); value <= threshold goes
 *             left. Missing NaN: NaN takes the default side; missing zero: 0 and NaN do; neither: NaN is 0. A category
 *             in the set goes left, NaN goes right. Sums are double.
 * A category is the value cut towards zero. What is no category is in no set: XGBoost: below 0 or from 2^24 on;
 * LightGBM: at or below -1 (-0.5 is category 0), from 2^31 on. -0.0 equals 0.0, infinities and denormals compare as
 * they are: denormals must not be flushed while this runs. Source: XGBoost 3.x src/common/categorical.h,
 * src/predictor/; LightGBM 4.x include/LightGBM/tree.h, src/c_api.cpp.
 */
#ifndef LP_KERNELS_TREES_H
#define LP_KERNELS_TREES_H

#include "core/cpu.h"
#include "core/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum lp_trees_compare { LP_TREES_XGBOOST, LP_TREES_LIGHTGBM };

/* Flags of a node; XGBoost's numeric nodes have MISSING_NAN. At most one of the two MISSING flags. */
enum {
    LP_TREES_DEFAULT_LEFT = 1,
    LP_TREES_CATEGORICAL = 2,
    LP_TREES_MISSING_ZERO = 4,
    LP_TREES_MISSING_NAN = 8,
};

enum { LP_TREES_LEAF = -1 }; /* in `column` */

/**
 * An ensemble as flat arrays, borrowed, which the loader has checked: columns below column_count, children and roots
 * below node_count, every node reached once (no cycles, no sharing), thresholds not NaN, sets and leaves in range,
 * offsets not falling. Thresholds of XGBoost are exact floats.
 */
struct lp_trees {
    enum lp_trees_compare compare;
    uint32_t column_count, output_count;

    uint32_t tree_count;
    const uint32_t *root;   /* [tree_count] node */
    const uint32_t *output; /* [tree_count] which output a tree adds to; not read when leaf_width > 1 */

    uint32_t node_count;
    const int32_t *column;        /* [node_count], LP_TREES_LEAF: a leaf */
    const double *threshold;      /* [node_count] of numeric nodes */
    const uint32_t *left, *right; /* [node_count] nodes, of nodes that are no leaves */
    const uint8_t *flags;         /* [node_count] */
    const uint32_t *index;        /* [node_count] leaf: which leaf; categorical node: which set */

    uint32_t set_count;
    const uint32_t *set_begin; /* [set_count + 1] offsets in set_words */
    const uint32_t *set_words; /* bit c % 32 of word c / 32: category c is in the set */

    uint32_t leaf_count;
    uint32_t leaf_width;      /* 1, or output_count: a leaf adds to every output */
    const double *leaf_value; /* [leaf_count][leaf_width] */

    /* Linear leaves (LightGBM, leaf_width 1), NULL where there are none: constant + sum of coefficient * value in this
     * order; leaf_value when one of the values is NaN. A leaf without terms gives its constant. */
    const uint32_t *linear_begin;     /* [leaf_count + 1] */
    const uint32_t *linear_column;    /* [linear_begin[leaf_count]] */
    const double *linear_coefficient; /* the same length */
    const double *linear_constant;    /* [leaf_count] */

    /* [output_count], first in the sum; NULL: zeros. XGBoost takes its logit in float, -logf(1 / p - 1): with that
     * value the margins of 3.2 are met bit for bit, with a logit in double they are an ulp off here and there. */
    const double *base;
    double divisor; /* of the sums, behind everything; 1: none */
};

/** Names of the kernels that this CPU can run, best first, "scalar" last; for tests and benches. */
uint32_t lp_trees_kernels(const struct lp_cpu *cpu, const char **ret_names, uint32_t names_max);

struct lp_trees_model; /* kernel chosen and packed; immutable, any thread;
                          borrows the arrays of its lp_trees */

/**
 * Pack an ensemble for the kernels of this CPU. The struct is copied, its arrays must outlive the model.
 * @param kernel a name of lp_trees_kernels, NULL: the best one for each batch size
 * @return LP_OK; LP_E_UNSUPPORTED (a named kernel that can't run this ensemble or CPU), LP_E_LIMIT, LP_E_MEMORY
 */
LP_MUST_USE enum lp_code lp_trees_new(const struct lp_trees *trees, const struct lp_cpu *cpu, const char *kernel,
                                      struct lp_trees_model **ret_model, struct lp_error *err);
void lp_trees_free(struct lp_trees_model *model);

/** What runs at which batch size and why, one line, for `inspect`; owned by the model. */
const char *lp_trees_describe(const struct lp_trees_model *model);
/** The kernel's name, as lp_trees_kernels has it. */
const char *lp_trees_kernel_name(const struct lp_trees_model *model);
/** Heap held, bytes. */
size_t lp_trees_bytes(const struct lp_trees_model *model);
/** Bytes a caller of lp_trees_run provides, 64-byte aligned; one lane's, whatever the number of rows; at least 1. */
size_t lp_trees_scratch_bytes(const struct lp_trees_model *model);

/**
 * Margins of rows. Never allocates.
 * @param rows    row r at rows + r * row_stride_doubles, column_count values, NaN is missing
 * @param margins out, [row_count][output_count]; XGBoost's are exact floats
 * @param scratch lp_trees_scratch_bytes, of this thread
 * A row's bits do not depend on the rows beside it, nor on the kernel.
 */
void lp_trees_run(const struct lp_trees_model *model, const double *rows, uint32_t row_count, size_t row_stride_doubles,
                  double *margins, void *scratch);

/** The leaf node that `row` reaches in each tree. @param ret_nodes [tree_count]. The reference walk, whatever the
 * kernel. */
void lp_trees_leaves(const struct lp_trees *trees, const double *row, uint32_t *ret_nodes);

#endif
