/* The feature list of a training: a file's, or fitted. */
#ifndef LP_CMD_TRAIN_SPEC_H
#define LP_CMD_TRAIN_SPEC_H

#include "train/job.h"

/**
 * @param path a JSON file with `features`; NULL: fit the data
 * @param ret_spec owned
 */
LP_MUST_USE enum lp_code lp_train_spec(const struct lp_job_request *job, const char *path, json_t **ret_spec,
                                       struct lp_error *err);

/** SHA-256 of a regular file's bytes, 64 hexadecimal digits; false for anything else. */
bool lp_train_data_sha256(const char *path, char ret_text[LP_SHA256_TEXT_BYTES]);

#endif
