/* The manifest's parts, read in this order into a bundle whose tensors are there: features, graph, output, golden rows.
 */
#ifndef LP_MODEL_MANIFEST_H
#define LP_MODEL_MANIFEST_H

#include "core/span.h"
#include "model/bundle.h"
#include "model/node.h"

enum { LP_PATH_MAX_BYTES = 1023 };

/** All of it: schemas/bundle.schema.json is the contract. */
LP_MUST_USE enum lp_code lp_manifest_read(struct lp_bundle *bundle, struct lp_span text, struct lp_error *err);

/** `lineage` and `training` are well formed. */
LP_MUST_USE enum lp_code lp_history_check(const struct lp_node *manifest, struct lp_error *err);

/** features, feature_count, column_count. */
LP_MUST_USE enum lp_code lp_features_read(struct lp_bundle *bundle, const struct lp_node *manifest,
                                          struct lp_error *err);

/** The category part of one feature: encoding, vocabulary, missing, baseline. `node` has the feature's members. */
LP_MUST_USE enum lp_code lp_category_read(struct lp_bundle *bundle, const struct lp_node *node,
                                          struct lp_feature *feature, struct lp_error *err);

/** `missing` of a number or of a time: policy and raw value. */
LP_MUST_USE enum lp_code lp_missing_read_number(const struct lp_node *node, struct lp_feature *feature,
                                                struct lp_error *err);

/** The text part of one feature: n-grams, missing. */
LP_MUST_USE enum lp_code lp_text_read(const struct lp_node *node, struct lp_feature *feature, struct lp_error *err);

/** The time part of one feature: parts, missing. */
LP_MUST_USE enum lp_code lp_time_read(const struct lp_node *node, struct lp_feature *feature, struct lp_error *err);

/** `cross` of one category, once all features are there. */
LP_MUST_USE enum lp_code lp_cross_read(struct lp_bundle *bundle, const json_t *json, struct lp_feature *feature,
                                       struct lp_error *err);

/** `baseline` of a number or of the score: edges, counts, missing rate; absent: bin_count 0. */
LP_MUST_USE enum lp_code lp_baseline_read_number(struct lp_bundle *bundle, const struct lp_node *node,
                                                 struct lp_baseline *ret_baseline, struct lp_error *err);

/** `baseline` of a category with `bin_count` bins. */
LP_MUST_USE enum lp_code lp_baseline_read_category(struct lp_bundle *bundle, const struct lp_node *node,
                                                   uint32_t bin_count, struct lp_baseline *ret_baseline,
                                                   struct lp_error *err);

/** ops, op_count, output_count; widths agree from column_count on. */
LP_MUST_USE enum lp_code lp_graph_read(struct lp_bundle *bundle, const struct lp_node *manifest, struct lp_error *err);

/** Members of a trees op, NULL-terminated. */
extern const char *const lp_trees_members[];
/** The ensemble of a trees op whose ends are read: arrays from tensors, every index checked; sets trees, shape. */
LP_MUST_USE enum lp_code lp_trees_read(struct lp_bundle *bundle, const struct lp_node *node, struct lp_op *op,
                                       struct lp_error *err);

/** golden_*: expectations of output_count numbers each. */
LP_MUST_USE enum lp_code lp_golden_read(struct lp_bundle *bundle, const struct lp_node *manifest, struct lp_error *err);

#endif
