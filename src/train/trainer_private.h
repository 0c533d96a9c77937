/* What the trainer's files share. */
#ifndef LP_TRAIN_TRAINER_PRIVATE_H
#define LP_TRAIN_TRAINER_PRIVATE_H

#include "train/pass.h"
#include "train/trainer.h"

#include <pthread.h>

/** A run of parameters that one thread updates. */
struct lp_train_slice {
    size_t begin, count;
    bool penalized; /* weights; not biases */
    uint32_t layer;
    size_t first_row, last_row; /* of the layer's weights, to turn them; equal: none */
};

struct lp_train_worker {
    struct lp_trainer *trainer;
    pthread_t thread;
    uint32_t index;
    struct lp_pass pass;
    struct lp_train_slice *slices;
    uint32_t slice_count;
    uint32_t *rows, *positions; /* of this thread's or, with ranks, this process's part of a batch */
    uint32_t *touched;          /* rows of one table that this thread updates */
    uint64_t step;              /* of the batch at hand, from 0 */
};

/** What a checkpoint keeps, beside the arrays. Plain data: written as it is. */
struct lp_train_state {
    uint64_t step;
    uint32_t epoch; /* finished ones */
    uint32_t best_epoch, idle_epochs, plateau_epochs;
    double best_loss, plateau_loss, rate_factor;
};

enum { LP_TRAIN_SCORE_ROWS = 256 }; /* rows that a thread scores at once */
enum { LP_TRAIN_GO_WAIT, LP_TRAIN_GO_WORK, LP_TRAIN_GO_HOME };
enum lp_train_work { LP_TRAIN_WORK_EPOCHS, LP_TRAIN_WORK_SCORE };

struct lp_trainer {
    const struct lp_train_options *options;
    const struct lp_train_data *data;
    struct lp_train_split split;
    struct lp_net net;
    struct lp_team team;
    struct lp_train_worker *workers; /* [team.threads] */
    enum lp_train_work work;
    atomic_int go;
    float *first, *second; /* the optimizer's moments, as net.params; NULL: not needed */
    float *best_params, *best_running;
    uint32_t *order;                  /* rows of the epoch in their order */
    uint32_t order_count, step_count; /* rows and batches an epoch */
    uint32_t *labelled[2];            /* BPR: rows with label 1, then 0, by group */
    uint32_t *group_begin[2];
    uint32_t group_count;
    double losses[LP_TEAM_THREADS_MAX]; /* of the last batch, by thread */
    double peer_loss;
    uint32_t *valid_pairs; /* BPR: pairs of validation rows */
    uint32_t valid_pair_rows;
    float *margins; /* [valid_count][outputs]; BPR: room for the pairs */
    float *valid_y, *valid_weight;
    uint32_t *valid_group;
    const uint32_t *score_rows; /* LP_TRAIN_WORK_SCORE */
    uint32_t score_count;
    float *score_margins;
    float *table_index, *table_gradient; /* [batch][embeddings], [batch][table_width] */
    float *table_sums;                   /* gradients of the tables, as params behind the dense ones */
    uint64_t *table_steps;               /* [rows of all tables] the step that touched it last, plus 1 */
    size_t *table_step_begin;            /* [embeddings] */
    struct lp_train_state state;
    float *held;                    /* [dense_floats] 0 where a weight stays 0, else 1; NULL: none is held */
    struct lp_train_epoch *history; /* [options.epochs] */
    bool stop;
    enum lp_code rc; /* thread 0's */
    struct lp_error err;
};

/** Epochs until the last or a reason to stop, by every thread; what went wrong is in trainer->rc. */
void lp_train_epochs_run(struct lp_train_worker *worker);

/** One mini-batch, by every thread: order[first ...]. False: its loss is not finite (on every thread alike). */
bool lp_train_step_run(struct lp_train_worker *worker, uint32_t first, uint32_t count, double *ret_loss);
/** Learning rate of step number `step`, from 0. */
double lp_train_rate(const struct lp_trainer *trainer, uint64_t step);

/** Margins of rows to `ret_margins`, by every thread; ends with a wait. */
void lp_train_score_rows(struct lp_train_worker *worker, const uint32_t *rows, uint32_t count, float *ret_margins);

/** BPR: pairs for an epoch or for validation, and the lists they are drawn from. */
LP_MUST_USE enum lp_code lp_train_pairs_init(struct lp_trainer *trainer, struct lp_error *err);
void lp_train_pairs_draw(struct lp_trainer *trainer, uint64_t seed);

LP_MUST_USE enum lp_code lp_train_checkpoint_write(const struct lp_trainer *trainer, struct lp_error *err);
/** *ret_found is false when there is no file. */
LP_MUST_USE enum lp_code lp_train_checkpoint_read(struct lp_trainer *trainer, bool *ret_found, struct lp_error *err);

#endif
