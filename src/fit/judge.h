/* How a column goes with the label. */
#ifndef LP_FIT_JUDGE_H
#define LP_FIT_JUDGE_H

#include "fit/fit.h"

/**
 * Numbers: Pearson's r with the label (a number, or 1 for the second of two classes). Texts: the square root of the
 * share of the label's variance that their values explain (eta), without a sign. NaN where there is none.
 */
double lp_fit_correlation(const struct lp_fit *fit, const struct lp_fit_column *column);

#endif
