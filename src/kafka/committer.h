/*
 * Private to kafka/: a thread that runs one job at a time beside the thread that owns it. A transaction's commit blocks
 * for 15 to 67 ms; here it does so while the lane goes on scoring.
 */
#ifndef LP_KAFKA_COMMITTER_H
#define LP_KAFKA_COMMITTER_H

#include "core/error.h"

#include <stdbool.h>

struct lp_committer;

typedef void lp_committer_job(void *context);

/** @param done called on the committer's thread after each job (NULL: nobody waits elsewhere); must not block */
LP_MUST_USE enum lp_code lp_committer_new(lp_committer_job *done, void *done_context,
                                          struct lp_committer **ret_committer, struct lp_error *err);
/** Run `job` there. Owner only, and only when no job is under way. */
void lp_committer_start(struct lp_committer *committer, lp_committer_job *job, void *context);
/** Is a job under way? When not, all that the last one wrote is visible. Owner only; one atomic load. */
bool lp_committer_busy(const struct lp_committer *committer);
/** Wait up to timeout_ms for the job under way. True: none is. */
bool lp_committer_wait(struct lp_committer *committer, int timeout_ms);
/** End the thread. False: its job still runs after timeout_ms; what that points to must stay alive for good. */
bool lp_committer_free(struct lp_committer *committer, int timeout_ms);

#endif
