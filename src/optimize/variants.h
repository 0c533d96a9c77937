/* Which variants there are, and how each is made. Private to optimize/. */
#ifndef LP_OPTIMIZE_VARIANTS_H
#define LP_OPTIMIZE_VARIANTS_H

#include "optimize/optimize.h"

/**
 * The original, bf16, int8, one layer at a time, fewer trees, pruned, without units, of lower rank: what the graph has
 * something for. @param tuned list the last three trained on beside themselves
 */
LP_MUST_USE enum lp_code lp_variants_list(struct lp_optimized *optimized, bool tuned, struct lp_error *err);
void lp_variants_add_trial(struct lp_optimized *optimized, const struct lp_trial *trial);
/** Behind the scoring of the layers: int8 without the most sensitive of several; false: there is no such one. */
bool lp_variants_add_mixed(struct lp_optimized *optimized);
/** @param ret_draft owned */
LP_MUST_USE enum lp_code lp_variants_make(const struct lp_optimized *optimized, const struct lp_variant *variant,
                                          struct lp_draft **ret_draft, struct lp_error *err);

#endif
