/* A bundle's network that learns on, from the weights that it has. */
#ifndef LP_OPTIMIZE_TUNE_H
#define LP_OPTIMIZE_TUNE_H

#include "optimize/learn.h"

enum { LP_TUNE_EPOCHS_MAX = 1000 };

/**
 * A graph that training knows: dense layers one behind the other up to the margin, with activations that have a
 * derivative, their input the features, or plain columns and rows of tables beside each other as lepton writes them.
 */
struct lp_chain {
    struct lp_net_spec spec; /* embeddings: those below */
    struct lp_net_embedding *embeddings;
    uint32_t *tables; /* [spec.embedding_count] ops */
    uint32_t *plain;  /* [plain_count] columns in front of the tables */
    uint32_t plain_count;
    uint32_t dense[LP_NET_LAYERS_MAX]; /* ops */
};

/** @return false: it is none, and nothing is to be released (also without memory) */
bool lp_chain_read(const struct lp_bundle *bundle, struct lp_chain *ret_chain);
void lp_chain_done(struct lp_chain *chain);

/**
 * Train a few epochs more and keep the best one.
 * @param hold_zeros weights that are 0 stay 0
 * @return LP_E_UNSUPPORTED for a graph that is no chain, what lp_trainer_* return
 */
LP_MUST_USE enum lp_code lp_tune(const struct lp_learn *learn, const struct lp_bundle *bundle, uint32_t epochs,
                                 bool hold_zeros, struct lp_bundle **ret_tuned, struct lp_error *err);

#endif
