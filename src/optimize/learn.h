/* Rows to learn from, cleaned by the bundle's own features, and networks that learn from them. */
#ifndef LP_OPTIMIZE_LEARN_H
#define LP_OPTIMIZE_LEARN_H

#include "optimize/draft.h"
#include "optimize/valid.h"
#include "train/trainer.h"

struct lp_learn {
    struct lp_valid rows; /* y is used; the rows are in x */
    float *x, *y;
    uint32_t *order; /* rows to learn from, then a tenth that tells the best epoch; none of the validation data */
    uint32_t valid_count;
    struct lp_train_data data;
    struct lp_train_loss loss;
    double label_mean, label_scale; /* squared error is learned in deviations of the label */
    double link_scale;              /* of the bundle: a margin is multiplied by it */
    uint64_t seed;
};

/**
 * @param path, label, group as lp_valid_read takes them
 * @param ret_learn _done also after a failure
 * @return what lp_valid_read returns; LP_E_UNSUPPORTED for a task or a link that has no loss here, and for features
 *         that stay missing; LP_E_INVALID with too few rows
 */
LP_MUST_USE enum lp_code lp_learn_open(const char *path, const char *label, const char *group,
                                       const struct lp_model *model, uint64_t seed, struct lp_learn *ret_learn,
                                       struct lp_error *err);
void lp_learn_done(struct lp_learn *learn);

/** Rows of `valid` that equal one to learn from, label and all: as if it had been learned from. LP_E_MEMORY. */
LP_MUST_USE enum lp_code lp_learn_count_known(const struct lp_learn *learn, const struct lp_valid *valid,
                                              uint32_t *ret_count, struct lp_error *err);

struct lp_knobs {
    double rate, l2;
    uint32_t epochs, patience;
    bool hold_zeros;
    void *context;
    bool (*should_stop)(void *context); /* asked behind each epoch; NULL: never */
};

/** A trainer, Adam, first weights by the seed. @param options the trainer's, which must outlive it */
LP_MUST_USE enum lp_code lp_learn_new(const struct lp_learn *learn, const struct lp_net_spec *spec,
                                      const struct lp_knobs *knobs, struct lp_train_options *options,
                                      struct lp_trainer **ret_trainer, struct lp_error *err);

/** The bundle with another network in the place of its graph, its score's baseline and calibration gone. */
LP_MUST_USE enum lp_code lp_learn_export(const struct lp_learn *learn, const struct lp_bundle *parent,
                                         const struct lp_net *net, struct lp_bundle **ret_bundle, struct lp_error *err);

#endif
