/* How good a variant's scores are, and how sure the difference to the original is. */
#ifndef LP_OPTIMIZE_JUDGE_H
#define LP_OPTIMIZE_JUDGE_H

#include "core/error.h"
#include "model/bundle.h"

#include <stdint.h>

/** What does not apply is NaN. */
struct lp_quality {
    double loss;     /* classes: mean log loss of the scores, kept 2^-52 from 0 and 1; regression: RMSE */
    double auc;      /* binary; ties count half; NaN with one class */
    double accuracy; /* classes */
};

/** Difference to the original of one measure, and its 95 % interval. */
struct lp_interval {
    double difference, low, high;
};

/** One variant's rows, for the bootstrap. */
struct lp_judged {
    struct lp_quality quality;
    double *loss;    /* [rows] log loss, or squared error */
    uint8_t *right;  /* [rows] classes: is the label the one that is said? */
    uint32_t *order; /* [rows] binary: rows by score, rising */
    uint8_t *equal;  /* [rows] binary: the score at this place of the order is that of the place before */
};

/** @param scores [rows][output_count]; @param y [rows] class or value. LP_E_INVALID for a score that is not finite. */
LP_MUST_USE enum lp_code lp_judge(const struct lp_bundle *bundle, const float *scores, const double *y, uint32_t rows,
                                  struct lp_judged *ret_judged, struct lp_error *err);
void lp_judged_done(struct lp_judged *judged);

/** Of one variant. */
struct lp_differences {
    struct lp_interval loss, auc, accuracy;
};

/**
 * Paired percentile bootstrap (B. Efron 1979): in each of 200 to 1000 resamples of the rows, drawn once for all
 * variants, each measure less the original's; the interval is from the 2.5th to the 97.5th percentile.
 * @param judged [count], the original first; @param ret_differences [count]
 */
LP_MUST_USE enum lp_code lp_judge_differences(const struct lp_judged *judged, uint32_t count, const double *y,
                                              uint32_t rows, bool regression, struct lp_differences *ret_differences,
                                              struct lp_error *err);

#endif
