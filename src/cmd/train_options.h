/* The options of `lepton train`, from text to a request. */
#ifndef LP_CMD_TRAIN_OPTIONS_H
#define LP_CMD_TRAIN_OPTIONS_H

#include "cmd/options.h"
#include "train/job.h"

/** As they are in argv. */
struct lp_train_texts {
    const char *label, *spec, *task, *layers, *activation, *dropout, *loss, *delta, *optimizer, *rate, *momentum,
        *decay, *l1, *l2, *clip, *schedule, *validate, *threshold, *drop, *calibrate, *out, *html, *improvement;
    bool batch_norm, json, in_order;
    int64_t warmup, epochs, batch, patience, seed, threads, folds;
    struct lp_pairs hash, embed, class_weight;
};

/**
 * Everything but data, spec, label and callbacks.
 * @param request in/out: numbers and lists are set; lists are owned by it (lp_train_options_done)
 * @return LP_E_INVALID naming the option
 */
LP_MUST_USE enum lp_code lp_train_options_read(const struct lp_train_texts *texts, struct lp_job_request *request,
                                               struct lp_error *err);
void lp_train_options_done(struct lp_job_request *request);

#endif
