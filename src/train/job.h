/* From a data file and a feature list to a bundle: what `lepton train` does, without its words. */
#ifndef LP_TRAIN_JOB_H
#define LP_TRAIN_JOB_H

#include "core/buffer.h"
#include "train/split.h"
#include "train/table.h"
#include "train/trainer.h"

#include <jansson.h>

enum { LP_JOB_NAME_BYTES = 256, LP_JOB_FOLDS_MAX = 100 };

enum lp_job_task { LP_JOB_AUTO, LP_JOB_BINARY, LP_JOB_MULTICLASS, LP_JOB_REGRESSION, LP_JOB_RANKING };
enum lp_job_loss {
    LP_JOB_LOSS_AUTO,
    LP_JOB_LOSS_SQUARED,
    LP_JOB_LOSS_CROSS_ENTROPY,
    LP_JOB_LOSS_HUBER,
    LP_JOB_LOSS_POISSON,
    LP_JOB_LOSS_BPR
};

struct lp_job_result;

/** Threads for a network: one core a few million operations of a batch, at most those of this machine. */
uint32_t lp_job_threads(const struct lp_net_spec *spec, uint32_t batch_rows);
/** Rows of a batch for so many rows. */
uint32_t lp_job_batch(uint32_t rows);

/** NAME=VALUE of the command line; borrowed. */
struct lp_job_pair {
    const char *name, *value;
};

struct lp_job_request {
    const char *data_name;                                      /* told instead of `data`; NULL: the file's name */
    const char *data, *label, *weight, *group, *segment, *time; /* NULL: none */
    const json_t *spec;                                         /* an object with `features`; borrowed */
    bool fitted; /* the spec was made for this request: what it drops is not there */
    const char *const *drop;
    uint32_t drop_count;
    const struct lp_job_pair *hash, *embed, *class_weight; /* feature=buckets, feature=width, label=weight */
    uint32_t hash_count, embed_count, class_weight_count;
    bool balanced; /* classes weigh rows / (classes * rows of the class) */
    bool skip_bad, raw_label;
    enum lp_job_task task;
    enum lp_job_loss loss;
    double huber_delta;
    uint32_t hidden_count;
    struct lp_net_layer hidden[LP_NET_LAYERS_MAX];
    const char *init; /* a bundle with the first weights; NULL: from the seed */
    struct lp_split_rule split;
    uint32_t folds; /* 0: none */
    bool platt, isotonic, best_threshold;
    double threshold;
    const char *name, *version;
    const char *data_sha256; /* NULL: not known */
    bool no_golden_data;
    const json_t *steps; /* lineage: array of texts; borrowed */
    /* Loss, class weights, label scale and thread count of 0 are set here; a batch of 0 too. */
    struct lp_train_options train;
    void *context; /* of the callbacks of `train` and of these */
    void (*on_rows)(void *context, uint64_t rows, uint64_t bytes_done, uint64_t bytes_in_all);
    void (*on_start)(void *context, const struct lp_job_result *result); /* all is known, the first epoch begins */
    void (*on_fold)(void *context, uint32_t fold, const struct lp_metrics *metrics);
};

/** Metrics of a part of the validation rows. */
struct lp_job_segment {
    const char *name; /* in the table */
    uint32_t rows;
    struct lp_metrics metrics;
};

struct lp_job_result {
    struct lp_table table;
    struct lp_bundle *features;
    json_t *feature_list; /* as edited */
    json_t *labels;       /* NULL: none */
    enum lp_task task;
    struct lp_train_loss loss;
    uint32_t train_rows, valid_rows, threads, batch_rows, parameter_count;
    struct lp_net_spec spec;
    struct lp_net_embedding *embeddings;
    struct lp_train_epoch *history;
    uint32_t epoch_count, kept_epoch;
    struct lp_metrics valid; /* of the kept weights, calibrated, at the threshold */
    double threshold, platt_a, platt_b;
    bool calibrated;      /* by platt_a and platt_b */
    uint32_t point_count; /* isotonic: 0: none */
    double *point_margins, *point_scores;
    struct lp_metrics fold_mean, fold_deviation;
    struct lp_job_segment *segments;
    uint32_t segment_count;
    double train_seconds;
    struct lp_buffer bundle; /* empty on ranks above 0 */
    char sha256[LP_SHA256_TEXT_BYTES];
};

/**
 * Run it all.
 * @return what the stages return, with the place of what is wrong; LP_E_INVALID for a label that has no two values
 */
LP_MUST_USE enum lp_code lp_job_run(const struct lp_job_request *request, struct lp_job_result *ret_result,
                                    struct lp_error *err);
void lp_job_done(struct lp_job_result *result);

#endif
