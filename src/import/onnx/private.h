/* What the reader's own files share, beside what a lowering sees. */
#ifndef LP_IMPORT_ONNX_PRIVATE_H
#define LP_IMPORT_ONNX_PRIVATE_H

#include "import/onnx/onnx.h"

/** @param ret_model lp_onnx_unpacked_free. LP_E_INVALID, LP_E_LIMIT */
LP_MUST_USE enum lp_code lp_onnx_unpack(struct lp_span bytes, Onnx__Model **ret_model, struct lp_error *err);
void lp_onnx_unpacked_free(Onnx__Model *model);

/** Names of inputs, initializers and outputs of nodes -> values, of which nothing else is known. */
LP_MUST_USE enum lp_code lp_onnx_names_read(struct lp_onnx *onnx, struct lp_error *err);

/** The file as the graph's one op, for ONNX Runtime; features of its inputs. Nodes are not looked at. */
LP_MUST_USE enum lp_code lp_onnx_foreign_read(struct lp_onnx *onnx, struct lp_span bytes, struct lp_error *err);

/** Names -> values, nodes with the numbers of their values, opsets; initializers become constants. */
LP_MUST_USE enum lp_code lp_onnx_model_read(struct lp_onnx *onnx, struct lp_error *err);

/** The model's inputs as features of the draft, and as slices of them. */
LP_MUST_USE enum lp_code lp_onnx_inputs_read(struct lp_onnx *onnx, struct lp_error *err);

/** Columns begin to end of `features`. */
LP_MUST_USE enum lp_code lp_onnx_features_slice(struct lp_onnx *onnx, uint32_t begin, uint32_t end, uint32_t *ret_value,
                                                struct lp_error *err);

/**
 * Nodes that numeric outputs need, each behind those it reads.
 * @param ret_order [*ret_count], in the draft's storage
 * @return LP_E_INVALID: a cycle
 */
LP_MUST_USE enum lp_code lp_onnx_order(struct lp_onnx *onnx, const uint32_t **ret_order, uint32_t *ret_count,
                                       struct lp_error *err);

/** Is this graph output one of those that are lowered? Labels (whole numbers, texts) beside numbers are not. */
bool lp_onnx_output_counts(const struct lp_onnx *onnx, size_t output);

/** The outputs as the draft's last value, task and link. */
LP_MUST_USE enum lp_code lp_onnx_outputs_read(struct lp_onnx *onnx, struct lp_error *err);

/** Index of a value's name (NULL: the empty one), or LP_ONNX_ABSENT. */
int32_t lp_onnx_find(const struct lp_onnx *onnx, const char *name);

/** An external file's bytes, of one tensor. */
LP_MUST_USE enum lp_code lp_onnx_external_read(struct lp_onnx *onnx, const Onnx__Tensor *proto, size_t bytes,
                                               void **ret_data, struct lp_error *err);

/** Memory of the model's, beside the draft's: constants of many times the file are refused. */
void *lp_onnx_take(struct lp_onnx *onnx, uint64_t count, size_t element_bytes, struct lp_error *err);

#endif
