/* What the lowerings of ai.onnx.ml share. Private to import/onnx/. */
#ifndef LP_IMPORT_ONNX_ML_H
#define LP_IMPORT_ONNX_ML_H

#include "import/onnx/onnx.h"

/** A value of the graph and its shape. */
struct lp_ml_row {
    uint32_t value, rank, dims[LP_GRAPH_RANK_MAX];
};

/** What a classifier or regressor does behind its sums. */
enum lp_ml_post { LP_ML_NONE, LP_ML_SOFTMAX, LP_ML_LOGISTIC, LP_ML_SOFTMAX_ZERO, LP_ML_PROBIT, LP_ML_POST_COUNT };

/** Input i as numbers; whole numbers of the model are floats here. */
LP_MUST_USE enum lp_code lp_ml_input(const struct lp_onnx *onnx, const struct lp_onnx_node *node, uint32_t i,
                                     struct lp_ml_row *ret_row, struct lp_error *err);
/** Output i, of floats. */
void lp_ml_bind(struct lp_onnx *onnx, const struct lp_onnx_node *node, uint32_t i, const struct lp_ml_row *row);

/** The row becomes function(row); alpha and beta as the function has them. */
LP_MUST_USE enum lp_code lp_ml_activate(struct lp_onnx *onnx, struct lp_ml_row *row, enum lp_graph_function function,
                                        double alpha, double beta, struct lp_error *err);
/** The row becomes row (function) numbers, or the other way round: one number, or as many as the last axis has. */
LP_MUST_USE enum lp_code lp_ml_with(struct lp_onnx *onnx, struct lp_ml_row *row, enum lp_graph_function function,
                                    bool reverse, const float *numbers, size_t count, struct lp_error *err);
/** The row becomes row (function) other, element by element or broadcast; its shape stays. */
LP_MUST_USE enum lp_code lp_ml_binary(struct lp_onnx *onnx, struct lp_ml_row *row, enum lp_graph_function function,
                                      const struct lp_ml_row *other, struct lp_error *err);
LP_MUST_USE enum lp_code lp_ml_reshape(struct lp_onnx *onnx, struct lp_ml_row *row, uint32_t rank, const uint32_t *dims,
                                       struct lp_error *err);
/** Rows of rank 1 behind one another. */
LP_MUST_USE enum lp_code lp_ml_concat(struct lp_onnx *onnx, const struct lp_ml_row *rows, uint32_t count,
                                      struct lp_ml_row *ret_row, struct lp_error *err);
/** The row through a dense layer: weight[target * features + feature] as the attributes have it, intercepts or NULL. */
LP_MUST_USE enum lp_code lp_ml_dense(struct lp_onnx *onnx, const struct lp_onnx_node *node, struct lp_ml_row *row,
                                     const float *coefficients, size_t coefficient_count, const float *intercepts,
                                     uint32_t targets, struct lp_error *err);

/** post_transform of the node. PROBIT is refused. */
LP_MUST_USE enum lp_code lp_ml_post_read(const struct lp_onnx_node *node, enum lp_ml_post *ret_post,
                                         struct lp_error *err);
/** The row [outputs] behind the transform. */
LP_MUST_USE enum lp_code lp_ml_post(struct lp_onnx *onnx, const struct lp_onnx_node *node, enum lp_ml_post post,
                                    struct lp_ml_row *row, struct lp_error *err);
/**
 * The one score of two classes becomes both, as ONNX Runtime writes them: LOGISTIC: the logistic function of -s and s;
 * else 1 - s (or, `is_signed`, -s) and s, whatever the transform.
 */
LP_MUST_USE enum lp_code lp_ml_second_class(struct lp_onnx *onnx, enum lp_ml_post post, bool is_signed,
                                            struct lp_ml_row *row, struct lp_error *err);
/** Labels of a classifier's (or ZipMap's) attributes, which become the draft's. @param ret_count 0: it has none */
LP_MUST_USE enum lp_code lp_ml_labels(struct lp_onnx *onnx, const struct lp_onnx_node *node, const char *wholes,
                                      const char *texts, size_t *ret_count, struct lp_error *err);

/* One a file: ml_linear.c, ml_encode.c, ml_trees.c, ml_ensemble.c. */
LP_MUST_USE enum lp_code lp_ml_linear_classifier(struct lp_onnx *onnx, const struct lp_onnx_node *node,
                                                 struct lp_error *err);
LP_MUST_USE enum lp_code lp_ml_linear_regressor(struct lp_onnx *onnx, const struct lp_onnx_node *node,
                                                struct lp_error *err);
LP_MUST_USE enum lp_code lp_ml_one_hot(struct lp_onnx *onnx, const struct lp_onnx_node *node, struct lp_error *err);
LP_MUST_USE enum lp_code lp_ml_label_encoder(struct lp_onnx *onnx, const struct lp_onnx_node *node,
                                             struct lp_error *err);
LP_MUST_USE enum lp_code lp_ml_tree_classifier(struct lp_onnx *onnx, const struct lp_onnx_node *node,
                                               struct lp_error *err);
LP_MUST_USE enum lp_code lp_ml_tree_regressor(struct lp_onnx *onnx, const struct lp_onnx_node *node,
                                              struct lp_error *err);
LP_MUST_USE enum lp_code lp_ml_tree_ensemble(struct lp_onnx *onnx, const struct lp_onnx_node *node,
                                             struct lp_error *err);

#endif
