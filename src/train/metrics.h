/* How good scores are: the usual measures, in double, with weights. */
#ifndef LP_TRAIN_METRICS_H
#define LP_TRAIN_METRICS_H

#include "core/error.h"
#include "train/loss.h"

#include <stdbool.h>
#include <stdint.h>

/** What does not apply, or is not defined (AUC and F1 with one class, R2 of a constant), is NaN. */
struct lp_metrics {
    double loss;              /* mean */
    double accuracy;          /* label by the threshold, or by the largest margin */
    double auc;               /* binary; ties count half; ranking: within groups, by their pairs */
    double log_loss;          /* probabilities kept from 0 and 1 by 2^-52, as scikit-learn's are */
    double f1;                /* of class 1; multiclass: the classes' plain mean */
    double calibration_error; /* 15 bins of equal width: mean of |mean score - share of 1s|, by rows (Naeini 2015);
                                 multiclass: of the largest probability */
    double rmse, r2, mae;
};

enum { LP_METRICS_COUNT = 9 };
/** Names in the order of the struct: "loss", "accuracy", ... */
extern const char *const lp_metrics_names[LP_METRICS_COUNT];
/** Is more of it better? */
bool lp_metrics_rises(int index);
static inline double lp_metrics_at(const struct lp_metrics *metrics, int index) { return (&metrics->loss)[index]; }

struct lp_metrics_rows {
    const float *margins;  /* [rows][outputs] */
    const float *y;        /* [rows] */
    const float *weight;   /* [rows], or NULL */
    const uint32_t *group; /* ranking, or NULL */
    uint32_t rows, outputs;
    double threshold; /* binary: on the probability */
};

/**
 * @return LP_E_MEMORY. No rows: all NaN.
 */
LP_MUST_USE enum lp_code lp_metrics_run(const struct lp_train_loss *loss, const struct lp_metrics_rows *rows,
                                        struct lp_metrics *ret_metrics, struct lp_error *err);

/** Threshold on the probability with the best F1 (the lowest of equals); 0.5 with one class. */
LP_MUST_USE enum lp_code lp_metrics_best_threshold(const struct lp_metrics_rows *rows, double *ret_threshold,
                                                   struct lp_error *err);

/** Rows from the smallest margin to the largest: [rows] numbers of rows; NULL: no memory. Single output. */
uint32_t *lp_metrics_order(const float *margins, uint32_t rows);

double lp_train_sigmoid(double margin);

#endif
