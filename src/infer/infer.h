/* The infer stage: rows of doubles and a graph -> margins and scores. */
#ifndef LP_INFER_INFER_H
#define LP_INFER_INFER_H

#include "core/cpu.h"
#include "core/error.h"
#include "model/bundle.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct lp_plan;  /* kernels chosen and weights packed for a bundle; immutable, any thread; borrows the bundle */
struct lp_infer; /* one lane's buffers for a plan */

/** What a step depends on, where some features are of a candidate (their `from` has `[]`); else all are the record's.
 */
enum lp_plan_part { LP_PLAN_RECORD, LP_PLAN_ITEM, LP_PLAN_BOTH };

/** One step of a plan, for `inspect` and `bench`; strings are the plan's. */
struct lp_plan_step_info {
    const char *op;     /* "dense", "dense_i8", "dense_bf16", "conv2d", ... */
    const char *name;   /* of its weights, else of the value it makes */
    const char *kernel; /* "avx512" */
    enum lp_plan_part part;
    uint64_t flops;        /* of one row: two a multiply-add; of other ops the elements they touch */
    uint64_t weight_bytes; /* packed, or of a table all of it */
    bool multiplies;       /* flops are multiply-adds */
};

/**
 * Choose kernels, pack weights, check the shapes once more. Ops that do not lead to the margin are dropped, an
 * activation behind a layer joins its step, parts of a concatenation are written in place, and values share one arena.
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
/** A table of the steps for `inspect --plan`: op, shapes, kernel, place in the arena, MFLOP, and what each depends on;
 * owned by the plan. */
const char *lp_plan_table(const struct lp_plan *plan);
/** Steps; 0 for an ensemble alone, which is one kernel. */
uint32_t lp_plan_step_count(const struct lp_plan *plan);
void lp_plan_step(const struct lp_plan *plan, uint32_t step, struct lp_plan_step_info *ret_info);
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
 * @param rows    [row_count][column_count] doubles, row-major; rounded to float once, here (ids of embeddings and what
 *                trees read stay doubles)
 * @param margins out, [row_count][output_count] before the link; NULL: not wanted
 * @param scores  out, [row_count][output_count] after the link
 * Non-finite scores are left as they are: the caller decides (a bad record at stage infer).
 * Trees take the doubles as they are (XGBoost's round them once) and their margins are rounded to float at the end.
 * FTZ/DAZ is set inside dense layers, convolutions, products and the activations whose result is near for near
 * arguments, nowhere else, and restored. The link is computed in float, within 4 ULP
 * (sigmoid) or 8 ULP (softmax) of the margins' exact link. With the packed kernels a row's bits do not depend on the
 * rows beside it.
 */
void lp_infer_run(struct lp_infer *infer, const double *rows, uint32_t row_count, float *margins, float *scores);

/**
 * Score the candidates of one record: what depends on the record's features alone is computed once.
 *
 * @param record [column_count]; of it the columns of record features are read
 * @param items  [item_count][column_count]; of them the columns of candidates' features are read
 * @param margins, scores as lp_infer_run's, a row a candidate
 * The same bits as lp_infer_run over whole rows. Without features of candidates all rows are the record's.
 */
void lp_infer_run_candidates(struct lp_infer *infer, const double *record, const double *items, uint32_t item_count,
                             float *margins, float *scores);

/** Steps computed so far, times their rows. */
uint64_t lp_infer_step_rows(const struct lp_infer *infer);

/** As lp_infer_run without the link, timed: ret_ns[step] is what each step took, nanoseconds of the wall clock
 * (whose reading is cheap): take the best of many. For `bench`. */
void lp_infer_time(struct lp_infer *infer, const double *rows, uint32_t row_count, double *ret_ns);

/** Check OpenBLAS once at start: LP_E_UNSUPPORTED for a build that is not the pthread one; sets its threads to 1. */
LP_MUST_USE enum lp_code lp_infer_setup(struct lp_error *err);

#endif
