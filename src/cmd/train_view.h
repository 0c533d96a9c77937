/* What `lepton train` shows: a bar on a terminal, lines in a pipe, JSON lines for programs, curves in HTML. */
#ifndef LP_CMD_TRAIN_VIEW_H
#define LP_CMD_TRAIN_VIEW_H

#include "train/job.h"

#include <stdbool.h>

struct lp_train_view {
    bool json, bar; /* bar: stderr is a terminal */
    bool silent;    /* a rank above 0 */
    const char *data;
    const struct lp_job_result *result;
    uint64_t begin_ns, last_ns; /* of the epochs; of the last picture */
    uint64_t rows_before;       /* done by a run that is resumed: not counted as speed */
    bool first_seen;
};

void lp_train_view_init(struct lp_train_view *view, const char *data, bool json);

/* The job's callbacks; context is the view. */
void lp_train_view_rows(void *context, uint64_t rows, uint64_t bytes_done, uint64_t bytes_in_all);
void lp_train_view_start(void *context, const struct lp_job_result *result);
void lp_train_view_progress(void *context, uint32_t epoch, uint64_t rows_done, uint64_t rows_in_all);
void lp_train_view_epoch(void *context, const struct lp_train_epoch *epoch);
void lp_train_view_fold(void *context, uint32_t fold, const struct lp_metrics *metrics);

/** The last words. @param out the bundle's path; @param seconds of the whole run */
void lp_train_view_done(struct lp_train_view *view, const struct lp_job_result *result, const char *out,
                        double seconds);

/** One self-contained page: loss and measures by epoch. LP_E_IO naming the path. */
LP_MUST_USE enum lp_code lp_train_view_html(const struct lp_job_result *result, const char *data, const char *path,
                                            struct lp_error *err);

#endif
