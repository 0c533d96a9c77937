/* Forward and backward through a network for one thread's share of a batch. */
#ifndef LP_TRAIN_PASS_H
#define LP_TRAIN_PASS_H

#include "train/data.h"
#include "train/loss.h"
#include "train/net.h"
#include "train/team.h"

/** One thread's buffers; all memory is taken once. */
struct lp_pass {
    struct lp_net *net;
    struct lp_team *team;
    const struct lp_train_kernel *kernel;
    uint32_t thread, rows_max;
    uint64_t dropout_seed;
    float label_shift, label_scale;      /* the network learns (y - shift) / scale */
    const float *class_weight;           /* borrowed, by class; NULL: ones */
    float *input;                        /* [rows] of input_stride */
    float *hidden[LP_NET_LAYERS_MAX];    /* [rows] of out_stride: what the next layer reads; the last: margins */
    float *slope[LP_NET_LAYERS_MAX];     /* derivative of what follows the sum; NULL: not needed */
    float *standard[LP_NET_LAYERS_MAX];  /* batch norm: (z - mean) / deviation; NULL: none */
    float *deviation[LP_NET_LAYERS_MAX]; /* batch norm: 1 / deviation, a row */
    float *delta[2];                     /* gradients by margins and hidden values, in turn */
    float *gradient;                     /* [net->dense_floats] */
    float *labels, *weights;             /* [rows] of the share */
    double *sums;                        /* batch norm's sums */
};

LP_MUST_USE enum lp_code lp_pass_init(struct lp_pass *pass, struct lp_net *net, struct lp_team *team, uint32_t thread,
                                      uint32_t rows_max, struct lp_error *err);
void lp_pass_done(struct lp_pass *pass);

/** Numbers that lp_team_sum must take for this network. */
size_t lp_pass_sum_max(const struct lp_net *net);

/** A share: rows of the data by number, and where they are in the whole batch. */
struct lp_share {
    const struct lp_train_data *data;
    const uint32_t *rows;      /* [count] */
    const uint32_t *positions; /* [count]; dropout masks follow them, so that they do not depend on threads or ranks */
    uint32_t count;
    uint32_t batch_rows; /* of all shares */
    uint64_t step;
};

/** Margins of the rows as the finished network has them (running statistics, no dropout): pass->hidden of the last. */
const float *lp_pass_score(struct lp_pass *pass, const struct lp_share *share);

/**
 * One training pass: pass->gradient of the mean loss over the whole batch (of this share's rows), and the loss's sum.
 * Every thread of the team calls it (batch norm sums over all of them), also with no rows.
 * @param ret_input_gradient out, [count] rows of input_stride, by the network's input; NULL: no embeddings
 */
double lp_pass_learn(struct lp_pass *pass, const struct lp_train_loss *loss, const struct lp_share *share,
                     const float **ret_input_gradient);

#endif
