/* The infer stage: rows of doubles and a graph -> margins and scores. */
#ifndef LP_INFER_INFER_H
#define LP_INFER_INFER_H

#include "core/error.h"
#include "model/bundle.h"

#include <stdint.h>

struct lp_plan;  /* kernels chosen and weights packed for a bundle; immutable, any thread; borrows the bundle */
struct lp_infer; /* one lane's buffers for a plan */

/** Choose kernels, pack weights, check the shapes once more. */
LP_MUST_USE enum lp_code lp_plan_new(const struct lp_bundle *bundle, struct lp_plan **ret_plan, struct lp_error *err);
void lp_plan_free(struct lp_plan *plan);
/** "op weight kernel" one line an op, for `inspect`; owned by the plan. */
const char *lp_plan_describe(const struct lp_plan *plan);

/** Buffers for up to rows_max rows; all memory is taken here. */
LP_MUST_USE enum lp_code lp_infer_new(const struct lp_plan *plan, uint32_t rows_max, struct lp_infer **ret_infer,
                                      struct lp_error *err);
void lp_infer_free(struct lp_infer *infer);

/**
 * Score rows. One thread per lp_infer; never allocates.
 *
 * @param rows    [row_count][column_count] doubles, row-major; rounded to float once, here
 * @param margins out, [row_count][output_count] before the link; NULL: not wanted
 * @param scores  out, [row_count][output_count] after the link
 * Non-finite scores are left as they are: the caller decides (a bad record at stage infer).
 * FTZ/DAZ is set around dense kernels and restored.
 */
void lp_infer_run(struct lp_infer *infer, const double *rows, uint32_t row_count, float *margins, float *scores);

/** Check OpenBLAS once at start: LP_E_UNSUPPORTED for a build that is not the pthread one; sets its threads to 1. */
LP_MUST_USE enum lp_code lp_infer_setup(struct lp_error *err);

#endif
