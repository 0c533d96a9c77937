/* Probabilities that are right on rows the network did not learn from. */
#ifndef LP_TRAIN_CALIBRATE_H
#define LP_TRAIN_CALIBRATE_H

#include "core/error.h"
#include "train/metrics.h"

/**
 * Platt scaling: margin' = a margin + b with the smallest log loss, against targets (n1 + 1) / (n1 + 2) and
 * 1 / (n0 + 2) (J. Platt 1999), found by Newton's method with backtracking (H.-T. Lin, C.-J. Lin, R. Weng 2007).
 * @return LP_E_INVALID with one class, or where a would not be above 0 (the scores do not rise with the labels)
 */
LP_MUST_USE enum lp_code lp_platt_fit(const struct lp_metrics_rows *rows, double *ret_a, double *ret_b,
                                      struct lp_error *err);

enum { LP_ISOTONIC_POINTS_MAX = 500 };

/**
 * Isotonic regression: the rising steps with the smallest squared error (pool adjacent violators, M. Ayer et al. 1955),
 * as points at both ends of each step, so that lines lead from one to the next. Scores are kept 1 / (rows + 2) away
 * from 0 and 1: no score is certain of what so few rows show. More steps than points are thinned evenly.
 *
 * @param ret_margins, ret_scores out, room for LP_ISOTONIC_POINTS_MAX
 * @return LP_E_INVALID with one class, or when the labels do not rise with the scores at all
 */
LP_MUST_USE enum lp_code lp_isotonic_fit(const struct lp_metrics_rows *rows, double *ret_margins, double *ret_scores,
                                         uint32_t *ret_count, struct lp_error *err);

#endif
