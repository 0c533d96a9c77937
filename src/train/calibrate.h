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

#endif
