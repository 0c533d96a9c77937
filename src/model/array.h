/* Arrays of the manifest: short ones as JSON, long ones as tensors that it names. */
#ifndef LP_MODEL_ARRAY_H
#define LP_MODEL_ARRAY_H

#include "model/bundle.h"
#include "model/node.h"

/** The tensor that `node.key` names, which must exist. */
LP_MUST_USE enum lp_code lp_array_tensor(const struct lp_bundle *bundle, const struct lp_node *node, const char *key,
                                         const struct lp_tensor **ret_tensor, struct lp_error *err);

/** Numbers at `node.key`: an array of up to LP_BUNDLE_INLINE_MAX, or {"tensor": F64 of rank 1}; may be empty. */
LP_MUST_USE enum lp_code lp_array_numbers(const struct lp_bundle *bundle, const struct lp_node *node, const char *key,
                                          const double **ret_numbers, uint32_t *ret_count, struct lp_error *err);

/** An array of exactly `count` numbers, copied to storage. */
LP_MUST_USE enum lp_code lp_array_exact(const struct lp_bundle *bundle, const struct lp_node *node, const char *key,
                                        uint32_t count, const double **ret_numbers, struct lp_error *err);

/** Texts in tensors, {"tensor": U8, "offsets": I32 or I64}: UTF-8 without zero bytes, at most `max` of them. */
LP_MUST_USE enum lp_code lp_array_texts(const struct lp_bundle *bundle, const struct lp_node *node, uint32_t max,
                                        const char *const **ret_texts, uint32_t *ret_count, struct lp_error *err);

/** Texts of a JSON array of up to LP_BUNDLE_INLINE_MAX; `names`: each must be a valid name. */
LP_MUST_USE enum lp_code lp_array_words(const struct lp_bundle *bundle, const struct lp_node *node, const char *key,
                                        bool names, const char *const **ret_texts, uint32_t *ret_count,
                                        struct lp_error *err);

/** LP_E_INVALID naming the text when two are the same. O(n log n). */
LP_MUST_USE enum lp_code lp_array_check_distinct(const char *const *texts, uint32_t count, const char *what,
                                                 struct lp_error *err);

#endif
