/* Reading the graph: what the readers of the single ops share. Private to model/. */
#ifndef LP_MODEL_GRAPH_H
#define LP_MODEL_GRAPH_H

#include "model/array.h"
#include "model/manifest.h"

/** Reads what is particular to a kind: members, tensors, the output's shape; ends and `in` are set. */
typedef enum lp_code lp_op_read(struct lp_bundle *bundle, const struct lp_node *node, const struct lp_shape *inputs,
                                struct lp_op *op, struct lp_error *err);

/* graph_dense.c */
lp_op_read lp_dense_read, lp_activation_read, lp_softmax_read, lp_matmul_read;
/* graph_binary.c */
lp_op_read lp_binary_read, lp_impute_read, lp_quantize_read;
/* graph_layout.c */
lp_op_read lp_concat_read, lp_slice_read, lp_gather_read, lp_reshape_read, lp_transpose_read;
/* graph_lookup.c */
lp_op_read lp_embedding_read, lp_onehot_read, lp_map_read;
/* graph_reduce.c */
lp_op_read lp_reduce_read, lp_unit_read, lp_norm_read;
/* graph_foreign.c */
lp_op_read lp_foreign_read;
/* graph_image.c */
lp_op_read lp_conv2d_read, lp_pool_read;

/** `activation` and what belongs to it, of an activation op (required there) or of one that fuses it. */
LP_MUST_USE enum lp_code lp_activation_members(struct lp_bundle *bundle, const struct lp_node *node, struct lp_op *op,
                                               struct lp_error *err);

/** No NaN that missing=keep lets through reaches an op that does not define it. */
LP_MUST_USE enum lp_code lp_graph_check_missing(const struct lp_bundle *bundle, const struct lp_op *ops, uint32_t count,
                                                struct lp_error *err);

/** "[3, 4]" in a buffer of LP_SHAPE_TEXT_BYTES; for errors. */
enum { LP_SHAPE_TEXT_BYTES = 64 };
const char *lp_shape_text(const struct lp_shape *shape, char *buffer);

/** `axis`, one of the shape's. */
LP_MUST_USE enum lp_code lp_axis_read(const struct lp_node *node, const struct lp_shape *shape, uint32_t *ret_axis,
                                      struct lp_error *err);

/** An array of `count` whole numbers from low to high; absent: ret_numbers stays. */
LP_MUST_USE enum lp_code lp_wholes_read(const struct lp_node *node, const char *key, size_t count, json_int_t low,
                                        json_int_t high, uint32_t *ret_numbers, struct lp_error *err);

/** A tensor of one of these dtypes (bits 1 << dtype). */
LP_MUST_USE enum lp_code lp_weight_read(const struct lp_bundle *bundle, const struct lp_node *node, const char *key,
                                        unsigned int dtypes, const struct lp_tensor **ret_tensor, struct lp_error *err);

/** An F32 tensor of rank 1 and `count` elements where the member is; else ret_tensor stays. */
LP_MUST_USE enum lp_code lp_vector_read(const struct lp_bundle *bundle, const struct lp_node *node, const char *key,
                                        uint64_t count, const struct lp_tensor **ret_tensor, struct lp_error *err);

/** numpy's broadcast of two shapes; LP_E_MISMATCH naming both. */
LP_MUST_USE enum lp_code lp_shape_broadcast(const struct lp_node *node, const struct lp_shape *a,
                                            const struct lp_shape *b, struct lp_shape *ret_shape, struct lp_error *err);

/** A constant's shape as a value's: rank 0 becomes [1]; LP_E_LIMIT above rank 4 or LP_BUNDLE_COLUMNS_MAX elements. */
LP_MUST_USE enum lp_code lp_constant_shape(const struct lp_node *node, const struct lp_tensor *constant,
                                           struct lp_shape *ret_shape, struct lp_error *err);

#endif
