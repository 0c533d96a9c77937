/* Networks of other shapes for the same features: a search by successive halving. */
#ifndef LP_OPTIMIZE_TRIALS_H
#define LP_OPTIMIZE_TRIALS_H

#include "optimize/learn.h"

enum { LP_TRIALS_MAX = 1000, LP_TRIALS_KEPT = 3, LP_TRIAL_LAYERS_MAX = 3, LP_TRIAL_TEXT_BYTES = 96 };

struct lp_trial {
    uint32_t number; /* from 1 */
    uint32_t layer_count, widths[LP_TRIAL_LAYERS_MAX];
    double rate, l2, dropout;
    uint32_t rung, epochs;    /* of its last training */
    double loss;              /* on the tenth of the rows that none learns from; infinite: it grew without bound */
    struct lp_bundle *bundle; /* owned; NULL: not among the best */
};

struct lp_trials_request {
    uint32_t count;
    int64_t time_ms; /* no training begins or goes on behind it, and one cut short must be the best; 0: no limit */
    void *context;
    void (*on_trial)(void *context, const struct lp_trial *trial, const struct lp_trial *best, uint32_t done,
                     uint32_t in_all); /* behind each training; NULL: none */
};

/** "128,64", "none"; of at least LP_TRIAL_TEXT_BYTES */
void lp_trial_layers(const struct lp_trial *trial, char *ret_text);

/**
 * Successive halving (K. Jamieson, A. Talwalkar 2016) by thirds: all trials learn for a few epochs, the better third
 * anew for three times as many, until at most three are left and learn for 27. Knobs are drawn by the seed: up to three
 * layers of 16 to 256 units, none wider than the one before, rate 1e-4 to 1e-2, L2 0 or 1e-6 to 1e-3, dropout 0 to 0.3.
 *
 * @param ret_best [LP_TRIALS_KEPT] from the best on, those that got furthest first; their bundles are the caller's
 * @return LP_E_REFUSED when no trial had a finite loss, LP_E_UNSUPPORTED for a feature that keeps what is missing
 */
LP_MUST_USE enum lp_code lp_trials_run(const struct lp_learn *learn, const struct lp_bundle *parent,
                                       const struct lp_trials_request *request, struct lp_trial *ret_best,
                                       uint32_t *ret_count, struct lp_error *err);

#endif
