/* How good a variant's scores are, and how sure the difference to the original is. */
#ifndef LP_OPTIMIZE_JUDGE_H
#define LP_OPTIMIZE_JUDGE_H

#include "core/error.h"
#include "model/bundle.h"

#include <stdint.h>

/** What does not apply is NaN. */
struct lp_quality {
    double loss;     /* classes: mean log loss of the scores, kept 2^-52 from 0 and 1; regression: RMSE; ranking: mean
                        over rows with label 1 of log(1 + exp(z0 - z1)), their scores z1 beside each z0 of their group */
    double auc;      /* binary; ties count half; NaN with one class; ranking: within groups, by their pairs */
    double accuracy; /* classes */
};

/** Difference to the original of one measure, and its 95 % interval. */
struct lp_interval {
    double difference, low, high;
};

/** What is true of the rows. Borrowed. */
struct lp_truth {
    const double *y;       /* [rows] class or value; ranking: 1 or 0 */
    const uint32_t *group; /* [rows] ranking: 0 to group_count - 1; NULL: all are one */
    uint32_t rows, group_count;
};

enum { LP_JUDGE_PAIRS_MAX = 100 }; /* rows of label 0 that one of label 1 is compared with: evenly those of its group */

/** One variant's rows, for the bootstrap. */
struct lp_judged {
    struct lp_quality quality;
    double *loss;    /* [rows] log loss, squared error, or ranking: the mean over its pairs */
    uint8_t *right;  /* [rows] classes: is the label the one that is said? */
    uint32_t *order; /* [rows] binary: rows by score, rising */
    uint8_t *equal;  /* [rows] binary: the score at this place of the order is that of the place before */
    double *wins;    /* [rows] ranking: its pairs that are in order */
    uint32_t *pairs; /* [rows] ranking: its pairs; 0: a row that has none counts in no measure */
};

/** @param scores [rows][output_count]. LP_E_INVALID for a score that is not finite. */
LP_MUST_USE enum lp_code lp_judge(const struct lp_bundle *bundle, const float *scores, const struct lp_truth *truth,
                                  struct lp_judged *ret_judged, struct lp_error *err);
void lp_judged_done(struct lp_judged *judged);

/** Of one variant. */
struct lp_differences {
    struct lp_interval loss, auc, accuracy;
};

/**
 * Paired percentile bootstrap (B. Efron 1979): in each of 200 to 1000 resamples of the rows, drawn once for all
 * variants, each measure less the original's; the interval is from the 2.5th to the 97.5th percentile. Of several
 * groups whole ones are drawn.
 * @param judged [count], the original first; @param ret_differences [count]
 */
LP_MUST_USE enum lp_code lp_judge_differences(const struct lp_judged *judged, uint32_t count,
                                              const struct lp_truth *truth, bool regression,
                                              struct lp_differences *ret_differences, struct lp_error *err);

#endif
