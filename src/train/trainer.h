/* Training: epochs of mini-batches over threads and ranks, a validation after each, and the way to stop. */
#ifndef LP_TRAIN_TRAINER_H
#define LP_TRAIN_TRAINER_H

#include "train/data.h"
#include "train/metrics.h"
#include "train/net.h"
#include "train/team.h"

enum lp_optimizer { LP_OPTIMIZER_SGD, LP_OPTIMIZER_MOMENTUM, LP_OPTIMIZER_ADAM, LP_OPTIMIZER_ADAMW };
enum lp_schedule { LP_SCHEDULE_CONSTANT, LP_SCHEDULE_STEP, LP_SCHEDULE_COSINE, LP_SCHEDULE_PLATEAU };

enum { LP_TRAIN_EPOCHS_MAX = 100000, LP_TRAIN_BATCH_MAX = 1 << 20 };

/** One epoch as it went. */
struct lp_train_epoch {
    uint32_t epoch;          /* from 1 */
    double train_loss;       /* mean over the epoch's rows, before each step, without penalties */
    struct lp_metrics valid; /* NaN without validation rows */
    double rate;             /* learning rate of the last step */
    double seconds;          /* of the steps alone; not kept over a resume */
};

struct lp_train_options {
    struct lp_train_loss loss;
    enum lp_optimizer optimizer;
    double rate, momentum, beta1, beta2, epsilon;
    double decay;  /* AdamW: w shrinks by rate * decay at each step */
    double l1, l2; /* penalties l1 |w| and l2 w^2 / 2 on weights, not on biases */
    double clip;   /* largest norm of the whole gradient; 0: none */
    enum lp_schedule schedule;
    uint32_t schedule_epochs; /* step: each so many epochs; plateau: after so many without a better loss */
    double schedule_factor;   /* step, plateau */
    uint32_t warmup_steps;    /* the rate rises linearly over these */
    uint32_t epochs, batch_rows;
    bool in_order;     /* no shuffling */
    uint32_t patience; /* stop after so many epochs without a better validation loss; 0: never */
    double min_improvement;
    bool hold_zeros; /* weights of layers that are 0 when it begins stay 0: what was pruned */
    bool keep_last;  /* of the epochs, not the one with the best validation loss */
    uint64_t seed;
    uint32_t threads;
    const float *class_weight;          /* borrowed, by class; NULL: ones */
    double label_shift, label_scale;    /* the network learns (y - shift) / scale; losses and metrics are by y */
    double threshold;                   /* of accuracy and F1 */
    const struct lp_train_peers *peers; /* borrowed; NULL: this process alone */
    const char *checkpoint;             /* borrowed: written behind each epoch, by rank 0; NULL: none */
    bool resume;                        /* go on from the checkpoint where there is one */
    void *context;
    void (*on_epoch)(void *context, const struct lp_train_epoch *epoch);
    void (*on_progress)(void *context, uint32_t epoch, uint64_t rows_done,
                        uint64_t rows_in_all); /* about 10 a second */
    bool (*should_stop)(void *context);        /* asked behind each epoch; NULL: never */
};

/** Rows to learn from and to validate with: numbers of rows of the data, borrowed for the trainer's life. */
struct lp_train_split {
    const uint32_t *train, *valid;
    uint32_t train_count, valid_count;
};

struct lp_trainer;

/**
 * @param spec, data, options borrowed for the trainer's life
 * @return LP_E_INVALID (a table index out of range, an option), LP_E_LIMIT, LP_E_MEMORY
 */
LP_MUST_USE enum lp_code lp_trainer_new(const struct lp_net_spec *spec, const struct lp_train_data *data,
                                        const struct lp_train_split *split, const struct lp_train_options *options,
                                        struct lp_trainer **ret_trainer, struct lp_error *err);
void lp_trainer_free(struct lp_trainer *trainer);

/** The network: to set its first weights before _run (lp_net_turn_all after), to take it behind it. */
struct lp_net *lp_trainer_net(struct lp_trainer *trainer);

/**
 * All epochs. The same options, rows and threads give the same bytes.
 * @return LP_OK; LP_E_REFUSED with the reason when a loss is not finite; LP_E_IO, LP_E_MISMATCH of a checkpoint
 */
LP_MUST_USE enum lp_code lp_trainer_run(struct lp_trainer *trainer, struct lp_error *err);

const struct lp_train_epoch *lp_trainer_history(const struct lp_trainer *trainer, uint32_t *ret_count);
/** Epoch whose weights the network has, from 1; 0: none was run. */
uint32_t lp_trainer_kept_epoch(const struct lp_trainer *trainer);

/** Margins [count][outputs] of rows with the present weights, in the network's scale; with peers: on all ranks. */
LP_MUST_USE enum lp_code lp_trainer_score(struct lp_trainer *trainer, const uint32_t *rows, uint32_t count,
                                          float *ret_margins, struct lp_error *err);

#endif
