/* Lowerings by the table of ops.c, and what they share. Private to import/onnx/. */
#ifndef LP_IMPORT_ONNX_LOWER_H
#define LP_IMPORT_ONNX_LOWER_H

#include "import/onnx/onnx.h"

typedef enum lp_code lp_onnx_act(struct lp_onnx *onnx, const struct lp_onnx_node *node, struct lp_error *err);

/* lower_same.c */
lp_onnx_act lp_onnx_same, lp_onnx_dropout, lp_onnx_cast, lp_onnx_fold_cast, lp_onnx_constant, lp_onnx_shape,
    lp_onnx_size;
/* lower_reshape.c */
lp_onnx_act lp_onnx_lower_reshape, lp_onnx_fold_reshape, lp_onnx_lower_flatten, lp_onnx_fold_flatten,
    lp_onnx_lower_squeeze, lp_onnx_fold_squeeze, lp_onnx_lower_unsqueeze, lp_onnx_fold_unsqueeze, lp_onnx_lower_expand,
    lp_onnx_fold_expand;
/* lower_layout.c */
lp_onnx_act lp_onnx_lower_transpose, lp_onnx_fold_transpose, lp_onnx_lower_concat, lp_onnx_fold_concat,
    lp_onnx_lower_split, lp_onnx_fold_split, lp_onnx_lower_slice, lp_onnx_fold_slice;
/* lower_pad.c */
lp_onnx_act lp_onnx_lower_pad;
/* lower_gather.c */
lp_onnx_act lp_onnx_lower_gather, lp_onnx_fold_gather;
/* lower_elementwise.c, fold_elementwise.c */
lp_onnx_act lp_onnx_lower_unary, lp_onnx_fold_unary, lp_onnx_lower_binary, lp_onnx_fold_binary, lp_onnx_lower_clip,
    lp_onnx_lower_prelu, lp_onnx_fold_compare, lp_onnx_fold_where, lp_onnx_fold_range, lp_onnx_fold_filled;
/* lower_logic.c */
lp_onnx_act lp_onnx_lower_compare, lp_onnx_lower_not, lp_onnx_lower_logic, lp_onnx_lower_where;
/* lower_dense.c */
lp_onnx_act lp_onnx_lower_matmul, lp_onnx_lower_gemm;
/* lower_norm.c */
lp_onnx_act lp_onnx_lower_softmax, lp_onnx_lower_batch_norm, lp_onnx_lower_layer_norm;
/* lower_reduce.c, fold_reduce.c */
lp_onnx_act lp_onnx_lower_reduce, lp_onnx_fold_reduce;
/* lower_image.c */
lp_onnx_act lp_onnx_lower_conv, lp_onnx_lower_pool, lp_onnx_lower_global_pool;
/* lower_quantize.c */
lp_onnx_act lp_onnx_lower_quantize, lp_onnx_lower_dequantize, lp_onnx_fold_dequantize, lp_onnx_lower_qlinear_matmul,
    lp_onnx_lower_qlinear_conv, lp_onnx_lower_dynamic_quantize, lp_onnx_lower_matmul_integer;

/**
 * A dense layer in integers, where `a` is what a QuantizeLinear of 8 bits left and the matrix was dequantized from 8
 * bits without a zero point; else nothing.
 * @param turned the matrix is [out, in]
 */
LP_MUST_USE enum lp_code lp_onnx_emit_int8(struct lp_onnx *onnx, const struct lp_onnx_node *node,
                                           const struct lp_onnx_value *a, const struct lp_onnx_constant *matrix,
                                           bool turned, struct lp_onnx_value *ret_value, bool *ret_done,
                                           struct lp_error *err);
/** Conv's own attributes are the node's. */
LP_MUST_USE enum lp_code lp_onnx_emit_conv(struct lp_onnx *onnx, const struct lp_onnx_node *node,
                                           const struct lp_onnx_value *input, struct lp_onnx_constant *weight,
                                           const struct lp_tensor *bias, struct lp_onnx_value *ret_value,
                                           struct lp_error *err);

/** Whole numbers that are attribute `name` in old opsets and input i in new ones. Absent: NULL. */
LP_MUST_USE enum lp_code lp_onnx_list(struct lp_onnx *onnx, const struct lp_onnx_node *node, const char *name,
                                      uint32_t i, const int64_t **ret_wholes, size_t *ret_count, struct lp_error *err);

/** ONNX axis, which may count from the end, of `rank` axes (the batch is one) -> 0 to rank - 1. */
LP_MUST_USE enum lp_code lp_onnx_axis(const struct lp_onnx_node *node, int64_t axis, uint32_t rank, uint32_t *ret_axis,
                                      struct lp_error *err);
/** The same of a row value: its own axis, so that the batch is refused. */
LP_MUST_USE enum lp_code lp_onnx_row_axis(const struct lp_onnx_node *node, const struct lp_onnx_value *value,
                                          int64_t axis, uint32_t *ret_axis, struct lp_error *err);

/**
 * A constant as operand of a row value of ONNX rank `rank`: numpy's rule, its first axis of 1 taken off where it lies
 * on the batch.
 * @param ret_tensor F32, of rank below `rank`
 */
LP_MUST_USE enum lp_code lp_onnx_operand(struct lp_onnx *onnx, const struct lp_onnx_node *node,
                                         struct lp_onnx_constant *constant, uint32_t rank,
                                         const struct lp_tensor **ret_tensor, struct lp_error *err);

/** numpy's broadcast; LP_E_INVALID where the shapes do not fit. */
LP_MUST_USE enum lp_code lp_onnx_broadcast(const struct lp_onnx_node *node, uint32_t a_rank, const uint32_t *a,
                                           uint32_t b_rank, const uint32_t *b, uint32_t *ret_rank, uint32_t *ret_dims,
                                           struct lp_error *err);

/** function(a, constant), or with `reverse` function(constant, a). */
LP_MUST_USE enum lp_code lp_onnx_emit_constant(struct lp_onnx *onnx, const struct lp_onnx_node *node,
                                               enum lp_graph_function function, const struct lp_onnx_value *a,
                                               const struct lp_tensor *constant, bool reverse,
                                               struct lp_onnx_value *ret_value, struct lp_error *err);
/** function(a, b) of two row values. */
LP_MUST_USE enum lp_code lp_onnx_emit_binary(struct lp_onnx *onnx, const struct lp_onnx_node *node,
                                             enum lp_graph_function function, const struct lp_onnx_value *a,
                                             const struct lp_onnx_value *b, struct lp_onnx_value *ret_value,
                                             struct lp_error *err);
/** left function right, of a row value and a constant, either way round, or of two row values. */
LP_MUST_USE enum lp_code lp_onnx_combine(struct lp_onnx *onnx, const struct lp_onnx_node *node,
                                         enum lp_graph_function function, const struct lp_onnx_value *left,
                                         const struct lp_onnx_value *right, struct lp_onnx_value *ret_value,
                                         struct lp_error *err);
/** 1 where the number is not 0, else 0. */
LP_MUST_USE enum lp_code lp_onnx_emit_truth(struct lp_onnx *onnx, const struct lp_onnx_value *a,
                                            struct lp_onnx_value *ret_value, struct lp_error *err);
/** An element-wise op of the shape of `a`. */
LP_MUST_USE enum lp_code lp_onnx_emit_activation(struct lp_onnx *onnx, struct lp_graph_op op,
                                                 const struct lp_onnx_value *a, struct lp_onnx_value *ret_value,
                                                 struct lp_error *err);

/** x * weight of the last axis; weight [in, out] F32. */
LP_MUST_USE enum lp_code lp_onnx_emit_dense(struct lp_onnx *onnx, const struct lp_onnx_node *node,
                                            const struct lp_onnx_value *a, const struct lp_tensor *weight,
                                            const struct lp_tensor *bias, struct lp_onnx_value *ret_value,
                                            struct lp_error *err);
/** Axes of a row value in another order. */
LP_MUST_USE enum lp_code lp_onnx_emit_transpose(struct lp_onnx *onnx, const struct lp_onnx_value *a,
                                                const uint32_t *perm, struct lp_onnx_value *ret_value,
                                                struct lp_error *err);
/** Row value `a` in another shape. */
LP_MUST_USE enum lp_code lp_onnx_emit_reshape(struct lp_onnx *onnx, const struct lp_onnx_value *a, uint32_t rank,
                                              const uint32_t *dims, struct lp_onnx_value *ret_value,
                                              struct lp_error *err);

/**
 * A constant that is the same in every row, as a row value: its first axis must be the batch (is_spread), or of 1 where
 * the model's batch is 1.
 */
LP_MUST_USE enum lp_code lp_onnx_spread(struct lp_onnx *onnx, const struct lp_onnx_node *node,
                                        struct lp_onnx_constant *constant, struct lp_onnx_value *ret_value,
                                        struct lp_error *err);

/** F32 [columns, rows] of a constant [rows, columns]. */
LP_MUST_USE enum lp_code lp_onnx_transposed(struct lp_onnx *onnx, const struct lp_tensor *tensor,
                                            const struct lp_tensor **ret_tensor, struct lp_error *err);

/** New constants of others' elements. */
LP_MUST_USE enum lp_code lp_onnx_join(struct lp_onnx *onnx, const struct lp_onnx_node *node,
                                      struct lp_onnx_constant *const *parts, uint32_t count, uint32_t axis,
                                      struct lp_onnx_constant **ret_constant, struct lp_error *err);
LP_MUST_USE enum lp_code lp_onnx_pick(struct lp_onnx *onnx, const struct lp_onnx_node *node,
                                      const struct lp_onnx_constant *data, uint32_t axis, const int64_t *indices,
                                      uint64_t count, struct lp_onnx_constant **ret_constant, struct lp_error *err);
/** The same elements in another shape of as many. */
LP_MUST_USE enum lp_code lp_onnx_reshaped(struct lp_onnx *onnx, const struct lp_onnx_constant *data, uint32_t rank,
                                          const uint64_t *dims, struct lp_onnx_constant **ret_constant,
                                          struct lp_error *err);

/** A text value's columns as UINT32 constant of its row shape, and back. */
LP_MUST_USE enum lp_code lp_onnx_text_columns(struct lp_onnx *onnx, const struct lp_onnx_value *text,
                                              struct lp_onnx_constant **ret_columns, struct lp_error *err);
void lp_onnx_bind_columns(struct lp_onnx *onnx, const struct lp_onnx_node *node, uint32_t i,
                          const struct lp_onnx_constant *columns);

/** Element i := the number, in the constant's type. */
void lp_onnx_put_number(struct lp_onnx_constant *constant, uint64_t i, double number);
void lp_onnx_put_whole(struct lp_onnx_constant *constant, uint64_t i, int64_t whole);

#endif
