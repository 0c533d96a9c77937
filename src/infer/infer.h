/* The infer stage: rows of doubles and a graph -> margins and scores. */
#ifndef LP_INFER_INFER_H
#define LP_INFER_INFER_H

#include "core/cpu.h"
#include "core/error.h"
#include "model/bundle.h"

#include <stddef.h>
#include <stdint.h>

struct lp_plan;  /* kernels chosen and weights packed for a bundle; immutable, any thread; borrows the bundle */
struct lp_infer; /* one lane's buffers for a plan */

/**
 * Choose kernels, pack weights, check the shapes once more. Ops that do not lead to the margin are dropped, an
 * activation behind a dense layer joins its step.
 * @return LP_OK; LP_E_MISMATCH (names, widths), LP_E_UNSUPPORTED, LP_E_LIMIT, LP_E_MEMORY
 */
LP_MUST_USE enum lp_code lp_plan_new(const struct lp_bundle *bundle, struct lp_plan **ret_plan, struct lp_error *err);
/** As lp_plan_new with the kernels of `cpu` (borrowed during the call), which may be less than this one is: to compare
 * them. */
LP_MUST_USE enum lp_code lp_plan_new_for(const struct lp_bundle *bundle, const struct lp_cpu *cpu,
                                         struct lp_plan **ret_plan, struct lp_error *err);
void lp_plan_free(struct lp_plan *plan);
/** One line a step, "dense layer0.weight 10x64 avx512, relu fused", for `inspect`; owned by the plan. */
const char *lp_plan_describe(const struct lp_plan *plan);
/** Heap held, bytes. */
size_t lp_plan_bytes(const struct lp_plan *plan);

/**
 * Buffers for calls of about rows_max rows: longer calls work too, rows go through in chunks that fit the caches. All
 * memory is taken here.
 */
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
 * Trees take the doubles as they are (XGBoost's round them once) and their margins are rounded to float at the end.
 * FTZ/DAZ is set around dense graphs, never around trees, and restored. The link is computed in float, within 4 ULP
 * (sigmoid) or 8 ULP (softmax) of the margins' exact link. With the packed kernels a row's bits do not depend on the
 * rows beside it.
 */
void lp_infer_run(struct lp_infer *infer, const double *rows, uint32_t row_count, float *margins, float *scores);

/** Check OpenBLAS once at start: LP_E_UNSUPPORTED for a build that is not the pthread one; sets its threads to 1. */
LP_MUST_USE enum lp_code lp_infer_setup(struct lp_error *err);

#endif
