/* What the job's files share. */
#ifndef LP_TRAIN_JOB_PRIVATE_H
#define LP_TRAIN_JOB_PRIVATE_H

#include "train/job.h"

struct lp_job {
    const struct lp_job_request *request;
    struct lp_job_result *result;
    struct lp_train_options options;
    struct lp_train_data data;
    float *y;
    uint32_t *class_of; /* NULL: no classes */
    uint32_t class_count;
    float *class_weight;
    double label_mean, label_scale;
    uint32_t *order; /* rows to learn from, then those that validate */
    uint32_t valid_count;
    float *margins, *valid_y, *valid_weight; /* [valid_count] of the kept weights, in the label's units */
    uint32_t *valid_group;
};

/** The features as the request edits them (--drop, --hash, --embed): result->feature_list, result->features. */
LP_MUST_USE enum lp_code lp_job_set_features(struct lp_job *job, struct lp_error *err);
/** Behind reading: task, loss, labels as numbers, class weights. */
LP_MUST_USE enum lp_code lp_job_set_labels(struct lp_job *job, struct lp_error *err);
/** The network's shape, tables for categories that are row numbers. */
LP_MUST_USE enum lp_code lp_job_set_shape(struct lp_job *job, struct lp_error *err);
/** Validation behind training: calibration, threshold, metrics, segments. */
LP_MUST_USE enum lp_code lp_job_judge(struct lp_job *job, struct lp_trainer *trainer, struct lp_error *err);
/** The bundle. */
LP_MUST_USE enum lp_code lp_job_write(struct lp_job *job, struct lp_trainer *trainer, struct lp_error *err);

#endif
