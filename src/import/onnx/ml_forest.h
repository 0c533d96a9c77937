/* Trees of ai.onnx.ml as tables of nodes. Private to import/onnx/. */
#ifndef LP_IMPORT_ONNX_ML_FOREST_H
#define LP_IMPORT_ONNX_ML_FOREST_H

#include "import/onnx/ml.h"

/* Numbers as TreeEnsemble has them; the older ops' names, BRANCH_LEQ and so on, are the same. */
enum lp_ml_mode { LP_ML_LEQ, LP_ML_LT, LP_ML_GTE, LP_ML_GT, LP_ML_EQ, LP_ML_NEQ, LP_ML_MEMBER, LP_ML_LEAF };

enum { LP_ML_LEAF_NUMBERS_MAX = 1 << 24 /* leaves times outputs */ };

/**
 * A split as the trees op has it: value < threshold goes left, in float; NaN by the flag.
 * @param node left and right are set: the child where the comparison holds and the other
 */
LP_MUST_USE enum lp_code lp_ml_split(const struct lp_onnx_node *node, int64_t mode, double value, bool missing_is_true,
                                     int64_t if_true, int64_t if_false, struct lp_raw_node *ret_raw,
                                     struct lp_error *err);

/** An empty forest of the graph's with so many numbers a leaf. */
LP_MUST_USE enum lp_code lp_ml_forest_new(struct lp_onnx *onnx, uint32_t leaf_width, struct lp_graph_trees **ret_trees,
                                          struct lp_error *err);

/**
 * The op: row becomes the sums, base first; an average is divided by the number of trees and base is added to that.
 * @param base [outputs], NULL: zeros
 */
LP_MUST_USE enum lp_code lp_ml_forest_emit(struct lp_onnx *onnx, struct lp_graph_trees *trees, uint32_t outputs,
                                           const double *base, bool average, struct lp_ml_row *row,
                                           struct lp_error *err);

#endif
